//! Sessions in this process's memory: for tests, and where everybody may be signed out by a restart.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError, Weak},
};

use async_trait::async_trait;

use super::{
    error::StoreError,
    keys::{IndexKey, IndexKeys, LeaseHolder, LeaseKey, MarkKey, MarkKeys, RecordName, RevocationId},
    latest::Judged,
    leases::LeaseStore,
    limits::{MARK_GRACE, MAX_REVOCATIONS, MAX_SESSIONS_PER_SUBJECT, SWEEP_BATCH},
    marks::MarkStore,
    observers::{Observers, StoreObserver},
    own_leases::OwnLeases,
    records::{Inserted, NewRecord, Replaced, Replacement, StoredListing, StoredRecord},
    revocations::{
        Generation, RevocationChange, RevocationEntry, RevocationList, RevocationStore, too_many_revocations,
    },
    sessions::SessionStore,
};
use crate::clock::{SharedClock, Timestamp};

/// A store that forgets everything when the process ends.
#[derive(Debug)]
pub struct MemoryStore {
    clock: SharedClock,
    state: Mutex<State>,
    leases: OwnLeases,
    observers: Observers,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<RecordName, Row>,
    by_index: BTreeSet<(IndexKey, Timestamp, RecordName)>,
    by_expiry: BTreeSet<(Timestamp, RecordName)>,
    spent: HashMap<MarkKey, Timestamp>,
    logouts: HashMap<IndexKey, Logout>,
    revocations: BTreeMap<RevocationId, RevocationEntry>,
    generation: Option<Generation>,
    revocations_digest: Option<Vec<u8>>,
    /// The latest time that was seen, unless the clock has stepped back since.
    latest: Option<Timestamp>,
    /// What the observers have to be told before the call returns.
    changed: Vec<RecordName>,
}

#[derive(Debug)]
struct Row {
    record: StoredRecord,
    created_at: Timestamp,
    indexes: Vec<IndexKey>,
}

#[derive(Clone, Copy, Debug)]
struct Logout {
    not_before: Timestamp,
    until: Timestamp,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, state: Mutex::default(), leases: OwnLeases::default(), observers: Observers::default() }
    }

    /// One atomic step.
    fn step<T>(&self, step: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let mut state = self.lock();
        let now = state.advance(self.clock.now());
        let outcome = step(&mut state, now);
        let changed = std::mem::take(&mut state.changed);
        drop(state);
        self.observers.changed(&changed);
        outcome
    }

    /// Puts another list of revocations in the place of the one that is there, as who writes to a store can.
    #[cfg(test)]
    pub(crate) fn put_revocations(
        &self,
        generation: Option<Generation>,
        entries: &[RevocationEntry],
        digest: Option<Vec<u8>>,
    ) {
        let mut state = self.lock();
        state.revocations = entries.iter().map(|entry| (entry.id, entry.clone())).collect();
        state.generation = generation;
        state.revocations_digest = digest;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    fn holds_all_in_memory(&self) -> bool {
        true
    }

    async fn insert(&self, record: NewRecord) -> Result<Inserted, StoreError> {
        Ok(self.step(|state, now| state.insert(record, now)))
    }

    async fn get(&self, name: &RecordName) -> Result<Option<StoredRecord>, StoreError> {
        Ok(self.step(|state, now| state.live(name, now).map(|row| row.record.clone())))
    }

    async fn replace(&self, name: &RecordName, replacement: Replacement) -> Result<Replaced, StoreError> {
        Ok(self.step(|state, now| state.replace(name, replacement, now)))
    }

    async fn touch(&self, name: &RecordName, listing: Vec<u8>, expires_at: Timestamp) -> Result<bool, StoreError> {
        Ok(self.step(|state, now| {
            let Some(row) = state.live(name, now) else { return false };
            row.record.listing = listing;
            state.set_expiry(name, expires_at);
            true
        }))
    }

    async fn remove(&self, name: &RecordName) -> Result<bool, StoreError> {
        Ok(self.step(|state, now| state.live(name, now).is_some() && state.delete(name)))
    }

    async fn list(&self, index: &IndexKeys) -> Result<Vec<StoredListing>, StoreError> {
        Ok(self.step(|state, now| {
            let names = state.live_in_index(index, now);
            let listing = |name: RecordName| Some((name, &state.sessions.get(&name)?.record.listing));
            let listings = names.into_iter().filter_map(listing);
            listings.map(|(name, listing)| StoredListing { name, listing: listing.clone() }).collect()
        }))
    }

    async fn end_all(
        &self,
        index: &IndexKeys,
        not_before: Timestamp,
        mark_until: Timestamp,
    ) -> Result<Vec<RecordName>, StoreError> {
        Ok(self.step(|state, now| state.end_all(index, not_before, mark_until, now)))
    }

    async fn end_all_once(
        &self,
        mark: &MarkKeys,
        index: &IndexKeys,
        not_before: Timestamp,
        mark_until: Timestamp,
    ) -> Result<Option<Vec<RecordName>>, StoreError> {
        Ok(self.step(|state, now| {
            state.spend(mark, mark_until).then(|| state.end_all(index, not_before, mark_until, now))
        }))
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        Ok(self.step(State::sweep))
    }

    fn observe(&self, observer: Weak<dyn StoreObserver>) -> bool {
        self.observers.add(observer);
        true
    }
}

