//! The seam to the API server.

use std::{collections::BTreeMap, fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

use crate::{decision::Refusal, reason::Reason, secret::SecretString};

/// What we ask of the Kubernetes API server.
///
/// An implementation makes one call per method call: it neither retries nor caches, and it needs no deadline of its
/// own, since the caller drops the future when its time is over.
#[async_trait]
pub trait Reviews: fmt::Debug + Send + Sync {
    /// Asks whether `token` is good for one of `audiences` (TokenReview, `authentication.k8s.io/v1`).
    ///
    /// # Errors
    /// Where there is no answer. A token that is not good is an answer, and no error.
    async fn review_token(&self, token: &SecretString, audiences: &[String]) -> Result<ReviewAnswer, ReviewError>;

    /// The keys that ServiceAccount tokens are signed with, as a JWK set (`GET /openid/v1/jwks`).
    ///
    /// # Errors
    /// Where the API server does not serve them to us, or does not answer.
    async fn jwks(&self) -> Result<Bytes, ReviewError>;

    /// The token by which we ourselves are known to the API server, where it is one.
    fn own_token(&self) -> Option<SecretString>;
}

/// The status of a TokenReview, as the API server said it. Nothing in it has been checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReviewAnswer {
    /// Whether the token belongs to somebody.
    pub authenticated: bool,
    /// Those of the audiences that were asked for that the token is meant for.
    pub audiences: Vec<String>,
    /// Whom it belongs to.
    pub user: ReviewedUser,
}

/// The user of a TokenReview, as the API server said it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReviewedUser {
    /// The Kubernetes user name.
    pub username: String,
    /// The uid of the user: for a service account, of its object.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// Further attributes: for a bound token, its pod and its id.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Why the API server gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReviewError {
    /// It cannot be reached, or failed (5xx).
    #[error("the API server does not answer: {0}")]
    Unavailable(String),
    /// It did not answer in time.
    #[error("the API server does not answer in time")]
    Deadline,
    /// It has too much to do (429).
    #[error("the API server asks to slow down")]
    RateLimited {
        /// When to ask again, where it said so.
        retry_after: Option<Duration>,
    },
    /// It does not know us (401).
    #[error("the API server does not accept our own credentials")]
    Unauthenticated,
    /// It does not let us ask (403).
    #[error(
        "the API server does not allow this call: the ClusterRole needs `create` on tokenreviews, and on \
         subjectaccessreviews where a rule has `reviews`"
    )]
    Forbidden,
    /// It does not serve this (404).
    #[error("the API server does not serve this address")]
    NotFound,
    /// It said what cannot be understood.
    #[error("the API server's answer cannot be used: {0}")]
    Malformed(&'static str),
}

impl ReviewError {
    /// What a request gets that waits for the answer.
    pub(super) fn refusal(&self) -> Refusal {
        match self {
            Self::RateLimited { retry_after: Some(after) } => Refusal::new(Reason::TooManyReviews).retry_in(*after),
            Self::RateLimited { retry_after: None } => Reason::TooManyReviews.into(),
            Self::Deadline
            | Self::Forbidden
            | Self::Unauthenticated
            | Self::NotFound
            | Self::Malformed(_)
            | Self::Unavailable(_) => Reason::ApiServerUnavailable.into(),
        }
    }
}
