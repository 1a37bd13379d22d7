//! What fails again and again is told once.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the last try failed, so that the first failure of a row is told, and the first success after it.
#[derive(Debug, Default)]
pub(crate) struct Failing(AtomicBool);

impl Failing {
    /// Whether the last try failed. Not before the first one.
    pub(crate) fn is_failing(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Notes a failure; whether it is the first of a row.
    pub(crate) fn failed(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    /// Notes a success; whether it is the first after a failure.
    pub(crate) fn succeeded(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_of_a_row_is_news_and_the_first_success_after_it() {
        let failing = Failing::default();
        assert!(!failing.is_failing() && !failing.succeeded());
        assert!(failing.failed() && !failing.failed() && failing.is_failing());
        assert!(failing.succeeded() && !failing.succeeded() && !failing.is_failing());
    }
}
