//! The provider's endpoints.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use axum::extract::{Form, Query, State as Extract};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use url::Url;

use super::client::{CODE_LIFETIME, Parameters, Refusal, apply, authenticate_client};
use super::state::{Code, Shared, State};
use super::{login_page, tokens};
use crate::faults::Fault;
use crate::jwt;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/jwks", get(jwks))
        .route("/authorize", get(authorize))
        .route("/login", post(login))
        .route("/token", post(token))
        .route("/userinfo", get(userinfo).post(userinfo))
        .route("/introspect", post(introspect))
        .route("/revoke", post(revoke))
        .route("/end-session", get(end_session).post(end_session))
        .with_state(shared)
}

async fn discovery(Extract(shared): Extract<Arc<Shared>>) -> Response {
    let fault = shared.called(|calls| &mut calls.discovery, |faults| &faults.discovery);
    let honest = || {
        let state = shared.state();
        let mut document = shared.discovery(state.signing_key().algorithm());
        apply(state.faults.edit_discovery.as_ref(), &mut document);
        Json(document).into_response()
    };
    fault.answer(honest).await
}

async fn jwks(Extract(shared): Extract<Arc<Shared>>) -> Response {
    let fault = shared.called(|calls| &mut calls.jwks, |faults| &faults.jwks);
    let honest = || {
        let state = shared.state();
        let keys: Vec<Value> = state.keys.iter().map(jwt::SigningKey::jwk).collect();
        let mut set = json!({ "keys": keys });
        apply(state.faults.edit_jwks.as_ref(), &mut set);
        Json(set).into_response()
    };
    fault.answer(honest).await
}

/// Shows the page on which a user is chosen.
async fn authorize(Extract(shared): Extract<Arc<Shared>>, Query(request): Query<Parameters>) -> Response {
    let mut state = shared.state();
    state.calls.authorize += 1;
    match check_authorization(&state, &request) {
        Ok(_) => Html(login_page::render(&state.settings.users, &request)).into_response(),
        Err(problem) => (StatusCode::BAD_REQUEST, format!("{problem:#}\n")).into_response(),
    }
}

/// Takes the choice, and sends the user back with a code.
async fn login(Extract(shared): Extract<Arc<Shared>>, Form(mut request): Form<Parameters>) -> Response {
    let chosen = request.remove("user").unwrap_or_default();
    let mut state = shared.state();
    state.calls.login += 1;
    let redirect_uri = match check_authorization(&state, &request) {
        Ok(redirect_uri) => redirect_uri,
        Err(problem) => return (StatusCode::BAD_REQUEST, format!("{problem:#}\n")).into_response(),
    };
    let Some(user) = state.user(chosen.trim()).cloned() else {
        let page = login_page::render_unknown(&state.settings.users, &request, &chosen);
        return (StatusCode::FORBIDDEN, Html(page)).into_response();
    };

    let code = jwt::random_id();
    let mut answer = json!({ "code": code, "iss": shared.issuer });
    if let Some(value) = request.get("state") {
        answer["state"] = value.as_str().into();
    }
    apply(state.faults.edit_callback.as_ref(), &mut answer);
    let get = |name: &str| request.get(name).cloned();
    state.codes.retain(|_, code| code.issued.elapsed() < CODE_LIFETIME);
    state.codes.insert(
        code,
        Code {
            user,
            client_id: get("client_id").unwrap_or_default(),
            redirect_uri: redirect_uri.to_string(),
            challenge: get("code_challenge").unwrap_or_default(),
            nonce: get("nonce"),
            issued: Instant::now(),
        },
    );
    let callback = with_query(redirect_uri, &answer);
    crate::evidence::callback(&callback);
    see_other(&callback)
}

/// Checks an authorization request, and gives its redirect URI.
fn check_authorization(state: &State, request: &Parameters) -> Result<Url> {
    let get = |name: &str| request.get(name).map_or("", String::as_str);
    let client = state.client(get("client_id")).context("client_id: no such client")?;
    let redirect_uri = get("redirect_uri");
    let registered = &client.redirect_uris;
    anyhow::ensure!(
        registered.is_empty() || registered.iter().any(|uri| uri == redirect_uri),
        "redirect_uri: {redirect_uri:?} is not registered"
    );
    anyhow::ensure!(get("response_type") == "code", "response_type: only code");
    anyhow::ensure!(get("scope").split(' ').any(|scope| scope == "openid"), "scope: openid is missing");
    anyhow::ensure!(
        get("code_challenge_method") == "S256" && !get("code_challenge").is_empty(),
        "code_challenge: PKCE with S256 is required"
    );
    Url::parse(redirect_uri).context("redirect_uri: not a URL")
}

