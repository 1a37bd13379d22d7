//! gRPC in and out: the only user of Envoy's types, and one of two modules that know status codes.
//!
//! No check ends in an error of gRPC, which a gateway may be configured to take for "allowed": one that is not read is
//! denied like any other, and stands in the log. What checks take while they are under way is bounded: each is counted
//! from its first byte to its answer, so that neither many messages nor large ones take more memory than there is.
//!
//! A message is read where it lies and an answer written as bytes, without the types that protocol buffers generate: these
//! would cost more than all that is decided. `reference`, a part of the tests, does the same by `envoy-types`.

mod answer;
mod deadline;
mod decode;
mod encode;
mod receive;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod reference;
mod reply;
mod shadow;
mod status;
mod wire;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response, request::Parts};
use hyper::body::Body;

pub use reply::Reply;

use self::{
    answer::Answer,
    receive::{Received, Unread},
};
use crate::{
    check::{Checked, Checker},
    memory::{self, Budget, Taken},
    reason::Reason,
    request::RawRequest,
};

/// The path of the one method that is a check (`envoy.service.auth.v3.Authorization`).
pub const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// What a check takes beside its message, in bytes.
const CHECK_BYTES: usize = 16 * 1024;

/// The checker that a reload may replace.
pub type SharedChecker = Arc<ArcSwap<Checker>>;

/// Answers checks, with a bound on what all that are under way take.
#[derive(Clone, Debug)]
pub struct Checks {
    checker: SharedChecker,
    budget: Arc<Budget>,
}

impl Checks {
    /// Answers checks by what `checker` holds when they come.
    #[must_use]
    pub fn new(checker: SharedChecker) -> Self {
        Self { checker, budget: Budget::new(memory::CHECKS) }
    }

    /// Answers a request for [`CHECK`].
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Reply>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let in_shadow = self.checker.load().lets_gateways_ask_in_shadow() && shadow::asks(request.headers());
        let Some(taken) = self.budget.take(CHECK_BYTES) else {
            return if in_shadow { reply::with(encode::unchanged()) } else { self.refuse(Reason::TooManyChecks) };
        };
        let (head, body) = request.into_parts();
        if in_shadow {
            return self.foresee(head, body, taken).await;
        }
        let time = deadline::of(&head.headers);
        match read(&head, body, &taken).await {
            Ok(raw) => {
                let checker = self.checker.load_full();
                let decided = checker.check(raw, time).await;
                let reply = reply::with(encode::framed(&decided));
                if checker.has_rules_in_shadow() {
                    shadow::after(taken, async move { checker.tell_rules_in_shadow(decided).await });
                }
                reply
            }
            Err(unread) => self.refuse(unread.reason()),
        }
    }

    /// Answers a gateway that asks in shadow at once, whatever it asks, and tells afterwards what would be decided.
    async fn foresee<B>(&self, head: Parts, body: B, taken: Taken) -> Response<Reply>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match read(&head, body, &taken).await {
            Ok(raw) => {
                let checker = self.checker.load_full();
                shadow::after(taken, async move { checker.tell_gateway_in_shadow(raw).await });
            }
            // What is wrong with it is told.
            Err(unread) => _ = unread.reason(),
        }
        reply::with(encode::unchanged())
    }

    /// Denies a check of which nothing is known.
    fn refuse(&self, reason: Reason) -> Response<Reply> {
        reply::with(encode::framed(&self.checker.load().refuse_unread(reason)))
    }
}

/// What a request for a check says of the request that is checked.
async fn read<B>(head: &Parts, body: B, taken: &Taken) -> Result<RawRequest, Unread>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let received = Received::of(head, body, taken).await?;
    Ok(decode::raw_request(received.message()?)?)
}

/// The HTTP status with which a gateway answers in our name; nothing where the request goes on.
#[must_use]
pub fn status(checked: &Checked) -> Option<u16> {
    match Answer::to(checked) {
        Answer::Allowed(_) => None,
        Answer::Denied(denied) => Some(denied.status),
    }
}

/// A check as [`Checks`] answers it: how it was decided, and the bytes of the answer. `None` where the bytes are no check.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) async fn answer(checker: &Checker, message: &[u8]) -> Option<(Checked, Vec<u8>)> {
    let decided = checker.check(raw_request(message)?, None).await;
    let framed = encode::framed(&decided);
    let answer = framed.get(encode::PREFIX..).unwrap_or_default().to_vec();
    Some((decided, answer))
}

/// Reads a message as [`Checks`] does, before anything of it is believed. `None` where the bytes are no check.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn raw_request(message: &[u8]) -> Option<RawRequest> {
    decode::raw_request(message).ok()
}

#[cfg(test)]
mod tests;
