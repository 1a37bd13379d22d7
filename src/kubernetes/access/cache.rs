//! What the API server said about questions, for as long as it may be believed.

use std::{fmt, time::Duration};

use quick_cache::Weighter;

use super::{config::AccessConfig, question::QuestionKey};
use crate::memory::{self, BoundedCache};

/// The caches. Yes and no are apart, so that no number of refused questions evicts an answer that lets somebody pass.
pub(super) struct Answers {
    yes: BoundedCache<QuestionKey, Answered, Weight>,
    no: BoundedCache<QuestionKey, Answered, Weight>,
    yes_life: Duration,
    no_life: Duration,
}

/// When a question was asked that was answered, by the monotonic clock.
#[derive(Clone, Copy)]
struct Answered(Duration);

/// An answer, and how old it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) is_yes: bool,
    pub(super) age: Duration,
}

#[derive(Clone, Copy)]
struct Weight;

impl Weighter<QuestionKey, Answered> for Weight {
    fn weight(&self, _: &QuestionKey, _: &Answered) -> u64 {
        memory::entry::<QuestionKey, Answered>(0)
    }
}

impl Answers {
    pub(super) fn new(config: &AccessConfig) -> Self {
        let cache = |bytes| memory::cache(bytes, memory::entry::<QuestionKey, Answered>(0), Weight);
        Self {
            yes: cache(memory::ACCESS_ANSWERS / 2),
            no: cache(memory::ACCESS_ANSWERS / 2),
            yes_life: config.cache_ttl,
            no_life: config.denied_cache_ttl,
        }
    }

    /// The answer, as long as it counts at `now` (monotonic).
    pub(super) fn get(&self, key: &QuestionKey, now: Duration) -> Option<Known> {
        let fresh = |cache: &BoundedCache<_, Answered, _>, life: Duration| {
            let age = now.saturating_sub(cache.get(key)?.0);
            (age < life).then_some(age)
        };
        let yes = fresh(&self.yes, self.yes_life).map(|age| Known { is_yes: true, age });
        yes.or_else(|| fresh(&self.no, self.no_life).map(|age| Known { is_yes: false, age }))
    }

    /// Whether the last answer that is remembered was yes, however old it is.
    pub(super) fn was_yes(&self, key: &QuestionKey) -> bool {
        self.yes.peek(key).is_some()
    }

    /// Remembers an answer. Its life counts from when it was `asked` (monotonic). It takes the place of the other one.
    pub(super) fn remember(&self, key: QuestionKey, is_yes: bool, asked: Duration) {
        let (to, from) = if is_yes { (&self.yes, &self.no) } else { (&self.no, &self.yes) };
        from.remove(&key);
        to.insert(key, Answered(asked));
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Answers")
            .field("yes", &self.yes.len())
            .field("no", &self.no.len())
            .finish_non_exhaustive()
    }
}
