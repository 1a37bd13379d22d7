//! What sign-in counts. Labels come from the configuration and from [`Reason`] alone.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{
    logout,
    principal::ProviderName,
    providers::{self, Outcomes, ProviderLabels},
    reason::Reason,
};

/// The metrics of sign-in.
#[derive(Clone, Debug)]
pub struct Metrics {
    logins: Outcomes,
    exchange: Histogram,
    pub(super) providers: providers::Metrics,
    dropped_groups: Family<ProviderLabels, Counter>,
    pub(super) logout: logout::Metrics,
    refreshes: Outcomes,
    strict: Outcomes,
}

impl Metrics {
    /// Registers the metrics of sign-in.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let exchange = Histogram::new([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]);
        registry.register_with_unit(
            "oidc_exchange_duration",
            "Time from a callback to its session or its failure, the provider's calls included",
            Unit::Seconds,
            exchange.clone(),
        );
        let dropped_groups = Family::default();
        registry.register(
            "oidc_groups_dropped",
            "Groups that a provider told and that cannot be used",
            dropped_groups.clone(),
        );
        Self {
            logins: Outcomes::register(registry, "oidc_logins", "Sign-ins begun and callbacks answered, by outcome"),
            exchange,
            providers: providers::Metrics::register(registry),
            dropped_groups,
            logout: logout::Metrics::register(registry),
            refreshes: Outcomes::register(registry, "oidc_refreshes", "Refreshes of sessions, by outcome"),
            strict: Outcomes::register(
                registry,
                "oidc_strict_checks",
                "Questions to the provider whether a session still counts, by outcome",
            ),
        }
    }

    pub(super) fn login(&self, provider: &ProviderName, outcome: Reason) {
        self.logins.count(provider, outcome.as_str());
    }

    pub(super) fn exchanged(&self, duration: Duration) {
        self.exchange.observe(duration.as_secs_f64());
    }

    pub(super) fn refreshed(&self, provider: &ProviderName, outcome: &'static str) {
        self.refreshes.count(provider, outcome);
    }

    pub(super) fn strictly_checked(&self, provider: &ProviderName, outcome: &'static str) {
        self.strict.count(provider, outcome);
    }

    pub(super) fn groups_dropped(&self, provider: &ProviderName, count: usize) {
        self.dropped_groups.get_or_create(&provider.into()).inc_by(count as u64);
    }
}
