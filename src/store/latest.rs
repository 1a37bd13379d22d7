//! The latest time that was seen, and the time by which a store judges.

use std::sync::atomic::{AtomicU64, Ordering};

use super::limits::CLOCK_TOLERANCE;
use crate::clock::Timestamp;

/// The time by which a step judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) now: Timestamp,
    /// Whether the clock stepped back for good: what had expired by the later time is deleted before that is forgotten.
    pub(crate) stepped_back: bool,
}

impl Judged {
    /// The time by which is judged where the clock says `clock`, and `latest` was seen.
    pub(crate) fn by(clock: Timestamp, latest: Timestamp) -> Self {
        let stepped_back = clock.plus(CLOCK_TOLERANCE) < latest;
        Self { now: if stepped_back { clock } else { clock.max(latest) }, stepped_back }
    }
}

/// The latest time that a process saw, unless the clock has stepped back since. In milliseconds since the Unix epoch.
#[derive(Debug)]
pub(crate) struct LatestTime(AtomicU64);

impl LatestTime {
    /// So much was seen before.
    pub(crate) const fn of(seen: Timestamp) -> Self {
        Self(AtomicU64::new(seen.as_unix_millis()))
    }

    /// What was seen.
    pub(crate) fn get(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::SeqCst))
    }

    /// Notes that the clock says `now`; the latest time that was seen before.
    pub(crate) fn note(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_unix_millis(self.0.fetch_max(now.as_unix_millis(), Ordering::SeqCst))
    }

    /// Notes the time by which a step judged that knew of `seen` as the latest before.
    pub(crate) fn settle(&self, seen: Timestamp, judged: Timestamp) {
        let (seen, judged) = (seen.as_unix_millis(), judged.as_unix_millis());
        if judged < seen {
            // The clock stepped back, and what had expired by the later time is gone. Who moved it on meanwhile wins.
            let _ = self.0.compare_exchange(seen, judged, Ordering::SeqCst, Ordering::SeqCst);
        } else {
            self.0.fetch_max(judged, Ordering::SeqCst);
        }
    }
}
