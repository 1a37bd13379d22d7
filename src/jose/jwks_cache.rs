//! One source of keys, asked when keys are needed and kept while they are fresh.
//!
//! Strangers choose the `kid` and the signature of a token, so what they can cause is bounded: one fetch is in flight at
//! a time, and a set younger than [`JwksCacheConfig::min_refetch`] is believed when it does not verify a token. What the
//! set does verify waits for no fetch. Nothing is kept by `kid`, and whatever a set lacked is forgotten with the next
//! one. That the source cannot be reached is never an
//! answer about a token: it is [`VerifyError::KeysUnavailable`].

mod fetch;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use thiserror::Error;
use tokio::sync::watch;

pub use self::fetch::{FetchError, FetchJwks, fetch_over_http};
use super::{
    jwks::Jwks,
    token::{TokenError, UnverifiedToken},
    verify::{Expectation, VerifiedToken, verify},
};
use crate::{clock::SharedClock, reason::Reason};

/// The first wait after a failed fetch; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest wait after a failed fetch.
const LAST_RETRY: Duration = Duration::from_secs(10);

/// Why a token was not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// The token is refused.
    #[error(transparent)]
    Rejected(#[from] TokenError),
    /// The keys cannot be had: nothing is known about the token.
    #[error("the issuer's keys cannot be fetched")]
    KeysUnavailable,
}

impl VerifyError {
    /// What a decision says about it; `unavailable` where the keys cannot be had.
    #[must_use]
    pub const fn reason(self, unavailable: Reason) -> Reason {
        match self {
            Self::Rejected(error) => error.reason(),
            Self::KeysUnavailable => unavailable,
        }
    }
}

/// How a [`JwksCache`] keeps and fetches keys.
#[derive(Clone, Debug)]
pub struct JwksCacheConfig {
    /// Whose keys these are, for the log.
    pub source: String,
    /// The age at which a set is fetched anew; meanwhile the old one serves.
    pub max_age: Duration,
    /// The age at which a set no longer serves, whatever becomes of fetching.
    pub max_stale: Duration,
    /// The age from which a set may be fetched anew because it does not verify a token.
    pub min_refetch: Duration,
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
            fetch_timeout: Duration::from_secs(10),
            max_bytes: 256 * 1024,
        }
    }
}

/// What a [`JwksCache`] holds, for people who look after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JwksStatus {
    /// How many usable keys there are.
    pub keys: usize,
    /// How long ago they were fetched; nothing where they never were.
    pub age: Option<Duration>,
    /// How many fetches failed since the last one that did not.
    pub failures: u32,
}

/// A source of keys and the set that it gave last. Clones share it.
#[derive(Clone)]
pub struct JwksCache(Arc<Shared>);

struct Shared {
    fetch: FetchJwks,
    clock: SharedClock,
    config: JwksCacheConfig,
    keys: ArcSwapOption<KeySet>,
    fetching: Mutex<Fetching>,
}

struct KeySet {
    jwks: Jwks,
    /// In the clock's monotonic time.
    fetched_at: Duration,
}

#[derive(Default)]
struct Fetching {
    /// Closed when the fetch that was started last has ended, in whatever way.
    ended: Option<watch::Receiver<()>>,
    failures: u32,
    /// When the last fetch failed, in the clock's monotonic time.
    failed_at: Duration,
}

enum NextSet {
    /// There is a newer set already.
    Here,
    /// A fetch is on its way; the channel closes at its end.
    Awaited(watch::Receiver<()>),
    /// The last fetch failed a moment ago.
    NotYet,
}

