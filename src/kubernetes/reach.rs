//! Whether the API server answers.

use std::sync::atomic::{AtomicBool, Ordering};

use super::reviews::ReviewError;

/// Whether the last review brought no answer.
#[derive(Debug, Default)]
pub(super) struct Reach {
    failing: AtomicBool,
}

impl Reach {
    /// Whether the last review was answered. True before the first one.
    pub(super) fn is_answered(&self) -> bool {
        !self.failing.load(Ordering::Relaxed)
    }

    /// Logs the first of a row of failures; the others stand in the metrics and in the records of the checks.
    pub(super) fn note_failure(&self, error: &ReviewError) {
        if self.failing.swap(true, Ordering::Relaxed) {
            tracing::debug!(%error, "a token review failed");
        } else {
            tracing::warn!(%error, "token reviews fail");
        }
    }

    pub(super) fn note_answer(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("token reviews are answered again");
        }
    }
}
