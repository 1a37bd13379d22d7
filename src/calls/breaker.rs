//! What does not answer is not asked again at once.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Answers at once, for a while, where several calls in a row failed: callers must not queue before a dead provider.
#[derive(Debug)]
pub(crate) struct Breaker {
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

    pub(crate) fn new() -> Self {
        Self { state: Mutex::default() }
    }

    /// Whether a call may be made at `now` (monotonic).
    pub(crate) fn allows(&self, now: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        now >= state.open_until
    }

    /// A call was answered, whatever the answer said.
    pub(crate) fn answered(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = BreakerState::default();
    }

    /// A call was not answered.
    pub(crate) fn failed(&self, now: Duration) {
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
