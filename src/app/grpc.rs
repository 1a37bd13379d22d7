//! The services of the check listener: authorization, health and reflection.

use std::convert::Infallible;

use axum::response::IntoResponse;
use http::Request;
use tonic::{body::Body, server::NamedService, service::Routes};
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tower::Service;

/// The name of Envoy's authorization service, whose health is told beside that of the whole server.
const AUTHORIZATION: &str = "envoy.service.auth.v3.Authorization";

/// The descriptors of that service, from `envoy-types`; `integration/tests/reflection.rs` writes and
/// checks them.
const AUTHORIZATION_DESCRIPTORS: &[u8] = include_bytes!("../../proto/envoy/external_auth.binpb");

/// What `grpc.health.v1` says of this process; as `/readyz`, it speaks of this process alone.
#[derive(Clone, Debug)]
pub(super) struct Health {
    reporter: HealthReporter,
}

impl Health {
    pub(super) fn new() -> Self {
        Self { reporter: HealthReporter::new() }
    }

    /// Asks the gateways to come.
    pub(super) async fn serve(&self) {
        self.set(ServingStatus::Serving).await;
    }

    /// Asks the gateways to go elsewhere.
    pub(super) async fn refuse(&self) {
        self.set(ServingStatus::NotServing).await;
    }

    async fn set(&self, status: ServingStatus) {
        // The empty name is the whole server (gRPC Health Checking Protocol), which Envoy asks for by default.
        for service in ["", AUTHORIZATION] {
            self.reporter.set_service_status(service, status).await;
        }
    }
}

/// The routes of the check listener.
#[expect(clippy::expect_used, reason = "the descriptors are part of the binary, and a test reads them")]
pub(super) fn routes<S>(authorization: S, health: &Health) -> Routes
where
    S: Service<Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    let health = HealthServer::new(HealthService::from_health_reporter(health.reporter.clone()));
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(AUTHORIZATION_DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("a test reads the descriptors");
    Routes::new(authorization).add_service(health).add_service(reflection)
}
