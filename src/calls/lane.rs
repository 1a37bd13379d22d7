//! The way to another party, for one kind of call.

use std::{sync::Arc, time::Duration};

use super::{
    breaker::Breaker,
    places::{Place, Places, Wanted},
};
use crate::clock::SharedClock;

/// The way to another party for one kind of call: so many run at once, each within a deadline, and none is begun while
/// the other side does not answer. Kinds of call that go to one endpoint share its breaker.
#[derive(Debug)]
pub(crate) struct Lane {
    places: Places,
    breaker: Arc<Breaker>,
    clock: SharedClock,
}

/// Why no call may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The last calls were not answered.
    Failing,
    /// Too many run.
    Full,
}

/// The error of a call through a [`Lane`].
pub(crate) trait CallFailure {
    /// The deadline passed.
    fn out_of_time() -> Self;
    /// Whether there was no answer, whatever it would have said.
    fn is_unanswered(&self) -> bool;
}

impl Lane {
    /// A lane for `bound` calls at once.
    pub(crate) fn new(bound: usize, breaker: &Arc<Breaker>, clock: &SharedClock) -> Self {
        Self { places: Places::new(bound), breaker: Arc::clone(breaker), clock: Arc::clone(clock) }
    }

    /// A place for a call that does not wait.
    pub(crate) fn enter_now(&self) -> Result<Place, Closed> {
        self.check()?;
        self.places.take_now().ok_or(Closed::Full)
    }

    /// A place for a call that waits for it, `patience` at most.
    pub(crate) async fn enter(&self, patience: Duration) -> Result<Place, Closed> {
        let place = self.places.take(Wanted::ByAnybody, patience).await.ok_or(Closed::Full)?;
        // Afterwards, since it may have been learnt meanwhile.
        self.check()?;
        Ok(place)
    }

    /// Runs `call` within `deadline`. Whether it was answered counts for the next ones.
    pub(crate) async fn call<T, E: CallFailure>(
        &self,
        deadline: Duration,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let outcome = tokio::time::timeout(deadline, call).await.unwrap_or_else(|_| Err(E::out_of_time()));
        match &outcome {
            Err(failure) if failure.is_unanswered() => self.breaker.failed(self.clock.monotonic()),
            _ => self.breaker.answered(),
        }
        outcome
    }

    fn check(&self) -> Result<(), Closed> {
        if self.breaker.allows(self.clock.monotonic()) { Ok(()) } else { Err(Closed::Failing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Failure {
        Late,
        Refused,
    }

    impl CallFailure for Failure {
        fn out_of_time() -> Self {
            Self::Late
        }

        fn is_unanswered(&self) -> bool {
            *self == Self::Late
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn calls_without_an_answer_close_every_lane_of_the_endpoint_for_a_while() {
        let manual = ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000));
        let clock: SharedClock = manual.clone();
        let breaker = Arc::new(Breaker::new());
        let (one, other) = (Lane::new(1, &breaker, &clock), Lane::new(1, &breaker, &clock));
        for _ in 0..3 {
            assert!(one.enter_now().is_ok());
            let outcome: Result<(), Failure> = one.call(SECOND, std::future::pending()).await;
            assert_eq!(outcome, Err(Failure::Late));
        }
        assert_eq!(one.enter_now().err(), Some(Closed::Failing));
        assert_eq!(other.enter(SECOND).await.err(), Some(Closed::Failing));
        manual.advance(SECOND);
        assert!(one.enter_now().is_ok());
        // An answer is one, whatever it says.
        assert_eq!(one.call(SECOND, async { Err::<(), _>(Failure::Refused) }).await, Err(Failure::Refused));
        let place = one.enter_now().unwrap();
        assert_eq!(one.enter_now().err(), Some(Closed::Full));
        assert_eq!(one.enter(SECOND).await.err(), Some(Closed::Full));
        drop(place);
        assert!(one.enter(SECOND).await.is_ok());
    }
}
