//! The loop of a listener: accept, shake hands, serve, and at the end let every connection finish.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use bytes::Bytes;
use http::{Extensions, Response, StatusCode};
use http_body_util::Either;
use hyper::body::Body;
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::time::sleep;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Status, service::Routes};

use super::{
    accept::{Accepted, Listener, Peer},
    answering::{Answering, Routed},
    connection::{self, Answers, BoxError, Patience, Said},
    grpc::Gate,
    limits::Limits,
    places::{Cause, Metrics, Places},
    workers::Workers,
};
use crate::panics::caught;

/// How often a silent connection is asked whether it lives, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_DEADLINE: Duration = Duration::from_secs(20);
/// How many bytes a connection may send ahead of what is read of it, and of an answer how many wait to be sent: the first
/// window of HTTP/2 (RFC 9113 section 6.9.2), below which no connection can go.
const WINDOW: u32 = 65_535;
/// How long to wait when the system has no place for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who may call over a connection, by its peer and what says that its certificate is no longer in force: what its
/// requests bring along, or nothing where the peer is turned away.
pub(super) type Admit = fn(Peer, Option<&CancellationToken>) -> Option<Extensions>;

/// A listener with what answers on it.
pub(super) struct Server<S, B> {
    listener: Listener,
    service: S,
    panicked: fn() -> Response<B>,
    admit: Admit,
    protocol: Builder<TokioExecutor>,
    limits: Limits,
    metrics: Metrics,
    workers: Option<Workers>,
}

impl<S, B> Server<S, B> {
    /// Whom `admit` admits, how it is counted and where it is served, the caller may say afterwards.
    fn new(
        listener: Listener,
        service: S,
        panicked: fn() -> Response<B>,
        protocol: Builder<TokioExecutor>,
        limits: Limits,
    ) -> Self {
        let metrics = Metrics::default();
        Self { listener, service, panicked, admit: anybody, protocol, limits, metrics, workers: None }
    }
}

impl<C: Answering<Said, Body: Body<Data = Bytes, Error: Into<BoxError>>>>
    Server<Gate<C>, Either<C::Body, tonic::body::Body>>
{
    /// Checks: HTTP/2 alone.
    pub(super) fn checks(listener: Listener, service: Gate<C>, limits: Limits) -> Self {
        Self::new(listener, service, failed_check, protocol(limits).http2_only(), limits)
    }
}

impl Server<Routed<Routes>, tonic::body::Body> {
    /// Other gRPC: HTTP/2 alone.
    pub(super) fn grpc(listener: Listener, routes: Routes, limits: Limits) -> Self {
        Self::new(listener, Routed(routes.prepare()), internal, protocol(limits).http2_only(), limits)
    }

    /// Only whom `admit` admits.
    pub(super) fn admitting(self, admit: Admit) -> Self {
        Self { admit, ..self }
    }
}

impl Server<Routed<Router>, axum::body::Body> {
    /// HTTP/1.1 and HTTP/2.
    pub(super) fn http(listener: Listener, router: Router, limits: Limits) -> Self {
        Self::new(listener, Routed(router), internal_error, protocol(limits), limits)
    }
}

fn internal() -> Response<tonic::body::Body> {
    Status::internal("something failed inside").into_http()
}

fn failed_check<C>() -> Response<Either<C, tonic::body::Body>> {
    internal().map(Either::Right)
}

