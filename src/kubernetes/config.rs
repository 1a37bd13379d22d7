//! How ServiceAccount tokens are judged, and which settings would let everyone pass.

use std::{error::Error, fmt, ops::RangeInclusive, path::PathBuf, time::Duration};

use super::known_audiences::{is_another_services_audience, is_api_servers_audience};

/// How long a refused token may be refused without asking again.
pub const NEGATIVE_CACHE_TTL: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(10);

/// How ServiceAccount tokens are judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The kubeconfig file of the client that asks the API server; the pod's own account where there is none.
    pub kubeconfig: Option<PathBuf>,
    /// Our audiences: a token must be meant for one of them. Never the API server's own, which every pod's token has.
    pub audiences: Vec<String>,
    /// Audiences of other services, for whose tokens some rule has a word. Never the API server's own, either.
    pub further_audiences: Vec<String>,
    /// The issuers of the cluster's tokens (`--service-account-issuer`).
    pub issuers: Vec<String>,
    /// How long an accepted token is accepted without asking again, and so at most how long a deleted account stays.
    pub cache_ttl: Duration,
    /// How long a refused token is refused without asking again: within [`NEGATIVE_CACHE_TTL`].
    pub negative_cache_ttl: Duration,
    /// How many reviews may run at once. A quarter is kept for tokens that were good before.
    pub max_concurrent_reviews: usize,
    /// The deadline of a review, and the longest that a check waits for one.
    pub timeout: Duration,
    /// The ClusterRoles of a team: where a RoleBinding of one goes, what the namespace's accounts were issued is revoked.
    pub revoke_with_role_bindings: Vec<String>,
    /// Whether signatures are verified by the API server's own keys before it is asked, where it serves them.
    pub verify_signatures: bool,
}

/// What is wrong with a [`Config`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// No audience, or an empty one.
    NoAudience,
    /// An audience that is the API server's, or another service's.
    ApiServerAudience(String),
    /// No issuer, or an empty one.
    NoIssuer,
    /// Refused tokens would be remembered for too long.
    NegativeCacheTooLong,
    /// No review could ever run.
    NoReviews,
    /// No review could ever end.
    NoTime,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field(), self.problem())?;
        if let Self::ApiServerAudience(audience) = self {
            write!(formatter, "; found `{audience}`")?;
        }
        write!(formatter, "; {}", self.advice())
    }
}

impl Error for ConfigError {}

impl ConfigError {
    /// The field, as a configuration names it.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::NoAudience | Self::ApiServerAudience(_) => "audiences",
            Self::NoIssuer => "issuers",
            Self::NegativeCacheTooLong => "negative_cache_ttl",
            Self::NoReviews => "max_concurrent_reviews",
            Self::NoTime => "timeout",
        }
    }

    /// What is wrong with it.
    #[must_use]
    pub const fn problem(&self) -> &'static str {
        match self {
            Self::NoAudience => "none is named: the token of every pod would pass",
            Self::ApiServerAudience(_) => {
                "it is the API server's own audience or another service's: tokens that are not meant for us would pass"
            }
            Self::NoIssuer => "none is named",
            Self::NegativeCacheTooLong => "it is out of bounds",
            Self::NoReviews => "with none, no token could be reviewed",
            Self::NoTime => "no review could end in time",
        }
    }

    /// What to write instead.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::NoAudience | Self::ApiServerAudience(_) => {
                "write a name of this service's own, such as `portcullis.example.com`, and ask for tokens with it \
                 (`kubectl create token --audience`)"
            }
            Self::NoIssuer => {
                "write the API server's issuer (`kubectl get --raw /.well-known/openid-configuration` shows it)"
            }
            Self::NegativeCacheTooLong => "write a duration from `0s` to `10s`",
            Self::NoReviews => "write a number from 1 to 65535",
            Self::NoTime => "write a duration such as `3s`",
        }
    }
}

impl Config {
    /// # Errors
    /// The first of the [`Config::problems`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.problems().into_iter().next().map_or(Ok(()), Err)
    }

    /// Why tokens would pass that must not, or none could.
    #[must_use]
    pub fn problems(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        let mut refuse = |wrong: bool, problem: ConfigError| problems.extend(wrong.then_some(problem));
        let has_none = |names: &[String]| names.is_empty() || names.iter().any(String::is_empty);
        refuse(has_none(&self.audiences), ConfigError::NoAudience);
        refuse(has_none(&self.issuers), ConfigError::NoIssuer);
        for audience in &self.audiences {
            let wrong = is_another_services_audience(audience) || is_api_servers_audience(audience, &self.issuers);
            refuse(wrong, ConfigError::ApiServerAudience(audience.clone()));
        }
        for audience in &self.further_audiences {
            let wrong = is_api_servers_audience(audience, &self.issuers);
            refuse(wrong, ConfigError::ApiServerAudience(audience.clone()));
        }
        refuse(!NEGATIVE_CACHE_TTL.contains(&self.negative_cache_ttl), ConfigError::NegativeCacheTooLong);
        refuse(self.max_concurrent_reviews == 0, ConfigError::NoReviews);
        refuse(self.timeout.is_zero(), ConfigError::NoTime);
        problems
    }

    /// The same, with these audiences of other services.
    #[must_use]
    pub fn with_further<'a>(mut self, audiences: impl Iterator<Item = &'a str>) -> Self {
        for audience in audiences {
            if !self.further_audiences.iter().any(|have| have == audience) {
                self.further_audiences.push(audience.to_owned());
            }
        }
        self
    }

    /// Every audience that a token may be meant for.
    pub(super) fn every_audience(&self) -> Vec<String> {
        [&self.audiences[..], &self.further_audiences].concat()
    }
}
