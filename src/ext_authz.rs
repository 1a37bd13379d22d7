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
mod status;
mod wire;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Body;

pub use reply::Reply;

use self::receive::{Received, Unread};
#[cfg(any(test, feature = "fuzzing"))]
use crate::check::Checked;
use crate::{
    check::Checker,
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
        let Some(taken) = self.budget.take(CHECK_BYTES) else { return self.refuse(Reason::TooManyChecks) };
        let (head, body) = request.into_parts();
        let time = deadline::of(&head.headers);
        match read(&head, body, &taken).await {
            Ok(raw) => reply::with(encode::framed(&self.checker.load_full().check(raw, time).await)),
            Err(unread) => self.refuse(unread.reason()),
        }
    }

    /// Denies a check of which nothing is known.
    fn refuse(&self, reason: Reason) -> Response<Reply> {
        reply::with(encode::framed(&self.checker.load().refuse_unread(reason)))
    }
}

/// What a request for a check says of the request that is checked.
async fn read<B>(head: &http::request::Parts, body: B, taken: &Taken) -> Result<RawRequest, Unread>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let received = Received::of(head, body, taken).await?;
    Ok(decode::raw_request(received.message()?)?)
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
