//! What a client sends, and who it is.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::state::State;
use crate::faults::Edit;

/// How long a code may wait for its exchange.
pub(super) const CODE_LIFETIME: Duration = Duration::from_mins(1);

pub(super) type Parameters = HashMap<String, String>;

/// RFC 6749 section 5.2.
pub(super) enum Refusal {
    Client,
    Grant,
    GrantType,
}

/// The client's id, by `client_secret_basic`, `client_secret_post` or none (OIDC Core 9).
pub(super) fn authenticate_client(state: &State, headers: &HeaderMap, request: &Parameters) -> Option<String> {
    if let Some(wanted) = request.get("client_id").and_then(|id| state.client(id)?.assertion.as_ref()) {
        return authenticate_by_assertion(wanted, headers, request);
    }
    let (id, secret) = match headers.get(header::AUTHORIZATION) {
        Some(value) => {
            let encoded = value.to_str().ok()?.strip_prefix("Basic ")?;
            let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
            let (id, secret) = pair.split_once(':')?;
            (form_decoded(id), Some(form_decoded(secret)))
        }
        None => (request.get("client_id")?.clone(), request.get("client_secret").cloned()),
    };
    (state.client(&id)?.secret == secret).then_some(id)
}

/// The client's id, by an assertion with these claims (RFC 7523 section 2.2), and by nothing else beside it.
fn authenticate_by_assertion(wanted: &Map<String, Value>, headers: &HeaderMap, request: &Parameters) -> Option<String> {
    let kind = request.get("client_assertion_type")?;
    let claims = crate::jwt::claims(request.get("client_assertion")?).ok()?;
    let is_alone = !headers.contains_key(header::AUTHORIZATION) && !request.contains_key("client_secret");
    let fits = is_alone
        && kind == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        && wanted.iter().all(|(name, value)| claims[name] == *value);
    fits.then(|| request["client_id"].clone())
}

/// Both parts of the Basic scheme are form-encoded (RFC 6749 section 2.3.1).
fn form_decoded(text: &str) -> String {
    form_urlencoded::parse(format!("v={text}").as_bytes()).map(|(_, value)| value.into_owned()).collect()
}

pub(super) fn apply(edit: Option<&Edit>, value: &mut Value) {
    if let Some(edit) = edit {
        edit(value);
    }
}
