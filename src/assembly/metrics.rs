//! The metrics of all components.

use prometheus_client::registry::Registry;

use crate::{admin, check, config, kubernetes, oidc, revocation, session, store};

/// The metrics of all components. They outlive what counts into them.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Of the configuration, for whoever reloads it.
    pub config: config::Metrics,
    pub(super) store: store::Metrics,
    pub(super) sessions: session::Metrics,
    pub(super) revocations: revocation::Metrics,
    pub(super) kubernetes: kubernetes::Metrics,
    pub(super) oidc: oidc::Metrics,
    pub(super) check: check::Metrics,
    pub(super) admin: admin::Metrics,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        Self {
            config: config::Metrics::register(registry),
            store: store::Metrics::register(registry),
            sessions: session::Metrics::register(registry),
            revocations: revocation::Metrics::register(registry),
            kubernetes: kubernetes::Metrics::register(registry),
            oidc: oidc::Metrics::register(registry),
            check: check::Metrics::register(registry),
            admin: admin::Metrics::register(registry),
        }
    }
}
