//! Calls of the provider about sessions, each shared by all who ask about one session.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    calls::{Call, Memory, Part, SharedCalls},
    memory::{self, Budget},
    principal::ProviderName,
    reason::Reason,
    session::{Handle, OpenError, Session},
};

/// How long the outcome of a call that failed is told to whoever asks next.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// A session's cookie as it was presented. The ticket does not print.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The ticket.
    pub ticket: &'a str,
    /// The origin's URL, as configured.
    pub origin: &'a str,
    /// The provider that its people sign in at.
    pub provider: &'a ProviderName,
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, provider, .. } = self;
        formatter.debug_struct("Presented").field("origin", origin).field("provider", provider).finish_non_exhaustive()
    }
}

/// Why a session that was there a moment ago does not count: what the store said of its ticket since then.
pub(super) const fn lapsed(error: OpenError) -> Reason {
    match error {
        OpenError::NotOurs | OpenError::Ended => Reason::SessionEnded,
        OpenError::Unavailable => Reason::StoreUnavailable,
    }
}

/// What a call about a session makes of it: the session, or why it does not count. [`Reason::SessionEnded`] where it ended
/// now or meanwhile; [`Reason::ProviderUnavailable`] and [`Reason::StoreUnavailable`] where nobody can tell at present;
/// [`Reason::SignInNotSetUp`] where the provider answers, and refuses us, and [`Reason::ProviderAnswerInvalid`] where nothing
/// can be made of its answer.
pub(super) type Outcome = Result<Arc<Session>, Reason>;

/// The calls of one kind about sessions that are running, or failed a moment ago, by the session's handle. Both are
/// bounded in number by [`memory::SESSION_CALLS_RUNNING`] and [`memory::SESSION_CALLS_FAILED`].
#[derive(Debug)]
pub(super) struct SessionCalls(SharedCalls<Handle, Outcome>);

/// Too many calls run: their provider is too slow for more.
struct TooMany;

/// A call about a session, which runs whether or not anybody waits for it.
pub(super) struct Answer(Result<Call<Outcome>, TooMany>);

impl SessionCalls {
    pub(super) fn new() -> Self {
        let is_failure = |outcome: Option<&Outcome>| {
            // Which is all but that the session ended.
            let failed = !matches!(outcome, Some(Ok(_) | Err(Reason::SessionEnded)));
            failed.then_some(1)
        };
        // One of the room is one outcome.
        let room = Budget::new(memory::SESSION_CALLS_FAILED as u64);
        Self(SharedCalls::remembering(Memory { time: PAUSE_AFTER_FAILURE, room, weigh: is_failure }))
    }

    /// The outcome of the call about this session: of the one that is known, else of `begin`'s, which runs from now on,
    /// whether or not anybody waits for it. Where too many run, none begins.
    pub(super) fn share<F>(&self, session: &Handle, begin: impl FnOnce() -> F) -> Answer
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let part = self.0.join(session.clone(), |running| {
            if running < memory::SESSION_CALLS_RUNNING { Ok(begin()) } else { Err(TooMany) }
        });
        Answer(part.map(Part::call))
    }
}

impl Answer {
    /// Waits for the call's end.
    pub(super) async fn outcome(self) -> Outcome {
        match self.0 {
            Ok(call) => call.await.unwrap_or(Err(Reason::ProviderUnavailable)),
            Err(TooMany) => Err(Reason::ProviderUnavailable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(number: usize) -> Handle {
        Handle::parse(&format!("{number:012}")).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn calls_about_sessions_are_bounded_in_number_and_so_is_what_is_remembered_of_them() {
        const ALL: usize = memory::SESSION_CALLS_RUNNING;
        let calls = SessionCalls::new();
        let share = |number, outcome: Outcome, time| {
            calls.share(&session(number), move || async move {
                tokio::time::sleep(time).await;
                outcome
            })
        };
        let second = Duration::from_secs(1);
        let answers: Vec<_> = (0..ALL).map(|number| share(number, Err(Reason::SessionEnded), second)).collect();
        assert_eq!(
            share(ALL, Err(Reason::SessionEnded), second).outcome().await.unwrap_err(),
            Reason::ProviderUnavailable
        );
        // Whoever asks about a call that runs takes part in it.
        assert_eq!(share(0, Err(Reason::StoreUnavailable), second).outcome().await.unwrap_err(), Reason::SessionEnded);
        for answer in answers {
            assert_eq!(answer.outcome().await.unwrap_err(), Reason::SessionEnded);
        }

        for number in 0..2 * memory::SESSION_CALLS_FAILED {
            let answer = share(number, Err(Reason::ProviderUnavailable), Duration::ZERO);
            assert_eq!(answer.outcome().await.unwrap_err(), Reason::ProviderUnavailable, "{number}");
        }
        let remembered = calls.0.remembered();
        assert!(remembered <= memory::SESSION_CALLS_FAILED, "{remembered}");
        tokio::time::sleep(2 * PAUSE_AFTER_FAILURE).await;
        assert_eq!((calls.0.remembered(), calls.0.running()), (0, 0));
    }
}
