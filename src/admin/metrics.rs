//! What administrators did, counted.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// The counter of administrators' acts: one for each record of the audit log.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    acts: Family<Labels, Counter>,
}

/// Both are of closed sets: those that the code names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    act: &'static str,
    outcome: &'static str,
}

impl Metrics {
    /// A new counter, in `registry`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("administrative_acts", "What administrators did, by act and outcome", metrics.acts.clone());
        metrics
    }

    pub(super) fn count(&self, act: &'static str, outcome: &'static str) {
        self.acts.get_or_create(&Labels { act, outcome }).inc();
    }
}
