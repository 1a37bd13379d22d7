//! What strangers can cause has a rate; what does not answer is not asked again at once.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// A rate with a burst, counted as the time at which the next event would be due (GCRA).
#[derive(Debug)]
pub(super) struct RateLimit {
    interval: Duration,
    tolerance: Duration,
    due: Mutex<Duration>,
}

impl RateLimit {
    /// At most `per_second` events a second in the long run, and `burst` at once.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, tolerance: interval * burst.saturating_sub(1), due: Mutex::default() }
    }

    /// Whether one more event may happen at `now` (monotonic); counts it if so.
    pub(super) fn take(&self, now: Duration) -> bool {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let start = (*due).max(now);
        if start.saturating_sub(now) > self.tolerance {
            return false;
        }
        *due = start.saturating_add(self.interval);
        true
    }
}

/// Answers at once, for a while, where several calls in a row failed: callers must not queue before a dead provider.
#[derive(Debug)]
pub(super) struct Breaker {
    state: Mutex<BreakerState>,
}

#[derive(Debug, Default)]
struct BreakerState {
    failures: u32,
    open_until: Duration,
}

impl Breaker {
    /// How many calls in a row must fail.
    const THRESHOLD: u32 = 3;
    /// How long nothing is asked then; after that each caller may try, and one more failure closes the door again.
    const OPEN_FOR: Duration = Duration::from_secs(1);

    pub(super) fn new() -> Self {
        Self { state: Mutex::default() }
    }

    /// Whether a call may be made at `now` (monotonic).
    pub(super) fn allows(&self, now: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        now >= state.open_until
    }

    /// A call was answered, whatever the answer said.
    pub(super) fn answered(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = BreakerState::default();
    }

    /// A call was not answered.
    pub(super) fn failed(&self, now: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures = state.failures.saturating_add(1);
        if state.failures >= Self::THRESHOLD {
            state.open_until = now.saturating_add(Self::OPEN_FOR);
        }
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

    #[test]
    fn the_breaker_opens_after_failures_in_a_row_and_closes_by_an_answer() {
        let breaker = Breaker::new();
        let at = Duration::from_millis;
        breaker.failed(at(0));
        breaker.failed(at(0));
        breaker.answered();
        breaker.failed(at(0));
        breaker.failed(at(0));
        assert!(breaker.allows(at(0)));
        breaker.failed(at(0));
        assert!(!breaker.allows(at(999)));
        assert!(breaker.allows(at(1000)));
        breaker.failed(at(1000));
        assert!(!breaker.allows(at(1999)));
        breaker.answered();
        assert!(breaker.allows(at(1999)));
    }
}
