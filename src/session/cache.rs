//! Opened sessions in memory, for as long as what was read still holds.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use quick_cache::sync::Cache;

use super::{
    record::Session,
    store::{RecordName, SessionStore, StoreObserver},
};
use crate::secret::{Label, RootKeyRing};

/// How many opened sessions are remembered.
const CAPACITY: usize = 50_000;
/// How many records share an epoch, seen from the other side: a change makes one in so many sessions be read again.
const EPOCHS: usize = 4096;

/// The cached session's name: a keyed hash of the whole ticket.
pub(super) type CacheKey = [u8; 32];

/// Opened sessions by a keyed hash of their whole ticket.
///
/// Each entry remembers the epoch of its record's name from **before** the record was read; a change of the record
/// moves the epoch on before the change is acknowledged. So an entry that was read before a logout is dead when the
/// logout is answered, also where reader and logout raced, and a hit takes no lock but the cache's own.
pub(super) struct OpenedSessions {
    entries: Cache<CacheKey, Entry>,
    epochs: Arc<Epochs>,
    enabled: bool,
}

#[derive(Clone)]
struct Entry {
    session: Arc<Session>,
    epoch: Epoch,
}

/// How often records of a name's group had changed at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl OpenedSessions {
    /// An empty cache, of use where the store tells of changes.
    pub(super) fn of(store: &dyn SessionStore) -> Self {
        let epochs = Arc::new(Epochs((0..EPOCHS).map(|_| AtomicU64::new(0)).collect()));
        let observer: Arc<dyn StoreObserver> = epochs.clone();
        let enabled = store.observe(Arc::downgrade(&observer));
        Self { entries: Cache::new(CAPACITY), epochs, enabled }
    }

    /// The name under which a ticket is cached.
    pub(super) fn key(ring: &RootKeyRing, ticket: &str) -> CacheKey {
        ring.mac(ring.sealing_key(), Label::TokenCache, &[b"session", ticket.as_bytes()])
            .expect("the sealing key is in its own ring")
    }

    /// The epoch of a record. To be taken before the record is read.
    pub(super) fn epoch(&self, name: &RecordName) -> Epoch {
        self.epochs.now(name)
    }

    /// An opened session that nothing has changed since it was read.
    pub(super) fn get(&self, key: &CacheKey) -> Option<Arc<Session>> {
        let entry = self.entries.get(key)?;
        if self.epochs.now(entry.session.name()) == entry.epoch {
            return Some(entry.session);
        }
        self.entries.remove(key);
        None
    }

    /// Remembers a session that was read after `epoch` was taken.
    pub(super) fn insert(&self, key: CacheKey, session: Arc<Session>, epoch: Epoch) {
        if self.enabled {
            self.entries.insert(key, Entry { session, epoch });
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

#[derive(Debug)]
struct Epochs(Box<[AtomicU64]>);

impl Epochs {
    fn now(&self, name: &RecordName) -> Epoch {
        Epoch(self.of(name).load(Ordering::Acquire))
    }

    fn of(&self, name: &RecordName) -> &AtomicU64 {
        let [first, second, ..] = *name.as_bytes();
        &self.0[usize::from(u16::from_be_bytes([first, second])) % EPOCHS]
    }
}

impl StoreObserver for Epochs {
    fn changed(&self, name: &RecordName) {
        self.of(name).fetch_add(1, Ordering::AcqRel);
    }
}