impl fmt::Debug for JwksCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("JwksCache")
            .field("config", &self.0.config)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl JwksCache {
    /// An empty cache; the first token that needs a key has it filled.
    #[must_use]
    pub fn new(fetch: FetchJwks, clock: SharedClock, config: JwksCacheConfig) -> Self {
        Self(Arc::new(Shared {
            fetch,
            clock,
            config,
            keys: ArcSwapOption::empty(),
            fetching: Mutex::new(Fetching::default()),
        }))
    }

    /// Verifies `token` now. Fetches keys where that is needed and allowed; a caller that gives up leaves the fetch
    /// to the others.
    ///
    /// Must be called in a tokio runtime.
    ///
    /// # Errors
    /// Where the token is not as `expectation` says, or where its key would have to be fetched and cannot be.
    pub async fn verify(
        &self,
        token: &UnverifiedToken,
        expectation: &Expectation,
    ) -> Result<VerifiedToken, VerifyError> {
        // What can be refused without a key causes no fetch.
        expectation.check(token, self.0.clock.now())?;
        let keys = self.0.serving().await?;
        let refused = match verify(token, &keys.jwks, expectation, self.0.clock.now()) {
            Ok(verified) => return Ok(verified),
            Err(refused) => refused,
        };
        if !refused.newer_keys_may_help() || self.0.age(&keys) < self.0.config.min_refetch {
            return Err(refused.into());
        }
        let keys = self.0.newer_than(Some(&keys)).await?;
        Ok(verify(token, &keys.jwks, expectation, self.0.clock.now())?)
    }

    /// What the cache holds now.
    #[must_use]
    pub fn status(&self) -> JwksStatus {
        let keys = self.0.keys.load();
        JwksStatus {
            keys: keys.as_ref().map_or(0, |keys| keys.jwks.len()),
            age: keys.as_ref().map(|keys| self.0.age(keys)),
            failures: self.0.fetching().failures,
        }
    }
}

impl Shared {
    /// The set that we have, where it is young enough to serve; else the next one.
    async fn serving(self: &Arc<Self>) -> Result<Arc<KeySet>, VerifyError> {
        let seen = self.keys.load_full();
        match &seen {
            Some(keys) if self.age(keys) < self.config.max_stale => {
                if self.age(keys) >= self.config.max_age {
                    // Nobody waits for this one.
                    self.next_set(seen.as_ref());
                }
                Ok(Arc::clone(keys))
            }
            _ => self.newer_than(seen.as_ref()).await,
        }
    }

    async fn newer_than(self: &Arc<Self>, seen: Option<&Arc<KeySet>>) -> Result<Arc<KeySet>, VerifyError> {
        match self.next_set(seen) {
            NextSet::Here => {}
            NextSet::Awaited(mut ended) => while ended.changed().await.is_ok() {},
            NextSet::NotYet => return Err(VerifyError::KeysUnavailable),
        }
        self.keys.load_full().filter(|keys| !is_same(Some(keys), seen)).ok_or(VerifyError::KeysUnavailable)
    }

    /// Sees to it that a newer set than `seen` comes, by one fetch for all who ask.
    fn next_set(self: &Arc<Self>, seen: Option<&Arc<KeySet>>) -> NextSet {
        let mut fetching = self.fetching();
        if !is_same(self.keys.load().as_ref(), seen) {
            return NextSet::Here;
        }
        if let Some(ended) = fetching.ended.as_ref().filter(|ended| ended.has_changed().is_ok()) {
            return NextSet::Awaited(ended.clone());
        }
        if self.clock.monotonic().saturating_sub(fetching.failed_at) < retry_after(fetching.failures) {
            return NextSet::NotYet;
        }
        let (running, ended) = watch::channel(());
        fetching.ended = Some(ended.clone());
        let shared = Arc::clone(self);
        // A task of its own: it ends whatever its callers do.
        tokio::spawn(async move {
            shared.fetch_once().await;
            drop(running);
        });
        NextSet::Awaited(ended)
    }

    async fn fetch_once(&self) {
        let outcome = tokio::time::timeout(self.config.fetch_timeout, (self.fetch)())
            .await
            .unwrap_or(Err(FetchError::Deadline))
            .and_then(|document| Ok(Jwks::parse(&document, self.config.max_bytes)?));
        let now = self.clock.monotonic();
        let mut fetching = self.fetching();
        match outcome {
            Ok(jwks) => {
                tracing::debug!(source = self.config.source, keys = jwks.len(), "fetched signing keys");
                fetching.failures = 0;
                self.keys.store(Some(Arc::new(KeySet { jwks, fetched_at: now })));
            }
            Err(error) => {
                tracing::warn!(source = self.config.source, %error, "cannot fetch signing keys");
                fetching.failures = fetching.failures.saturating_add(1);
                fetching.failed_at = now;
            }
        }
    }

    fn age(&self, keys: &KeySet) -> Duration {
        self.clock.monotonic().saturating_sub(keys.fetched_at)
    }

    fn fetching(&self) -> MutexGuard<'_, Fetching> {
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_same(one: Option<&Arc<KeySet>>, other: Option<&Arc<KeySet>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

fn retry_after(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => FIRST_RETRY.saturating_mul(2_u32.saturating_pow(doublings)).min(LAST_RETRY),
    }
}

#[cfg(test)]
mod tests;
