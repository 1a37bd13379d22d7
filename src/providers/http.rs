//! The provider's endpoints, called through the one outbound client.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Response, StatusCode, header::CONTENT_TYPE};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use thiserror::Error;

use super::config::{ConfigError, ProviderConfig};
use crate::{
    http_client::{HttpError, SharedHttp},
    jose,
};

/// Why a call to the provider gave nothing to read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum CallError {
    /// No answer, or one that says "not now": try again later.
    #[error("the provider does not answer: {0}")]
    Unavailable(String),
    /// An answer, or a URL, that must not be used: trying again will not help.
    #[error("the provider's answer cannot be used: {0}")]
    Unusable(&'static str),
}

/// [`crate::http_client::OutboundHttp`] as `openidconnect` wants it, bound to one provider's rules.
#[derive(Clone, Debug)]
pub(crate) struct ProviderHttp {
    http: SharedHttp,
    timeout: Duration,
    allow_http: bool,
}

impl ProviderHttp {
    /// # Errors
    /// Where there is no client to call it with.
    pub(super) fn new(config: &ProviderConfig) -> Result<Self, ConfigError> {
        Ok(Self { http: config.client()?, timeout: config.timeout, allow_http: config.allow_http })
    }

    /// Sends a request whose answer is JSON.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, CallError> {
        strict(self.send_plain(request).await?)
    }

    /// Sends a request whose answer may have any body.
    pub(crate) async fn send_plain(&self, request: HttpRequest) -> Result<Response<Bytes>, CallError> {
        // Also for what discovery names: a token endpoint on http would get the code and the client secret.
        let secure = match request.uri().scheme_str() {
            Some("https") => true,
            Some("http") => self.allow_http,
            _ => false,
        };
        if !secure {
            return Err(CallError::Unusable("an endpoint is not https"));
        }
        let response = tokio::time::timeout(self.timeout, self.http.send(request))
            .await
            .unwrap_or(Err(HttpError::Deadline(self.timeout)))
            .map_err(|error| refusal(&error))?;
        let status = response.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(CallError::Unavailable(format!("status {}", status.as_u16())));
        }
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for ProviderHttp {
    type Error = CallError;
    type Future = BoxFuture<'c, Result<HttpResponse, CallError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// The provider's endpoints, and the last answer as it came: what the library made of it no longer shows all that it said.
#[derive(Debug)]
pub(super) struct Overheard<'a> {
    http: &'a ProviderHttp,
    body: Mutex<Vec<u8>>,
}

impl<'a> Overheard<'a> {
    pub(super) fn of(http: &'a ProviderHttp) -> Self {
        Self { http, body: Mutex::default() }
    }

    /// The body of the last answer.
    pub(super) fn last_body(self) -> Vec<u8> {
        self.body.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'c> AsyncHttpClient<'c> for Overheard<'_> {
    type Error = CallError;
    type Future = BoxFuture<'c, Result<HttpResponse, CallError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let response = self.http.send(request).await?;
            self.body.lock().unwrap_or_else(PoisonError::into_inner).clone_from(response.body());
            Ok(response)
        })
    }
}

/// What an answer claims to be, in lower case and without parameters (RFC 9110 section 8.3.1); what is no text is the
/// empty one.
pub(crate) fn media_type(response: &Response<Bytes>) -> Option<String> {
    let claimed = response.headers().get(CONTENT_TYPE)?.to_str().unwrap_or_default();
    Some(claimed.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// An answer that is to be JSON, where it can be read in one way only.
pub(crate) fn strict(response: Response<Bytes>) -> Result<HttpResponse, CallError> {
    // Two readers of a name that occurs twice take two values.
    if response.status() == StatusCode::OK && is_json(&response) && jose::parse_object(response.body()).is_none() {
        return Err(CallError::Unusable("it is no strict JSON object"));
    }
    Ok(response.map(|body| body.to_vec()))
}

/// Whether an answer claims to be JSON, or claims nothing; as `openidconnect` reads it.
fn is_json(response: &Response<Bytes>) -> bool {
    response.headers().get(CONTENT_TYPE).is_none_or(|value| !value.as_bytes().starts_with(b"application/jwt"))
}

fn refusal(error: &HttpError) -> CallError {
    match error {
        HttpError::BodyTooLarge(_) => CallError::Unusable("it is too large"),
        HttpError::InsecureUrl => CallError::Unusable("an endpoint is not https"),
        HttpError::InvalidUrl => CallError::Unusable("an endpoint cannot be called"),
        HttpError::Deadline(_) | HttpError::Busy | HttpError::Connect(_) | HttpError::Protocol(_) => {
            CallError::Unavailable(error.to_string())
        }
    }
}
