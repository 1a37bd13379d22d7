//! What strangers can cause has a rate.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// A rate with a burst, counted as the time at which the next event would be due (GCRA).
#[derive(Debug)]
pub(crate) struct RateLimit {
    interval: Duration,
    tolerance: Duration,
    due: Mutex<Duration>,
}

impl RateLimit {
    /// At most `per_second` events a second in the long run, and `burst` at once.
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        Self::every(Duration::from_secs(1) / per_second.max(1), burst)
    }

    /// At most one event in `interval` in the long run, and `burst` at once.
    pub(crate) fn every(interval: Duration, burst: u32) -> Self {
        Self { interval, tolerance: interval * burst.saturating_sub(1), due: Mutex::default() }
    }

    /// Whether one more event may happen at `now` (monotonic); counts it if so.
    pub(crate) fn take(&self, now: Duration) -> bool {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let start = (*due).max(now);
        if start.saturating_sub(now) > self.tolerance {
            return false;
        }
        *due = start.saturating_add(self.interval);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let limit = RateLimit::new(10, 5);
        let at = Duration::from_millis;
        assert_eq!((0..100).filter(|_| limit.take(at(0))).count(), 5);
        assert!(!limit.take(at(99)));
        assert!(limit.take(at(100)));
        assert!(!limit.take(at(100)));
        let second = (100..1100).filter(|now| limit.take(at(*now))).count();
        assert!((9..=10).contains(&second), "{second}");
        assert_eq!((0..100).filter(|_| limit.take(at(60_000))).count(), 5);
    }
}
