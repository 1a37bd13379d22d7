//! The list of revocations: read, judged by, and changed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::{sync::Mutex, time::sleep};
use tracing::{debug, error, info, warn};

use super::{
    MARK_LIFE, STALE_AFTER,
    entry::Revocation,
    held::{Held, Taken},
    in_force::InForce,
    metrics::Metrics,
    target::RevocationTarget,
};
use crate::{
    clock::{SharedClock, Timestamp},
    principal::ServiceAccount,
    secret::SharedRootKeyRing,
    session::{
        StoreConfig,
        store::{CLOCK_TOLERANCE, Generation, RevocationEntry, RevocationList, SessionStore, StoreError},
    },
};

/// How often a list that other processes may change is read: what they change is in force within a second.
const POLL_SHARED: Duration = Duration::from_millis(400);
/// How often one is read that nobody else changes.
const POLL_OWN: Duration = Duration::from_secs(10);
/// How long other processes need to write back a list that the store lost.
const WRITE_BACK: Duration = Duration::from_secs(1);
/// How often a change is tried where other processes change the same at once.
const ATTEMPTS: usize = 5;

/// What of a target's tokens is to be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Those that were issued before now.
    BeforeNow,
    /// Those that were issued before a moment that is not in the future.
    Before(Timestamp),
    /// All, whenever they were or will be issued.
    Deny,
}

/// How a revocation is lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reopening {
    /// As if it had never been.
    ForAllTokens,
    /// Tokens that were issued until now stay refused.
    ForNewTokens,
}

/// Why a revocation was not made or lifted.
#[derive(Debug, Error)]
pub enum RevokeError {
    /// The moment is yet to come.
    #[error("the time is in the future; to refuse every token from now on, deny the account until that is lifted")]
    Future,
    /// A pod or a token has no other tokens than those that are refused.
    #[error("a {0} is denied as a whole: it takes no time, and no new tokens")]
    WholeOnly(&'static str),
    /// Other processes change the same at once.
    #[error("others are changing the same revocation; try again")]
    Contended,
    /// The store did not keep it, or it is not known whether it did.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Says that a token is not revoked. Only [`Revocations::judge`] makes one.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct NotRevoked(());

/// Why a token does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRefusal {
    /// It is revoked.
    Revoked,
    /// Nobody knows: the list was never read, or not for a while.
    Unknown,
}

/// The list of revocations of ServiceAccount tokens. Shared by all checks.
#[derive(Debug)]
pub struct Revocations {
    store: Arc<dyn SessionStore>,
    ring: SharedRootKeyRing,
    clock: SharedClock,
    metrics: Metrics,
    /// Whether other processes read and write the same list.
    shared: bool,
    /// One reading or change at a time.
    held: Mutex<Held>,
    in_force: ArcSwap<InForce>,
    /// When the list was read, by the monotonic clock in milliseconds and one more; 0 where it never was.
    read_at: AtomicU64,
    failing: AtomicBool,
}

impl Revocations {
    /// The list in `store`, of which nothing is known yet.
    #[must_use]
    pub fn new(
        store: Arc<dyn SessionStore>,
        ring: SharedRootKeyRing,
        clock: SharedClock,
        config: &StoreConfig,
        metrics: Metrics,
    ) -> Self {
        Self {
            store,
            ring,
            clock,
            metrics,
            shared: matches!(config, StoreConfig::Redis(_)),
            held: Mutex::default(),
            in_force: ArcSwap::default(),
            read_at: AtomicU64::new(0),
            failing: AtomicBool::new(false),
        }
    }

    /// The same process with another store in the place of its own.
    #[cfg(test)]
    pub(super) fn with_store(self, store: Arc<dyn SessionStore>) -> Self {
        Self { store, ..self }
    }