fn internal_error() -> Response<axum::body::Body> {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of those that turn peers away")]
fn anybody(_: Peer, _: Option<&CancellationToken>) -> Option<Extensions> {
    Some(Extensions::new())
}

fn protocol(limits: Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // Ours begins before the first byte, goes on through the body, and is one for both protocols.
        .header_read_timeout(None)
        .max_buf_size(limits.header_bytes as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(WINDOW as usize)
        .max_header_list_size(limits.header_bytes)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_DEADLINE);
    builder
}

impl<S, B> Server<S, B>
where
    S: Answering<Said, Body = B>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Counts whom it turns away.
    pub(super) fn counted(self, metrics: &Metrics) -> Self {
        Self { metrics: metrics.clone(), ..self }
    }

    /// Serves each connection on one of `workers`, and not on the runtime that accepts it.
    pub(super) fn on(self, workers: Workers) -> Self {
        Self { workers: Some(workers), ..self }
    }

    /// Serves until `stop`, then closes the listener, tells every connection to finish (HTTP/2: two GOAWAYs, so that
    /// nothing on its way is lost), and ends when all have.
    pub(super) async fn run(self, stop: CancellationToken) {
        let Self { listener, service, panicked, admit, protocol, limits, metrics, workers } = self;
        let connections = Connections {
            places: Places::new(listener.name(), limits.unfinished, limits.finished, limits.strangers, metrics),
            tasks: TaskTracker::new(),
            protocol: Arc::new(protocol),
            answers: Answers { service, extensions: Extensions::new(), panicked },
            admit,
            patience: limits.patience,
            stop: stop.clone(),
            workers,
        };
        while caught(connections.accept(&listener)).await.is_err() {
            sleep(ACCEPT_PAUSE).await;
        }
        // Whoever has connected already is in the kernel's queue, and would be cut off with the listener.
        connections.serve_waiting(&listener);
        drop(listener);
        connections.tasks.close();
        connections.tasks.wait().await;
    }
}

/// What all connections of a listener share.
struct Connections<S, B> {
    places: Arc<Places>,
    tasks: TaskTracker,
    protocol: Arc<Builder<TokioExecutor>>,
    answers: Answers<S, B>,
    admit: Admit,
    patience: Patience,
    stop: CancellationToken,
    workers: Option<Workers>,
}

impl<S, B> Connections<S, B>
where
    S: Answering<Said, Body = B>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Accepts until the end: whether there is a place is asked afterwards.
    async fn accept(&self, listener: &Listener) {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                accepted = self.next(listener) => match accepted {
                    Ok(accepted) => self.serve(accepted),
                    // The peer was faster than we.
                    Err(error) if is_the_peers(&error) => {}
                    Err(error) => {
                        tracing::warn!(listener = listener.name(), %error, "a connection could not be accepted");
                        self.places.make_room();
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    /// The next connection, once those that had to give way have closed.
    async fn next(&self, listener: &Listener) -> io::Result<Accepted> {
        self.places.settle().await;
        listener.accept().await
    }

    fn serve_waiting(&self, listener: &Listener) {
        use futures::FutureExt as _;
        while let Some(Ok(accepted)) = listener.accept().now_or_never() {
            self.serve(accepted);
        }
    }

    fn serve(&self, accepted: Accepted) {
        let place = self.places.take();
        let (protocol, answers) = (Arc::clone(&self.protocol), self.answers.clone());
        let (admit, patience, stop) = (self.admit, self.patience, self.stop.clone());
        let worker = self.workers.as_ref().and_then(Workers::next);
        let served = async move {
            let mut first = Box::pin(sleep(patience.first_request));
            let greeted = tokio::select! {
                () = place.gives_way() => None,
                () = &mut first => {
                    place.turned_away(Cause::Unfinished);
                    None
                }
                greeted = accepted.handshake() => greeted,
            };
            let Some((stream, superseded)) = greeted else { return };
            let Some(extensions) = admit(stream.peer(), superseded.as_ref()) else { return };
            let ends = async {
                match superseded {
                    Some(superseded) => tokio::select! {
                        () = stop.cancelled() => {}
                        () = superseded.cancelled() => {}
                    },
                    None => stop.cancelled().await,
                }
            };
            let answers = Answers { extensions, ..answers };
            connection::serve(&protocol, stream, answers, &place, first, patience, ends).await;
        };
        match worker {
            Some(worker) => self.tasks.spawn_on(served, worker),
            None => self.tasks.spawn(served),
        };
    }
}

fn is_the_peers(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}
