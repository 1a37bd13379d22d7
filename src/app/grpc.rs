//! The services of the check listener: authorization, health and reflection.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Either;
use hyper::body::Body;
use tonic::service::Routes;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

use super::{
    answering::{Answering, Routed},
    connection::BoxError,
};
use crate::ext_authz::{CHECK, Checks, Reply};

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

/// What answers on the check listener: checks at once, and all else by its routes.
#[derive(Clone, Debug)]
pub(super) struct Gate<C> {
    checks: C,
    others: Routed<Routes>,
}

impl<C> Gate<C> {
    /// Checks are answered by `checks`.
    #[expect(clippy::expect_used, reason = "the descriptors are part of the binary, and a test reads them")]
    pub(super) fn new(checks: C, health: &Health) -> Self {
        let health = HealthServer::new(HealthService::from_health_reporter(health.reporter.clone()));
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(AUTHORIZATION_DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .expect("a test reads the descriptors");
        Self { checks, others: Routed(Routes::new(health).add_service(reflection).prepare()) }
    }
}

impl<R, C> Answering<R> for Gate<C>
where
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
    C: Answering<R, Body: Body<Data = Bytes, Error: Into<BoxError>>>,
{
    type Body = Either<C::Body, tonic::body::Body>;

    async fn answer(&self, request: Request<R>) -> Response<Self::Body> {
        if request.uri().path() == CHECK {
            self.checks.answer(request).await.map(Either::Left)
        } else {
            self.others.answer(request).await.map(Either::Right)
        }
    }
}

impl<R> Answering<R> for Checks
where
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Body = Reply;

    async fn answer(&self, request: Request<R>) -> Response<Reply> {
        Self::answer(self, request).await
    }
}
