//! `POST /backchannel-logout/<provider>`: a provider ends sessions (OpenID Connect Back-Channel Logout 1.0 section 2.5).
//! No check sees a body, so this is the one endpoint of ours that needs a route of its own.

use std::time::Duration;

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;
use tower_http::set_header::SetResponseHeaderLayer;
use url::form_urlencoded;

use super::bounds::bounded;
use crate::{
    jose::MAX_TOKEN_BYTES,
    logout::{BackChannelError, BackChannelLogout, SharedBackChannel},
};

/// The longest body: a token, its name, and other parameters that are not looked at.
const MAX_BODY_BYTES: usize = MAX_TOKEN_BYTES + 4 * 1024;
/// How long an answer may take: the provider may be asked for its keys meanwhile.
const DEADLINE: Duration = Duration::from_secs(10);

pub(super) fn router(back_channel: SharedBackChannel) -> Router {
    let router = Router::new().route("/backchannel-logout/{provider}", post(log_out)).with_state(back_channel);
    let never = HeaderValue::from_static("no-store");
    bounded(router, MAX_BODY_BYTES, DEADLINE).layer(SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, never))
}

async fn log_out(
    State(back_channel): State<SharedBackChannel>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(token) = logout_token(&headers, &body) else {
        return refusal("send one `logout_token` as application/x-www-form-urlencoded");
    };
    match back_channel.load_full().log_out(&provider, token).await {
        // Also where it was carried out before: whoever sends it again has not heard our answer.
        Ok(BackChannelLogout::Ended(_) | BackChannelLogout::DoneBefore) => StatusCode::OK.into_response(),
        Err(BackChannelError::UnknownProvider) => StatusCode::NOT_FOUND.into_response(),
        // Also where the logout failed (section 2.8).
        Err(error) => refusal(&error.to_string()),
    }
}

/// The one token of a form. Other parameters may stand beside it (section 2.5).
fn logout_token(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    let mut tokens = form_urlencoded::parse(body).filter(|(name, _)| name == "logout_token");
    let token = tokens.next()?.1.into_owned();
    tokens.next().is_none().then_some(token)
}

fn refusal(description: &str) -> Response {
    let body = json!({ "error": "invalid_request", "error_description": description }).to_string();
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
