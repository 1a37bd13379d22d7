//! A store whose calls are counted, and that may be down.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;

use crate::{
    clock::Timestamp,
    session::testing::World,
    store::{
        Generation, IndexKeys, Inserted, LeaseHolder, LeaseKey, LeaseStore, MarkKeys, MarkStore, NewRecord, RecordName,
        Replaced, Replacement, RevocationChange, RevocationList, RevocationStore, SessionStore, Store, StoreError,
        StoreObserver, StoredListing, StoredRecord,
    },
};

/// The store of a world, watched.
#[derive(Debug)]
pub(super) struct Watched {
    store: Arc<dyn Store>,
    tells: bool,
    calls: AtomicUsize,
    down: AtomicBool,
    deaf: AtomicBool,
    in_memory: AtomicBool,
}

impl Watched {
    /// Watches a world's store, which `tells` of changes or does not.
    pub(super) fn new(world: &World, tells: bool) -> Arc<Self> {
        let store = Arc::clone(&world.store);
        Arc::new(Self {
            store,
            tells,
            calls: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
            in_memory: AtomicBool::new(false),
        })
    }

    /// How many calls there were.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// From now on every call fails.
    pub(super) fn go_down(&self) {
        self.down.store(true, Ordering::SeqCst);
    }

    /// Whether changes are heard of from now on.
    pub(super) fn set_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::SeqCst);
    }

    /// From now on it says that it holds all in memory.
    pub(super) fn say_in_memory(&self) {
        self.in_memory.store(true, Ordering::SeqCst);
    }

    fn store(&self) -> Result<&dyn Store, StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("down".to_owned()));
        }
        Ok(self.store.as_ref())
    }
}

#[async_trait]
impl SessionStore for Watched {
    async fn insert(&self, record: NewRecord) -> Result<Inserted, StoreError> {
        self.store()?.insert(record).await
    }

    async fn get(&self, name: &RecordName) -> Result<Option<StoredRecord>, StoreError> {
        self.store()?.get(name).await
    }

    async fn replace(&self, name: &RecordName, replacement: Replacement) -> Result<Replaced, StoreError> {
        self.store()?.replace(name, replacement).await
    }

    async fn touch(&self, name: &RecordName, listing: Vec<u8>, expires_at: Timestamp) -> Result<bool, StoreError> {
        self.store()?.touch(name, listing, expires_at).await
    }

    async fn remove(&self, name: &RecordName) -> Result<bool, StoreError> {
        self.store()?.remove(name).await
    }

    async fn list(&self, index: &IndexKeys) -> Result<Vec<StoredListing>, StoreError> {
        self.store()?.list(index).await
    }

    async fn end_all(
        &self,
        index: &IndexKeys,
        not_before: Timestamp,
        mark_until: Timestamp,
    ) -> Result<Vec<RecordName>, StoreError> {
        self.store()?.end_all(index, not_before, mark_until).await
    }

    async fn end_all_once(
        &self,
        mark: &MarkKeys,
        index: &IndexKeys,
        not_before: Timestamp,
        mark_until: Timestamp,
    ) -> Result<Option<Vec<RecordName>>, StoreError> {
        self.store()?.end_all_once(mark, index, not_before, mark_until).await
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        self.store()?.sweep().await
    }

    fn holds_all_in_memory(&self) -> bool {
        self.in_memory.load(Ordering::SeqCst)
    }

    fn observe(&self, observer: Weak<dyn StoreObserver>) -> bool {
        self.tells && self.store.observe(observer)
    }

    fn tells_of_changes(&self) -> bool {
        !self.deaf.load(Ordering::SeqCst) && self.store.tells_of_changes()
    }
}

#[async_trait]
impl MarkStore for Watched {
    async fn spend(&self, mark: &MarkKeys, until: Timestamp) -> Result<bool, StoreError> {
        self.store()?.spend(mark, until).await
    }
}

#[async_trait]
impl LeaseStore for Watched {
    async fn take_lease(&self, lease: &LeaseKey, holder: &LeaseHolder, until: Timestamp) -> Result<bool, StoreError> {
        self.store()?.take_lease(lease, holder, until).await
    }

    async fn release_lease(&self, lease: &LeaseKey, holder: &LeaseHolder) -> Result<bool, StoreError> {
        self.store()?.release_lease(lease, holder).await
    }
}

#[async_trait]
impl RevocationStore for Watched {
    async fn revocations(&self, seen: Option<Generation>) -> Result<RevocationList, StoreError> {
        self.store()?.revocations(seen).await
    }

    async fn change_revocations(&self, change: RevocationChange) -> Result<bool, StoreError> {
        self.store()?.change_revocations(change).await
    }
}
