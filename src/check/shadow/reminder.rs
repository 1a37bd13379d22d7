//! What is to be said again and again for as long as it lasts.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::difference::Source;

/// How long what was said is remembered by whoever reads, in milliseconds.
const EVERY: u64 = 10 * 60 * 1000;
const NEVER: u64 = u64::MAX;

/// What each kind of shadow is said with.
#[derive(Debug)]
pub(in crate::check) struct Reminders {
    gateway: Reminder,
    rule: Reminder,
}

/// Says when it is time to say something again. Whoever asks seldom is told each time.
#[derive(Debug)]
struct Reminder {
    /// In milliseconds of the monotonic clock.
    last: AtomicU64,
}

impl Reminders {
    pub(in crate::check) const fn new() -> Self {
        Self { gateway: Reminder::new(), rule: Reminder::new() }
    }

    pub(super) fn is_due(&self, source: Source, now: Duration) -> bool {
        match source {
            Source::Gateway => self.gateway.is_due(now),
            Source::Rule => self.rule.is_due(now),
        }
    }
}

impl Reminder {
    const fn new() -> Self {
        Self { last: AtomicU64::new(NEVER) }
    }

    /// Whether it is time: for one caller of all that ask at once.
    fn is_due(&self, now: Duration) -> bool {
        let now = u64::try_from(now.as_millis()).unwrap_or(NEVER - 1);
        let last = self.last.load(Ordering::Relaxed);
        let is_due = last == NEVER || now.saturating_sub(last) >= EVERY;
        is_due && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_time_at_first_and_then_every_ten_minutes() {
        let reminder = Reminder::new();
        let due = |minutes| reminder.is_due(Duration::from_mins(minutes));
        assert_eq!([0, 0, 9, 10, 11, 19, 25].map(due), [true, false, false, true, false, false, true]);
    }
}
