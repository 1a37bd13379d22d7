//! What every session store promises, whatever keeps it, and the store in memory.
//!
//! [`SessionStore`] is the seam to the backends and tells their contract. Backends that keep what they hold are rooms of
//! their own, which only the room that opens them (`stores`) names.

#[cfg(test)]
pub(crate) mod contract;
pub(crate) mod index;
mod keeping;
mod leases;
mod memory;
mod metrics;
#[cfg(test)]
pub(crate) mod model;
mod observers;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use keeping::too_many_revocations;
pub use keeping::{
    CLOCK_TOLERANCE, Generation, IndexKey, IndexKeys, Inserted, LeaseHolder, LeaseKey, MARK_GRACE, MAX_REVOCATIONS,
    MAX_SESSIONS_PER_SUBJECT, MarkKey, MarkKeys, NewRecord, RecordName, Replaced, Replacement, RevocationChange,
    RevocationEntry, RevocationId, RevocationList, SWEEP_BATCH, SessionStore, StoreError, StoreObserver,
    StoreOpenError, StoreReach, StoredListing, StoredRecord,
};
pub(crate) use leases::Leases;
pub use memory::MemoryStore;
pub use metrics::Metrics;
pub(crate) use observers::Observers;
