//! A store that counts what is asked of it, and can be down.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;

use crate::{
    clock::{SharedClock, Timestamp},
    store::{
        Generation, IndexKeys, Inserted, LeaseHolder, LeaseKey, LeaseStore, MarkKeys, MarkStore, MemoryStore,
        NewRecord, RecordName, Replaced, Replacement, RevocationChange, RevocationList, RevocationStore, SessionStore,
        StoreError, StoreObserver, StoredListing, StoredRecord,
    },
};

#[derive(Debug)]
pub(crate) struct CountingStore {
    inner: MemoryStore,
    calls: AtomicUsize,
    down: AtomicBool,
    lost_answers: AtomicUsize,
}

impl CountingStore {
    pub(crate) fn new(clock: SharedClock) -> Arc<Self> {
        let (calls, down, lost_answers) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
        Arc::new(Self { inner: MemoryStore::new(clock), calls, down, lost_answers })
    }

    /// How many calls came, of whatever kind.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// The next so many logouts are done, and nobody hears of it.
    pub(in crate::oidc) fn lose_answers(&self, count: usize) {
        self.lost_answers.store(count, Ordering::SeqCst);
    }

    fn answer_is_lost(&self) -> Result<(), StoreError> {
        let lost = self.lost_answers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if lost.is_ok() { Err(StoreError::Unavailable("the answer was lost".to_owned())) } else { Ok(()) }
    }

    fn count(&self) -> Result<(), StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            Err(StoreError::Unavailable("switched off by the test".to_owned()))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl SessionStore for CountingStore {
    async fn insert(&self, record: NewRecord) -> Result<Inserted, StoreError> {
        self.count()?;
        self.inner.insert(record).await
    }

    async fn get(&self, name: &RecordName) -> Result<Option<StoredRecord>, StoreError> {
        self.count()?;
        self.inner.get(name).await
    }

    async fn replace(&self, name: &RecordName, replacement: Replacement) -> Result<Replaced, StoreError> {
        self.count()?;
        self.inner.replace(name, replacement).await
    }

    async fn touch(&self, name: &RecordName, listing: Vec<u8>, expires_at: Timestamp) -> Result<bool, StoreError> {
        self.count()?;
        self.inner.touch(name, listing, expires_at).await
    }

    async fn remove(&self, name: &RecordName) -> Result<bool, StoreError> {
        self.count()?;
        self.inner.remove(name).await
    }

    async fn list(&self, index: &IndexKeys) -> Result<Vec<StoredListing>, StoreError> {
        self.count()?;
        self.inner.list(index).await
    }

    async fn end_all(
        &self,
        index: &IndexKeys,
        not_before: Timestamp,
        mark_until: Timestamp,
    ) -> Result<Vec<RecordName>, StoreError> {
        self.count()?;
        self.inner.end_all(index, not_before, mark_until).await
    }

    async fn end_all_once(
        &self,
        mark: &MarkKeys,
        index: &IndexKeys,
        not_before: Timestamp,
        mark_until: Timestamp,
    ) -> Result<Option<Vec<RecordName>>, StoreError> {
        self.count()?;
        let ended = self.inner.end_all_once(mark, index, not_before, mark_until).await;
        self.answer_is_lost()?;
        ended
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        self.count()?;
        self.inner.sweep().await
    }

    fn observe(&self, observer: Weak<dyn StoreObserver>) -> bool {
        self.inner.observe(observer)
    }
}

#[async_trait]
impl MarkStore for CountingStore {
    async fn spend(&self, mark: &MarkKeys, until: Timestamp) -> Result<bool, StoreError> {
        self.count()?;
        self.inner.spend(mark, until).await
    }
}

#[async_trait]
impl LeaseStore for CountingStore {
    async fn take_lease(&self, lease: &LeaseKey, holder: &LeaseHolder, until: Timestamp) -> Result<bool, StoreError> {
        self.count()?;
        self.inner.take_lease(lease, holder, until).await
    }

    async fn release_lease(&self, lease: &LeaseKey, holder: &LeaseHolder) -> Result<bool, StoreError> {
        self.count()?;
        self.inner.release_lease(lease, holder).await
    }
}

#[async_trait]
impl RevocationStore for CountingStore {
    async fn revocations(&self, seen: Option<Generation>) -> Result<RevocationList, StoreError> {
        self.count()?;
        self.inner.revocations(seen).await
    }

    async fn change_revocations(&self, change: RevocationChange) -> Result<bool, StoreError> {
        self.count()?;
        self.inner.change_revocations(change).await
    }
}