#[async_trait]
impl MarkStore for MemoryStore {
    async fn spend(&self, mark: &MarkKeys, until: Timestamp) -> Result<bool, StoreError> {
        Ok(self.step(|state, _| state.spend(mark, until)))
    }
}

#[async_trait]
impl LeaseStore for MemoryStore {
    async fn take_lease(&self, lease: &LeaseKey, holder: &LeaseHolder, until: Timestamp) -> Result<bool, StoreError> {
        Ok(self.step(|_, now| self.leases.take(lease, holder, until, now)))
    }

    async fn release_lease(&self, lease: &LeaseKey, holder: &LeaseHolder) -> Result<bool, StoreError> {
        Ok(self.step(|_, now| self.leases.release(lease, holder, now)))
    }
}

#[async_trait]
impl RevocationStore for MemoryStore {
    async fn revocations(&self, seen: Option<Generation>) -> Result<RevocationList, StoreError> {
        Ok(self.step(|state, now| {
            let generation = state.generation.unwrap_or(Generation::NONE);
            if seen == Some(generation) {
                return RevocationList::Unchanged;
            }
            let live = state.revocations.values().filter(|entry| entry.expires_at.is_none_or(|end| end > now));
            let digest = state.revocations_digest.clone();
            RevocationList::Entries { generation, entries: live.cloned().collect(), digest }
        }))
    }

    async fn change_revocations(&self, change: RevocationChange) -> Result<bool, StoreError> {
        self.step(|state, now| state.change_revocations(change, now))
    }
}

impl State {
    /// The time by which this step judges. Where the clock stepped back for good, what had expired by the later time
    /// is deleted before that time is forgotten.
    fn advance(&mut self, now: Timestamp) -> Timestamp {
        let latest = self.latest.unwrap_or(now);
        let judged = Judged::by(now, latest);
        while judged.stepped_back
            && let Some((expires_at, name)) = self.by_expiry.first().copied()
            && expires_at <= latest
        {
            self.delete(&name);
        }
        self.latest = Some(judged.now);
        judged.now
    }

    fn insert(&mut self, record: NewRecord, now: Timestamp) -> Inserted {
        let indexes: Vec<_> = record.indexes().collect();
        let refused =
            |key: &IndexKey| self.logouts.get(key).is_some_and(|logout| logout.not_before >= record.login_began_at);
        if indexes.iter().any(|index| index.searched().iter().any(refused)) {
            return Inserted::LoggedOut;
        }
        if self.live(&record.name, now).is_some() {
            return Inserted::NameTaken;
        }
        let mut ended = self.live_in_index(&record.subject, now);
        ended.truncate((ended.len() + 1).saturating_sub(MAX_SESSIONS_PER_SUBJECT));
        for name in &ended {
            self.delete(name);
        }
        let row = Row {
            indexes: indexes.into_iter().map(|index| *index.stored()).collect(),
            created_at: record.created_at,
            record: StoredRecord {
                sealed: record.sealed,
                listing: record.listing,
                version: 1,
                expires_at: record.expires_at,
            },
        };
        self.by_index.extend(row.indexes.iter().map(|key| (*key, row.created_at, record.name)));
        self.by_expiry.insert((record.expires_at, record.name));
        self.sessions.insert(record.name, row);
        Inserted::Stored { ended }
    }

    /// The session of this name; one that has expired is deleted at first sight.
    fn live(&mut self, name: &RecordName, now: Timestamp) -> Option<&mut Row> {
        if self.sessions.get(name)?.record.expires_at <= now {
            self.delete(name);
        }
        self.sessions.get_mut(name)
    }

