//! The yardstick: a stock tonic server that decodes a check with envoy-types, and answers empty.
//!
//! Two threads, the system's allocator, nothing set.

use std::net::SocketAddr;

use anyhow::Result;
use envoy_types::ext_authz::v3::pb::{CheckRequest, CheckResponse};
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{Authorization, AuthorizationServer};
use envoy_types::pb::google::rpc::Status as Code;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// The argument with which the benchmark's own program is this server: its address follows.
pub const ARGUMENT: &str = "null-server";

/// Serves until the process is killed.
pub fn serve(address: SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let router = Server::builder().add_service(AuthorizationServer::new(Null));
    Ok(runtime.block_on(router.serve(address))?)
}

struct Null;

#[tonic::async_trait]
impl Authorization for Null {
    async fn check(&self, _request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(CheckResponse { status: Some(Code::default()), ..CheckResponse::default() }))
    }
}
