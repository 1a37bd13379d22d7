//! What the session store counts.

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

/// Whether the store is reached.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(crate) up: Gauge,
}

impl Metrics {
    /// New ones, in `registry`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "session_store_up",
            "Whether the session store's server is reached (1) or browsers are answered 503 (0)",
            metrics.up.clone(),
        );
        metrics
    }
}
