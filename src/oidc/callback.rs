//! A browser comes back from the provider: what it brings, and what came of it.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use super::return_target::ReturnTarget;
use crate::{
    authz::LoginRequirement,
    calls::{Memory, SharedCalls},
    memory::{self, Budget},
    origin::LoginOrigin,
    reason::Reason,
    secret::SecretString,
    session::Session,
};

/// How long an answer is kept for one who asks again, where there is room for it.
const KEEP: Duration = Duration::from_secs(10);
/// What an answer takes beside what it says: its place, its future and the task that forgets it.
const ANSWER_BYTES: usize = 2048;

/// A browser came back from the provider. What it brought does not print.
#[derive(Clone, Copy)]
pub struct CallbackRequest<'a> {
    /// The origin that it came to.
    pub origin: &'a LoginOrigin,
    /// The query, without its `?`.
    pub query: &'a str,
    /// The values of every cookie with the login cookie's name.
    pub login_cookies: &'a [&'a str],
    /// The ticket that came along, if any: its session ends when another begins.
    pub previous_ticket: Option<&'a str>,
    /// Where the browser is, for the list of sessions.
    pub source: Option<IpAddr>,
}

impl fmt::Debug for CallbackRequest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, source, .. } = self;
        formatter
            .debug_struct("CallbackRequest")
            .field("origin", &origin.url)
            .field("source", source)
            .finish_non_exhaustive()
    }
}

/// What came of a callback.
#[derive(Clone, Debug)]
pub enum CallbackOutcome {
    /// Somebody is signed in.
    SignedIn {
        /// The value of the session cookie.
        ticket: SecretString,
        /// Where they wanted to go.
        target: ReturnTarget,
        /// Their session.
        session: Arc<Session>,
    },
    /// The state is ours, but old, spent, or of another browser: nothing was exchanged or written. With a live session that
    /// has what is required the browser goes on to the target, else it starts again, with `attempts` and one.
    /// So it does where a login came back without the context class that is required, and nobody was asked to authenticate
    /// anew: that was exchanged, and began no session.
    StaleState {
        /// Where the login was to end.
        target: ReturnTarget,
        /// How often it was started again before.
        attempts: u8,
        /// What the login was to bring, where it was for that.
        required: Option<LoginRequirement>,
    },
    /// Nobody is signed in.
    Failed {
        /// Why.
        reason: Reason,
        /// Where the login was to end, for a link to try again; `None` where the state is not ours.
        target: Option<ReturnTarget>,
    },
}

impl CallbackOutcome {
    pub(super) const fn failed(reason: Reason) -> Self {
        Self::Failed { reason, target: None }
    }

    /// About how many bytes it points to.
    fn heap_bytes(&self) -> usize {
        let target = |target: &ReturnTarget| memory::block(target.as_str().len());
        match self {
            Self::SignedIn { ticket, target: wanted, session } => {
                memory::block(ticket.expose().len()) + target(wanted) + session.heap_bytes()
            }
            Self::StaleState { target: wanted, required, .. } => {
                target(wanted) + required.as_ref().map_or(0, LoginRequirement::heap_bytes)
            }
            Self::Failed { target: wanted, .. } => wanted.as_ref().map_or(0, target),
        }
    }
}

/// The callbacks that are being answered or were a moment ago: the same one twice shares one exchange, since Envoy may
/// repeat a check. Of the first there are no more than the limits let begin; what the others say is bounded in bytes.
/// Without room whoever asks again hears that the callback was answered, and goes on with the session.
pub(super) type Callbacks = SharedCalls<CallbackKey, CallbackOutcome>;

/// Names a callback: a hash of its state's id and its code.
pub(super) type CallbackKey = [u8; 32];

/// None is being answered yet.
pub(super) fn callbacks() -> Callbacks {
    let weigh = |outcome: Option<&CallbackOutcome>| Some(ANSWER_BYTES + outcome.map_or(0, CallbackOutcome::heap_bytes));
    Callbacks::remembering(Memory { time: KEEP, room: Budget::new(memory::CALLBACKS), weigh })
}

#[cfg(test)]
mod tests {
    use allocation_counter::measure;
    use tokio::runtime::Builder;

    use super::*;

    /// More answers than are kept, one after the other, of some 4 KiB each.
    async fn fill(callbacks: &Callbacks) {
        let target = ReturnTarget::from(format!("/{}", "a".repeat(2000)));
        for number in 0..10_000_u32 {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&number.to_be_bytes());
            let outcome = CallbackOutcome::Failed { reason: Reason::ProviderDenied, target: Some(target.clone()) };
            let answer = callbacks.join(key, |_| Ok::<_, Reason>(async move { outcome })).unwrap().call();
            assert!(matches!(answer.await, Some(CallbackOutcome::Failed { .. })), "{number}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_answers_say_is_kept_for_a_while_and_bounded_in_bytes() {
        let callbacks = callbacks();
        fill(&callbacks).await;
        tokio::time::sleep(KEEP / 2).await;
        let kept = || callbacks.remembered() as u64;
        let most = memory::CALLBACKS / 4096;
        assert!((most / 2..=most).contains(&kept()), "{} answers of 4 KiB are kept", kept());
        tokio::time::sleep(KEEP).await;
        assert_eq!(kept(), 0);
    }

    #[test]
    fn kept_answers_take_no_more_than_their_part() {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let callbacks = callbacks();
        let filled = measure(|| runtime.block_on(fill(&callbacks)));
        assert!(filled.bytes_max <= memory::CALLBACKS, "{filled:?}");
        assert!(filled.bytes_max >= memory::CALLBACKS / 4, "else nothing was filled: {filled:?}");
    }
}