async fn token(Extract(shared): Extract<Arc<Shared>>, headers: HeaderMap, Form(request): Form<Parameters>) -> Response {
    let refreshes = request.get("grant_type").is_some_and(|kind| kind == "refresh_token");
    let fault = {
        let mut state = shared.state();
        state.calls.token += 1;
        state.calls.refresh += u64::from(refreshes);
        let lies_at_refresh = refreshes && !matches!(state.faults.refresh, Fault::None);
        if lies_at_refresh { state.faults.refresh.clone() } else { state.faults.token.clone() }
    };
    crate::evidence::token_request(&request);
    crate::evidence::fault(&fault);
    let answer = if refreshes { tokens::refresh } else { tokens::exchange };
    let honest = || match answer(&shared.issuer, &mut shared.state(), &headers, &request) {
        Ok(answer) => ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response(),
        Err(Refusal::Client) => refuse(StatusCode::UNAUTHORIZED, "invalid_client"),
        Err(Refusal::Grant) => refuse(StatusCode::BAD_REQUEST, "invalid_grant"),
        Err(Refusal::GrantType) => refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type"),
    };
    fault.answer(honest).await
}

async fn userinfo(Extract(shared): Extract<Arc<Shared>>, headers: HeaderMap) -> Response {
    let fault = shared.called(|calls| &mut calls.userinfo, |faults| &faults.userinfo);
    let honest = || {
        let state = shared.state();
        let user = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .and_then(|token| state.bearer(token));
        let Some(user) = user else {
            return refuse(StatusCode::UNAUTHORIZED, "invalid_token");
        };
        let mut claims = Value::Object(user.profile());
        claims["sub"] = user.subject.as_str().into();
        apply(state.faults.edit_userinfo.as_ref(), &mut claims);
        Json(claims).into_response()
    };
    fault.answer(honest).await
}

/// RFC 7662.
async fn introspect(
    Extract(shared): Extract<Arc<Shared>>,
    headers: HeaderMap,
    Form(request): Form<Parameters>,
) -> Response {
    let fault = shared.called(|calls| &mut calls.introspection, |faults| &faults.introspection);
    let honest = || {
        let state = shared.state();
        if authenticate_client(&state, &headers, &request).is_none() {
            return refuse(StatusCode::UNAUTHORIZED, "invalid_client");
        }
        match request.get("token").and_then(|token| state.bearer(token)) {
            Some(user) => Json(json!({ "active": true, "sub": user.subject })).into_response(),
            None => Json(json!({ "active": false })).into_response(),
        }
    };
    fault.answer(honest).await
}

/// RFC 7009.
async fn revoke(
    Extract(shared): Extract<Arc<Shared>>,
    headers: HeaderMap,
    Form(request): Form<Parameters>,
) -> Response {
    let fault = shared.called(|calls| &mut calls.revocation, |faults| &faults.revocation);
    let honest = || {
        let mut state = shared.state();
        if authenticate_client(&state, &headers, &request).is_none() {
            return refuse(StatusCode::UNAUTHORIZED, "invalid_client");
        }
        let token = request.get("token").cloned().unwrap_or_default();
        state.access_tokens.remove(&token);
        state.refresh_tokens.remove(&token);
        state.revoked.push(token);
        StatusCode::OK.into_response()
    };
    fault.answer(honest).await
}

/// OpenID Connect RP-Initiated Logout 1.0; nothing is remembered here, so nothing ends.
async fn end_session(Extract(shared): Extract<Arc<Shared>>, Query(request): Query<Parameters>) -> Response {
    {
        let mut state = shared.state();
        state.calls.end_session += 1;
        state.end_sessions.push(request.clone());
    }
    match request.get("post_logout_redirect_uri").map(|uri| Url::parse(uri)) {
        Some(Ok(uri)) => {
            let mut answer = json!({});
            if let Some(value) = request.get("state") {
                answer["state"] = value.as_str().into();
            }
            see_other(&with_query(uri, &answer))
        }
        Some(Err(_)) => (StatusCode::BAD_REQUEST, "post_logout_redirect_uri\n").into_response(),
        None => Html(login_page::signed_out()).into_response(),
    }
}

fn refuse(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

fn see_other(to: &Url) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, to.as_str())]).into_response()
}

/// Adds an object's texts to a URL's query.
fn with_query(mut url: Url, values: &Value) -> Url {
    let texts = values.as_object().into_iter().flatten();
    let texts = texts.filter_map(|(name, value)| Some((name, value.as_str()?)));
    url.query_pairs_mut().extend_pairs(texts);
    url
}
