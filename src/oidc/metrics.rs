//! What sign-in counts. Labels come from the configuration and from [`Reason`] alone.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{logout, principal::ProviderName, providers, reason::Reason};

/// The metrics of sign-in.
#[derive(Clone, Debug)]
pub struct Metrics {
    logins: Family<LoginLabels, Counter>,
    exchange: Histogram,
    pub(super) providers: providers::Metrics,
    dropped_groups: Family<ProviderLabels, Counter>,
    pub(super) logout: logout::Metrics,
    refreshes: Family<OutcomeLabels, Counter>,
    strict: Family<OutcomeLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoginLabels {
    provider: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    provider: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderLabels {
    provider: String,
}

impl Metrics {
    /// Registers the metrics of sign-in.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            logins: Family::default(),
            exchange: Histogram::new([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]),
            providers: providers::Metrics::register(registry),
            dropped_groups: Family::default(),
            logout: logout::Metrics::register(registry),
            refreshes: Family::default(),
            strict: Family::default(),
        };
        registry.register("oidc_logins", "Sign-ins begun and callbacks answered, by outcome", metrics.logins.clone());
        registry.register_with_unit(
            "oidc_exchange_duration",
            "Time from a callback to its session or its failure, the provider's calls included",
            Unit::Seconds,
            metrics.exchange.clone(),
        );
        registry.register(
            "oidc_groups_dropped",
            "Groups that a provider told and that cannot be used",
            metrics.dropped_groups.clone(),
        );
        registry.register("oidc_refreshes", "Refreshes of sessions, by outcome", metrics.refreshes.clone());
        registry.register(
            "oidc_strict_checks",
            "Questions to the provider whether a session still counts, by outcome",
            metrics.strict.clone(),
        );
        metrics
    }

    pub(super) fn login(&self, provider: &ProviderName, outcome: Reason) {
        let labels = LoginLabels { provider: provider.as_str().to_owned(), outcome: outcome.as_str() };
        self.logins.get_or_create(&labels).inc();
    }

    pub(super) fn exchanged(&self, duration: Duration) {
        self.exchange.observe(duration.as_secs_f64());
    }

    pub(super) fn refreshed(&self, provider: &ProviderName, outcome: &'static str) {
        self.refreshes.get_or_create(&OutcomeLabels { provider: provider.as_str().to_owned(), outcome }).inc();
    }

    pub(super) fn strictly_checked(&self, provider: &ProviderName, outcome: &'static str) {
        self.strict.get_or_create(&OutcomeLabels { provider: provider.as_str().to_owned(), outcome }).inc();
    }

    pub(super) fn groups_dropped(&self, provider: &ProviderName, count: usize) {
        let labels = ProviderLabels { provider: provider.as_str().to_owned() };
        self.dropped_groups.get_or_create(&labels).inc_by(count as u64);
    }
}