    /// Judges a token of `account` that the API server accepted. Cheap: a few look-ups in memory.
    ///
    /// # Errors
    /// Where it is revoked, or nobody knows.
    pub fn judge(&self, account: &ServiceAccount, issued_at: Option<Timestamp>) -> Result<NotRevoked, TokenRefusal> {
        if !self.is_current() {
            return Err(TokenRefusal::Unknown);
        }
        if self.in_force.load().refuses(account, issued_at) { Err(TokenRefusal::Revoked) } else { Ok(NotRevoked(())) }
    }

    /// Whether the list was read, and lately.
    #[must_use]
    pub fn is_current(&self) -> bool {
        let Some(read_at) = self.read_at.load(Ordering::Acquire).checked_sub(1) else { return false };
        self.clock.monotonic().saturating_sub(Duration::from_millis(read_at)) <= STALE_AFTER
    }

    /// Reads the list for the first time. Where it looks as if it was never written, other processes get the time to
    /// write it back before that is believed.
    pub async fn begin(&self) {
        if self.shared {
            match self.store.revocations(None).await {
                Ok(RevocationList::Entries { generation, .. }) if generation != Generation::NONE => {}
                _ => sleep(WRITE_BACK).await,
            }
        }
        self.refresh().await;
    }

    /// Keeps the list current. Never ends.
    pub async fn keep_current(&self) {
        loop {
            sleep(if self.shared { POLL_SHARED } else { POLL_OWN }).await;
            self.refresh().await;
        }
    }

    pub(super) async fn refresh(&self) {
        match self.read(&mut *self.held.lock().await).await {
            Ok(()) if self.failing.swap(false, Ordering::Relaxed) => info!("the list of revocations is read again"),
            Ok(()) => {}
            Err(failure) if self.failing.swap(true, Ordering::Relaxed) => {
                debug!(error = %failure, "the list of revocations cannot be read");
            }
            Err(failure) => warn!(error = %failure, "the list of revocations cannot be read"),
        }
    }

    /// Reads the list where it changed, and writes back what the store lacks.
    async fn read(&self, held: &mut Held) -> Result<(), StoreError> {
        let (asked, now) = (self.clock.monotonic(), self.clock.now());
        let ring = self.ring.load_full();
        match self.store.revocations(held.seen).await? {
            RevocationList::Unchanged if held.forget_expired(now) => self.put_in_force(held),
            RevocationList::Unchanged => {}
            RevocationList::Entries { generation, entries } => {
                let Taken { missing, unreadable } = held.take(&ring, &entries, now);
                self.put_in_force(held);
                self.note_unreadable(unreadable);
                held.seen = self.write_back(missing).await.then_some(generation);
            }
        }
        if self.write_anew(held.rewritten(&ring, now), held).await {
            held.note_written_under(ring.sealing_key());
        }
        self.read_at.store(millis(asked).saturating_add(1), Ordering::Release);
        self.metrics.loaded(now);
        Ok(())
    }

    /// Gives the store what it lacks; whether it took it. What is known here is in force here all the same.
    async fn write_back(&self, missing: Vec<RevocationEntry>) -> bool {
        if missing.is_empty() {
            return true;
        }
        warn!(entries = missing.len(), "the store lacks revocations that are known here: they go back");
        let outcome = self.store.merge_revocations(missing).await;
        outcome.inspect_err(|failure| error!(error = %failure, "the store does not take the revocations back")).is_ok()
    }

    /// Stores the list under the key that seals now; whether the store took it. Else it is tried again at the next reading.
    async fn write_anew(&self, rewritten: Vec<(RevocationEntry, Revocation)>, held: &mut Held) -> bool {
        if rewritten.is_empty() {
            return true;
        }
        info!(entries = rewritten.len(), "the list of revocations is written anew under the next root key");
        let entries = rewritten.iter().map(|(entry, _)| entry.clone()).collect();
        if let Err(failure) = self.store.merge_revocations(entries).await {
            error!(error = %failure, "the list of revocations is not written anew");
            return false;
        }
        for (entry, revocation) in rewritten {
            held.put(entry, revocation);
        }
        true
    }

    fn put_in_force(&self, held: &Held) {
        self.in_force.store(Arc::new(held.in_force()));
        self.metrics.holds(held.counting().values().filter(|revocation| revocation.is_in_force()).count());
    }

