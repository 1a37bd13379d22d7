//! Where a key set comes from.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use thiserror::Error;

use crate::{
    http_client::{HttpError, SharedHttp},
    jose::jwks::JwksError,
};

/// Asks a source for its key set.
pub type FetchJwks = Arc<dyn Fn() -> BoxFuture<'static, Result<Bytes, FetchError>> + Send + Sync>;

/// Why there is no new key set. Goes to the log: nothing secret belongs in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FetchError {
    /// No answer within the deadline.
    #[error("no answer within the deadline")]
    Deadline,
    /// The call failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The source answered with another status than 200.
    #[error("the answer has status {0}")]
    Status(http::StatusCode),
    /// The answer is no key set.
    #[error(transparent)]
    Jwks(#[from] JwksError),
    /// Something else, as the source tells it.
    #[error("{0}")]
    Other(String),
}

/// Fetches the key set at `url`. Only 200 is an answer: a redirect is none.
#[must_use]
pub fn fetch_over_http(http: SharedHttp, url: http::Uri) -> FetchJwks {
    Arc::new(move || {
        let (http, url) = (Arc::clone(&http), url.clone());
        Box::pin(async move {
            let mut request = http::Request::new(Vec::new());
            *request.uri_mut() = url;
            request.headers_mut().insert(
                http::header::ACCEPT,
                http::HeaderValue::from_static("application/jwk-set+json, application/json"),
            );
            let response = http.send(request).await?;
            match response.status() {
                http::StatusCode::OK => Ok(response.into_body()),
                status => Err(FetchError::Status(status)),
            }
        })
    })
}
