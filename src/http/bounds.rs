//! What holds for every answer.

use std::time::Duration;

use axum::Router;
use http::{HeaderName, HeaderValue, StatusCode, header};
use tower_http::{limit::RequestBodyLimitLayer, set_header::SetResponseHeaderLayer, timeout::TimeoutLayer};

/// How long one request may take. Nothing here waits for anybody else.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest body that is read, in bytes; none is expected.
const MAX_BODY_BYTES: usize = 1024;

/// What both listeners share.
pub(super) fn guarded(router: Router) -> Router {
    bounded(router, MAX_BODY_BYTES, DEADLINE)
}

pub(super) fn bounded(router: Router, body_bytes: usize, deadline: Duration) -> Router {
    let no_sniffing = HeaderValue::from_static("nosniff");
    router
        .layer(SetResponseHeaderLayer::overriding(HeaderName::from_static("x-content-type-options"), no_sniffing))
        .layer(RequestBodyLimitLayer::new(body_bytes))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, deadline))
}

#[expect(clippy::expect_used, reason = "digits are a header's value")]
pub(super) fn cached_for(seconds: u32) -> (HeaderName, HeaderValue) {
    let value = format!("public, max-age={seconds}");
    (header::CACHE_CONTROL, HeaderValue::from_str(&value).expect("digits are a header's value"))
}
