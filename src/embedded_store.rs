//! Sessions in one file of this process: they survive a restart, for one replica.
//!
//! The file is a redb database. One thread writes: it takes all steps that wait, runs them in one transaction, commits
//! it to the disk and only then tells their callers, so that many sign-ins share one `fsync`. Reads run beside it.

mod failure;
mod file;
mod open_error;
mod revocations;
mod shared;
mod tables;
#[cfg(test)]
mod tests;
mod upkeep;
mod wire;
mod writer;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Weak},
    thread::JoinHandle,
};

use async_trait::async_trait;
use tokio::sync::mpsc;

pub use self::open_error::OpenError;
use self::{
    shared::{Shared, closed},
    tables::Tables,
    upkeep::sweep,
    writer::{Job, Pending, Writer},
};
use crate::{
    calls::Places,
    clock::{SharedClock, Timestamp},
    panics::passed_on,
    store::{
        Generation, IndexKeys, Inserted, Judged, LeaseHolder, LeaseKey, LeaseStore, MarkKeys, MarkStore, NewRecord,
        RecordName, Replaced, Replacement, RevocationChange, RevocationList, RevocationStore, SessionStore, StoreError,
        StoreObserver, StoredListing, StoredRecord, too_many_revocations,
    },
};

/// How many steps may wait for the writer; more callers wait to be let in.
const QUEUE: usize = 1024;
/// How many records are read at once. Each takes a thread, and the allocator keeps up to a MiB for each thread.
const READS_AT_ONCE: usize = 4;

/// A store in one file, which this process holds locked.
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    writer: Option<JoinHandle<()>>,
    /// One place for each read.
    reads: Places,
}

impl EmbeddedStore {
    /// Opens the file at `path`, or makes it, and locks it. Every page is verified, which takes about a tenth of a
    /// second for 20,000 sessions.
    ///
    /// # Errors
    /// Where the file is damaged, held by another process, a link, not ours, or cannot be written. It is left as it is.
    pub fn open(path: &Path, clock: SharedClock) -> Result<Self, OpenError> {
        let file = file::open_or_create(path)?;
        let shared = Arc::new(Shared::new(file.database, clock, file.meta.latest));
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = Writer::new(Arc::clone(&shared), path.to_owned(), file.identity)
            .start(queue)
            .map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        let reads = Places::new(READS_AT_ONCE);
        Ok(Self { shared, jobs: Some(jobs), writer: Some(writer), reads })
    }

    /// Runs one step in the writer's next transaction. Once queued it runs, whoever still waits for it.
    async fn write<T, F>(&self, step: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tables<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (job, outcome) = Pending::new(step);
        let jobs = self.jobs.as_ref().ok_or_else(writer_gone)?;
        jobs.send(Box::new(job)).await.map_err(|_| writer_gone())?;
        outcome.await.map_err(|_| writer_gone())?
    }

    /// The time by which is judged beside the writer.
    async fn present(&self) -> Result<Timestamp, StoreError> {
        let Judged { now, stepped_back } = self.shared.present();
        if stepped_back || self.shared.is_closed() {
            // Every transaction begins by deleting what had expired by the later time, and opens a file that failed.
            self.write(|_| Ok(())).await?;
        }
        Ok(now)
    }

    /// The row and the record of this name, expired or not.
    async fn read(&self, name: RecordName) -> Result<Option<StoredRecord>, StoreError> {
        let shared = Arc::clone(&self.shared);
        let place = self.reads.take_in_turn().await.ok_or_else(closed)?;
        let read = tokio::task::spawn_blocking(move || {
            let read = shared.read(&name);
            // Not before, whoever still waits for it.
            drop(place);
            read
        });
        let read = read.await;
        passed_on(read).map_err(|cancelled| StoreError::Unavailable(cancelled.to_string()))?
    }
}

#[async_trait]
impl SessionStore for EmbeddedStore {
    async fn insert(&self, record: NewRecord) -> Result<Inserted, StoreError> {
        self.write(move |tables| tables.insert(&record)).await
    }

    async fn get(&self, name: &RecordName) -> Result<Option<StoredRecord>, StoreError> {
        let now = self.present().await?;
        let name = *name;
        let Some(stored) = self.read(name).await? else { return Ok(None) };
        if stored.expires_at > now {
            return Ok(Some(stored));
        }
        self.write(move |tables| tables.delete_expired(&name)).await?;
        Ok(None)
    }

    async fn replace(&self, name: &RecordName, replacement: Replacement) -> Result<Replaced, StoreError> {
        let name = *name;
        self.write(move |tables| tables.replace(&name, &replacement)).await
    }

    async fn touch(&self, name: &RecordName, listing: Vec<u8>, expires_at: Timestamp) -> Result<bool, StoreError> {
        let name = *name;
        self.write(move |tables| tables.touch(&name, listing, expires_at)).await
    }

    async fn remove(&self, name: &RecordName) -> Result<bool, StoreError> {
        let name = *name;
        self.write(move |tables| tables.remove(&name)).await
    }

    async fn list(&self, index: &IndexKeys) -> Result<Vec<StoredListing>, StoreError> {
        let index = index.clone();
        self.write(move |tables| tables.list(&index)).await
    }

    async fn end_all(
        &self,
        index: &IndexKeys,
        not_before: Timestamp,
        mark_until: Timestamp,
    ) -> Result<Vec<RecordName>, StoreError> {
        let index = index.clone();
        self.write(move |tables| tables.end_all(&index, not_before, mark_until)).await
    }

    async fn end_all_once(
        &self,
        mark: &MarkKeys,
        index: &IndexKeys,
        not_before: Timestamp,
        mark_until: Timestamp,
    ) -> Result<Option<Vec<RecordName>>, StoreError> {
        let (mark, index) = (mark.clone(), index.clone());
        self.write(move |tables| tables.end_all_once(&mark, &index, not_before, mark_until)).await
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        self.write(sweep).await
    }

    fn observe(&self, observer: Weak<dyn StoreObserver>) -> bool {
        self.shared.observers.add(observer);
        true
    }
}

#[async_trait]
impl MarkStore for EmbeddedStore {
    async fn spend(&self, mark: &MarkKeys, until: Timestamp) -> Result<bool, StoreError> {
        let mark = mark.clone();
        self.write(move |tables| tables.spend(&mark, until)).await
    }
}

#[async_trait]
impl LeaseStore for EmbeddedStore {
    async fn take_lease(&self, lease: &LeaseKey, holder: &LeaseHolder, until: Timestamp) -> Result<bool, StoreError> {
        let now = self.present().await?;
        Ok(self.shared.leases.take(lease, holder, until, now))
    }

    async fn release_lease(&self, lease: &LeaseKey, holder: &LeaseHolder) -> Result<bool, StoreError> {
        let now = self.present().await?;
        Ok(self.shared.leases.release(lease, holder, now))
    }
}

#[async_trait]
impl RevocationStore for EmbeddedStore {
    async fn revocations(&self, seen: Option<Generation>) -> Result<RevocationList, StoreError> {
        self.write(move |tables| tables.revocations(seen)).await
    }

    async fn change_revocations(&self, change: RevocationChange) -> Result<bool, StoreError> {
        self.write(move |tables| tables.change_revocations(&change)).await?.ok_or_else(too_many_revocations)
    }
}

impl Drop for EmbeddedStore {
    /// Lets the writer finish what is queued, so that the file is closed and unlocked when this returns.
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing left to finish.
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EmbeddedStore").finish_non_exhaustive()
    }
}

fn writer_gone() -> StoreError {
    StoreError::Unavailable("the writer of the file has ended".to_owned())
}
