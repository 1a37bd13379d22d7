//! How ServiceAccount tokens are judged, and which settings would let everyone pass.

use std::time::Duration;

use thiserror::Error;

use super::known_audiences::{is_another_services_audience, is_same_audience};

/// How ServiceAccount tokens are judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Our audiences: a token must be meant for one of them. Never the API server's own, which every pod's token has.
    pub audiences: Vec<String>,
    /// The issuers of the cluster's tokens (`--service-account-issuer`).
    pub issuers: Vec<String>,
    /// How long an accepted token is accepted without asking again, and so at most how long a deleted account stays.
    pub cache_ttl: Duration,
    /// How long a refused token is refused without asking again; 10 s at most.
    pub negative_cache_ttl: Duration,
    /// How many reviews may run at once. A quarter is kept for tokens that were good before.
    pub max_concurrent_reviews: usize,
    /// The deadline of a review, and the longest that a check waits for one.
    pub timeout: Duration,
    /// Whether signatures are verified by the API server's own keys before it is asked, where it serves them.
    pub verify_signatures: bool,
}

/// What is wrong with a [`Config`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// No audience.
    #[error(
        "audiences: there is none; without one every pod's own token would pass; write a name that only callers of this \
         gateway ask for, for example its host"
    )]
    NoAudience,
    /// An audience that is the API server's.
    #[error("audiences: `{0}` is the API server's own audience, which every pod's own token has; write another name")]
    ApiServerAudience(String),
    /// No issuer.
    #[error("issuers: there is none; write the API server's --service-account-issuer")]
    NoIssuer,
    /// Refused tokens would be remembered for too long.
    #[error("negative_cache_ttl: it is longer than 10s")]
    NegativeCacheTooLong,
    /// No review could ever run.
    #[error(
        "max_concurrent_reviews: it is 0; write 2 or more, since a quarter is kept for tokens that were good before"
    )]
    NoReviews,
    /// No review could ever end.
    #[error("timeout: it is 0")]
    NoTime,
}

impl Config {
    /// # Errors
    /// Where tokens would pass that must not, or none could.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            return Err(ConfigError::NoAudience);
        }
        if self.issuers.is_empty() || self.issuers.iter().any(String::is_empty) {
            return Err(ConfigError::NoIssuer);
        }
        if let Some(audience) = self.audiences.iter().find(|audience| self.is_api_servers(audience)) {
            return Err(ConfigError::ApiServerAudience(audience.clone()));
        }
        if self.negative_cache_ttl > Duration::from_secs(10) {
            return Err(ConfigError::NegativeCacheTooLong);
        }
        if self.max_concurrent_reviews == 0 {
            return Err(ConfigError::NoReviews);
        }
        if self.timeout.is_zero() { Err(ConfigError::NoTime) } else { Ok(()) }
    }

    /// An API server's audiences are its issuers, unless `--api-audiences` names others; the names of its Service are
    /// usual ones.
    fn is_api_servers(&self, audience: &str) -> bool {
        is_another_services_audience(audience) || self.issuers.iter().any(|issuer| is_same_audience(issuer, audience))
    }
}
