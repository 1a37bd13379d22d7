//! Whether the API server answers.

use super::reviews::ReviewError;
use crate::calls::Failing;

/// Whether the last review brought no answer.
#[derive(Debug, Default)]
pub(super) struct Reach {
    failing: Failing,
}

impl Reach {
    /// Whether the last review was answered. True before the first one.
    pub(super) fn is_answered(&self) -> bool {
        !self.failing.is_failing()
    }

    /// Logs the first of a row of failures; the others stand in the metrics and in the records of the checks.
    pub(super) fn note_failure(&self, error: &ReviewError) {
        if self.failing.failed() {
            tracing::warn!(%error, "token reviews fail");
        } else {
            tracing::debug!(%error, "a token review failed");
        }
    }

    pub(super) fn note_answer(&self) {
        if self.failing.succeeded() {
            tracing::info!("token reviews are answered again");
        }
    }
}
