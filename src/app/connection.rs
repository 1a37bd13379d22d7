//! One connection, for as long as it has something to say.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Extensions, Request, Response};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use tokio::time::{Sleep, sleep};

use super::{
    accept::Stream,
    answering::Answering,
    gathering::Gathering,
    lingering::Lingering,
    places::{Cause, Place, Turn},
};
use crate::panics::{Panicked, caught};

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Until something changes: no process lives that long.
const FOR_EVER: Duration = Duration::from_hours(24 * 365);

/// How long a connection may take to close after it was asked to, beyond the answers that are owed.
const CLOSING: Duration = Duration::from_secs(1);

/// How long a connection may keep its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Until its first request is complete, from its beginning: the handshake, the header and the body.
    pub(super) first_request: Duration,
    /// Until the next request, and for reading an answer; none: for ever. Answers to pings do not count.
    pub(super) idle: Option<Duration>,
    /// Whether a connection that has to go gets every answer that is owed, and what is on its way is still taken; else
    /// it is cut where others need its place, and soon after it was asked to close.
    pub(super) lets_finish: bool,
}

/// How requests are answered on a connection.
pub(super) struct Answers<S, B> {
    pub(super) service: S,
    /// What every request brings along.
    pub(super) extensions: Extensions,
    /// The answer where the service panicked.
    pub(super) panicked: fn() -> Response<B>,
}

impl<S: Clone, B> Clone for Answers<S, B> {
    fn clone(&self) -> Self {
        Self { service: self.service.clone(), extensions: self.extensions.clone(), panicked: self.panicked }
    }
}

/// Serves a connection until it ends, `ends` says that it should, or its patience is over. `first` is what is left of the
/// time for the first request.
pub(super) async fn serve<S, B>(
    protocol: &Builder<TokioExecutor>,
    stream: Stream,
    answers: Answers<S, B>,
    place: &Place,
    first: Pin<Box<Sleep>>,
    patience: Patience,
    ends: impl Future<Output = ()>,
) where
    S: Answering<Said, Body = B>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let answers = Arc::new(answers);
    let service = service_fn(move |request| answer(Arc::clone(&answers), request, place.turn()));
    let mut connection =
        std::pin::pin!(protocol.serve_connection(TokioIo::new(Gathering::new(Lingering::new(stream))), service));
    let mut timer = first;
    let mut ends = std::pin::pin!(ends);
    let (mut closing, mut ended, mut crowded) = (false, false, false);
    loop {
        tokio::select! {
            outcome = &mut connection => {
                if let Err(error) = outcome {
                    tracing::debug!(error, "a connection broke");
                }
                return;
            }
            () = place.changed(), if !closing => timer.set(sleep(left(place, patience))),
            () = &mut ends, if !ended => {
                ended = true;
                connection.as_mut().graceful_shutdown();
            }
            () = place.gives_way(), if !crowded => {
                crowded = true;
                if !patience.lets_finish || !place.is_finished() {
                    return;
                }
                closing = true;
                connection.as_mut().graceful_shutdown();
                timer.set(sleep(CLOSING));
            }
            () = place.cut() => return,
            () = timer.as_mut() => {
                if closing && !(patience.lets_finish && place.is_busy()) {
                    return;
                }
                if !closing {
                    place.turned_away(if place.is_finished() { Cause::Idle } else { Cause::Unfinished });
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                timer.set(sleep(CLOSING));
            }
        }
    }
}

/// How long a connection that has said something may be as it is.
fn left(place: &Place, patience: Patience) -> Duration {
    if place.is_busy() { FOR_EVER } else { patience.idle.unwrap_or(FOR_EVER) }
}

async fn answer<S: Answering<Said>>(
    answers: Arc<Answers<S, S::Body>>,
    request: Request<Incoming>,
    turn: Turn,
) -> Result<Response<S::Body>, Infallible> {
    let turn = Arc::new(turn);
    let waiting = Waiting(Arc::clone(&turn));
    let mut request = request.map(|body| Said::new(body, turn));
    if !answers.extensions.is_empty() {
        request.extensions_mut().extend(answers.extensions.clone());
    }
    let outcome = caught(async { answers.service.answer(request).await }).await;
    waiting.0.answered();
    Ok(outcome.unwrap_or_else(|Panicked| (answers.panicked)()))
}

/// Notices that the peer gave up.
struct Waiting(Arc<Turn>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.given_up();
    }
}

/// A request's body, at whose end it is our turn.
#[derive(Debug)]
pub(super) struct Said {
    body: Incoming,
    turn: Arc<Turn>,
}

impl Said {
    fn new(body: Incoming, turn: Arc<Turn>) -> Self {
        let this = Self { body, turn };
        this.is_complete();
        this
    }

    fn is_complete(&self) {
        if self.body.is_end_stream() {
            self.turn.complete();
        }
    }
}

impl Body for Said {
    type Data = <Incoming as Body>::Data;
    type Error = <Incoming as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(None) => self.turn.complete(),
            Poll::Ready(Some(Ok(_))) => self.is_complete(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
