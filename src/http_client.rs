//! The one way out: every HTTP call that the product makes goes through [`HttpClient`].
//!
//! A call has one deadline that covers its body, a cap on the body, and a place among a bounded number of calls.
//! Redirects are not followed, the environment's proxies are not used (one that the configuration names is), nothing is
//! decompressed, no cookie is kept, and `http:` URLs are refused but for an explicit word.

mod error;
mod tls;

#[cfg(test)]
mod tests;

use std::{fmt, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use thiserror::Error;
use tokio::sync::Semaphore;

pub use self::error::HttpClientError;

/// What the client calls itself (`User-Agent`).
const USER_AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));
/// How long an unused connection is kept.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// Outbound HTTP, as the modules above see it: the seam that tests play another side on.
#[async_trait]
pub trait OutboundHttp: fmt::Debug + Send + Sync {
    /// Sends `request` and reads the whole answer. A redirect is an answer like any other.
    ///
    /// # Errors
    /// Where no complete answer came within the deadline and the cap. An answer of any status is no error.
    async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Bytes>, HttpError>;
}

/// An [`OutboundHttp`] that everyone shares.
pub type SharedHttp = Arc<dyn OutboundHttp>;

/// Why a call brought no answer. Its text names no URL, header or body.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HttpError {
    /// The deadline passed.
    #[error("no complete answer within {} ms", .0.as_millis())]
    Deadline(Duration),
    /// The deadline passed before one of the bounded number of calls had ended.
    #[error("too many calls at once")]
    Busy,
    /// No connection: the name, the network or TLS failed.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The answer's body is larger than the cap, in bytes.
    #[error("the answer is larger than {0} bytes")]
    BodyTooLarge(usize),
    /// The URL is not `https:`, and `http:` is not allowed.
    #[error("the URL is not https")]
    InsecureUrl,
    /// The URL is not one that can be called.
    #[error("the URL cannot be called")]
    InvalidUrl,
    /// The other side broke off, or does not speak HTTP.
    #[error("the call broke off: {0}")]
    Protocol(String),
}

/// How [`HttpClient`] calls.
#[derive(Clone, Debug)]
pub struct HttpClientConfig {
    /// The deadline of one call, from waiting for a place to the last byte of the body.
    pub timeout: Duration,
    /// The largest body of an answer, in bytes.
    pub body_limit: usize,
    /// Certificates (PEM, one or more in each) that are trusted beside the system's roots.
    pub extra_roots: Vec<Vec<u8>>,
    /// Whether `http:` URLs may be called.
    pub allow_http: bool,
    /// The proxy through which everything is called; none: nothing is, whatever the environment says.
    pub proxy: Option<String>,
    /// How many calls may run at once.
    pub max_concurrent: usize,
}

impl Default for HttpClientConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            body_limit: 1024 * 1024,
            extra_roots: Vec::new(),
            allow_http: false,
            proxy: None,
            max_concurrent: 64,
        }
    }
}

/// The outbound HTTP client. Connections are kept and used again.
#[derive(Debug)]
pub struct HttpClient {
    client: reqwest::Client,
    places: Semaphore,
    timeout: Duration,
    body_limit: usize,
    allow_http: bool,
}

impl HttpClient {
    /// A client that calls as `config` says. The system's roots are read now.
    ///
    /// # Errors
    /// Where a CA file cannot be used, or there is no root to trust.
    pub fn new(config: &HttpClientConfig) -> Result<Self, HttpClientError> {
        let tls = tls::client_config(&config.extra_roots, config.allow_http)?;
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .https_only(!config.allow_http)
            // Also bounds a connection attempt that outlives its call.
            .connect_timeout(config.timeout)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            // A connection whose other side silently went away must not be used again and again.
            .http2_keep_alive_interval(config.timeout)
            .http2_keep_alive_timeout(config.timeout);
        let builder = match &config.proxy {
            Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy).map_err(|_| HttpClientError::Proxy)?),
            None => builder,
        };
        #[cfg(target_os = "linux")]
        let builder = builder.tcp_user_timeout(config.timeout);
        let client = builder.build().map_err(|error| HttpClientError::Setup(describe(error)))?;
        Ok(Self {
            client,
            places: Semaphore::new(config.max_concurrent.clamp(1, Semaphore::MAX_PERMITS)),
            timeout: config.timeout,
            body_limit: config.body_limit,
            allow_http: config.allow_http,
        })
    }

    async fn exchange(&self, request: reqwest::Request) -> Result<http::Response<Bytes>, HttpError> {
        let mut response = self.client.execute(request).await.map_err(failure)?;
        let body = read_body(&mut response, self.body_limit).await?;
        let mut answer = http::Response::new(body);
        *answer.status_mut() = response.status();
        *answer.version_mut() = response.version();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

#[async_trait]
impl OutboundHttp for HttpClient {
    async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request).map_err(|_| HttpError::InvalidUrl)?;
        match request.url().scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => return Err(HttpError::InsecureUrl),
            _ => return Err(HttpError::InvalidUrl),
        }
        let mut deadline = pin!(tokio::time::sleep(self.timeout));
        let _place = tokio::select! {
            biased;
            () = &mut deadline => return Err(HttpError::Busy),
            place = self.places.acquire() => place.map_err(|_| HttpError::Busy)?,
        };
        tokio::select! {
            biased;
            () = deadline => Err(HttpError::Deadline(self.timeout)),
            outcome = self.exchange(request) => outcome,
        }
    }
}

async fn read_body(response: &mut reqwest::Response, limit: usize) -> Result<Bytes, HttpError> {
    // What the header announces is refused before a byte of it is read.
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(HttpError::BodyTooLarge(limit));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if body.len() + chunk.len() > limit {
            return Err(HttpError::BodyTooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn failure(error: reqwest::Error) -> HttpError {
    if error.is_builder() {
        HttpError::InvalidUrl
    } else if error.is_connect() || error.is_dns() {
        HttpError::Connect(describe(error))
    } else {
        HttpError::Protocol(describe(error))
    }
}

/// The causes of `error`, outermost first, without the URL: its query may hold a secret.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = String::new();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    if text.is_empty() { error.to_string() } else { text }
}
