//! One source of keys, asked when keys are needed and kept while they are fresh.
//!
//! Strangers choose the `kid` and the signature of a token, so what they can cause is bounded: one fetch is in flight at
//! a time, and a set younger than [`JwksCacheConfig::min_refetch`] is believed when it does not verify a token, but for
//! [`JwksCacheConfig::burst`] times. What the set does verify waits for no fetch. A token that came from the issuer itself
//! may cause one sooner, and has a burst of its own, so that no stranger's fetch shuts anybody out. Nothing is kept by `kid`, and whatever a set lacked is forgotten with the next
//! one. That the source cannot be reached is never an answer about a token: it is [`VerifyError::KeysUnavailable`].

mod config;
mod fetch;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use thiserror::Error;

pub use self::{
    config::{JwksCacheConfig, Sender},
    fetch::{FetchError, FetchJwks},
};
use super::{
    jwks::Jwks,
    token::{TokenError, UnverifiedToken},
    verify::{Expectation, VerifiedToken, verify},
};
use crate::{
    calls::{Call, Failing, Part, Pauses, RateLimit, SharedCalls},
    clock::SharedClock,
    reason::Reason,
};

/// The first wait after a failed fetch; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);

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

/// What the keys that are known say of a token that says that it is their issuer's.
#[derive(Debug)]
pub enum ByKnownKeys {
    /// It is.
    Verified(VerifiedToken),
    /// They do not verify it; newer ones may.
    Not(NotByKnownKeys),
}

/// A set that did not verify a token, and why; nothing of both where there was none.
#[derive(Debug)]
pub struct NotByKnownKeys(Option<(Arc<KeySet>, TokenError)>);

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
    /// The one fetch that may run.
    fetches: SharedCalls<(), ()>,
    /// The fetches that come sooner than the set's age allows.
    sooner: Sooner,
    failed: Mutex<Failed>,
    /// What is told of failures.
    failing: Failing,
}

#[derive(Debug)]
struct KeySet {
    jwks: Jwks,
    /// In the clock's monotonic time.
    fetched_at: Duration,
}

/// How many fetches may still come sooner, for each sender; nothing where none may.
struct Sooner {
    issuer: Option<RateLimit>,
    anybody: Option<RateLimit>,
}

impl Sooner {
    fn new(config: &JwksCacheConfig) -> Self {
        let limit = || (config.burst > 0).then(|| RateLimit::every(config.min_refetch, config.burst));
        Self { issuer: limit(), anybody: limit() }
    }

    /// Counts a fetch; whether it may come although the set is young.
    fn take(&self, sender: Sender, now: Duration) -> bool {
        let limit = match sender {
            Sender::Issuer => &self.issuer,
            Sender::Anybody => &self.anybody,
        };
        limit.as_ref().is_some_and(|limit| limit.take(now))
    }
}

/// The fetches that failed since the last one that did not.
struct Failed {
    count: u32,
    /// Why the last one did.
    why: Option<FetchError>,
    pauses: Pauses,
    /// Until when nobody fetches, in the clock's monotonic time.
    until: Duration,
}

/// Why no fetch begins.
enum NoFetch {
    /// There is a newer set already.
    Here,
    /// The last fetch failed a moment ago.
    NotYet,
    /// The set that there is is too young.
    TooEarly,
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
        let pauses = Pauses::new(FIRST_RETRY, config.longest_retry);
        let failed = Mutex::new(Failed { count: 0, why: None, pauses, until: Duration::ZERO });
        let (keys, fetches, sooner) = (ArcSwapOption::empty(), SharedCalls::new(), Sooner::new(&config));
        let failing = Failing::default();
        Self(Arc::new(Shared { fetch, clock, config, keys, fetches, sooner, failed, failing }))
    }

    /// A cache of a set that was fetched just now.
    #[must_use]
    pub fn filled(fetch: FetchJwks, clock: SharedClock, config: JwksCacheConfig, jwks: Jwks) -> Self {
        let fetched_at = clock.monotonic();
        let cache = Self::new(fetch, clock, config);
        cache.0.keys.store(Some(Arc::new(KeySet { jwks, fetched_at })));
        cache
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
        sender: Sender,
    ) -> Result<VerifiedToken, VerifyError> {
        // What can be refused without a key causes no fetch.
        expectation.check(token, self.0.clock.now())?;
        let keys = self.0.serving(sender).await?;
        match self.0.verify_with(keys, token, expectation)? {
            ByKnownKeys::Verified(verified) => Ok(verified),
            ByKnownKeys::Not(before) => self.verify_with_newer(token, expectation, sender, before).await,
        }
    }

    /// Verifies `token` with the keys that are there, and waits for nobody.
    ///
    /// # Errors
    /// Where the token is not as `expectation` says, and no newer keys would change that.
    pub fn verify_with_known(
        &self,
        token: &UnverifiedToken,
        expectation: &Expectation,
    ) -> Result<ByKnownKeys, TokenError> {
        expectation.check(token, self.0.clock.now())?;
        match self.0.keys.load_full().filter(|keys| self.0.age(keys) < self.0.config.max_stale) {
            Some(keys) => self.0.verify_with(keys, token, expectation),
            None => Ok(ByKnownKeys::Not(NotByKnownKeys(None))),
        }
    }

    /// Verifies `token` with newer keys than those of `before`. Where it is too early to ask for some, it is refused as
    /// before.
    ///
    /// Must be called in a tokio runtime.
    ///
    /// # Errors
    /// As [`JwksCache::verify`].
    pub async fn verify_with_newer(
        &self,
        token: &UnverifiedToken,
        expectation: &Expectation,
        sender: Sender,
        NotByKnownKeys(before): NotByKnownKeys,
    ) -> Result<VerifiedToken, VerifyError> {
        let (seen, refused) = before.unzip();
        match self.0.newer_than(seen.as_ref(), sender).await? {
            Some(keys) => Ok(verify(token, &keys.jwks, expectation, self.0.clock.now())?),
            None => Err(refused.map_or(VerifyError::KeysUnavailable, VerifyError::Rejected)),
        }
    }

    /// Why the last fetch brought no keys, where it did not.
    #[must_use]
    pub fn last_failure(&self) -> Option<FetchError> {
        self.0.failed().why.clone()
    }

    /// Since when every fetch has failed (monotonic); none where the last one did not.
    #[must_use]
    pub fn failing_since(&self) -> Option<Duration> {
        self.0.failing.since()
    }

    /// What the cache holds now.
    #[must_use]
    pub fn status(&self) -> JwksStatus {
        let keys = self.0.keys.load();
        JwksStatus {
            keys: keys.as_ref().map_or(0, |keys| keys.jwks.len()),
            age: keys.as_ref().map(|keys| self.0.age(keys)),
            failures: self.0.failed().count,
        }
    }
}

