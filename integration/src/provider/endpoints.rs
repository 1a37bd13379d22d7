//! The provider's endpoints.

use std::sync::Arc;

use axum::extract::{Form, State as Extract};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::browsers::{authorize, end_session, login};
use super::client::{Parameters, Refusal, apply, authenticate_client};
use super::state::Shared;
use super::tokens;
use super::ways::{Paths, Userinfo};
use crate::faults::Fault;
use crate::jwt;

pub(super) fn router(shared: Arc<Shared>, paths: &Paths) -> Router {
    let always = Router::new()
        .route(paths.discovery, get(discovery))
        .route(paths.jwks, get(jwks))
        .route(paths.authorization, get(authorize))
        .route(&paths.login(), post(login))
        .route(paths.token, post(token));
    let some = [
        (paths.userinfo, get(userinfo).post(userinfo)),
        (paths.introspection, post(introspect)),
        (paths.revocation, post(revoke)),
        (paths.end_session, get(end_session).post(end_session)),
    ];
    let some = some.into_iter().filter_map(|(path, handler)| Some((path?, handler)));
    some.fold(always, |router, (path, handler)| router.route(path, handler)).with_state(shared)
}

async fn discovery(Extract(shared): Extract<Arc<Shared>>) -> Response {
    let fault = shared.called(|calls| &mut calls.discovery, |faults| &faults.discovery);
    let honest = || {
        let state = shared.state();
        let mut document = shared.discovery(&state);
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
        match state.settings.ways.userinfo {
            Userinfo::Claims(shape) => shape(&mut claims),
            Userinfo::Refuses(status) => return refuse(status_code(status), "insufficient_scope"),
        }
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

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a profile names a valid status")
}

fn refuse(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}
