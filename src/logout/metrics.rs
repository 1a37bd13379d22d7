//! What is counted of logouts. Labels come from the configuration, and from closed lists of outcomes, alone.

use prometheus_client::registry::Registry;

use crate::{principal::ProviderName, providers::Outcomes};

/// The metrics of logouts.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    token_revocations: Outcomes,
    back_channel: Outcomes,
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
        Self {
            token_revocations: Outcomes::register(
                registry,
                "oidc_revocations",
                "Tokens of ended sessions that were to be revoked at their provider, by outcome",
            ),
            back_channel: Outcomes::register(
                registry,
                "oidc_back_channel_logouts",
                "Logout tokens that came, by outcome",
            ),
        }
    }

    pub(super) fn revoked(&self, provider: &ProviderName, outcome: TokenRevocationOutcome) {
        let outcome = match outcome {
            TokenRevocationOutcome::Success => "success",
            TokenRevocationOutcome::Failure => "failure",
            TokenRevocationOutcome::Dropped => "dropped",
        };
        self.token_revocations.count(provider, outcome);
    }

    pub(super) fn back_channel(&self, provider: &ProviderName, outcome: &'static str) {
        self.back_channel.count(provider, outcome);
    }
}
