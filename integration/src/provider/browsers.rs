//! The endpoints that browsers visit: to sign in, and to sign out.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use axum::extract::{Form, Query, State as Extract};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Map, Value, json};
use url::Url;

use super::client::{CODE_LIFETIME, Parameters, apply};
use super::login_page;
use super::settings::Client;
use super::state::{Code, Shared, State};
use super::ways::{RefreshFor, Scopes};
use crate::jwt;

/// Shows the page on which a user is chosen.
pub(super) async fn authorize(Extract(shared): Extract<Arc<Shared>>, Query(request): Query<Parameters>) -> Response {
    let mut state = shared.state();
    state.calls.authorize += 1;
    match check_authorization(&shared, &state, &request) {
        Ok(_) => Html(login_page::render(&state.settings.users, &request)).into_response(),
        Err(refused) => refused.answer(),
    }
}

/// Takes the choice, and sends the user back with a code.
pub(super) async fn login(Extract(shared): Extract<Arc<Shared>>, Form(mut request): Form<Parameters>) -> Response {
    let chosen = request.remove("user").unwrap_or_default();
    let mut state = shared.state();
    state.calls.login += 1;
    let redirect_uri = match check_authorization(&shared, &state, &request) {
        Ok(redirect_uri) => redirect_uri,
        Err(refused) => return refused.answer(),
    };
    let Some(user) = state.user(chosen.trim()).cloned() else {
        let page = login_page::render_unknown(&state.settings.users, &request, &chosen);
        return (StatusCode::FORBIDDEN, Html(page)).into_response();
    };

    let code = jwt::random_id();
    let mut answer = answer(&shared, &state, &request);
    answer["code"] = code.as_str().into();
    for (name, value) in state.settings.ways.callback {
        answer[*name] = (*value).into();
    }
    apply(state.faults.edit_callback.as_ref(), &mut answer);
    let get = |name: &str| request.get(name).cloned();
    state.codes.retain(|_, code| code.issued.elapsed() < CODE_LIFETIME);
    let refreshes = refreshes(&state, &request);
    state.codes.insert(
        code,
        Code {
            user,
            client_id: get("client_id").unwrap_or_default(),
            redirect_uri: redirect_uri.to_string(),
            challenge: get("code_challenge").unwrap_or_default(),
            nonce: get("nonce"),
            scope: get("scope").unwrap_or_default(),
            refreshes,
            issued: Instant::now(),
        },
    );
    let callback = with_query(redirect_uri, &answer);
    crate::evidence::callback(&callback);
    see_other(&callback)
}

/// What every answer to an authorization request holds.
fn answer(shared: &Shared, state: &State, request: &Parameters) -> Value {
    let mut answer = Map::new();
    if state.names_issuer() {
        answer.insert("iss".to_owned(), shared.issuer.as_str().into());
    }
    if let Some(value) = request.get("state") {
        answer.insert("state".to_owned(), value.as_str().into());
    }
    answer.into()
}

/// Whether who signs in by this request gets a refresh token, where there are any.
fn refreshes(state: &State, request: &Parameters) -> bool {
    let is = |name: &str, wanted: &str| request.get(name).is_some_and(|value| value == wanted);
    let scopes = request.get("scope").map_or("", String::as_str);
    match state.settings.ways.refresh {
        RefreshFor::Everybody => true,
        RefreshFor::Scope(wanted) => scopes.split(' ').any(|scope| scope == wanted),
        RefreshFor::Parameters(wanted) => wanted.iter().all(|(name, value)| is(name, value)),
    }
}

/// What comes of an authorization request that is refused.
enum Refused {
    /// The browser stays, and reads this.
    Here(String),
    /// The browser is sent back.
    Back(Url),
}

impl Refused {
    fn answer(self) -> Response {
        match self {
            Self::Here(problem) => page(problem),
            Self::Back(callback) => see_other(&callback),
        }
    }
}

/// Checks an authorization request, and gives its redirect URI.
fn check_authorization(shared: &Shared, state: &State, request: &Parameters) -> Result<Url, Refused> {
    let redirect_uri = well_formed(state, request).map_err(|problem| Refused::Here(format!("{problem:#}")))?;
    let scopes = &state.settings.ways.scopes;
    let Some(unknown) = scopes.unknown(request.get("scope").map_or("", String::as_str)) else {
        return Ok(redirect_uri);
    };
    let description = format!("{unknown} is no scope of this client");
    if !matches!(scopes, Scopes::SendsBack(_)) {
        return Err(Refused::Here(description));
    }
    let mut answer = answer(shared, state, request);
    answer["error"] = "invalid_scope".into();
    answer["error_description"] = description.into();
    Err(Refused::Back(with_query(redirect_uri, &answer)))
}

/// The redirect URI of an authorization request that is one.
fn well_formed(state: &State, request: &Parameters) -> Result<Url> {
    let get = |name: &str| request.get(name).map_or("", String::as_str);
    let client = state.client(get("client_id")).context("client_id: no such client")?;
    let redirect_uri = get("redirect_uri");
    anyhow::ensure!(
        is_registered(&client.redirect_uris, redirect_uri),
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

/// Ends a session as its ways say; nothing is remembered here, so nothing ends.
pub(super) async fn end_session(Extract(shared): Extract<Arc<Shared>>, Query(request): Query<Parameters>) -> Response {
    let mut state = shared.state();
    state.calls.end_session += 1;
    state.end_sessions.push(request.clone());
    let ways = state.settings.ways.end_session;
    if let Some(missing) = ways.wants.iter().find(|name| !request.contains_key(**name)) {
        return page(format!("{missing} is missing"));
    }
    let Some(back) = request.get(ways.redirect_parameter) else {
        return Html(login_page::signed_out()).into_response();
    };
    let registered = |client: &Client| is_registered(&client.post_logout_redirect_uris, back);
    match Url::parse(back) {
        Ok(uri) if state.settings.clients.iter().any(registered) => {
            let brought = request.get("state").filter(|_| ways.brings_state);
            see_other(&with_query(uri, &brought.map_or_else(|| json!({}), |value| json!({ "state": value }))))
        }
        _ => page(format!("{}: {back:?} is not registered", ways.redirect_parameter)),
    }
}

/// Whether an address is one of those that are registered, where some are.
fn is_registered(registered: &[String], uri: &str) -> bool {
    registered.is_empty() || registered.iter().any(|registered| registered == uri)
}

/// A page of the provider's own that says what is wrong.
fn page(problem: String) -> Response {
    (StatusCode::BAD_REQUEST, problem + "\n").into_response()
}

fn see_other(to: &Url) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, to.as_str())]).into_response()
}

/// Adds an object's texts to a URL's query.
fn with_query(mut url: Url, values: &Value) -> Url {
    let texts = values.as_object().into_iter().flatten();
    let texts: Vec<_> = texts.filter_map(|(name, value)| Some((name, value.as_str()?))).collect();
    if !texts.is_empty() {
        url.query_pairs_mut().extend_pairs(texts);
    }
    url
}
