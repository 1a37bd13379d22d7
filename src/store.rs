//! What every session store promises, whatever keeps it, and the store in memory.
//!
//! Four contracts are the seam to the backends: [`SessionStore`], [`MarkStore`], [`LeaseStore`] and [`RevocationStore`].
//! A caller knows those that it needs; [`Stores`] holds all four of one backend. Backends that keep what they hold are
//! rooms of their own, which only the room that opens them, `stores`, names; the recipe for a further one stands there.
//!
//! One suite of tests, `store/contract.rs`, and one random model, `store/model.rs`, run on every backend.

mod bundle;
#[cfg(test)]
pub(crate) mod contract;
mod error;
pub(crate) mod index;
mod keys;
mod latest;
mod leases;
mod limits;
mod marks;
mod memory;
mod metrics;
#[cfg(test)]
pub(crate) mod model;
mod observers;
mod own_leases;
mod reach;
mod records;
mod revocations;
mod sessions;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use bundle::{Store, Stores};
pub use error::StoreError;
pub use keys::{IndexKey, IndexKeys, LeaseHolder, LeaseKey, MarkKey, MarkKeys, RecordName, RevocationId};
pub(crate) use latest::{Judged, LatestTime};
pub use leases::LeaseStore;
pub use limits::{CLOCK_TOLERANCE, MARK_GRACE, MAX_REVOCATIONS, MAX_SESSIONS_PER_SUBJECT, SWEEP_BATCH};
pub use marks::MarkStore;
pub use memory::MemoryStore;
pub use metrics::Metrics;
pub(crate) use observers::Observers;
pub use observers::StoreObserver;
pub(crate) use own_leases::OwnLeases;
pub use reach::StoreReach;
pub use records::{Inserted, NewRecord, Replaced, Replacement, StoredListing, StoredRecord};
pub(crate) use revocations::too_many_revocations;
pub use revocations::{Generation, RevocationChange, RevocationEntry, RevocationList, RevocationStore};
pub use sessions::SessionStore;
