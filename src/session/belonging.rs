//! What many sessions have in common, held once for all of them: a check compares it, and finds it where the last one did.

use std::sync::{Arc, Mutex, PoisonError};

use super::registration::Registration;
use crate::{
    memory,
    principal::{ProviderName, User},
};

/// How many are held to be shared. There are as many as origins, and twice as many after a change of the configuration.
const MOST: usize = 256;

/// What a session belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Belonging {
    /// The origin that the session is for.
    pub(super) origin: String,
    /// The provider's name, by which it is found.
    pub(super) provider: ProviderName,
    /// The issuer that said who signed in.
    pub(super) issuer: String,
    /// Our client id there. None where that cannot be told of a record from before it was kept.
    pub(super) client_id: Option<String>,
}

impl Belonging {
    /// What a session of this person's at this origin belongs to.
    pub(super) fn of(user: &User, origin: String, client_id: Option<String>) -> Arc<Self> {
        Arc::new(Self { origin, provider: user.provider.clone(), issuer: user.issuer.clone(), client_id })
    }

    /// Whether this is of that registration.
    pub(super) fn is_of(&self, registration: &Registration) -> bool {
        let Registration { provider, issuer, client_id } = registration;
        self.provider == *provider
            && self.issuer == *issuer
            && self.client_id.as_ref().is_none_or(|own| own == client_id)
    }

    /// About how many bytes it takes in memory, shared as it is.
    pub(super) fn heap_bytes(&self) -> usize {
        let client_id = self.client_id.as_deref().unwrap_or_default();
        let texts = [&self.origin, self.provider.as_str(), &self.issuer, client_id];
        memory::shared::<Self>() + texts.iter().map(|text| memory::block(text.len())).sum::<usize>()
    }
}

/// Those that sessions share.
#[derive(Debug, Default)]
pub(super) struct Belongings(Mutex<Vec<Arc<Belonging>>>);

impl Belongings {
    /// The one that says the same as this one and that others have already, or this one.
    pub(super) fn shared(&self, own: Arc<Belonging>) -> Arc<Belonging> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = held.iter().find(|other| **other == own) {
            return Arc::clone(other);
        }
        if held.len() == MOST {
            held.clear();
        }
        held.push(Arc::clone(&own));
        own
    }
}
