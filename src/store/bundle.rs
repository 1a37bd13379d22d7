//! A backend, and its contracts one by one.

use std::sync::Arc;

use super::{leases::LeaseStore, marks::MarkStore, revocations::RevocationStore, sessions::SessionStore};

/// What a backend keeps: all of it.
pub trait Store: SessionStore + MarkStore + LeaseStore + RevocationStore {}

impl<T: SessionStore + MarkStore + LeaseStore + RevocationStore> Store for T {}

/// A store by its contracts. Who needs one of them is given that one.
#[derive(Clone, Debug)]
pub struct Stores {
    /// The sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// What was spent.
    pub marks: Arc<dyn MarkStore>,
    /// Who holds what.
    pub leases: Arc<dyn LeaseStore>,
    /// The list of revoked tokens.
    pub revocations: Arc<dyn RevocationStore>,
}

impl Stores {
    /// All of them in one backend.
    #[must_use]
    pub fn of(store: Arc<dyn Store>) -> Self {
        Self { sessions: store.clone(), marks: store.clone(), leases: store.clone(), revocations: store }
    }
}
