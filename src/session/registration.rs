//! What a session belongs to beside its origin.

use crate::{principal::ProviderName, secret::sha256};

/// Where people sign in, as it is configured now: our registration as a client at an issuer, under a provider's name.
///
/// What a session says of a person holds at the issuer that said so, and its tokens are the client's that they were
/// issued to (OpenID Connect Core section 2, `iss` and `aud`). So a session counts for the registration that it came of
/// alone, whatever the provider's name stands for by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The provider's name in the configuration.
    pub provider: ProviderName,
    /// The issuer identifier, to the byte.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
}

impl Registration {
    /// A name of issuer and client for what is sealed: no two registrations have one.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let length = (self.issuer.len() as u64).to_be_bytes();
        sha256(&[length.as_slice(), self.issuer.as_bytes(), self.client_id.as_bytes()].concat())
    }
}
