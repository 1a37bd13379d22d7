//! The counters of checks. Labels come from closed sets alone.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::{Registry, Unit},
};

use super::{durations::Durations, outcome::Outcome, shadow::ShadowMetrics};
use crate::reason::Reason;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
    reason: &'static str,
}

/// How many checks were decided, as what, and how long they took. To count takes no lock and no memory.
#[derive(Clone, Debug)]
pub struct Metrics {
    checks: Family<Labels, Counter>,
    /// The counters of `checks` that are in use, for each reason and outcome in the order of the code.
    counters: Arc<[[OnceLock<Counter>; Outcome::ALL.len()]]>,
    duration: Durations,
    shadow: ShadowMetrics,
}

impl Metrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let counters = Reason::ALL.iter().map(|_| Default::default()).collect();
        let shadow = ShadowMetrics::register(registry);
        let metrics = Self { checks: Family::default(), counters, duration: Durations::default(), shadow };
        registry.register("checks", "Checks, by outcome and reason", metrics.checks.clone());
        registry.register_with_unit(
            "check_duration",
            "How long checks took, from the decoded request to the decision",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        metrics
    }

    pub(super) fn count(&self, outcome: Outcome, reason: Reason, elapsed: Duration) {
        let counter = self.counters.get(reason as usize).and_then(|outcomes| outcomes.get(outcome as usize));
        if let Some(counter) = counter {
            counter.get_or_init(|| self.counter(outcome, reason)).inc();
        }
        self.duration.observe(elapsed);
    }

    pub(super) const fn shadow(&self) -> &ShadowMetrics {
        &self.shadow
    }

    fn counter(&self, outcome: Outcome, reason: Reason) -> Counter {
        self.checks.get_or_create_owned(&Labels { outcome: outcome.as_str(), reason: reason.as_str() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_and_outcome_has_its_own_counter_and_none_before_it_is_used() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let shown = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text.lines().filter(|line| line.starts_with("checks_total{")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(shown().is_empty());
        let mut wanted = Vec::new();
        for (times, reason) in Reason::ALL.iter().enumerate() {
            for outcome in Outcome::ALL {
                let times = times * Outcome::ALL.len() + outcome as usize + 1;
                (0..times).for_each(|_| metrics.count(outcome, *reason, Duration::ZERO));
                wanted.push(format!("checks_total{{outcome=\"{}\",reason=\"{reason}\"}} {times}", outcome.as_str()));
            }
        }
        let mut shown = shown();
        shown.sort();
        wanted.sort();
        assert_eq!(shown, wanted);
    }

    #[test]
    fn to_count_takes_no_memory() {
        let metrics = Metrics::register(&mut Registry::default());
        let count = || metrics.count(Outcome::Allowed, Reason::Session, Duration::from_micros(70));
        count();
        assert_eq!(allocation_counter::measure(count).count_total, 0);
    }
}
