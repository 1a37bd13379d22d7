//! What is counted of providers. Labels come from the configuration, and from closed lists of outcomes, alone.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::principal::ProviderName;

/// A counter for each provider and outcome.
#[derive(Clone, Debug)]
pub(crate) struct Outcomes(Family<OutcomeLabels, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    provider: String,
    outcome: &'static str,
}

/// What a metric of one provider is labelled with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ProviderLabels {
    provider: String,
}

impl Outcomes {
    /// Registers the counter under this name.
    pub(crate) fn register(registry: &mut Registry, name: &str, help: &str) -> Self {
        let outcomes = Family::default();
        registry.register(name, help, outcomes.clone());
        Self(outcomes)
    }

    /// Counts one more.
    pub(crate) fn count(&self, provider: &ProviderName, outcome: &'static str) {
        self.0.get_or_create(&OutcomeLabels { provider: provider.as_str().to_owned(), outcome }).inc();
    }
}

impl From<&ProviderName> for ProviderLabels {
    fn from(provider: &ProviderName) -> Self {
        Self { provider: provider.as_str().to_owned() }
    }
}

/// The metrics of providers.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    discoveries: Outcomes,
    oddities: Outcomes,
    known: Family<ProviderLabels, Gauge>,
}

impl Metrics {
    /// Registers the metrics of providers.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let discoveries = Outcomes::register(registry, "oidc_discoveries", "Attempts to discover a provider");
        let known = Family::default();
        registry.register(
            "oidc_provider_known",
            "Whether the provider's metadata and keys are known (1) or people cannot sign in yet (0)",
            known.clone(),
        );
        let oddities = Outcomes::register(registry, "oidc_oddities", "What of a provider's answers was passed over");
        Self { discoveries, oddities, known }
    }

    pub(super) fn passed_over(&self, provider: &ProviderName, what: &'static str) {
        self.oddities.count(provider, what);
    }

    pub(super) fn discovered(&self, provider: &ProviderName, success: bool, known: bool) {
        self.known.get_or_create(&provider.into()).set(known.into());
        self.discoveries.count(provider, if success { "success" } else { "failure" });
    }
}
