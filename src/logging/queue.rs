//! Lines that wait to be written: bounded in bytes, in the order in which they came.
//!
//! One short lock is all that producers share: they bring finished lines, which are copied behind the others. Nobody
//! wakes the writer for each of them. It sleeps while there is nothing, gathers for [`GATHER`] once there is something,
//! and is called earlier where much came or somebody waits.

use std::{
    collections::VecDeque,
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;

use crate::memory;

const KIB: usize = 1024;
/// How many bytes are written at once: what a pipe takes (pipe(7)).
const CHUNK: usize = 64 * KIB;
/// How many empty chunks are kept for later.
const KEPT: usize = 4;
/// How long lines gather. With what the system needs to wake the writer, a line is written within 10 ms.
const GATHER: Duration = Duration::from_millis(8);
/// How many bytes end that wait.
const EARLY: usize = 256 * KIB;
/// What all acts of administrators that are under way leave in the log.
const AUDITS: usize = 128 * KIB;

/// How long a line finds room. Each later class finds some where the earlier ones do not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Records of checks, and whatever else is no more severe.
    Usual,
    Warning,
    Error,
    /// Always taken: its room was waited for before, see [`Queue::room_for_audits`].
    Audit,
}

impl Class {
    /// How many bytes may wait with a line of this class.
    const fn limit(self) -> usize {
        match self {
            Self::Usual => 2560 * KIB,
            Self::Warning => 2816 * KIB,
            Self::Error => 3328 * KIB,
            Self::Audit => Self::Error.limit() + AUDITS,
        }
    }
}

// All that waits, the ends of two chunks that are not full, and the chunks that are kept.
const _: () = assert!((Class::Audit.limit() + (2 + KEPT) * CHUNK) as u64 <= memory::LOG);

/// Lines that found no room since that was last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) records: u64,
    /// How many of them were errors.
    pub(super) errors: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Calls the writer.
    work: Condvar,
    /// Calls whoever waits for the end.
    settled: Condvar,
    /// How many bytes were ever written, for tasks that wait.
    written: watch::Sender<u64>,
    /// Lines that found no room.
    pub(super) dropped: Counter,
}

#[derive(Debug, Default)]
struct State {
    full: VecDeque<Vec<u8>>,
    filling: Vec<u8>,
    kept: Vec<Vec<u8>>,
    /// The bytes of all these and of what the writer holds.
    waiting: usize,
    /// How many bytes ever came.
    pushed: u64,
    untold: Dropped,
    writer: Writer,
    /// Somebody waits: the writer gathers no longer.
    hurry: bool,
    /// Nothing is taken any more.
    closed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Writer {
    #[default]
    Writes,
    Sleeps,
    Gathers,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            work: Condvar::new(),
            settled: Condvar::new(),
            written: watch::Sender::new(0),
            dropped: Counter::default(),
        }
    }

    /// Takes whole lines, or counts them as one that was dropped. Never waits but for others' copying.
    pub(super) fn push(&self, class: Class, lines: &[u8]) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        if class < Class::Audit && state.waiting.saturating_add(lines.len()) > class.limit() {
            state.untold.records += 1;
            state.untold.errors += u64::from(class == Class::Error);
            self.dropped.inc();
        } else {
            state.append(lines);
        }
        if state.calls_writer() {
            drop(state);
            self.work.notify_one();
        }
    }

    /// How many bytes wait, with what the writer holds.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// Waits until there is something to write and lines have gathered, and gives all of it; `None` once nothing comes
    /// any more. `tell` makes a line of what was dropped, which stands behind what found room.
    pub(super) fn take(&self, tell: impl Fn(Dropped) -> Vec<u8>) -> Option<VecDeque<Vec<u8>>> {
        let mut state = self.lock();
        if state.is_empty() {
            state.writer = Writer::Sleeps;
            state = wait(self.work.wait_while(state, |state| state.is_empty() && !state.closed));
        }
        if state.is_empty() {
            return None;
        }
        state.writer = Writer::Gathers;
        (state, _) = wait(self.work.wait_timeout_while(state, GATHER, |state| !state.hurry));
        state.writer = Writer::Writes;
        state.hurry = false;
        let untold = mem::take(&mut state.untold);
        if untold != Dropped::default() {
            state.append(&tell(untold));
        }
        let filling = mem::take(&mut state.filling);
        state.full.push_back(filling);
        Some(mem::take(&mut state.full))
    }

    /// A chunk that [`Queue::take`] gave was written.
    pub(super) fn done(&self, mut chunk: Vec<u8>) {
        let mut state = self.lock();
        let bytes = chunk.len();
        state.waiting = state.waiting.saturating_sub(bytes);
        if state.kept.len() < KEPT {
            chunk.clear();
            state.kept.push(chunk);
        }
        if state.is_settled() {
            self.settled.notify_all();
        }
        drop(state);
        self.written.send_modify(|written| *written = written.saturating_add(bytes as u64));
    }

    /// Takes nothing any more, and waits until the rest is written, no longer than `most`; whether it is.
    pub(super) fn close(&self, most: Duration) -> bool {
        let mut state = self.lock();
        state.closed = true;
        state.hurry = true;
        self.work.notify_all();
        let (state, _) = wait(self.settled.wait_timeout_while(state, most, |state| !state.is_settled()));
        state.is_settled()
    }

    /// Waits until there is room for what administrators do.
    pub(super) async fn room_for_audits(&self) {
        let mut written = self.written.subscribe();
        while self.waiting() > Class::Error.limit() {
            // The sender is ours, so it is there.
            let _ = written.changed().await;
        }
    }

    /// Waits until everything that came so far is written.
    pub(super) async fn written_so_far(&self) {
        let pushed = {
            let mut state = self.lock();
            state.hurry |= state.waiting > 0;
            state.pushed
        };
        self.work.notify_one();
        let _ = self.written.subscribe().wait_for(|written| *written >= pushed).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every step leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, mut lines: &[u8]) {
        self.waiting = self.waiting.saturating_add(lines.len());
        self.pushed = self.pushed.saturating_add(lines.len() as u64);
        while !lines.is_empty() {
            let room = self.filling.capacity() - self.filling.len();
            if room == 0 {
                let next = self.kept.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK));
                let filled = mem::replace(&mut self.filling, next);
                if !filled.is_empty() {
                    self.full.push_back(filled);
                }
                continue;
            }
            let (fits, rest) = lines.split_at(room.min(lines.len()));
            self.filling.extend_from_slice(fits);
            lines = rest;
        }
    }

    /// Whether the writer is to be called, which happens twice at most before it writes.
    fn calls_writer(&mut self) -> bool {
        match self.writer {
            Writer::Sleeps => {
                self.writer = Writer::Gathers;
                true
            }
            Writer::Gathers if self.waiting >= EARLY && !self.hurry => {
                self.hurry = true;
                true
            }
            Writer::Gathers | Writer::Writes => false,
        }
    }

    fn is_empty(&self) -> bool {
        self.filling.is_empty() && self.full.is_empty() && self.untold == Dropped::default()
    }

    fn is_settled(&self) -> bool {
        self.waiting == 0 && self.untold == Dropped::default()
    }
}

fn wait<T>(waited: Result<T, PoisonError<T>>) -> T {
    waited.unwrap_or_else(PoisonError::into_inner)
}
