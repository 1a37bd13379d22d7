//! The origins of a configuration, by the host that a request is for.

use std::{collections::BTreeMap, sync::Arc};

use super::public::Origin;
use crate::request::{Host, HostName};

/// Every public origin. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Origins(Arc<BTreeMap<HostName, Arc<Origin>>>);

impl Origins {
    /// These origins. A host has one: of several the last counts.
    #[must_use]
    pub fn new(origins: impl IntoIterator<Item = Origin>) -> Self {
        Self(Arc::new(origins.into_iter().map(|origin| (origin.host.clone(), Arc::new(origin))).collect()))
    }

    /// The origin of a host, where it has one.
    #[must_use]
    pub fn of(&self, host: &Host) -> Option<&Arc<Origin>> {
        self.0.get(host.host_name())
    }
}
