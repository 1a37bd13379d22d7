//! The API for administrators: gRPC on a listener of its own.
//!
//! Whoever reaches the listener is an administrator: the unix socket is for this process's own user, and TCP for named
//! certificates alone. Every call leaves one record in the log, with the target `portcullis::audit`: who, what, and what
//! came of it.

mod audit;
mod caller;
mod decisions;
mod metrics;
mod revocations;
mod sessions;
mod wire;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Extension;
use tonic::service::Routes;

pub use caller::Caller;
pub use metrics::Metrics;
pub use wire::*;

use self::{
    audit::Books, decision_service_server::DecisionServiceServer, decisions::Decisions,
    revocation_service_server::RevocationServiceServer, revocations::TokenRevocations,
    session_service_server::SessionServiceServer, sessions::PeopleSessions,
};
use crate::{check::Checker, logging::Log, providers::SharedProviders, revocation::Revocations, session::Sessions};

/// What administrators act upon; a reload may replace each.
#[derive(Clone, Debug)]
pub struct Administered {
    /// The sessions of people.
    pub sessions: Arc<ArcSwap<Sessions>>,
    /// The providers at which people sign in.
    pub providers: SharedProviders,
    /// The revocations of ServiceAccount tokens.
    pub revocations: Arc<Revocations>,
    /// What decides checks.
    pub checker: Arc<ArcSwap<Checker>>,
    /// Where their acts are counted.
    pub metrics: Metrics,
    /// Where their acts are recorded.
    pub log: Log,
}

/// The services of the listener for administrators. Each call must bring its [`Caller`] as an extension.
#[must_use]
pub fn routes(administered: Administered) -> Routes {
    let Administered { sessions, providers, revocations, checker, metrics, log } = administered;
    let routes = Routes::new(SessionServiceServer::new(PeopleSessions::new(sessions, providers)))
        .add_service(RevocationServiceServer::new(TokenRevocations::new(revocations)))
        .add_service(DecisionServiceServer::new(Decisions::new(checker)));
    routes.into_axum_router().layer(Extension(Books { metrics, log })).into()
}

#[cfg(test)]
mod tests;
