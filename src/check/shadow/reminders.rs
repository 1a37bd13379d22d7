//! What is to be said again and again for as long as it lasts.

use std::time::Duration;

use super::difference::Source;
use crate::calls::RateLimit;

/// How long what was said is remembered by whoever reads.
const EVERY: Duration = Duration::from_mins(10);

/// What each kind of shadow is said with: whoever asks seldom is told each time.
#[derive(Debug)]
pub(in crate::check) struct Reminders {
    gateway: RateLimit,
    rule: RateLimit,
}

impl Reminders {
    pub(in crate::check) fn new() -> Self {
        let reminder = || RateLimit::every(EVERY, 1);
        Self { gateway: reminder(), rule: reminder() }
    }

    /// Whether it is time, by the monotonic clock: for one caller of all that ask at once.
    pub(super) fn is_due(&self, source: Source, now: Duration) -> bool {
        match source {
            Source::Gateway => self.gateway.take(now),
            Source::Rule => self.rule.take(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_time_at_first_and_then_every_ten_minutes() {
        let reminders = Reminders::new();
        let due = |minutes| reminders.is_due(Source::Gateway, Duration::from_mins(minutes));
        assert_eq!([0, 0, 9, 10, 11, 19, 25].map(due), [true, false, false, true, false, false, true]);
        assert!(reminders.is_due(Source::Rule, Duration::from_mins(25)), "each kind has its own");
    }
}
