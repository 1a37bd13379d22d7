//! What is built upon, apart from the configuration.

use std::sync::Arc;

use crate::{
    clock::SharedClock,
    kubernetes::{AccessReviews, Reviews},
    logging::Log,
    store::Stores,
};

/// The time, and who is asked where it is not whom the configuration names.
#[derive(Clone, Debug)]
pub struct Outside {
    /// The time.
    pub clock: SharedClock,
    /// Where records are written that do not go by `tracing`.
    pub log: Log,
    /// Who keeps the sessions, in the place of the configured store.
    pub stores: Option<Stores>,
    /// Who reviews ServiceAccount tokens, in the place of the configured API server.
    pub reviews: Option<Arc<dyn Reviews>>,
    /// Who answers what somebody may do, in the place of the configured API server.
    pub access_reviews: Option<Arc<dyn AccessReviews>>,
}

impl Outside {
    /// Everybody is whom the configuration names.
    #[must_use]
    pub const fn configured(clock: SharedClock, log: Log) -> Self {
        Self { clock, log, stores: None, reviews: None, access_reviews: None }
    }
}
