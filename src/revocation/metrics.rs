//! What the list of revocations counts.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

use crate::clock::Timestamp;

/// The gauges and counters of [`super::Revocations`].
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    in_force: Gauge,
    unreadable: Gauge,
    pub(super) incomplete: Gauge,
    pub(super) restored: Counter,
    loaded_at: Gauge,
}

impl Metrics {
    /// New ones, in `registry`.
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
            "revocations_incomplete",
            "1 while the store's list of revocations is not whole and nobody knows what is missing",
            metrics.incomplete.clone(),
        );
        registry.register(
            "revocations_restored",
            "Entries that vanished from the store's list of revocations, or were changed there, and were written back",
            metrics.restored.clone(),
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

    pub(super) fn is_incomplete(&self, incomplete: bool) {
        self.incomplete.set(i64::from(incomplete));
    }

    pub(super) fn restored(&self, entries: usize) {
        self.restored.inc_by(entries.try_into().unwrap_or(u64::MAX));
    }

    pub(super) fn loaded(&self, at: Timestamp) {
        self.loaded_at.set(at.as_unix_seconds().try_into().unwrap_or(i64::MAX));
    }
}
