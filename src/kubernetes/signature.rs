//! Signatures by the API server's own keys.

use std::{sync::Arc, time::Duration};

use futures::FutureExt as _;

use super::reviews::Reviews;
use crate::{
    clock::SharedClock,
    jose::{Expectation, FetchError, JwksCache, JwksCacheConfig, Sender, TokenError, UnverifiedToken, VerifyError},
    reason::Reason,
};

/// Verifies signatures by the keys that the API server serves.
#[derive(Debug)]
pub(super) struct Signatures {
    keys: JwksCache,
    /// One for each issuer: an API server may have several, and one set of keys.
    expectations: Vec<Expectation>,
}

/// What a signature told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    /// It is the API server's.
    Verified,
    /// The keys cannot be had.
    Unknown,
    /// It names a key that is not among them, though they were fetched a moment ago: a stranger's, or one that the API
    /// server takes and does not serve (Structured Authentication, keys of a managed cluster that are rotated elsewhere).
    OfAnotherKey,
}

impl Signatures {
    /// Fetches keys by `reviews`, each time within `deadline`.
    pub(super) fn new(
        reviews: Arc<dyn Reviews>,
        clock: SharedClock,
        deadline: Duration,
        issuers: &[String],
        audiences: &[String],
    ) -> Self {
        let fetch = move || {
            let reviews = Arc::clone(&reviews);
            async move { reviews.jwks().await.map_err(|error| FetchError::Unavailable(error.to_string())) }.boxed()
        };
        let config = JwksCacheConfig {
            source: "the API server".to_owned(),
            fetch_timeout: deadline,
            ..JwksCacheConfig::default()
        };
        let expectation = |issuer: &String| Expectation::new(issuer, audiences.to_vec());
        Self {
            keys: JwksCache::new(Arc::new(fetch), clock, config),
            expectations: issuers.iter().map(expectation).collect(),
        }
    }

    /// Refuses a token whose signature is not by the key that it names. Where the keys cannot be had, or lack that one,
    /// nothing is refused: the review decides then, under the bound on calls and, for a key that is not there, one of its
    /// own.
    pub(super) async fn verify(&self, token: &UnverifiedToken) -> Result<Signature, Reason> {
        let expectation = self.expectations.iter().find(|expectation| token.issuer() == Some(&expectation.issuer));
        let expectation = expectation.ok_or(Reason::BearerIssuerUnknown)?;
        match self.keys.verify(token, expectation, Sender::Anybody).await {
            Ok(_) => Ok(Signature::Verified),
            Err(VerifyError::KeysUnavailable) => Ok(Signature::Unknown),
            Err(VerifyError::Rejected(TokenError::UnknownKey)) => Ok(Signature::OfAnotherKey),
            Err(VerifyError::Rejected(error)) => Err(error.reason()),
        }
    }
}
