//! The provider's endpoints, called through the one outbound client.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use thiserror::Error;

use super::{
    config::{ConfigError, ProviderConfig},
    endpoint::Endpoint,
    troubles::Trouble,
};
use crate::http_client::{HttpError, SharedHttp};

/// Why a call to the provider gave nothing to read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum CallError {
    /// No answer, or one that says "not now": try again later.
    #[error("the provider does not answer: {0}")]
    Unavailable(String),
    /// An answer, or a URL, that must not be used: trying again will not help.
    #[error("the provider's answer cannot be used: {0}")]
    Unusable(&'static str),
    /// Nothing was asked: something is missing here. The text names the setting.
    #[error("sign-in is not set up: {0}")]
    NotSetUp(&'static str),
}

impl CallError {
    /// What it means for everybody.
    pub(crate) fn trouble(&self) -> Trouble {
        match self {
            Self::Unavailable(text) => Trouble::Unanswered(text.clone()),
            Self::Unusable(text) => Trouble::Unusable((*text).to_owned()),
            Self::NotSetUp(text) => Trouble::NotSetUp((*text).to_owned()),
        }
    }
}

/// [`crate::http_client::OutboundHttp`], bound to one provider's rules.
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

    /// Asks for a document in JSON, whatever the answer is of.
    pub(super) async fn get_json(&self, endpoint: &Endpoint) -> Result<Response<Bytes>, CallError> {
        let mut request = Request::new(Vec::new());
        *request.uri_mut() = endpoint.uri().clone();
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        self.send_plain(request).await
    }

    /// Sends a request, whatever the answer is of.
    pub(crate) async fn send_plain(&self, request: Request<Vec<u8>>) -> Result<Response<Bytes>, CallError> {
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

/// What an answer claims to be, in lower case and without parameters (RFC 9110 section 8.3.1); what is no text is the
/// empty one.
pub(crate) fn media_type(response: &Response<Bytes>) -> Option<String> {
    let claimed = response.headers().get(CONTENT_TYPE)?.to_str().unwrap_or_default();
    Some(claimed.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Whether an answer claims to be JSON, or claims nothing.
pub(crate) fn may_be_json(response: &Response<Bytes>) -> bool {
    matches!(media_type(response).as_deref(), None | Some("application/json"))
}

fn refusal(error: &HttpError) -> CallError {
    match error {
        HttpError::BodyTooLarge(_) => CallError::Unusable("it is too large"),
        HttpError::InsecureUrl => CallError::Unusable("an endpoint is not https"),
        HttpError::InvalidUrl => CallError::Unusable("an endpoint cannot be called"),
        HttpError::Connect(why) if why.contains("UnknownIssuer") => CallError::Unavailable(format!(
            "{error}: nobody who is trusted vouches for it; `ca_file` can name who does"
        )),
        HttpError::Deadline(_) | HttpError::Busy | HttpError::Connect(_) | HttpError::Protocol(_) => {
            CallError::Unavailable(error.to_string())
        }
    }
}
