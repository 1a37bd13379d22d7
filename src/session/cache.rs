//! Opened sessions in memory, for as long as what was read still holds.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use quick_cache::Weighter;

use super::record::Session;
use crate::{
    memory::{self, BoundedCache},
    secret::{Label, RootKeyRing},
    store::{RecordName, SessionStore, StoreObserver},
};

/// What an opened session usually takes, in bytes.
const USUAL_BYTES: u64 = 2048;
/// More than any memory has.
const UNBOUNDED: u64 = 1 << 50;
/// How many records share an epoch, seen from the other side: a change makes one in so many sessions be read again.
const EPOCHS: usize = 4096;

/// The cached session's name: a keyed hash of the whole ticket, as much of it as nobody guesses.
pub(super) type CacheKey = [u8; 16];

/// Opened sessions by a keyed hash of their whole ticket.
///
/// Each entry remembers the epoch of its record's name from **before** the record was read; a change of the record
/// moves the epoch on before the change is acknowledged. So an entry that was read before a logout is dead when the
/// logout is answered, also where reader and logout raced, and a hit takes no lock but the cache's own.
pub(super) struct OpenedSessions {
    store: Arc<dyn SessionStore>,
    entries: BoundedCache<CacheKey, Entry, Weight>,
    epochs: Arc<Epochs>,
    enabled: bool,
    lifetime: Duration,
    is_bounded: bool,
    /// How many changes there had been when what they changed was forgotten.
    swept_at: AtomicU64,
}

#[derive(Clone)]
struct Entry {
    session: Arc<Session>,
    /// What services were told by it, as it was weighed.
    told_bytes: u32,
    epoch: Epoch,
    /// When it was read, by the clock that never steps back, in milliseconds.
    read_at: u64,
}

#[derive(Clone, Copy)]
struct Weight;

impl Weighter<CacheKey, Entry> for Weight {
    fn weight(&self, _: &CacheKey, entry: &Entry) -> u64 {
        memory::entry::<CacheKey, Entry>(entry.session.heap_bytes() + entry.told_bytes as usize)
    }
}

/// How often records of a name's group had changed at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl OpenedSessions {
    /// An empty cache of so many bytes, of use where and while the store tells of changes; an entry for as long as the
    /// store says at most. Where the store is in memory anyway, every session is kept open.
    pub(super) fn of(store: Arc<dyn SessionStore>, bytes: u64) -> Self {
        let lifetime = store.may_remember_for();
        let epochs = Arc::new(Epochs::default());
        let observer: Arc<dyn StoreObserver> = epochs.clone();
        let enabled = store.observe(Arc::downgrade(&observer));
        let is_bounded = !store.holds_all_in_memory();
        let entries = memory::cache(if is_bounded { bytes } else { UNBOUNDED }, USUAL_BYTES, Weight);
        let swept_at = AtomicU64::new(0);
        Self { store, entries, epochs, enabled, lifetime, is_bounded, swept_at }
    }

    /// The name under which a ticket is cached.
    #[expect(
        clippy::expect_used,
        reason = "the sealing key is in its own ring, and a MAC is longer than its beginning"
    )]
    pub(super) fn key(ring: &RootKeyRing, ticket: &str) -> CacheKey {
        let mac = ring.mac(ring.sealing_key(), Label::TokenCache, &[b"session", ticket.as_bytes()]);
        *mac.expect("the sealing key is in its own ring").first_chunk().expect("a MAC has 32 bytes")
    }

    /// The epoch of a record. To be taken before the record is read.
    pub(super) fn epoch(&self, name: &RecordName) -> Epoch {
        self.epochs.now(name)
    }

    /// An opened session that nothing has changed since it was read. Nothing while changes are not heard of: what is
    /// remembered may be of use again only if it is read anew.
    pub(super) fn get(&self, key: &CacheKey, now: Duration) -> Option<Arc<Session>> {
        let entry = self.entries.get(key)?;
        if !self.store.tells_of_changes() {
            return None;
        }
        let is_young = now.saturating_sub(Duration::from_millis(entry.read_at)) < self.lifetime;
        (is_young && self.epochs.now(entry.session.name()) == entry.epoch).then_some(entry.session)
    }

    /// The session as it was read last, whatever it is by now.
    pub(super) fn before(&self, key: &CacheKey) -> Option<Arc<Session>> {
        self.entries.peek(key).map(|entry| entry.session)
    }

    /// Remembers a session that was read after `epoch` was taken, at `read_at`.
    pub(super) fn insert(&self, key: CacheKey, session: Arc<Session>, epoch: Epoch, read_at: Duration) {
        if self.enabled {
            let told_bytes = told_bytes(&session);
            let read_at = u64::try_from(read_at.as_millis()).unwrap_or(u64::MAX);
            self.entries.insert(key, Entry { session, told_bytes, epoch, read_at });
        }
    }

    /// Weighs an entry anew, where it is still there.
    pub(super) fn weigh(&self, key: &CacheKey) {
        if let Some(entry) = self.entries.peek(key) {
            let told_bytes = told_bytes(&entry.session);
            // In one step: what was forgotten meanwhile stays so.
            drop(self.entries.replace(*key, Entry { told_bytes, ..entry }, true));
        }
    }

    /// Forgets what has changed since it was read, where no bound does so.
    pub(super) fn sweep(&self) {
        let changes = self.epochs.changes.load(Ordering::Acquire);
        if !self.is_bounded && self.swept_at.swap(changes, Ordering::Relaxed) != changes {
            self.entries.retain(|_, entry| self.epochs.now(entry.session.name()) == entry.epoch);
        }
    }

    /// Forgets a session.
    pub(super) fn remove(&self, key: &CacheKey) {
        self.entries.remove(key);
    }
}

impl fmt::Debug for OpenedSessions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpenedSessions")
            .field("len", &self.entries.len())
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

fn told_bytes(session: &Session) -> u32 {
    u32::try_from(session.told().heap_bytes()).unwrap_or(u32::MAX)
}

#[derive(Debug)]
struct Epochs {
    of: Box<[AtomicU64]>,
    /// How many changes there were, of whatever record.
    changes: AtomicU64,
}

impl Default for Epochs {
    fn default() -> Self {
        Self { of: (0..EPOCHS).map(|_| AtomicU64::new(0)).collect(), changes: AtomicU64::new(0) }
    }
}

impl Epochs {
    fn now(&self, name: &RecordName) -> Epoch {
        Epoch(self.of(name).load(Ordering::Acquire))
    }

    #[expect(clippy::indexing_slicing, reason = "there are `EPOCHS` of them")]
    fn of(&self, name: &RecordName) -> &AtomicU64 {
        let [first, second, ..] = *name.as_bytes();
        &self.of[usize::from(u16::from_be_bytes([first, second])) % EPOCHS]
    }
}

impl StoreObserver for Epochs {
    fn changed(&self, name: &RecordName) {
        self.of(name).fetch_add(1, Ordering::AcqRel);
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    fn all_changed(&self) {
        for epoch in &self.of {
            epoch.fetch_add(1, Ordering::AcqRel);
        }
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}
