//! gRPC in and out: the only user of Envoy's types, and one of two modules that know status codes.

mod deadline;
mod decode;
mod encode;
mod in_flight;
mod status;

use std::sync::Arc;

use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse, authorization_server::Authorization};
use tonic::{Request, Response, Status};

#[cfg(any(test, feature = "fuzzing"))]
use crate::check::{CheckRecord, Checked, Checker};

pub use in_flight::{Bounded, SharedChecker};

use envoy_types::pb::envoy::service::auth::v3::authorization_server::AuthorizationServer;

/// Envoy's authorization service (`envoy.service.auth.v3.Authorization`).
#[derive(Clone, Debug)]
pub struct Service {
    checker: SharedChecker,
}

impl Service {
    /// Answers checks by what `checker` holds when they come.
    #[must_use]
    pub const fn new(checker: SharedChecker) -> Self {
        Self { checker }
    }
}

/// Envoy's authorization service as gRPC, with a bound on what all checks that are under way take.
#[must_use]
pub fn server(checker: SharedChecker) -> Bounded<AuthorizationServer<Service>> {
    let server = AuthorizationServer::new(Service::new(Arc::clone(&checker)));
    Bounded::new(server.max_decoding_message_size(in_flight::MAX_MESSAGE_BYTES), checker)
}

#[tonic::async_trait]
impl Authorization for Service {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let time = deadline::of(request.metadata());
        let raw = decode::raw_request(request.into_inner());
        let checked = self.checker.load_full().check(raw, time).await;
        Ok(Response::new(encode::response(checked)))
    }
}

/// A check as [`Service`] answers it, with its record.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) async fn answer(checker: &Checker, request: CheckRequest) -> (CheckRecord, CheckResponse) {
    let Checked { decision, record, kind } = checker.check(decode::raw_request(request), None).await;
    let response = encode::answer(decision, kind, record.request_id());
    (record, response)
}

/// Reads a message as [`Service`] does, before anything is decided.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn read(request: CheckRequest) -> Result<crate::request::Request, crate::request::Unreadable> {
    crate::request::Request::parse(decode::raw_request(request))
}

#[cfg(test)]
mod tests;
