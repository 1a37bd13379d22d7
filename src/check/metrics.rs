//! The counters of checks. Labels come from closed sets alone.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::record::CheckRecord;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
    reason: &'static str,
}

/// How many checks were decided, as what, and how long they took.
#[derive(Clone, Debug)]
pub struct Metrics {
    checks: Family<Labels, Counter>,
    duration: Histogram,
}

impl Metrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let buckets = [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];
        let metrics = Self { checks: Family::default(), duration: Histogram::new(buckets) };
        registry.register("checks", "Checks, by outcome and reason", metrics.checks.clone());
        registry.register_with_unit(
            "check_duration",
            "How long checks took, from the decoded request to the decision",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        metrics
    }

    pub(super) fn count(&self, record: &CheckRecord, elapsed: Duration) {
        let labels = Labels { outcome: record.outcome(), reason: record.reason.as_str() };
        self.checks.get_or_create(&labels).inc();
        self.duration.observe(elapsed.as_secs_f64());
    }
}
