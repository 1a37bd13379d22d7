//! What the list of revocations counts.

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

use crate::clock::Timestamp;

/// The gauges of [`super::Revocations`].
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    in_force: Gauge,
    unreadable: Gauge,
    loaded_at: Gauge,
}

impl Metrics {
    /// New gauges, in `registry`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "revocations",
            "Revocations of ServiceAccount tokens that are in force",
            metrics.in_force.clone(),
        );
        registry.register(
            "revocations_unreadable",
            "Entries in the store's list of revocations that do not open under our keys",
            metrics.unreadable.clone(),
        );
        registry.register(
            "revocations_read_timestamp_seconds",
            "When the list of revocations was last read, in seconds since the Unix epoch",
            metrics.loaded_at.clone(),
        );
        metrics
    }

    pub(super) fn holds(&self, in_force: usize) {
        self.in_force.set(in_force.try_into().unwrap_or(i64::MAX));
    }

    pub(super) fn cannot_read(&self, entries: usize) {
        self.unreadable.set(entries.try_into().unwrap_or(i64::MAX));
    }

    pub(super) fn loaded(&self, at: Timestamp) {
        self.loaded_at.set(at.as_unix_seconds().try_into().unwrap_or(i64::MAX));
    }
}
