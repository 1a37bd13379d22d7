//! How the API server is asked what somebody may do.

use std::{path::PathBuf, time::Duration};

/// How the API server is asked what somebody may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessConfig {
    /// The kubeconfig file of the client that asks; the pod's own account where there is none.
    pub kubeconfig: Option<PathBuf>,
    /// Whether the groups of people are asked about too, with `system:authenticated`. Those of ServiceAccounts always are.
    pub groups_of_people: bool,
    /// How long a yes counts without asking again.
    pub cache_ttl: Duration,
    /// How long a no counts without asking again.
    pub denied_cache_ttl: Duration,
    /// How many reviews may run at once. A quarter is kept for questions that were answered with yes before.
    pub max_concurrent_reviews: usize,
    /// The deadline of a review, and the longest that a check waits for one.
    pub timeout: Duration,
}
