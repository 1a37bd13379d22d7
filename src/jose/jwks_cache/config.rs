//! For how long keys are kept, and when they are fetched.

use std::time::Duration;

/// Who sent a token that the known keys do not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The issuer gave it to us itself, over TLS.
    Issuer,
    /// It may be anybody's.
    Anybody,
}

/// How a [`JwksCache`](super::JwksCache) keeps and fetches keys.
#[derive(Clone, Debug)]
pub struct JwksCacheConfig {
    /// Whose keys these are, for the log.
    pub source: String,
    /// The age at which a set is fetched anew; meanwhile the old one serves.
    pub max_age: Duration,
    /// The age at which a set no longer serves, whatever becomes of fetching.
    pub max_stale: Duration,
    /// The age from which a set may be fetched anew because it does not verify a token of [`Sender::Anybody`].
    pub min_refetch: Duration,
    /// The same for a token of [`Sender::Issuer`].
    pub min_refetch_for_issuer: Duration,
    /// How many fetches of each sender's may come sooner; one more for each `min_refetch` that has passed. A rotation right
    /// after a fetch then costs nobody anything, and strangers cause no more than these.
    pub burst: u32,
    /// The longest wait after a failed fetch. The first is a second, and it doubles.
    pub longest_retry: Duration,
    /// The deadline of one fetch.
    pub fetch_timeout: Duration,
    /// The largest key set, in bytes.
    pub max_bytes: usize,
}

impl Default for JwksCacheConfig {
    fn default() -> Self {
        Self {
            source: String::new(),
            max_age: Duration::from_mins(10),
            max_stale: Duration::from_hours(1),
            min_refetch: Duration::from_secs(30),
            min_refetch_for_issuer: Duration::from_secs(5),
            burst: 0,
            longest_retry: Duration::from_secs(10),
            fetch_timeout: Duration::from_secs(10),
            max_bytes: 256 * 1024,
        }
    }
}

impl JwksCacheConfig {
    /// The age from which a set may be fetched anew because it does not verify this sender's token.
    pub(super) const fn min_age(&self, sender: Sender) -> Duration {
        match sender {
            Sender::Issuer => self.min_refetch_for_issuer,
            Sender::Anybody => self.min_refetch,
        }
    }
}
