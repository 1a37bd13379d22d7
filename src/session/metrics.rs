//! What the sessions count.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// The counters of [`super::Sessions`].
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    cached: Counter,
    stored: Counter,
    not_ours: Counter,
    already_ended: Counter,
    unavailable: Counter,
    pub(super) created: Counter,
    pub(super) ended: Counter,
    pub(super) evicted: Counter,
    pub(super) expired: Counter,
    pub(super) store_failures: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OpenLabels {
    outcome: &'static str,
}

/// How the presentation of a ticket went.
#[derive(Clone, Copy, Debug)]
pub(super) enum OpenOutcome {
    Cached,
    Stored,
    NotOurs,
    Ended,
    Unavailable,
}

impl Metrics {
    /// New counters, in `registry`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let opens = Family::<OpenLabels, Counter>::default();
        registry.register("session_opens", "Tickets that were presented, by outcome", opens.clone());
        let outcome = |outcome| opens.get_or_create_owned(&OpenLabels { outcome });
        let metrics = Self {
            cached: outcome("cached"),
            stored: outcome("stored"),
            not_ours: outcome("not_ours"),
            already_ended: outcome("ended"),
            unavailable: outcome("unavailable"),
            ..Self::default()
        };
        registry.register("sessions_created", "Sessions that began", metrics.created.clone());
        registry.register("sessions_ended", "Sessions that were logged out", metrics.ended.clone());
        registry.register(
            "sessions_evicted",
            "Sessions that ended because their person had too many",
            metrics.evicted.clone(),
        );
        registry.register(
            "session_store_expired",
            "Expired sessions and marks that the store deleted",
            metrics.expired.clone(),
        );
        registry.register(
            "session_store_failures",
            "Calls that the session store did not carry out",
            metrics.store_failures.clone(),
        );
        metrics
    }

    pub(super) fn opened(&self, outcome: OpenOutcome) {
        let counter = match outcome {
            OpenOutcome::Cached => &self.cached,
            OpenOutcome::Stored => &self.stored,
            OpenOutcome::NotOurs => &self.not_ours,
            OpenOutcome::Ended => &self.already_ended,
            OpenOutcome::Unavailable => &self.unavailable,
        };
        counter.inc();
    }
}
