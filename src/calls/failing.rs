//! What fails again and again is told once for each cause, and once when it is over.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// For how long nothing is told after something was: what comes and goes would fill the log. What lasts is told then.
const QUIET: Duration = Duration::from_mins(1);
/// How many causes are told in one row.
const MOST_CAUSES: usize = 16;

/// A row of failures of one kind of thing, and what was told of it. All times are monotonic.
#[derive(Debug)]
pub(crate) struct Failing<C = ()>(Mutex<Row<C>>);

#[derive(Debug)]
struct Row<C> {
    /// When it began; none where the last try did not fail.
    since: Option<Duration>,
    /// The causes that were told in this row.
    told: Vec<C>,
    /// Whether any was.
    is_told: bool,
    told_at: Option<Duration>,
}

impl<C> Default for Failing<C> {
    fn default() -> Self {
        Self(Mutex::new(Row { since: None, told: Vec::new(), is_told: false, told_at: None }))
    }
}

impl<C> Failing<C> {
    /// Whether the last try failed. Not before the first one.
    pub(crate) fn is_failing(&self) -> bool {
        self.since().is_some()
    }

    /// Since when every try has failed; none where the last one did not.
    pub(crate) fn since(&self) -> Option<Duration> {
        self.row().since
    }

    /// Notes a success; how long it had failed, where that was told.
    pub(crate) fn succeeded(&self, now: Duration) -> Option<Duration> {
        let mut row = self.row();
        let since = row.since.take()?;
        row.told.clear();
        std::mem::take(&mut row.is_told).then(|| now.saturating_sub(since))
    }

    /// Forgets what was told, so that the next failure tells it again.
    pub(crate) fn tell_again(&self) {
        let mut row = self.row();
        row.told.clear();
        row.told_at = None;
    }

    fn row(&self) -> MutexGuard<'_, Row<C>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: PartialEq> Failing<C> {
    /// Notes a failure by this cause; whether that is to be told.
    pub(crate) fn failed(&self, now: Duration, cause: C) -> bool {
        let mut row = self.row();
        row.since.get_or_insert(now);
        let is_quiet = row.told_at.is_some_and(|at| now.saturating_sub(at) < QUIET);
        if is_quiet || row.told.len() == MOST_CAUSES || row.told.contains(&cause) {
            return false;
        }
        row.told.push(cause);
        (row.is_told, row.told_at) = (true, Some(now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_failure_of_a_row_is_news_and_the_first_success_after_it() {
        let failing = Failing::default();
        assert!(!failing.is_failing() && failing.succeeded(at(0)).is_none());
        assert!(failing.failed(at(1), ()) && !failing.failed(at(500), ()));
        assert_eq!(failing.since(), Some(at(1)));
        assert_eq!(failing.succeeded(at(601)), Some(at(600)));
        assert!(failing.succeeded(at(602)).is_none() && !failing.is_failing());
    }

    #[test]
    fn another_cause_is_news() {
        let failing = Failing::default();
        assert!(failing.failed(at(0), 0) && failing.failed(at(60), 1));
        assert!(!failing.failed(at(200), 0) && !failing.failed(at(200), 1), "each is told once");
        let told = (0..100).filter(|cause| failing.failed(at(300 + 60 * cause), *cause)).count();
        assert_eq!(told, MOST_CAUSES - 2, "and so many at most");
        assert_eq!(failing.succeeded(at(9000)), Some(at(9000)));
    }

    #[test]
    fn what_comes_and_goes_is_told_once_a_minute_and_what_lasts_is_told() {
        let failing = Failing::default();
        let told = (0..600).filter(|second| {
            let is_told = failing.failed(at(*second), ());
            let is_over = failing.succeeded(at(*second)).is_some();
            assert_eq!(is_told, is_over, "what was not told is not told to be over");
            is_told
        });
        assert_eq!(told.count(), 10);
        assert!(!failing.failed(at(599), ()) && failing.failed(at(600), ()));
    }

    #[test]
    fn what_lasts_can_be_told_again() {
        let failing = Failing::default();
        assert!(failing.failed(at(0), ()));
        failing.tell_again();
        assert!(failing.failed(at(1), ()) && !failing.failed(at(2), ()));
        failing.tell_again();
        assert_eq!(failing.succeeded(at(9)), Some(at(9)), "and is over once it is");
    }
}