    fn replace(&mut self, name: &RecordName, replacement: Replacement, now: Timestamp) -> Replaced {
        let Some(row) = self.live(name, now) else { return Replaced::Gone };
        if row.record.version != replacement.version {
            return Replaced::Stale;
        }
        row.record.version = row.record.version.saturating_add(1);
        row.record.sealed = replacement.sealed;
        self.set_expiry(name, replacement.expires_at);
        self.changed.push(*name);
        Replaced::Done
    }

    fn set_expiry(&mut self, name: &RecordName, expires_at: Timestamp) {
        if let Some(row) = self.sessions.get_mut(name) {
            self.by_expiry.remove(&(row.record.expires_at, *name));
            self.by_expiry.insert((expires_at, *name));
            row.record.expires_at = expires_at;
        }
    }

    /// The sessions in an index, the oldest first.
    fn live_in_index(&mut self, index: &IndexKeys, now: Timestamp) -> Vec<RecordName> {
        let mut found = Vec::new();
        for key in index.searched() {
            let first = (*key, Timestamp::from_unix_millis(0), RecordName::from_bytes([0; RecordName::BYTES]));
            found.extend(
                self.by_index.range(first..).take_while(|entry| entry.0 == *key).map(|entry| (entry.1, entry.2)),
            );
        }
        found.sort_unstable();
        found.into_iter().map(|(_, name)| name).filter(|name| self.live(name, now).is_some()).collect()
    }

    fn delete(&mut self, name: &RecordName) -> bool {
        let Some(row) = self.sessions.remove(name) else { return false };
        self.by_expiry.remove(&(row.record.expires_at, *name));
        for key in row.indexes {
            self.by_index.remove(&(key, row.created_at, *name));
        }
        self.changed.push(*name);
        true
    }

    fn end_all(
        &mut self,
        index: &IndexKeys,
        not_before: Timestamp,
        mark_until: Timestamp,
        now: Timestamp,
    ) -> Vec<RecordName> {
        for key in index.searched() {
            let logout = self.logouts.entry(*key).or_insert(Logout { not_before, until: mark_until });
            logout.not_before = logout.not_before.max(not_before);
            logout.until = logout.until.max(mark_until);
        }
        let names = self.live_in_index(index, now);
        for name in &names {
            self.delete(name);
        }
        names
    }

    fn spend(&mut self, mark: &MarkKeys, until: Timestamp) -> bool {
        if mark.searched().iter().any(|key| self.spent.contains_key(key)) {
            return false;
        }
        self.spent.extend(mark.searched().iter().map(|key| (*key, until)));
        true
    }

    fn change_revocations(&mut self, change: RevocationChange, now: Timestamp) -> Result<bool, StoreError> {
        let RevocationChange { seen, entries, digest } = change;
        if seen != self.generation.unwrap_or(Generation::NONE) {
            return Ok(false);
        }
        let mut changed = self.revocations.clone();
        changed.extend(
            entries
                .into_iter()
                .filter(|entry| entry.expires_at.is_none_or(|end| end > now))
                .map(|entry| (entry.id, entry)),
        );
        if changed.len() > MAX_REVOCATIONS.max(self.revocations.len()) {
            return Err(too_many_revocations());
        }
        if changed != self.revocations || self.revocations_digest.as_ref() != Some(&digest) {
            self.revocations = changed;
            self.revocations_digest = Some(digest);
            self.generation = Some(Generation::random());
        }
        Ok(true)
    }

    fn sweep(&mut self, now: Timestamp) -> usize {
        let expired: Vec<_> = self
            .by_expiry
            .iter()
            .take_while(|(expires_at, _)| *expires_at <= now)
            .take(SWEEP_BATCH)
            .map(|entry| entry.1)
            .collect();
        for name in &expired {
            self.delete(name);
        }
        let marks = self.spent.len() + self.logouts.len();
        self.spent.retain(|_, until| until.plus(MARK_GRACE) > now);
        self.logouts.retain(|_, logout| logout.until.plus(MARK_GRACE) > now);
        let revocations = self.revocations.len();
        self.revocations.retain(|_, entry| entry.expires_at.is_none_or(|end| end > now));
        let forgotten = marks + revocations - self.spent.len() - self.logouts.len() - self.revocations.len();
        expired.len() + forgotten
    }
}
