//! What the API server said about tokens, for as long as it may be believed.

use std::{fmt, sync::Arc, time::Duration};

use quick_cache::Weighter;

use super::answer::ReviewedServiceAccount;
use crate::{
    clock::{Clock, Timestamp},
    memory::{self, BoundedCache},
    reason::Reason,
    told::Told,
};

/// What an accepted token usually takes, in bytes.
const USUAL_BYTES: u64 = 2048;

/// The name of a token in the caches: a keyed hash of it and of our audiences. It reveals nothing of the token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenKey(pub(super) [u8; 32]);

impl fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenKey")
    }
}

/// The caches. Accepted and refused tokens are apart, so that no number of refused ones evicts an accepted one.
pub(super) struct Verdicts {
    accepted: BoundedCache<TokenKey, Arc<Accepted>, Weight>,
    refused: BoundedCache<TokenKey, Refused, Weight>,
    accepted_life: Duration,
    refused_life: Duration,
}

struct Accepted {
    account: Arc<ReviewedServiceAccount>,
    /// What services were told by it, as it was weighed.
    told_bytes: usize,
    /// By the monotonic clock.
    fresh_until: Duration,
}

#[derive(Clone, Copy)]
struct Refused {
    reason: Reason,
    /// By the monotonic clock.
    until: Duration,
}

#[derive(Clone, Copy)]
struct Weight;

impl Weighter<TokenKey, Arc<Accepted>> for Weight {
    fn weight(&self, _: &TokenKey, accepted: &Arc<Accepted>) -> u64 {
        let account = memory::shared::<ReviewedServiceAccount>() + accepted.account.account().heap_bytes();
        let told = memory::shared::<Told>() + accepted.told_bytes;
        memory::entry::<TokenKey, Arc<Accepted>>(memory::shared::<Accepted>() + account + told)
    }
}

impl Weighter<TokenKey, Refused> for Weight {
    fn weight(&self, _: &TokenKey, _: &Refused) -> u64 {
        memory::entry::<TokenKey, Refused>(0)
    }
}

impl Verdicts {
    pub(super) fn new(accepted_life: Duration, refused_life: Duration) -> Self {
        Self {
            accepted: memory::cache(memory::ACCEPTED_TOKENS, USUAL_BYTES, Weight),
            refused: memory::cache(memory::REFUSED_TOKENS, memory::entry::<TokenKey, Refused>(0), Weight),
            accepted_life,
            refused_life,
        }
    }

    /// The account of a token that was accepted within the cache's life and has not expired.
    pub(super) fn accepted(&self, key: &TokenKey, clock: &dyn Clock) -> Option<Arc<ReviewedServiceAccount>> {
        let entry = self.accepted.get(key)?;
        let fresh = clock.monotonic() < entry.fresh_until && clock.now() < entry.account.expires_at();
        fresh.then(|| Arc::clone(&entry.account))
    }

    /// Whether the token was good when it was last reviewed, however long ago.
    pub(super) fn was_good(&self, key: &TokenKey, now: Timestamp) -> bool {
        self.accepted.peek(key).is_some_and(|entry| now < entry.account.expires_at())
    }

    /// Why the token was refused, where that was a moment ago.
    pub(super) fn refused(&self, key: &TokenKey, clock: &dyn Clock) -> Option<Reason> {
        let entry = self.refused.get(key)?;
        (clock.monotonic() < entry.until).then_some(entry.reason)
    }

    /// Remembers an accepted token. Its life in the cache counts from when it was asked about (monotonic).
    pub(super) fn accept(
        &self,
        key: TokenKey,
        account: ReviewedServiceAccount,
        asked: Duration,
    ) -> Arc<ReviewedServiceAccount> {
        self.refused.remove(&key);
        let account = Arc::new(match self.accepted.peek(&key) {
            Some(before) => account.after(&before.account),
            None => account,
        });
        let fresh_until = asked.saturating_add(self.accepted_life);
        let told_bytes = account.told().heap_bytes();
        self.accepted.insert(key, Arc::new(Accepted { account: Arc::clone(&account), told_bytes, fresh_until }));
        account
    }

    /// Weighs an accepted token anew, where it is still there.
    pub(super) fn weigh(&self, key: TokenKey) {
        if let Some(entry) = self.accepted.peek(&key) {
            let (account, fresh_until) = (Arc::clone(&entry.account), entry.fresh_until);
            let told_bytes = account.told().heap_bytes();
            // In one step: what was refused meanwhile stays so.
            drop(self.accepted.replace(key, Arc::new(Accepted { account, told_bytes, fresh_until }), true));
        }
    }

    pub(super) fn refuse(&self, key: TokenKey, reason: Reason, clock: &dyn Clock) {
        self.accepted.remove(&key);
        if !self.refused_life.is_zero() {
            self.refused.insert(key, Refused { reason, until: clock.monotonic().saturating_add(self.refused_life) });
        }
    }
}

impl fmt::Debug for Verdicts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Verdicts")
            .field("accepted", &self.accepted.len())
            .field("refused", &self.refused.len())
            .finish_non_exhaustive()
    }
}
