//! Whether the API server answers.

use std::sync::Arc;

use super::reviews::ReviewError;
use crate::{calls::Failing, clock::SharedClock};

/// Whether the last review brought no answer.
#[derive(Debug)]
pub(super) struct Reach {
    failing: Failing,
    clock: SharedClock,
    /// What is asked for, in words for people.
    calls: &'static str,
}

impl Reach {
    pub(super) fn new(clock: &SharedClock, calls: &'static str) -> Self {
        Self { failing: Failing::default(), clock: Arc::clone(clock), calls }
    }

    /// Whether the last review was answered. True before the first one.
    pub(super) fn is_answered(&self) -> bool {
        !self.failing.is_failing()
    }

    /// Logs the first of a row of failures; the others stand in the metrics and in the records of the checks.
    pub(super) fn note_failure(&self, error: &ReviewError) {
        if self.failing.failed(self.clock.monotonic(), ()) {
            tracing::warn!(%error, "{} fail", self.calls);
        } else {
            tracing::debug!(%error, "one of the {} failed", self.calls);
        }
    }

    pub(super) fn note_answer(&self) {
        if let Some(lasted) = self.failing.succeeded(self.clock.monotonic()) {
            tracing::info!(lasted_s = lasted.as_secs(), "{} are answered again", self.calls);
        }
    }
}
