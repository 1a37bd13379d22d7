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
    entry::Revocation,
    held::{Held, Taken},
    in_force::InForce,
    limits::{MARK_LIFE, STALE_AFTER},
    metrics::Metrics,
    target::Target,
};
use crate::{
    calls::Failing,
    clock::{SharedClock, Timestamp},
    principal::ServiceAccount,
    secret::{RootKeyRing, SharedRootKeyRing},
    store::{
        CLOCK_TOLERANCE, Generation, RevocationChange, RevocationEntry, RevocationList, RevocationStore, StoreError,
    },
};

/// How often a list that other processes may change is read: what they change is in force within a second.
const POLL_SHARED: Duration = Duration::from_millis(400);
/// How often one is read that nobody else should change.
const POLL_OWN: Duration = COMPARE;
/// How often the whole list is compared with what is held, also where its generation says that it did not change.
pub(super) const COMPARE: Duration = Duration::from_secs(2);
/// How long other processes need to write back a list that the store lost.
const WRITE_BACK: Duration = Duration::from_secs(1);
/// How often is looked, [`POLL_SHARED`] apart, whether they wrote back a part of it, which they find when they compare.
const WRITE_BACK_PART_POLLS: usize = 8;
/// How often a change is tried where other processes change the list at once.
const ATTEMPTS: usize = 8;

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
    /// Other processes change the list at once.
    #[error("others are changing the list of revocations; try again")]
    Contended,
    /// A part of the store's list is missing or was changed by somebody else, and no process of ours knows it.
    #[error(
        "the list of revocations in the store is not whole: entries are missing, or somebody else changed them; \
         `portcullis revocations list` shows what is left, and `portcullis revocations accept` takes that for all"
    )]
    NotWhole,
    /// The store did not keep it, or it is not known whether it did.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a look at the store's list found.
#[derive(Debug)]
enum Found {
    /// The list of this generation is as it is held here.
    Same(Generation),
    /// It is not, and this makes it so.
    Lacking(Box<Lacking>),
    /// It is not whole, and what is missing is not known here.
    NotWhole,
}

/// What is to be written to the store's list.
#[derive(Debug)]
struct Lacking {
    change: RevocationChange,
    /// How many of its entries were in the list before.
    lost: usize,
    /// Those that are new to what is held.
    rewritten: Vec<(RevocationEntry, Revocation)>,
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
    /// Nobody knows: the list was never read, or not for a while, or is not whole.
    Unknown,
}

/// The list of revocations of ServiceAccount tokens. Shared by all checks.
#[derive(Debug)]
pub struct Revocations {
    store: Arc<dyn RevocationStore>,
    ring: SharedRootKeyRing,
    clock: SharedClock,
    pub(super) metrics: Metrics,
    /// Whether other processes read and write the same list.
    shared: bool,
    /// One reading or change at a time.
    held: Mutex<Held>,
    in_force: ArcSwap<InForce>,
    /// When the list was read, by the monotonic clock in milliseconds and one more; 0 where it never was.
    read_at: AtomicU64,
    failing: Failing,
    /// Whether the whole list is held, or that was not found out yet.
    is_whole: AtomicBool,
}

impl Revocations {
    /// The list in `store`, of which nothing is known yet.
    #[must_use]
    pub fn new(store: Arc<dyn RevocationStore>, ring: SharedRootKeyRing, clock: SharedClock, metrics: Metrics) -> Self {
        Self {
            shared: store.is_shared(),
            store,
            ring,
            clock,
            metrics,
            held: Mutex::default(),
            in_force: ArcSwap::default(),
            read_at: AtomicU64::new(0),
            failing: Failing::default(),
            is_whole: AtomicBool::new(true),
        }
    }

