//! Why a request gets an answer of ours, and of which kind that is. The reason alone decides, but for what its row allows.

use std::time::Duration;

use crate::reason::{Disposition, Reason};

/// Why something is refused, or could not be judged; what kind of answer that is, and when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    reason: Reason,
    disposition: Disposition,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// As the reason's row says.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self { reason, disposition: reason.disposition(), retry_after: reason.retry_after() }
    }

    /// The same as another kind of answer, where the reason's row names it beside the usual one; else unchanged.
    #[must_use]
    pub fn instead(self, disposition: Disposition) -> Self {
        if self.reason.dispositions().contains(&disposition) { Self { disposition, ..self } } else { self }
    }

    /// Nobody is authenticated, for this reason.
    #[must_use]
    pub fn unauthenticated(reason: Reason) -> Self {
        Self::new(reason).instead(Disposition::Unauthorized)
    }

    /// The same, where somebody told when to come back.
    #[must_use]
    pub const fn retry_in(self, after: Duration) -> Self {
        Self { retry_after: Some(after), ..self }
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The kind of the answer.
    #[must_use]
    pub const fn disposition(&self) -> Disposition {
        self.disposition
    }

    /// When to come back, where that may help.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_gives_no_kind_of_answer_but_those_of_its_row() {
        let ended = Refusal::new(Reason::SessionEnded);
        assert_eq!(ended.disposition(), Disposition::Unauthorized);
        assert_eq!(ended.instead(Disposition::Forbidden).disposition(), Disposition::Forbidden);
        assert_eq!(ended.instead(Disposition::Ok).disposition(), Disposition::Unauthorized);
        assert_eq!(Refusal::new(Reason::Public).disposition(), Disposition::Internal, "it refuses nothing");
    }

    #[test]
    fn whoever_knows_better_says_when_to_come_back() {
        let busy = Refusal::new(Reason::TooManyReviews);
        assert_eq!(busy.retry_after(), Some(Duration::from_secs(1)));
        assert_eq!(busy.retry_in(Duration::from_secs(7)).retry_after(), Some(Duration::from_secs(7)));
    }
}
