//! The loop of a listener: accept, shake hands, serve, and at the end let every connection finish.

use std::{future::Future, sync::Arc, time::Duration};

use axum::Router;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;
use tower::Service;

use super::accept::{Accepted, Listener, Stream};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long the header of a request may take to arrive, and how long a connection may wait for the next one.
const HEADER_DEADLINE: Duration = Duration::from_secs(30);
/// How often a silent connection is asked whether it lives, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_DEADLINE: Duration = Duration::from_secs(20);
/// How long to wait when the system has no place for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a listener takes at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at once; more wait.
    pub(super) connections: usize,
    /// Requests at once on one connection.
    pub(super) streams: u32,
    /// Bytes of one request's header.
    pub(super) header_bytes: u32,
}

impl Limits {
    /// The check service: a few gateways with many requests each. What they send of a request comes as a message, not
    /// as a header.
    pub(super) const CHECK: Self = Self { connections: 4096, streams: 4096, header_bytes: 32 * 1024 };
    /// The public listener.
    pub(super) const HTTP: Self = Self { connections: 1024, streams: 32, header_bytes: 16 * 1024 };
    /// Operations: a kubelet and a scraper or two.
    pub(super) const OPERATIONS: Self = Self { connections: 128, streams: 32, header_bytes: 16 * 1024 };
}

/// A listener with what answers on it.
pub(super) struct Server<S> {
    listener: Listener,
    service: S,
    protocol: Builder<TokioExecutor>,
    limits: Limits,
}

impl Server<Routes> {
    /// gRPC: HTTP/2 alone.
    pub(super) fn grpc(listener: Listener, routes: Routes, limits: Limits) -> Self {
        Self { listener, service: routes.prepare(), protocol: protocol(limits).http2_only(), limits }
    }
}

impl Server<Router> {
    /// HTTP/1.1 and HTTP/2.
    pub(super) fn http(listener: Listener, router: Router, limits: Limits) -> Self {
        Self { listener, service: router, protocol: protocol(limits), limits }
    }
}

fn protocol(limits: Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(limits.header_bytes as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_DEADLINE);
    builder
}

impl<S, B> Server<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Serves until `stop`, then closes the listener, tells every connection to finish (HTTP/2: two GOAWAYs, so that
    /// nothing on its way is lost), and ends when all have.
    pub(super) async fn run(self, stop: CancellationToken) {
        let Self { listener, service, protocol, limits } = self;
        let connections = Connections {
            places: Arc::new(Semaphore::new(limits.connections)),
            tasks: TaskTracker::new(),
            protocol: Arc::new(protocol),
            service,
            stop: stop.clone(),
        };
        loop {
            let next = async {
                let place = connections.place().await;
                (place, listener.accept().await)
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                (place, accepted) = next => match accepted {
                    Ok(accepted) => connections.serve(place, accepted),
                    Err(error) => {
                        tracing::warn!(listener = listener.name(), %error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        // Whoever has connected already is in the kernel's queue, and would be cut off with the listener.
        connections.serve_waiting(&listener).await;
        drop(listener);
        connections.tasks.close();
        connections.tasks.wait().await;
    }
}

/// What all connections of a listener share.
struct Connections<S> {
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    protocol: Arc<Builder<TokioExecutor>>,
    service: S,
    stop: CancellationToken,
}

impl<S, B> Connections<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    #[expect(clippy::expect_used, reason = "nothing closes the semaphore")]
    async fn place(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed")
    }

    async fn serve_waiting(&self, listener: &Listener) {
        use futures::FutureExt as _;
        while let Some(Ok(accepted)) = listener.accept().now_or_never() {
            self.serve(self.place().await, accepted);
        }
    }

    fn serve(&self, place: OwnedSemaphorePermit, accepted: Accepted) {
        let (protocol, service, stop) = (Arc::clone(&self.protocol), self.service.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            if let Some((stream, superseded)) = accepted.handshake().await {
                let ends = async move {
                    match superseded {
                        Some(superseded) => tokio::select! {
                            () = stop.cancelled() => {}
                            () = superseded.cancelled() => {}
                        },
                        None => stop.cancelled().await,
                    }
                };
                connection(&protocol, stream, service, ends).await;
            }
            drop(place);
        });
    }
}

async fn connection<S, B>(protocol: &Builder<TokioExecutor>, stream: Stream, service: S, ends: impl Future<Output = ()>)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let connection = protocol.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = &mut connection => outcome,
        () = ends => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(error, "a connection broke");
    }
}
