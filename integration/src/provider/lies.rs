//! How the provider lies.

use std::sync::Arc;

use serde_json::Value;

use crate::faults::{Edit, Fault};
use crate::jwt::SigningKey;

/// How the provider lies. The default is honest.
#[derive(Clone, Default)]
pub struct Faults {
    /// Of the discovery document's endpoint.
    pub discovery: Fault,
    /// Of the JWKS endpoint.
    pub jwks: Fault,
    /// Of the token endpoint.
    pub token: Fault,
    /// Of the token endpoint, for refresh alone.
    pub refresh: Fault,
    /// Of the userinfo endpoint.
    pub userinfo: Fault,
    /// Of the introspection endpoint.
    pub introspection: Fault,
    /// Of the revocation endpoint.
    pub revocation: Fault,
    /// Changes the discovery document.
    pub edit_discovery: Option<Edit>,
    /// Changes the JWKS.
    pub edit_jwks: Option<Edit>,
    /// Changes the parameters with which the user is sent back, an object of texts.
    pub edit_callback: Option<Edit>,
    /// Changes the ID token's header before it is signed.
    pub edit_header: Option<Edit>,
    /// Changes the ID token's claims before it is signed.
    pub edit_claims: Option<Edit>,
    /// Changes the token endpoint's answer.
    pub edit_token: Option<Edit>,
    /// Changes the userinfo answer.
    pub edit_userinfo: Option<Edit>,
    /// How the ID token is signed.
    pub signature: Signature,
    /// Makes the ID token of the published key, the header and the claims instead, byte by byte.
    pub forge: Option<Forge>,
}

/// Makes a token of the provider's key, a header and claims.
pub type Forge = Arc<dyn Fn(&SigningKey, &Value, &Value) -> String + Send + Sync>;

/// Makes a [`Forge`].
pub fn forge(make: impl Fn(&SigningKey, &Value, &Value) -> String + Send + Sync + 'static) -> Option<Forge> {
    Some(Arc::new(make))
}

/// How an ID token is signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signature {
    /// With the published key.
    #[default]
    Honest,
    /// With a key that is published nowhere, under the published `kid`.
    UnknownKey,
    /// Not at all: `alg` none.
    Unsigned,
    /// With HS256, keyed with the PEM of the published key.
    PublicKeyAsSecret,
    /// By a signature of zeros.
    Zeros,
}
