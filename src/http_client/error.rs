//! Why no client could be built.

use thiserror::Error;

/// Why no client could be built.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HttpClientError {
    /// One of the extra roots cannot be used.
    #[error("CA file {position} holds no usable PEM certificate")]
    ExtraRoot {
        /// Its place in the list, counted from 1.
        position: usize,
    },
    /// There is no certificate to trust.
    #[error("the system has no root certificates, and no CA file is given")]
    NoRoots,
    /// The proxy's URL is none.
    #[error("the proxy is no URL that can be called")]
    Proxy,
    /// The TLS library or the HTTP library refused its settings.
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
}