    fn note_unreadable(&self, entries: usize) {
        self.metrics.cannot_read(entries);
        if entries > 0 {
            error!(entries, "revocations in the store do not open: their root key left the ring, or they were planted");
        }
    }

    /// What is revoked, by target. Read from the store at this moment.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn list(&self) -> Result<Vec<Revocation>, StoreError> {
        let mut held = self.held.lock().await;
        self.read(&mut held).await?;
        Ok(held.counting().into_values().filter(|revocation| revocation.is_in_force()).cloned().collect())
    }

    /// Revokes tokens of a target, on top of what is revoked of it already. In force here, and stored durably, when this
    /// returns; elsewhere within a second. Whoever drops this future does not know whether it is.
    ///
    /// # Errors
    /// Where it was not stored, or that is not known.
    pub async fn revoke(&self, target: RevocationTarget, measure: Measure) -> Result<Revocation, RevokeError> {
        let whole_only = target.is_denied_whole();
        if whole_only && measure != Measure::Deny {
            return Err(RevokeError::WholeOnly(target.kind()));
        }
        if matches!(measure, Measure::Before(at) if at > self.clock.now().plus(CLOCK_TOLERANCE)) {
            return Err(RevokeError::Future);
        }
        let changed = self.change(&target, |before, now| {
            let (had, denied) = before.map_or((None, false), |before| (before.not_before, before.denied));
            let not_before = match measure {
                Measure::Deny if whole_only => None,
                Measure::Before(at) => Some(at),
                Measure::BeforeNow | Measure::Deny => Some(now),
            };
            Some((had.max(not_before), denied || measure == Measure::Deny))
        });
        changed.await?.ok_or(RevokeError::Contended)
    }

    /// Lifts what is revoked of a target; what is left of it, or nothing where nothing was revoked.
    ///
    /// # Errors
    /// As for [`Revocations::revoke`].
    pub async fn lift(
        &self,
        target: &RevocationTarget,
        reopening: Reopening,
    ) -> Result<Option<Revocation>, RevokeError> {
        let whole_only = target.is_denied_whole();
        if whole_only && reopening == Reopening::ForNewTokens {
            return Err(RevokeError::WholeOnly(target.kind()));
        }
        self.change(target, |before, now| {
            before.filter(|before| before.is_in_force())?;
            Some((matches!(reopening, Reopening::ForNewTokens).then_some(now), false))
        })
        .await
    }

    /// Reads the list, changes what it says of a target, and stores that; what it says then. Nothing is changed where
    /// `change` says nothing.
    async fn change(
        &self,
        target: &RevocationTarget,
        change: impl Fn(Option<&Revocation>, Timestamp) -> Option<(Option<Timestamp>, bool)>,
    ) -> Result<Option<Revocation>, RevokeError> {
        let mut held = self.held.lock().await;
        for _ in 0..ATTEMPTS {
            self.read(&mut held).await?;
            let (ring, now) = (self.ring.load_full(), self.clock.now());
            let before = held.counting().get(target).map(|before| Revocation::clone(before));
            let Some((not_before, denied)) = change(before.as_ref(), now) else { return Ok(None) };
            let updated_at = before.map_or(now, |before| now.max(before.updated_at.just_after()));
            let in_force = denied || not_before.is_some();
            let revocation = Revocation {
                target: target.clone(),
                not_before,
                denied,
                updated_at,
                expires_at: (!in_force).then(|| updated_at.plus(MARK_LIFE)),
            };
            let entries = held.entries_of(&ring, &revocation);
            let taken = self.store.merge_revocations(entries.iter().map(|(entry, _)| entry.clone()).collect()).await?;
            // Somebody else was faster with a part of it: what they wrote is read first.
            if taken == entries.len() {
                for (entry, revocation) in entries {
                    held.put(entry, revocation);
                }
                self.put_in_force(&held);
                return Ok(Some(revocation));
            }
        }
        Err(RevokeError::Contended)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
