//! What the API server is asked: whose a token is, and what somebody may do (`access`).
//!
//! ServiceAccount tokens: TokenReview is the truth, and what can be refused without it is refused first.
//!
//! A token runs through these steps, and the first that refuses decides: size, the cache of accepted tokens (by a keyed
//! hash of the whole token), shape and claims, the cache of refused tokens, the signature by the API server's own keys
//! where it serves them, and TokenReview with our audiences. Calls are shared per token, bounded in number, and have a
//! deadline; only an answer is ever cached. No token counts before the API server has said that none of our audiences is
//! its own.

mod access;
mod answer;
mod bounds;
mod cache;
mod claims;
mod client;
mod config;
mod joined;
mod known_audiences;
mod lists;
mod metrics;
mod our_audiences;
mod reach;
mod reviews;
mod signature;
mod tokens;

pub use access::{
    AccessAllowed, AccessAnswer, AccessAttributes, AccessConfig, AccessQuestion, AccessReviewer, AccessReviews,
    AccessSubject, AccessTold,
};
pub use answer::ReviewedServiceAccount;
pub use client::{ClientError, KubeReviews};
pub use config::{Config, ConfigError, NEGATIVE_CACHE_TTL};
pub use known_audiences::{is_api_servers_audience, is_same_audience};
pub use lists::{Changes, KubeLists, ListError, ObjectChange};
pub use metrics::Metrics;
pub use our_audiences::Audiences;
pub use reviews::{ReviewAnswer, ReviewError, ReviewedUser, Reviews};
pub use tokens::ServiceAccountTokens;

#[cfg(test)]
mod tests;
