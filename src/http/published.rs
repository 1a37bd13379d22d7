//! The key set of our assertions and its discovery document: what a service needs to verify an assertion.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{Router, extract::State, response::IntoResponse, routing::get};
use http::{HeaderValue, header};
use serde_json::json;
use url::Url;

use super::{
    back_channel,
    bounds::{cached_for, guarded},
};
use crate::{jose::SharedAssertionKeyRing, logout::SharedBackChannel};

/// Where the discovery document is, below the issuer (OpenID Connect Discovery section 4).
const DISCOVERY: &str = "/.well-known/openid-configuration";
/// Where the key set is, below the issuer; the discovery document says so.
const JWKS: &str = "/.well-known/jwks.json";
/// How long others may keep the documents, in seconds: far below the time that a key is published before it signs.
const MAX_AGE: u32 = 300;

#[derive(Clone)]
struct Published {
    issuer: Arc<ArcSwap<String>>,
    keys: SharedAssertionKeyRing,
}

/// The public listener: the providers' back-channel logout, discovery and key set, these two at the listener's root and below every path, since the issuer may have
/// one and a gateway may cut it or not. A reload may replace the issuer and the keys.
pub fn published(
    issuer: Arc<ArcSwap<String>>,
    keys: SharedAssertionKeyRing,
    back_channel: SharedBackChannel,
) -> Router {
    let router = Router::new()
        .route(DISCOVERY, get(discovery))
        .route(JWKS, get(key_set))
        .fallback(get(below_the_issuer))
        .with_state(Published { issuer, keys });
    guarded(router).merge(back_channel::router(back_channel))
}

async fn discovery(State(published): State<Published>) -> impl IntoResponse {
    let issuer = published.issuer.load();
    let document = json!({
        "issuer": issuer.as_str(),
        "jwks_uri": format!("{issuer}{JWKS}"),
        "id_token_signing_alg_values_supported": ["ES256"],
        // Required by OpenID Connect Discovery section 3. Nobody can sign in here.
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
    });
    as_json(document.to_string())
}

async fn key_set(State(published): State<Published>) -> impl IntoResponse {
    as_json(published.keys.load().jwks_json().to_owned())
}

/// The same documents below the issuer's own path.
async fn below_the_issuer(State(published): State<Published>, uri: http::Uri) -> axum::response::Response {
    let issuer = published.issuer.load_full();
    let path = Url::parse(&issuer).map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default();
    match uri.path().strip_prefix(&path) {
        Some(DISCOVERY) => discovery(State(published)).await.into_response(),
        Some(JWKS) => key_set(State(published)).await.into_response(),
        _ => http::StatusCode::NOT_FOUND.into_response(),
    }
}

fn as_json(document: String) -> impl IntoResponse {
    let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Browsers' applications may read keys too; there is nothing secret about them.
    let anybody = (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    ([json, anybody, cached_for(MAX_AGE)], document)
}
