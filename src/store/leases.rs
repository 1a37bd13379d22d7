//! The contract of what lends work to one of several processes.

use std::fmt;

use async_trait::async_trait;

use super::{
    error::StoreError,
    keys::{LeaseHolder, LeaseKey},
};
use crate::clock::Timestamp;

/// Where it stands who holds a lease.
///
/// # The contract
/// - **A lease has one holder** at a time, among all replicas; its end is the clock's.
/// - **It is no lock:** it is not durable, and a store may forget it when it fails over or the clock steps back. Who acts
///   on one is safe by the version that [`SessionStore::replace`](super::SessionStore::replace) asks for.
/// - **No answer is made up.** A store that cannot tell returns an error, and the lease must be taken for another's.
#[async_trait]
pub trait LeaseStore: fmt::Debug + Send + Sync {
    /// Takes a lease for a holder until `until`, where it is free, has expired or is the holder's own; whether it did.
    /// Who holds it and takes it again renews it.
    async fn take_lease(&self, lease: &LeaseKey, holder: &LeaseHolder, until: Timestamp) -> Result<bool, StoreError>;

    /// Gives a lease back that is the holder's own; whether it was.
    async fn release_lease(&self, lease: &LeaseKey, holder: &LeaseHolder) -> Result<bool, StoreError>;
}
