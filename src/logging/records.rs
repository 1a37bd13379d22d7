//! The log for components that write records of their own, without the way through `tracing`.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Level;

use super::{
    config::{Config, Format},
    line::Line,
    queue::{Class, Queue},
};

/// How many acts of administrators are under way at once; each leaves a few KiB.
const ACTS: usize = 16;

thread_local! {
    /// Where this thread writes a record, before it is copied behind the others.
    static RECORD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The process' log, for whoever writes much or must know that it is written.
#[derive(Clone, Debug)]
pub struct Log {
    pub(super) queue: Arc<Queue>,
    pub(super) formats: Formats,
    acts: Arc<Semaphore>,
}

/// Room for the record of one act of an administrator.
#[derive(Debug)]
pub struct AuditPlace {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Log {
    pub(super) fn new(config: Config) -> Self {
        Self { queue: Arc::new(Queue::new()), formats: Formats::of(config), acts: Arc::new(Semaphore::new(ACTS)) }
    }

    /// A log that takes nothing.
    #[must_use]
    pub fn nowhere() -> Self {
        let log = Self::new(Config { level: Level::ERROR, ..Config::default() });
        log.queue.close(std::time::Duration::ZERO);
        log
    }

    /// Writes a record at the level `info`, where that is written. `message` needs no escape in JSON.
    pub fn info(&self, target: &'static str, message: &'static str, fields: impl FnOnce(&mut Line<'_>)) {
        let Some(format) = self.formats.info() else { return };
        // A thread that ends has nothing to tell any more.
        let _ = RECORD.try_with(|record| {
            let Ok(mut bytes) = record.try_borrow_mut() else { return };
            bytes.clear();
            let mut line = Line::begin(format, "INFO", target, message, &mut bytes);
            fields(&mut line);
            line.end();
            self.queue.push(Class::Usual, &bytes);
        });
    }

    /// Waits for room for the record of an act, which is then never dropped: for ever, where nobody reads the log.
    pub async fn audit_place(&self) -> AuditPlace {
        // It is never closed.
        let permit = Arc::clone(&self.acts).acquire_owned().await.ok();
        self.queue.room_for_audits().await;
        AuditPlace { _permit: permit }
    }

    /// Does what is recorded in the audit log: once there is room for its record, and until that is written.
    pub async fn audited<T>(&self, act: impl Future<Output = T>) -> T {
        let _place = self.audit_place().await;
        let outcome = act.await;
        self.written().await;
        outcome
    }

    /// Waits until everything that was told so far is written.
    pub async fn written(&self) {
        self.queue.written_so_far().await;
    }
}

/// How records are written now, as one word that every record looks at.
#[derive(Clone, Debug)]
pub(super) struct Formats(Arc<AtomicU8>);

impl Formats {
    const TEXT: u8 = 1;
    const INFO: u8 = 2;

    fn of(config: Config) -> Self {
        Self(Arc::new(AtomicU8::new(Self::word(config))))
    }

    pub(super) fn set(&self, config: Config) {
        self.0.store(Self::word(config), Ordering::Relaxed);
    }

    pub(super) fn current(&self) -> Format {
        Self::format(self.0.load(Ordering::Relaxed))
    }

    /// The format, where the level `info` is written.
    fn info(&self) -> Option<Format> {
        let word = self.0.load(Ordering::Relaxed);
        (word & Self::INFO != 0).then(|| Self::format(word))
    }

    const fn format(word: u8) -> Format {
        if word & Self::TEXT == 0 { Format::Json } else { Format::Text }
    }

    fn word(config: Config) -> u8 {
        let text = if config.format == Format::Text { Self::TEXT } else { 0 };
        // The more is written, the greater is the level.
        text | if config.level >= Level::INFO { Self::INFO } else { 0 }
    }
}
