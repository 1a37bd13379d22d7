//! The thread that writes: all steps that wait, in one transaction.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};
use tracing::{error, info};

use super::{
    failure::{commit, storage, table, transaction},
    file::{self, Identity},
    shared::{Shared, closed},
    tables::Tables,
    upkeep::keep_time,
};
use crate::{
    panics::{Panicked, caught_call},
    store::{RecordName, StoreError},
};

/// How many steps share one transaction at most.
const BATCH: usize = 256;
/// How long nothing is written after a failure. Reads go on meanwhile.
const REST: Duration = Duration::from_secs(1);

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
    identity: Identity,
    /// Whether it was told that the path leads elsewhere.
    is_displaced: bool,
    /// The last failure and when it was, by the clock that never steps back.
    failure: Option<(StoreError, Duration)>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, path: PathBuf, identity: Identity) -> Self {
        Self { shared, path, identity, is_displaced: false, failure: None }
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
        let outcome = caught_call(|| self.ready().and_then(|()| self.transact(&mut batch)));
        let outcome = outcome.unwrap_or_else(|Panicked| Err(self.panicked()));
        for job in batch {
            job.tell(outcome.clone());
        }
    }

    /// A step panicked, and its transaction was never ended: the file is opened anew, as after any failure.
    fn panicked(&mut self) -> StoreError {
        let failure = StoreError::Unavailable("the step failed inside".to_owned());
        error!("a step of the session store panicked; its file is opened anew");
        self.failure = Some((failure.clone(), self.shared.clock.monotonic()));
        self.shared.observers.all_changed();
        let _ = self.reopen();
        failure
    }

    /// Whether something may be written: not while the last failure is young, nor into a file that is no longer where
    /// the next start looks for it.
    fn ready(&mut self) -> Result<(), StoreError> {
        self.in_place()?;
        let Some((failure, at)) = &self.failure else { return Ok(()) };
        if self.shared.clock.monotonic().saturating_sub(*at) < REST {
            return Err(failure.clone());
        }
        self.failure = None;
        if self.shared.is_closed() { self.reopen() } else { Ok(()) }
    }

    fn in_place(&mut self) -> Result<(), StoreError> {
        let is_displaced = !self.identity.is_at(&self.path);
        match (std::mem::replace(&mut self.is_displaced, is_displaced), is_displaced) {
            (false, true) => error!(
                path = %self.path.display(),
                "the session store's file was removed or replaced while it is open: nothing is written until it is back \
                 or this process starts anew"
            ),
            (true, false) => info!(path = %self.path.display(), "the session store's file is back"),
            _ => {}
        }
        if !is_displaced {
            return Ok(());
        }
        let path = self.path.display();
        Err(StoreError::Unavailable(format!("{path}: the file was removed or replaced while it is open")))
    }

    /// Runs the steps in one transaction and commits it to the disk; tells the observers what changed.
    fn transact(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        let mut changed = Vec::new();
        let outcome = self.commit(batch, &mut changed);
        // After a failure it is not known whether the transaction is on the disk: those who remember must ask again.
        self.shared.observers.changed(&changed);
        outcome.inspect_err(|failure| {
            error!(error = %failure, "the session store's file failed; it is opened anew");
            self.failure = Some((failure.clone(), self.shared.clock.monotonic()));
            // The failure of this is told already, and it is tried again.
            let _ = self.reopen();
        })
    }

    fn commit(&self, batch: &mut [Box<dyn Job>], changed: &mut Vec<RecordName>) -> Result<(), StoreError> {
        let database = self.shared.database.read().unwrap_or_else(PoisonError::into_inner);
        let mut open = database.as_ref().ok_or_else(closed)?.begin_write().map_err(transaction)?;
        let seen = self.shared.latest.get();
        let mut tables = Tables::open(&open, changed).map_err(table)?;
        let judged = tables.advance(self.shared.clock.now(), seen)?;
        for job in batch {
            job.run(&mut tables)?;
        }
        if tables.finish()? {
            // Two phases: the slot that the file names as the latest is then always whole, so that damage to it is
            // told and does not bring back the state before.
            open.set_two_phase_commit(true);
            open.commit().map_err(commit)?;
        } else {
            open.abort().map_err(storage)?;
        }
        self.shared.latest.settle(seen, judged);
        Ok(())
    }

    fn close(&self) {
        *self.shared.database.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Closes the file and opens it again: after one failure redb answers nothing more.
    fn reopen(&mut self) -> Result<(), StoreError> {
        self.close();
        self.in_place()?;
        match file::open_existing(&self.path) {
            Ok(file) => {
                *self.shared.database.write().unwrap_or_else(PoisonError::into_inner) = Some(file.database);
                info!("the session store's file is open again");
                Ok(())
            }
            Err(failure) => {
                error!(error = %failure, "the session store's file cannot be opened again");
                let failure = StoreError::Unavailable(failure.to_string());
                self.failure = Some((failure.clone(), self.shared.clock.monotonic()));
                Err(failure)
            }
        }
    }
}
