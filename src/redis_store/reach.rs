//! Whether the primary is reached, for those who watch this process.

use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::gauge::Gauge;

use super::link::LinkError;
use crate::{
    clock::{SharedClock, Timestamp},
    store::StoreReach,
};

/// Whether there is a link to the primary now, and since when there is none.
#[derive(Debug)]
pub(super) struct Reach {
    clock: SharedClock,
    up: Gauge,
    lost: Mutex<Option<(Timestamp, &'static str)>>,
}

impl Reach {
    /// Nobody was reached yet. `up` is 1 while somebody is.
    pub(super) fn new(clock: SharedClock, up: Gauge) -> Self {
        let lost = Mutex::new(Some((clock.now(), UNREACHABLE)));
        up.set(0);
        Self { clock, up, lost }
    }

    /// There is a link from now on.
    pub(super) fn found(&self) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.up.set(1);
    }

    /// There is no link, for this reason; it may be another one than before.
    pub(super) fn lost(&self, problem: &'static str) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let since = lost.map_or_else(|| self.clock.now(), |(since, _)| since);
        *lost = Some((since, problem));
        self.up.set(0);
    }

    pub(super) fn state(&self) -> StoreReach {
        match *self.lost.lock().unwrap_or_else(PoisonError::into_inner) {
            None => StoreReach::Reached,
            Some((since, problem)) => StoreReach::Lost { since, problem },
        }
    }
}

/// Nobody answers, or a connection is lost.
pub(super) const UNREACHABLE: &str = "unreachable";

impl LinkError {
    /// The error in one word, which holds nothing of an address or an answer.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Unreachable(_) => UNREACHABLE,
        }
    }
}
