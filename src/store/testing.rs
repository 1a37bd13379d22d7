//! What the tests of the stores share.

use std::sync::Arc;

use super::{
    bundle::{Store, Stores},
    memory::MemoryStore,
};
use crate::{
    clock::{ManualClock, SharedClock, Timestamp},
    secret::{RootKeyRing, SecretBytes},
};

/// A ring of keys, each made of a number.
pub(crate) fn ring(keys: &[u8]) -> RootKeyRing {
    let keys: Vec<_> =
        keys.iter().map(|seed| SecretBytes::new((0..32).map(|byte| byte ^ (seed << 5)).collect())).collect();
    RootKeyRing::new(&keys).unwrap()
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000)
}

/// A store, and the clock that moves it.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<dyn Store>,
}

impl World {
    pub(crate) fn in_memory() -> Self {
        let clock = ManualClock::at(now());
        let shared: SharedClock = clock.clone();
        Self { clock, store: Arc::new(MemoryStore::new(shared)) }
    }

    pub(crate) fn over(clock: &Arc<ManualClock>, store: Arc<dyn Store>) -> Self {
        Self { clock: Arc::clone(clock), store }
    }

    pub(crate) fn stores(&self) -> Stores {
        Stores::of(Arc::clone(&self.store))
    }
}
