//! `OwnLeases` in this process's memory: for stores that one process has to itself.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    keys::{LeaseHolder, LeaseKey},
    limits::CLOCK_TOLERANCE,
};
use crate::clock::Timestamp;

/// Who holds what, until when. They end with the process, and so do their holders.
#[derive(Debug, Default)]
pub(crate) struct OwnLeases(Mutex<HashMap<LeaseKey, Lease>>);

#[derive(Debug)]
struct Lease {
    holder: LeaseHolder,
    until: Timestamp,
    taken: Timestamp,
}

impl OwnLeases {
    /// Takes a lease at the time by which the store judges.
    pub(crate) fn take(&self, lease: &LeaseKey, holder: &LeaseHolder, until: Timestamp, now: Timestamp) -> bool {
        let mut leases = self.held(now);
        if leases.get(lease).is_some_and(|lease| lease.holder != *holder) {
            return false;
        }
        leases.insert(*lease, Lease { holder: *holder, until, taken: now });
        true
    }

    /// Gives a lease back.
    pub(crate) fn release(&self, lease: &LeaseKey, holder: &LeaseHolder, now: Timestamp) -> bool {
        let mut leases = self.held(now);
        let own = leases.get(lease).is_some_and(|lease| lease.holder == *holder);
        if own {
            leases.remove(lease);
        }
        own
    }

    /// The leases that have not expired. One that was taken at a later time than now is of another time, and its end may
    /// be far off: the clock stepped back.
    fn held(&self, now: Timestamp) -> MutexGuard<'_, HashMap<LeaseKey, Lease>> {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        leases.retain(|_, lease| lease.until > now && lease.taken <= now.plus(CLOCK_TOLERANCE));
        leases
    }
}