    /// The same process with another store in the place of its own.
    #[cfg(test)]
    pub(super) fn with_store(self, store: Arc<dyn RevocationStore>) -> Self {
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

    /// Reads the list for the first time. Where it looks as if it was never written, or is not whole, other processes get
    /// the time to write it back.
    pub async fn begin(&self) {
        if self.shared {
            match self.store.revocations(None).await {
                Ok(RevocationList::Entries { generation, .. }) if generation != Generation::NONE => {}
                _ => sleep(WRITE_BACK).await,
            }
        }
        self.refresh().await;
        for _ in 0..WRITE_BACK_PART_POLLS {
            if !self.shared || self.is_whole.load(Ordering::Relaxed) {
                return;
            }
            sleep(POLL_SHARED).await;
            self.refresh().await;
        }
    }

    /// Keeps the list current. Never ends.
    pub async fn keep_current(&self) {
        loop {
            sleep(if self.shared { POLL_SHARED } else { POLL_OWN }).await;
            self.refresh().await;
        }
    }

    pub(super) async fn refresh(&self) {
        let settled = self.settle(&mut *self.held.lock().await).await;
        let now = self.clock.monotonic();
        match settled {
            Ok(()) => {
                if let Some(lasted) = self.failing.succeeded(now) {
                    info!(lasted_s = lasted.as_secs(), "the list of revocations is read again");
                }
            }
            Err(failure) if self.failing.failed(now, ()) => {
                warn!(error = %failure, "the list of revocations cannot be read");
            }
            Err(failure) => debug!(error = %failure, "the list of revocations cannot be read"),
        }
    }

    /// Reads the list, and writes to the store what it lacks. What is known here is in force here all the same.
    async fn settle(&self, held: &mut Held) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let Found::Lacking(lacking) = self.read(held).await? else { break };
            if let Err(failure) = self.write(held, *lacking).await {
                error!(error = %failure, "the store does not take what its list of revocations lacks");
                break;
            }
        }
        Ok(())
    }

    /// Reads the list where it changed, and the whole list every [`COMPARE`].
    async fn read(&self, held: &mut Held) -> Result<Found, StoreError> {
        let (asked, now) = (self.clock.monotonic(), self.clock.now());
        let ring = self.ring.load_full();
        let is_due = held.compared_at.is_none_or(|at| asked.saturating_sub(at) >= COMPARE);
        let known = held.seen.filter(|_| !is_due && held.is_whole && held.is_written_under(&ring));
        let found = match (self.store.revocations(known).await?, known) {
            (RevocationList::Unchanged, known) => {
                if held.forget_expired(now) {
                    self.put_in_force(held);
                }
                Found::Same(known.unwrap_or(Generation::NONE))
            }
            (RevocationList::Entries { generation, entries, digest }, _) => {
                let taken = held.take(&ring, &entries, digest.as_deref(), now);
                held.compared_at = Some(asked);
                held.seen = Some(generation);
                self.put_in_force(held);
                self.note_unreadable(held, taken.unreadable);
                if !self.is_whole(held, taken.is_whole) {
                    return Ok(Found::NotWhole);
                }
                lacking(held, &ring, generation, taken, now)
            }
        };
        if matches!(found, Found::Same(_)) {
            held.note_written_under(ring.sealing_key());
        }
        self.read_at.store(millis(asked).saturating_add(1), Ordering::Release);
        self.metrics.loaded(now);
        Ok(found)
    }

    /// Whether what is held is the whole list: once it was, it stays so.
    fn is_whole(&self, held: &mut Held, is_whole: bool) -> bool {
        held.is_whole |= is_whole;
        self.metrics.is_incomplete(!held.is_whole);
        if self.is_whole.swap(held.is_whole, Ordering::Relaxed) && !held.is_whole {
            error!(
                "the list of revocations in the store is not whole: entries are missing, or somebody else changed them. \
                 No ServiceAccount token passes until another replica writes them back, or an administrator says \
                 `portcullis revocations accept`"
            );
        }
        held.is_whole
    }

    /// Writes what the store's list lacks, unless that is another one by now. It is read again in either case.
    async fn write(&self, held: &mut Held, lacking: Lacking) -> Result<(), StoreError> {
        let Lacking { change, lost, rewritten } = lacking;
        match (lost, rewritten.len()) {
            (0, 0) => {
                warn!("nothing vouches for the store's list of revocations, which is whole: its digest is written");
            }
            (0, entries) => info!(entries, "the list of revocations is written anew"),
            (lost, _) => error!(
                entries = lost,
                "revocations vanished from the store, or somebody else changed them: they are written back"
            ),
        }
        if self.store.change_revocations(change).await? {
            self.metrics.restored(lost);
            for (entry, revocation) in rewritten {
                held.put(entry, revocation);
            }
        }
        Ok(())
    }

    fn put_in_force(&self, held: &Held) {
        self.in_force.store(Arc::new(held.in_force()));
        self.metrics.holds(held.counting().values().filter(|revocation| revocation.is_in_force()).count());
    }

    fn note_unreadable(&self, held: &mut Held, entries: usize) {
        self.metrics.cannot_read(entries);
        if std::mem::replace(&mut held.unreadable, entries) < entries {
            error!(entries, "revocations in the store do not open: their root key left the ring, or they were planted");
        }
    }

    /// What is revoked, by target. Read from the store at this moment; where its list is not whole, what is left of it.
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
    pub async fn revoke(&self, target: Target, measure: Measure) -> Result<Revocation, RevokeError> {
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
    pub async fn lift(&self, target: &Target, reopening: Reopening) -> Result<Option<Revocation>, RevokeError> {
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

    /// Takes what is left of a list that is not whole for the whole list; how many revocations are in force then. Changes
    /// nothing where it is whole.
    ///
    /// # Errors
    /// Where it was not stored, or that is not known.
    pub async fn accept(&self) -> Result<usize, RevokeError> {
        let mut held = self.held.lock().await;
        for _ in 0..ATTEMPTS {
            match self.read(&mut held).await? {
                Found::Same(_) => {
                    return Ok(held.counting().values().filter(|revocation| revocation.is_in_force()).count());
                }
                Found::Lacking(lacking) => self.write(&mut held, *lacking).await?,
                Found::NotWhole => drop(self.is_whole(&mut held, true)),
            }
        }
        Err(RevokeError::Contended)
    }

    /// Reads the list, changes what it says of a target, and stores that; what it says then. Nothing is changed where
    /// `change` says nothing.
    async fn change(
        &self,
        target: &Target,
        change: impl Fn(Option<&Revocation>, Timestamp) -> Option<(Option<Timestamp>, bool)>,
    ) -> Result<Option<Revocation>, RevokeError> {
        let mut held = self.held.lock().await;
        for _ in 0..ATTEMPTS {
            let seen = match self.read(&mut held).await? {
                Found::Same(seen) => seen,
                Found::Lacking(lacking) => {
                    self.write(&mut held, *lacking).await?;
                    continue;
                }
                Found::NotWhole => return Err(RevokeError::NotWhole),
            };
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
                under_digest: true,
            };
            let changed = held.entries_of(&ring, &revocation);
            let digest = held.digest_with(&ring, &changed);
            let entries = changed.iter().map(|(entry, _)| entry.clone()).collect();
            // Else somebody else was faster: what they wrote is read first.
            if self.store.change_revocations(RevocationChange { seen, entries, digest }).await? {
                for (entry, revocation) in changed {
                    held.put(entry, revocation);
                }
                self.put_in_force(&held);
                return Ok(Some(revocation));
            }
        }
        Err(RevokeError::Contended)
    }
}

/// What makes the store's list, of which this was taken, the one that is held.
fn lacking(held: &Held, ring: &RootKeyRing, seen: Generation, taken: Taken, now: Timestamp) -> Found {
    let Taken { missing, is_whole, is_of_another_key, .. } = taken;
    let lost = missing.len();
    let (entries, rewritten) = if lost == 0 && is_whole {
        let rewritten = held.rewritten(ring, now);
        // Replicas get another key one by one: who has it already writes the digest under it once.
        if rewritten.is_empty() && (!is_of_another_key || held.is_written_under(ring)) {
            return Found::Same(seen);
        }
        (rewritten.iter().map(|(entry, _)| entry.clone()).collect(), rewritten)
    } else {
        (missing, Vec::new())
    };
    let digest = held.digest_with(ring, &rewritten);
    Found::Lacking(Box::new(Lacking { change: RevocationChange { seen, entries, digest }, lost, rewritten }))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