impl Shared {
    /// The set that we have, where it is young enough to serve; else the next one.
    async fn serving(self: &Arc<Self>, sender: Sender) -> Result<Arc<KeySet>, VerifyError> {
        let seen = self.keys.load_full();
        match &seen {
            Some(keys) if self.age(keys) < self.config.max_stale => {
                if self.age(keys) >= self.config.max_age {
                    // Nobody waits for this one.
                    let _ = self.begin(seen.as_ref(), sender);
                }
                Ok(Arc::clone(keys))
            }
            _ => self.newer_than(seen.as_ref(), sender).await?.ok_or(VerifyError::KeysUnavailable),
        }
    }

    fn verify_with(
        &self,
        keys: Arc<KeySet>,
        token: &UnverifiedToken,
        expectation: &Expectation,
    ) -> Result<ByKnownKeys, TokenError> {
        match verify(token, &keys.jwks, expectation, self.clock.now()) {
            Ok(verified) => Ok(ByKnownKeys::Verified(verified)),
            Err(refused) if refused.newer_keys_may_help() => {
                Ok(ByKnownKeys::Not(NotByKnownKeys(Some((keys, refused)))))
            }
            Err(refused) => Err(refused),
        }
    }

    /// A newer set than `seen`; nothing where it is too early to ask for one.
    async fn newer_than(
        self: &Arc<Self>,
        seen: Option<&Arc<KeySet>>,
        sender: Sender,
    ) -> Result<Option<Arc<KeySet>>, VerifyError> {
        match self.begin(seen, sender) {
            Ok(fetch) => {
                fetch.await;
            }
            Err(NoFetch::Here) => {}
            Err(NoFetch::NotYet) => return Err(VerifyError::KeysUnavailable),
            Err(NoFetch::TooEarly) => return Ok(None),
        }
        let newer = self.keys.load_full().filter(|keys| !is_same(Some(keys), seen));
        newer.map(Some).ok_or(VerifyError::KeysUnavailable)
    }

    /// The fetch of a newer set than `seen`, one for all who ask.
    fn begin(self: &Arc<Self>, seen: Option<&Arc<KeySet>>, sender: Sender) -> Result<Call<()>, NoFetch> {
        let part = self.fetches.join((), |_| {
            if !is_same(self.keys.load().as_ref(), seen) {
                return Err(NoFetch::Here);
            }
            let failed = self.failed();
            if self.clock.monotonic() < failed.until {
                return Err(NoFetch::NotYet);
            }
            let is_young = seen.is_some_and(|keys| self.age(keys) < self.config.min_age(sender));
            let sooner = self.sooner.take(sender, self.clock.monotonic());
            if failed.count == 0 && is_young && !sooner {
                return Err(NoFetch::TooEarly);
            }
            let shared = Arc::clone(self);
            Ok(async move { shared.fetch_once().await })
        });
        part.map(Part::call)
    }

    async fn fetch_once(&self) {
        let outcome = tokio::time::timeout(self.config.fetch_timeout, (self.fetch)())
            .await
            .unwrap_or(Err(FetchError::Deadline))
            .and_then(|document| Ok(Jwks::parse(&document, self.config.max_bytes)?));
        let now = self.clock.monotonic();
        let mut failed = self.failed();
        match outcome {
            Ok(jwks) => {
                tracing::debug!(source = self.config.source, keys = jwks.len(), "fetched signing keys");
                if let Some(lasted) = self.failing.succeeded(now) {
                    tracing::info!(
                        source = self.config.source,
                        lasted_s = lasted.as_secs(),
                        "signing keys are fetched again"
                    );
                }
                (failed.count, failed.why, failed.until) = (0, None, Duration::ZERO);
                failed.pauses.succeeded();
                self.keys.store(Some(Arc::new(KeySet { jwks, fetched_at: now })));
            }
            Err(error) => {
                if self.failing.failed(now, ()) {
                    tracing::warn!(source = self.config.source, %error, "cannot fetch signing keys");
                } else {
                    tracing::debug!(source = self.config.source, %error, "cannot fetch signing keys");
                }
                failed.count = failed.count.saturating_add(1);
                failed.until = now.saturating_add(failed.pauses.failed());
                failed.why = Some(error);
            }
        }
    }

    fn age(&self, keys: &KeySet) -> Duration {
        self.clock.monotonic().saturating_sub(keys.fetched_at)
    }

    fn failed(&self) -> MutexGuard<'_, Failed> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_same(one: Option<&Arc<KeySet>>, other: Option<&Arc<KeySet>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
