//! An issuer's public keys (JWK Set, RFC 7517 section 5).

use std::fmt;

use serde_json::{Map, Value};
use thiserror::Error;

use super::{
    algorithm::Algorithm,
    json,
    public_key::PublicKey,
    token::{Token, TokenError, is_key_id},
};

/// The most keys that a set may hold.
const MAX_KEYS: usize = 64;

/// Why a document is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum JwksError {
    /// The document is longer than the bound.
    #[error("the key set is too large")]
    TooLarge,
    /// It is no JSON object with an array `keys`, or holds a name twice.
    #[error("the key set is malformed")]
    Malformed,
    /// It holds more than 64 keys.
    #[error("the key set holds more than 64 keys")]
    TooManyKeys,
}

/// Why a set has no key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyLookupError {
    /// There is no such key in the set; a newer set may have it.
    #[error("no such key")]
    Unknown,
    /// The key is there, but not for this algorithm.
    #[error("the key is for another algorithm")]
    OtherAlgorithm,
    /// More than one key could be meant.
    #[error("more than one key fits")]
    Ambiguous,
}

/// An issuer's keys that signatures can be verified with. Immutable; made by [`Jwks::parse`].
#[derive(Debug, Default)]
pub struct Jwks {
    keys: Vec<VerificationKey>,
}

impl Jwks {
    /// Reads a key set. Keys that cannot verify a signature here (another `kty`, curve or `use`, a weak or damaged
    /// key, a secret one) are left out, as RFC 7517 section 5 wants it; so a set may come out empty.
    ///
    /// # Errors
    /// Where the document as a whole is no key set.
    pub fn parse(document: &[u8], max_bytes: usize) -> Result<Self, JwksError> {
        if document.len() > max_bytes {
            return Err(JwksError::TooLarge);
        }
        let document = json::parse_object(document).ok_or(JwksError::Malformed)?;
        let entries = document.get("keys").and_then(Value::as_array).ok_or(JwksError::Malformed)?;
        if entries.len() > MAX_KEYS {
            return Err(JwksError::TooManyKeys);
        }
        let keys = entries.iter().filter_map(Value::as_object).filter_map(VerificationKey::from_jwk).collect();
        Ok(Self { keys })
    }

    /// How many usable keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no usable key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a key may verify what is signed with this algorithm.
    #[must_use]
    pub fn has_for(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.algorithms.contains(&algorithm))
    }

    /// The one key for a token with this `kid` and algorithm. Without a `kid`, only where a single key fits the
    /// algorithm; a change of such a key shows only when the set is fetched anew with age.
    ///
    /// # Errors
    /// Where there is none, or more than one.
    pub fn find(&self, key_id: Option<&str>, algorithm: Algorithm) -> Result<&VerificationKey, KeyLookupError> {
        let named = |key: &&VerificationKey| key_id.is_none() || key.key_id.as_deref() == key_id;
        let mut fitting = self.keys.iter().filter(named).filter(|key| key.algorithms.contains(&algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (Some(_), Some(_)) => Err(KeyLookupError::Ambiguous),
            (None, _) if key_id.is_some() && self.keys.iter().any(|key| named(&key)) => {
                Err(KeyLookupError::OtherAlgorithm)
            }
            (None, _) => Err(KeyLookupError::Unknown),
        }
    }
}

/// A public key, with the algorithms that it may be used for.
pub struct VerificationKey {
    key_id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: PublicKey,
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VerificationKey")
            .field("key_id", &self.key_id)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

impl VerificationKey {
    /// Verifies a token's signature with this key.
    pub(super) fn verify(&self, token: &Token, algorithm: Algorithm) -> Result<(), TokenError> {
        if !self.algorithms.contains(&algorithm) {
            return Err(TokenError::Algorithm);
        }
        let (signed, signature) = token.signed_and_signature();
        if self.key.verifies(algorithm, signed, signature) { Ok(()) } else { Err(TokenError::Signature) }
    }

    fn from_jwk(jwk: &Map<String, Value>) -> Option<Self> {
        let is_for_signatures = jwk.get("use").is_none_or(|usage| usage == "sig");
        let may_verify = jwk.get("key_ops").is_none_or(|operations| {
            operations.as_array().is_some_and(|operations| operations.iter().any(|operation| operation == "verify"))
        });
        // Whoever publishes the private part has no secret left to sign with.
        let is_public = !jwk.contains_key("d");
        if !(is_for_signatures && may_verify && is_public) {
            return None;
        }
        let key_id = match jwk.get("kid") {
            None => None,
            Some(key_id) => Some(key_id.as_str().filter(|key_id| is_key_id(key_id))?.to_owned()),
        };
        let key = PublicKey::from_jwk(jwk)?;
        let possible = Algorithm::of_key(key.key_type());
        let algorithms = match jwk.get("alg") {
            None => possible,
            Some(name) => {
                vec![Algorithm::from_name(name.as_str()?).filter(|algorithm| possible.contains(algorithm))?]
            }
        };
        Some(Self { key_id, algorithms, key })
    }
}

#[cfg(test)]
mod tests;
