//! One thread with a runtime of its own per core, for the connections of gateways.
//!
//! A check hardly ever waits, so what it costs is mostly what moves it between threads: on a runtime of one thread the
//! requests that came together are answered together, nobody is woken for another's work, and their answers leave in one
//! write. A connection stays with its worker; connections go to the workers in turns.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The workers. Their threads end when this is dropped, and with them what still runs there.
#[derive(Debug)]
pub(super) struct Workers {
    runtimes: Vec<Handle>,
    next: AtomicUsize,
    _stop: DropGuard,
}

impl Workers {
    /// As many as this process may use cores.
    ///
    /// # Errors
    /// Where the system gives no thread, or none of what a runtime needs.
    pub(super) fn start() -> io::Result<Self> {
        Self::start_some(thread::available_parallelism().map_or(1, usize::from))
    }

    fn start_some(count: usize) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let runtimes = (0..count.max(1)).map(|number| start_one(number, stop.clone())).collect::<io::Result<_>>()?;
        Ok(Self { runtimes, next: AtomicUsize::new(0), _stop: stop.drop_guard() })
    }

    /// Whose turn it is; nobody's where there are none, which [`Workers::start`] never gives.
    pub(super) fn next(&self) -> Option<&Handle> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.runtimes.get(turn % self.runtimes.len().max(1))
    }
}

fn start_one(number: usize, stop: CancellationToken) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name(format!("check-{number}")).spawn(move || runtime.block_on(stop.cancelled_owned()))?;
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    async fn thread_of(worker: &Handle) -> thread::ThreadId {
        worker.spawn(async { thread::current().id() }).await.unwrap()
    }

    #[tokio::test]
    async fn they_take_turns_and_each_has_one_thread() {
        let workers = Workers::start_some(3).unwrap();
        let mut threads = Vec::new();
        for _ in 0..6 {
            threads.push(thread_of(workers.next().unwrap()).await);
        }
        assert_eq!(threads[..3], threads[3..]);
        let mut distinct = threads.clone();
        distinct.dedup();
        assert_eq!(distinct.len(), 6, "{threads:?}");
        assert!(threads[0] != threads[2] && !threads.contains(&thread::current().id()));
    }

    #[tokio::test]
    async fn what_runs_there_ends_with_them() {
        let workers = Arc::new(Workers::start_some(1).unwrap());
        let other = Arc::clone(&workers);
        let task = workers.next().unwrap().spawn(std::future::pending::<()>());
        drop(workers);
        assert!(!task.is_finished());
        drop(other);
        assert!(task.await.unwrap_err().is_cancelled());
    }
}
