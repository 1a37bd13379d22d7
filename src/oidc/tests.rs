//! Sign-in against a provider that can lie.

mod answers;
mod back_channel;
mod discovery;
mod flow;
mod front_channel;
mod limits;
mod logout;
mod readings;
mod refresh;
mod secrets;
mod shared_calls;
mod step_up;
mod strict;
pub(crate) mod support;
mod troubles;

use super::CallbackOutcome;
use crate::reason::Reason;

/// Why nobody was signed in.
fn failure(outcome: &CallbackOutcome) -> Reason {
    match outcome {
        CallbackOutcome::Failed { reason, .. } => *reason,
        other => panic!("expected a failure, not {other:?}"),
    }
}

/// Where the person, who must be signed in, goes.
fn signed_in(outcome: &CallbackOutcome) -> &str {
    match outcome {
        CallbackOutcome::SignedIn { target, .. } => target.as_str(),
        other => panic!("expected a session, not {other:?}"),
    }
}
