//! The thread that writes: all steps that wait, in one transaction.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use redb::WriteTransaction;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info};

use super::{
    Shared, closed,
    failure::{commit, storage, table, transaction},
    file,
    tables::{Effects, Tables, keep_time},
};
use crate::{
    clock::Timestamp,
    session::store::{RecordName, StoreError},
};

/// How many steps share one transaction at most.
const BATCH: usize = 256;
/// How long a file that failed stays closed before it is opened again, at least.
const REOPEN_INTERVAL: Duration = Duration::from_secs(1);

/// One step that waits for the writer.
pub(super) trait Job: Send {
    /// Runs the step. Its outcome is kept until the transaction is on the disk.
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError>;

    /// Tells the caller the step's outcome, or why the transaction failed.
    fn tell(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// A step, its outcome and who waits for it.
pub(super) struct Pending<F, T> {
    step: Option<F>,
    outcome: Option<T>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Pending<F, T> {
    pub(super) fn new(step: F) -> (Self, oneshot::Receiver<Result<T, StoreError>>) {
        let (caller, outcome) = oneshot::channel();
        (Self { step: Some(step), outcome: None, caller }, outcome)
    }
}

impl<F, T> Job for Pending<F, T>
where
    T: Send,
    F: FnOnce(&mut Tables<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        if let Some(step) = self.step.take() {
            self.outcome = Some(step(tables)?);
        }
        Ok(())
    }

    fn tell(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { outcome: value, caller, .. } = *self;
        // A caller that gave up hears nothing.
        let _ = caller.send(outcome.and_then(|()| value.ok_or_else(closed)));
    }
}

/// The one who writes the file.
pub(super) struct Writer {
    shared: Arc<Shared>,
    path: PathBuf,
    /// When the file was closed after a failure, by the clock that never steps back.
    failed_at: Option<Duration>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, path: PathBuf) -> Self {
        Self { shared, path, failed_at: None }
    }

    /// Starts the thread; it ends when nobody can queue anything any more.
    pub(super) fn start(mut self, mut queue: mpsc::Receiver<Box<dyn Job>>) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name("session-store".to_owned()).spawn(move || {
            while let Some(first) = queue.blocking_recv() {
                let mut batch = vec![first];
                while batch.len() < BATCH
                    && let Ok(next) = queue.try_recv()
                {
                    batch.push(next);
                }
                self.write(batch);
            }
            let (last, _) = Pending::new(keep_time);
            self.write(vec![Box::new(last)]);
            self.close();
        })
    }

    fn write(&mut self, mut batch: Vec<Box<dyn Job>>) {
        self.reopen();
        let outcome = self.transact(&mut batch);
        match &outcome {
            Ok(changed) => self.shared.observers.changed(changed),
            Err(failure) => {
                error!(error = %failure, "the session store's file failed; it is opened anew");
                // Whether the transaction is on the disk is not known.
                self.close();
                self.failed_at = Some(self.shared.clock.monotonic());
                self.shared.observers.all_changed();
            }
        }
        let outcome = outcome.map(|_| ());
        for job in batch {
            job.tell(outcome.clone());
        }
    }

    /// Runs the steps in one transaction and commits it to the disk. The records that changed.
    fn transact(&self, batch: &mut [Box<dyn Job>]) -> Result<Vec<RecordName>, StoreError> {
        let database = self.shared.database.read().unwrap_or_else(PoisonError::into_inner);
        let mut open = database.as_ref().ok_or_else(closed)?.begin_write().map_err(transaction)?;
        let seen = self.shared.latest();
        let now = self.shared.clock.now();
        let (judged, effects) = run(&open, batch, now, seen)?;
        if effects.dirty {
            // Two phases: the slot that the file names as the latest is then always whole, so that damage to it is
            // told and does not bring back the state before.
            open.set_two_phase_commit(true);
            open.commit().map_err(commit)?;
        } else {
            open.abort().map_err(storage)?;
        }
        self.shared.settle(seen, judged);
        Ok(effects.changed)
    }

    fn close(&self) {
        *self.shared.database.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Opens the file again after a failure: a disk that was full may have space by now.
    fn reopen(&mut self) {
        let Some(failed_at) = self.failed_at else { return };
        let now = self.shared.clock.monotonic();
        if now.saturating_sub(failed_at) < REOPEN_INTERVAL {
            return;
        }
        match file::open_existing(&self.path) {
            Ok(file) => {
                *self.shared.database.write().unwrap_or_else(PoisonError::into_inner) = Some(file.database);
                self.failed_at = None;
                info!("the session store's file is open again");
            }
            Err(failure) => {
                error!(error = %failure, "the session store's file cannot be opened again");
                self.failed_at = Some(now);
            }
        }
    }
}

fn run(
    open: &WriteTransaction,
    batch: &mut [Box<dyn Job>],
    now: Timestamp,
    seen: Timestamp,
) -> Result<(Timestamp, Effects), StoreError> {
    let mut tables = Tables::open(open).map_err(table)?;
    let judged = tables.advance(now, seen)?;
    for job in batch {
        job.run(&mut tables)?;
    }
    Ok((judged, tables.finish()?))
}
