//! How much is foreseen, and how much of it differs.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::difference::{Differs, Source};
use crate::reason::Reason;

/// The rule's name comes from the configuration, everything else from closed sets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    source: &'static str,
    differs: &'static str,
    reason: &'static str,
    rule: String,
}

/// How many decisions were foreseen, and how they differ from those in force.
#[derive(Clone, Debug)]
pub(in crate::check) struct ShadowMetrics(Family<Labels, Counter>);

impl ShadowMetrics {
    pub(in crate::check) fn register(registry: &mut Registry) -> Self {
        let foreseen = Family::<Labels, Counter>::default();
        registry.register(
            "shadow_checks",
            "What would be decided where nothing of ours decides: by source (`gateway`, `rule`), how it differs from what \
             is decided, reason and rule",
            foreseen.clone(),
        );
        Self(foreseen)
    }

    pub(super) fn count(&self, source: Source, differs: Differs, reason: Reason, rule: &str) {
        let labels = Labels {
            source: source.as_str(),
            differs: differs.as_str(),
            reason: reason.as_str(),
            rule: rule.to_owned(),
        };
        self.0.get_or_create_owned(&labels).inc();
    }
}
