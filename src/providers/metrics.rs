//! What is counted of providers. Labels come from the configuration alone.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::principal::ProviderName;

/// The metrics of providers.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    discoveries: Family<OutcomeLabels, Counter>,
    known: Family<ProviderLabels, Gauge>,
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
    /// Registers the metrics of providers.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self { discoveries: Family::default(), known: Family::default() };
        registry.register("oidc_discoveries", "Attempts to discover a provider", metrics.discoveries.clone());
        registry.register(
            "oidc_provider_known",
            "Whether the provider's metadata and keys are known (1) or people cannot sign in yet (0)",
            metrics.known.clone(),
        );
        metrics
    }

    pub(super) fn discovered(&self, provider: &ProviderName, success: bool, known: bool) {
        let provider = provider.as_str().to_owned();
        let outcome = if success { "success" } else { "failure" };
        self.known.get_or_create(&ProviderLabels { provider: provider.clone() }).set(known.into());
        self.discoveries.get_or_create(&OutcomeLabels { provider, outcome }).inc();
    }
}
