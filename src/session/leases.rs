//! Leases in this process's memory: for stores that one process has to itself.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::store::{CLOCK_TOLERANCE, LeaseHolder, LeaseKey};
use crate::clock::Timestamp;

/// Who holds what, until when. They end with the process, and so do their holders.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    leases: HashMap<LeaseKey, (LeaseHolder, Timestamp)>,
    latest: Option<Timestamp>,
}

impl Leases {
    pub(super) fn take(&self, lease: &LeaseKey, holder: &LeaseHolder, until: Timestamp, now: Timestamp) -> bool {
        let mut held = self.held(now);
        if held.leases.get(lease).is_some_and(|(other, _)| other != holder) {
            return false;
        }
        held.leases.insert(*lease, (*holder, until));
        true
    }

    pub(super) fn release(&self, lease: &LeaseKey, holder: &LeaseHolder, now: Timestamp) -> bool {
        let mut held = self.held(now);
        let own = held.leases.get(lease).is_some_and(|(other, _)| other == holder);
        if own {
            held.leases.remove(lease);
        }
        own
    }

    /// The leases that have not expired. A clock that stepped back for good ends all of them: their ends are of another
    /// time, and may be far off.
    fn held(&self, now: Timestamp) -> MutexGuard<'_, Held> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = held.latest.unwrap_or(now);
        if now.plus(CLOCK_TOLERANCE) < latest {
            held.leases.clear();
            held.latest = Some(now);
        } else {
            let now = now.max(latest);
            held.latest = Some(now);
            held.leases.retain(|_, (_, until)| *until > now);
        }
        held
    }
}
