//! Where a key set comes from.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use thiserror::Error;

use crate::jose::jwks::JwksError;

/// Asks a source for its key set.
pub type FetchJwks = Arc<dyn Fn() -> BoxFuture<'static, Result<Bytes, FetchError>> + Send + Sync>;

/// Why there is no new key set. Goes to the log: nothing secret belongs in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FetchError {
    /// No answer within the deadline.
    #[error("no answer within the deadline")]
    Deadline,
    /// No answer, or one that says "not now", as the source tells it.
    #[error("{0}")]
    Unavailable(String),
    /// There is an answer, and it cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// The answer is no key set.
    #[error(transparent)]
    Jwks(#[from] JwksError),
}

impl FetchError {
    /// Whether the source answered: asking again will not help.
    #[must_use]
    pub const fn is_an_answer(&self) -> bool {
        match self {
            Self::Deadline | Self::Unavailable(_) => false,
            Self::Unusable(_) | Self::Jwks(_) => true,
        }
    }
}
