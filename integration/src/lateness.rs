//! The control of time bounds: how late a timer wakes on this machine, beside what is measured.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

/// How long each of the timers sleeps.
const PAUSE: Duration = Duration::from_millis(10);

/// A timer that sleeps again and again, until this is dropped, and records how late it wakes.
#[derive(Debug)]
pub struct Lateness {
    late: Arc<Mutex<Vec<Duration>>>,
    task: JoinHandle<()>,
}

impl Lateness {
    /// Begins to watch. Must be called in a tokio runtime.
    #[must_use]
    pub fn watch() -> Self {
        let late = Arc::new(Mutex::new(Vec::new()));
        let woken = Arc::clone(&late);
        let task = tokio::spawn(async move {
            loop {
                let slept = Instant::now();
                tokio::time::sleep(PAUSE).await;
                let late = slept.elapsed().saturating_sub(PAUSE);
                woken.lock().expect("no holder of this lock panics").push(late);
            }
        });
        Self { late, task }
    }

    /// The 99th percentile so far; zero before the first waking.
    #[must_use]
    pub fn p99(&self) -> Duration {
        let mut late = self.late.lock().expect("no holder of this lock panics").clone();
        late.sort_unstable();
        late.get(late.len() * 99 / 100).copied().unwrap_or_default()
    }
}

impl Drop for Lateness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_runtime_that_is_blocked_is_late() {
        let lateness = Lateness::watch();
        assert_eq!(lateness.p99(), Duration::ZERO);
        tokio::time::sleep(PAUSE * 2).await;
        std::thread::sleep(PAUSE * 10);
        tokio::time::sleep(PAUSE * 2).await;
        assert!(lateness.p99() >= PAUSE * 8, "{:?}", lateness.p99());
    }
}
