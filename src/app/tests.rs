//! The listeners with real connections, and reloads with real files.

mod draining;
mod named_callers;
mod panicking;
mod plain_http;
mod reflection;
mod reloading;
mod unix_sockets;

use std::{path::Path, sync::Arc, time::Duration};

use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest, CheckResponse,
    attribute_context::{HttpRequest, Request as CheckedRequest},
    authorization_client::AuthorizationClient,
    authorization_server::{Authorization, AuthorizationServer},
};
use tokio::{net::UnixStream, sync::Semaphore, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status,
    transport::{Channel, Endpoint},
};

use super::{
    accept::Listener,
    answering::Routed,
    grpc::{Gate, Health},
    limits::Limits,
    serve::Server,
    tls::SharedTls,
    workers::Workers,
};
use crate::config::Bind;

/// Long enough on any machine; nothing waits for it where all is well.
const PATIENCE: Duration = Duration::from_secs(30);

/// An authorization service whose checks wait for the test: each takes one of `may_answer`.
#[derive(Clone, Debug)]
struct Gated {
    arrived: Arc<Semaphore>,
    may_answer: Arc<Semaphore>,
}

#[tonic::async_trait]
impl Authorization for Gated {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        self.arrived.add_permits(1);
        self.may_answer.acquire().await.unwrap().forget();
        Err(Status::already_exists("the test's answer"))
    }
}

/// A check listener that runs.
struct Running {
    address: String,
    service: Gated,
    health: Health,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(bind: &str, tls: Option<SharedTls>) -> Self {
        let bind = match bind.strip_prefix("unix:") {
            Some(path) => Bind::Unix(path.into()),
            None => Bind::Tcp(bind.parse().unwrap()),
        };
        let listener = Listener::bind("check", &bind, tls).await.unwrap();
        let address = listener.address();
        let service = Gated { arrived: Arc::new(Semaphore::new(0)), may_answer: Arc::new(Semaphore::new(0)) };
        let (health, stop) = (Health::new(), CancellationToken::new());
        let gate = Gate::new(Routed(AuthorizationServer::new(service.clone())), &health);
        let server = Server::checks(listener, gate, Limits::CHECK).on(Workers::start().unwrap());
        let task = tokio::spawn(server.run(stop.clone()));
        Self { address, service, health, stop, task }
    }

    /// A connection of its own.
    async fn connect(&self) -> Result<Channel, tonic::transport::Error> {
        match self.address.strip_prefix("unix:") {
            Some(path) => connect_unix(Path::new(path)).await,
            None => Endpoint::from_shared(format!("http://{}", self.address))?.connect().await,
        }
    }
}

async fn connect_unix(path: &Path) -> Result<Channel, tonic::transport::Error> {
    let path = path.to_path_buf();
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(UnixStream::connect(path).await?)) }
    });
    Endpoint::from_static("http://check").connect_with_connector(connector).await
}

/// A check: `Ok` where it was answered by the service. It is as long as a short one of a gateway's: HTTP/2 takes hundreds of
/// messages of a few bytes for a flood.
async fn check(channel: Channel) -> Result<(), Status> {
    let http = HttpRequest { path: format!("/{}", "long/".repeat(100)), ..HttpRequest::default() };
    let request = CheckedRequest { http: Some(http), ..CheckedRequest::default() };
    let attributes = AttributeContext { request: Some(request), ..AttributeContext::default() };
    let outcome = AuthorizationClient::new(channel).check(CheckRequest { attributes: Some(attributes) }).await;
    match outcome {
        Err(status) if status.code() == tonic::Code::AlreadyExists => Ok(()),
        Err(status) => Err(status),
        Ok(_) => panic!("the test's service answers otherwise"),
    }
}

/// Waits for what must happen, and says so where it does not.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(PATIENCE, future).await else { panic!("{what} did not happen") };
    value
}
