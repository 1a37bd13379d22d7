//! Somebody else's check service, as another provider of CUSTOM policies has one: it allows all, and writes a header.

use std::net::SocketAddr;

use anyhow::Result;
use envoy_types::ext_authz::v3::pb::{CheckRequest, CheckResponse, HeaderValue, HeaderValueOption, HttpResponse};
use envoy_types::pb::envoy::service::auth::v3::OkHttpResponse;
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{Authorization, AuthorizationServer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// A running check service. It stops when it is dropped.
#[derive(Debug)]
pub struct CheckServer {
    address: SocketAddr,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl CheckServer {
    /// Starts one on a free loopback port, which writes this header over whatever is there.
    pub async fn start(name: &str, value: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let writer = Writer(HeaderValue { key: name.to_owned(), value: value.to_owned(), ..HeaderValue::default() });
        let router = Server::builder().add_service(AuthorizationServer::new(writer));
        let server = tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
        Ok(Self { address, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for CheckServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Writer(HeaderValue);

#[tonic::async_trait]
impl Authorization for Writer {
    async fn check(&self, _request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let header = HeaderValueOption { header: Some(self.0.clone()), ..HeaderValueOption::default() };
        let allowed = OkHttpResponse { headers: vec![header], ..OkHttpResponse::default() };
        let http_response = Some(HttpResponse::OkResponse(allowed));
        Ok(Response::new(CheckResponse { http_response, ..CheckResponse::default() }))
    }
}
