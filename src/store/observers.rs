//! Those whom a store tells of changes.

use std::{
    fmt,
    sync::{Mutex, PoisonError, Weak},
};

use super::keys::RecordName;

/// Whoever remembers what it read from a store.
pub trait StoreObserver: fmt::Debug + Send + Sync {
    /// The record of this name was replaced or is gone. Told after the change holds, and before the call that changed
    /// it returns.
    fn changed(&self, name: &RecordName);

    /// Any record may have changed: the store could not tell of each.
    fn all_changed(&self);
}

/// The observers of a store that still live.
#[derive(Debug, Default)]
pub(crate) struct Observers(Mutex<Vec<Weak<dyn StoreObserver>>>);

impl Observers {
    pub(crate) fn add(&self, observer: Weak<dyn StoreObserver>) {
        let mut observers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        observers.retain(|observer| observer.strong_count() > 0);
        observers.push(observer);
    }

    pub(crate) fn changed(&self, names: &[RecordName]) {
        if names.is_empty() {
            return;
        }
        self.tell(|observer| names.iter().for_each(|name| observer.changed(name)));
    }

    pub(crate) fn all_changed(&self) {
        self.tell(|observer| observer.all_changed());
    }

    fn tell(&self, tell: impl Fn(&dyn StoreObserver)) {
        let observers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for observer in observers.iter().filter_map(Weak::upgrade) {
            tell(observer.as_ref());
        }
    }
}
