//! What checks may take while they are under way, and what a gateway is told of one that cannot be read.
//!
//! A check is counted from its first byte to its answer, so that neither many messages nor large ones take more memory
//! than there is. No check ends in an error of gRPC, which a gateway may be configured to take for "allowed": one that is
//! not read is denied like any other, and stands in the log.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::{BufMut as _, Bytes, BytesMut};
use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use prost::Message as _;
use tokio::time::{Sleep, sleep};
use tonic::{Code, Status, body::Body, server::NamedService};
use tower::Service;

use super::encode;
use crate::{
    check::Checker,
    memory::{self, Budget, Taken},
    reason::Reason,
};

/// The path of the one method that is a check.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
/// The longest message that is read, in bytes. Envoy's limit for all headers of a request is 60 KiB; what is longer
/// holds a body (`with_request_body`), which nothing here looks at.
pub(super) const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// What a check takes beside its message, in bytes.
const CHECK_BYTES: usize = 16 * 1024;
/// How often a message's bytes are there at once: as they came, and as they were read.
const COPIES: usize = 2;
/// Up to this size a message may use the quarter of the memory that longer ones leave free, in bytes.
const SHORT_BYTES: usize = 8 * 1024;

/// How long a message may take to arrive: a gateway has all of it when it begins.
const MESSAGE_DEADLINE: Duration = Duration::from_secs(10);

/// The checker that a reload may replace.
pub type SharedChecker = Arc<ArcSwap<Checker>>;

/// Bounds the checks of a service that are under way.
#[derive(Clone, Debug)]
pub struct Bounded<S> {
    service: S,
    checker: SharedChecker,
    budget: Arc<Budget>,
}

impl<S> Bounded<S> {
    pub(super) fn new(service: S, checker: SharedChecker) -> Self {
        Self { service, checker, budget: Budget::new(memory::CHECKS) }
    }
}

impl<S: NamedService> NamedService for Bounded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Bounded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.uri().path() != CHECK {
            return self.service.call(request).boxed();
        }
        let checker = Arc::clone(&self.checker);
        let Some(taken) = self.budget.take(CHECK_BYTES) else {
            return std::future::ready(Ok(denied(&checker, Reason::TooManyChecks))).boxed();
        };
        let message = Arc::new(Message { taken, read: AtomicUsize::new(0), has_room: AtomicBool::new(true) });
        let counted = Arc::clone(&message);
        let answer =
            self.service.call(request.map(|body| Body::new(Counted { body, message: counted, deadline: None })));
        async move {
            let response = answer.await?;
            Ok(match refused(&response) {
                None => response,
                Some(status) => denied(&checker, message.reason(&status)),
            })
        }
        .boxed()
    }
}

/// What a message takes while its check is under way.
#[derive(Debug)]
struct Message {
    taken: Taken,
    read: AtomicUsize,
    has_room: AtomicBool,
}

impl Message {
    /// Counts so many bytes more; whether there is room for them.
    fn grow(&self, bytes: usize) -> bool {
        let length = self.read.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let more = bytes.saturating_mul(COPIES);
        let has_room = if length <= SHORT_BYTES { self.taken.more(more) } else { self.taken.more_common(more) };
        if !has_room {
            self.has_room.store(false, Ordering::Relaxed);
        }
        has_room
    }

    /// Why it was not read.
    fn reason(&self, status: &Status) -> Reason {
        if !self.has_room.load(Ordering::Relaxed) {
            return Reason::TooManyChecks;
        }
        let bytes = self.read.load(Ordering::Relaxed);
        if status.code() == Code::OutOfRange {
            tracing::warn!(
                limit = MAX_MESSAGE_BYTES,
                "a gateway sends a message over the limit, which is refused: is `with_request_body` set? No body is looked at here"
            );
        } else {
            tracing::warn!(%status, bytes, "a gateway's message cannot be read");
        }
        Reason::MalformedRequest
    }
}

/// A body whose bytes are counted.
struct Counted {
    body: Body,
    message: Arc<Message>,
    /// Runs from when something of it was waited for.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(MESSAGE_DEADLINE)));
            return deadline.as_mut().poll(context).map(|()| Some(Err(Status::deadline_exceeded("a slow message"))));
        };
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && !self.message.grow(data.len())
        {
            return Poll::Ready(Some(Err(Status::resource_exhausted("too many checks at once"))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The error that a response is, where it is one. Such a response has no body.
fn refused(response: &Response<Body>) -> Option<Status> {
    Status::from_header_map(response.headers()).filter(|status| status.code() != Code::Ok)
}

/// A denial of a check of which nothing is known.
fn denied(checker: &SharedChecker, reason: Reason) -> Response<Body> {
    framed(&encode::response(checker.load().refuse_unread(reason)))
}

/// A response of gRPC with this message ("gRPC over HTTP2", Length-Prefixed-Message), whose status is OK.
fn framed(message: &CheckResponse) -> Response<Body> {
    let message = message.encode_to_vec();
    let mut bytes = BytesMut::with_capacity(5 + message.len());
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    bytes.put_slice(&message);
    let mut trailers = http::HeaderMap::new();
    trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
    let body = Full::new(bytes.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
