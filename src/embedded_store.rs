//! Sessions in one file of this process: they survive a restart, for one replica.
//!
//! The file is a redb database. One thread writes: it takes all steps that wait, runs them in one transaction, commits
//! it to the disk and only then tells their callers, so that many sign-ins share one `fsync`. Reads run beside it.

mod failure;
mod file;
mod revocations;
mod tables;
#[cfg(test)]
mod tests;
mod wire;
mod writer;

use std::{
    fmt,
    path::Path,
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use async_trait::async_trait;
use redb::{Database, ReadableDatabase as _};
use tokio::sync::mpsc;

use self::{
    failure::{damaged, storage, table, transaction},
    tables::{RECORDS, ROWS, Tables, read_row, sweep},
    writer::{Job, Pending, Writer},
};
use crate::{
    calls::Places,
    clock::{SharedClock, Timestamp},
    panics::passed_on,
    store::{
        CLOCK_TOLERANCE, Generation, IndexKeys, Inserted, LeaseHolder, LeaseKey, Leases, MarkKeys, NewRecord,
        Observers, RecordName, Replaced, Replacement, RevocationChange, RevocationList, SessionStore, StoreError,
        StoreObserver, StoreOpenError, StoredListing, StoredRecord, too_many_revocations,
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

/// What the writer and the readers share.
struct Shared {
    /// Nothing while the file is closed after a failure.
    database: RwLock<Option<Database>>,
    clock: SharedClock,
    /// The latest time that was seen, in milliseconds since the Unix epoch, unless the clock has stepped back since.
    latest: AtomicU64,
    leases: Leases,
    observers: Observers,
}

impl EmbeddedStore {
    /// Opens the file at `path`, or makes it, and locks it. Every page is verified, which takes about a tenth of a
    /// second for 20,000 sessions.
    ///
    /// # Errors
    /// Where the file is damaged, held by another process, a link, not ours, or cannot be written. It is left as it is.
    pub fn open(path: &Path, clock: SharedClock) -> Result<Self, StoreOpenError> {
        let file = file::open_or_create(path)?;
        let shared = Arc::new(Shared {
            database: RwLock::new(Some(file.database)),
            clock,
            latest: AtomicU64::new(file.meta.latest.as_unix_millis()),
            leases: Leases::default(),
            observers: Observers::default(),
        });
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = Writer::new(Arc::clone(&shared), path.to_owned(), file.identity)
            .start(queue)
            .map_err(|source| StoreOpenError::Io { path: path.to_owned(), source })?;
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
        let Present { now, stepped_back } = self.shared.present();
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

    async fn spend(&self, mark: &MarkKeys, until: Timestamp) -> Result<bool, StoreError> {
        let mark = mark.clone();
        self.write(move |tables| tables.spend(&mark, until)).await
    }

    async fn take_lease(&self, lease: &LeaseKey, holder: &LeaseHolder, until: Timestamp) -> Result<bool, StoreError> {
        let now = self.present().await?;
        Ok(self.shared.leases.take(lease, holder, until, now))
    }

    async fn release_lease(&self, lease: &LeaseKey, holder: &LeaseHolder) -> Result<bool, StoreError> {
        let now = self.present().await?;
        Ok(self.shared.leases.release(lease, holder, now))
    }

    async fn revocations(&self, seen: Option<Generation>) -> Result<RevocationList, StoreError> {
        self.write(move |tables| tables.revocations(seen)).await
    }

    async fn change_revocations(&self, change: RevocationChange) -> Result<bool, StoreError> {
        self.write(move |tables| tables.change_revocations(&change)).await?.ok_or_else(too_many_revocations)
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        self.write(sweep).await
    }

    fn observe(&self, observer: Weak<dyn StoreObserver>) -> bool {
        self.shared.observers.add(observer);
        true
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

/// The time by which a read judges.
struct Present {
    now: Timestamp,
    /// Whether the clock stepped back for good, so that something may have to be deleted first.
    stepped_back: bool,
}

impl Shared {
    fn present(&self) -> Present {
        let now = self.clock.now();
        let latest = Timestamp::from_unix_millis(self.latest.fetch_max(now.as_unix_millis(), Ordering::SeqCst));
        let stepped_back = now.plus(CLOCK_TOLERANCE) < latest;
        Present { now: if stepped_back { now } else { now.max(latest) }, stepped_back }
    }

    fn latest(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.latest.load(Ordering::SeqCst))
    }

    /// Notes the time by which a transaction judged that had loaded `seen` as the latest before.
    fn settle(&self, seen: Timestamp, judged: Timestamp) {
        let (seen, judged) = (seen.as_unix_millis(), judged.as_unix_millis());
        if judged < seen {
            // The clock stepped back, and what had expired by the later time is gone. Who moved it on meanwhile wins.
            let _ = self.latest.compare_exchange(seen, judged, Ordering::SeqCst, Ordering::SeqCst);
        } else {
            self.latest.fetch_max(judged, Ordering::SeqCst);
        }
    }

    fn is_closed(&self) -> bool {
        self.database.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn read(&self, name: &RecordName) -> Result<Option<StoredRecord>, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(closed)?;
        let snapshot = database.begin_read().map_err(transaction)?;
        let rows = snapshot.open_table(ROWS).map_err(table)?;
        let Some(row) = rows.get(name.as_bytes()).map_err(storage)? else { return Ok(None) };
        let row = read_row(row.value())?;
        let records = snapshot.open_table(RECORDS).map_err(table)?;
        let sealed = records.get(name.as_bytes()).map_err(storage)?;
        let sealed = sealed.ok_or_else(|| damaged("a session has no record"))?.value().to_vec();
        let expires_at = Timestamp::from_unix_millis(row.expires_at_ms);
        Ok(Some(StoredRecord { sealed, listing: row.listing, version: row.version, expires_at }))
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the file is closed after a failure".to_owned())
}

fn writer_gone() -> StoreError {
    StoreError::Unavailable("the writer of the file has ended".to_owned())
}
