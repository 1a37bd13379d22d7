//! What is counted of logouts. Labels come from the configuration alone.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use crate::principal::ProviderName;

/// The metrics of logouts.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    token_revocations: Family<OutcomeLabels, Counter>,
    back_channel: Family<OutcomeLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    provider: String,
    outcome: &'static str,
}

/// What became of the wish to revoke a token at its provider.
#[derive(Clone, Copy, Debug)]
pub(super) enum TokenRevocationOutcome {
    Success,
    Failure,
    /// Too many were running.
    Dropped,
}

impl Metrics {
    /// Registers the metrics of logouts.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self { token_revocations: Family::default(), back_channel: Family::default() };
        registry.register(
            "oidc_revocations",
            "Tokens of ended sessions that were to be revoked at their provider, by outcome",
            metrics.token_revocations.clone(),
        );
        registry.register(
            "oidc_back_channel_logouts",
            "Logout tokens that came, by outcome",
            metrics.back_channel.clone(),
        );
        metrics
    }

    pub(super) fn revoked(&self, provider: &ProviderName, outcome: TokenRevocationOutcome) {
        let outcome = match outcome {
            TokenRevocationOutcome::Success => "success",
            TokenRevocationOutcome::Failure => "failure",
            TokenRevocationOutcome::Dropped => "dropped",
        };
        self.token_revocations.get_or_create(&OutcomeLabels { provider: provider.as_str().to_owned(), outcome }).inc();
    }

    pub(super) fn back_channel(&self, provider: &ProviderName, outcome: &'static str) {
        self.back_channel.get_or_create(&OutcomeLabels { provider: provider.as_str().to_owned(), outcome }).inc();
    }
}
