//! The keys that sign our own assertions (ES256), and the key set that the services behind verify them with.
//!
//! Every key of the ring is published; the first of them signs, once it has been published long enough for every
//! verifier to have fetched it. So a new key is put in front, and an old one leaves the end of the ring two lifetimes
//! of an assertion after it signed last.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::Engine as _;
use jsonwebtoken::{EncodingKey, Header};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde::Serialize;
use thiserror::Error;

use crate::{
    clock::Timestamp,
    secret::{self, SecretBytes, SecretString},
};

/// The length of a coordinate on P-256, in bytes.
const COORDINATE_BYTES: usize = 32;

/// A ring that a reload may replace while it is in use.
pub type SharedAssertionKeyRing = Arc<ArcSwap<AssertionKeyRing>>;

/// Why a key or a ring was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AssertionKeyError {
    /// The file holds no private key that can be used.
    #[error(
        "not an EC P-256 private key in PKCS#8 PEM; make one with \
         `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
    )]
    NotAKey,
    /// There is no key.
    #[error("the ring of assertion keys is empty; it needs one key at least")]
    Empty,
    /// Two keys are the same.
    #[error("assertion key {position} occurs twice in the ring")]
    Repeated {
        /// Its place in the ring, counted from 1.
        position: usize,
    },
}

/// An assertion could not be signed: its claims are no JSON, or the cryptography failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the assertion cannot be signed")]
pub struct SignError;

/// A private key on P-256, and since when its public part is published.
pub struct AssertionKey {
    key: EncodingKey,
    /// Of every token that this key signs.
    header: Header,
    jwk: PublicJwk,
    id: Arc<str>,
    published_at: Timestamp,
}

/// The public part (RFC 7517 section 4, RFC 7518 section 6.2.1).
#[derive(Serialize)]
struct PublicJwk {
    kty: &'static str,
    crv: &'static str,
    x: String,
    y: String,
    kid: String,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AssertionKey")
            .field("key_id", &self.key_id())
            .field("published_at", &self.published_at)
            .finish_non_exhaustive()
    }
}

impl AssertionKey {
    /// Reads a private key on P-256 in PKCS#8 PEM (RFC 5958), which has been published since `published_at`.
    ///
    /// # Errors
    /// Where it is none.
    pub fn from_pem(pem: &SecretBytes, published_at: Timestamp) -> Result<Self, AssertionKeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose()).map_err(|_| AssertionKeyError::NotAKey)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der())
            .map_err(|_| AssertionKeyError::NotAKey)?;
        let jwk = PublicJwk::new(pair.public_key().as_ref()).ok_or(AssertionKeyError::NotAKey)?;
        let mut header = Header::new(jsonwebtoken::Algorithm::ES256);
        header.kid = Some(jwk.kid.clone());
        let (key, id) = (EncodingKey::from_ec_der(der.secret_pkcs8_der()), jwk.kid.as_str().into());
        Ok(Self { key, header, jwk, id, published_at })
    }

    /// A new random key, in PKCS#8 PEM.
    ///
    /// # Panics
    /// Where the operating system has no randomness: nothing that this product does is safe then.
    #[must_use]
    #[expect(clippy::expect_used, reason = "without randomness nothing is safe; nobody outside causes it")]
    pub fn generate_pem() -> SecretString {
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .expect("the operating system's random number generator works");
        let base64 = SecretString::new(base64::engine::general_purpose::STANDARD.encode(der.as_ref()));
        let mut pem = String::with_capacity(base64.expose().len() + 80);
        pem.push_str("-----BEGIN PRIVATE KEY-----\n");
        for (index, character) in base64.expose().chars().enumerate() {
            if index > 0 && index % 64 == 0 {
                pem.push('\n');
            }
            pem.push(character);
        }
        pem.push_str("\n-----END PRIVATE KEY-----\n");
        SecretString::new(pem)
    }

    /// The key's name: its thumbprint (RFC 7638).
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.id
    }

    /// The same, for whoever keeps what the key signed.
    #[must_use]
    pub const fn shared_key_id(&self) -> &Arc<str> {
        &self.id
    }

    /// Since when the public part is published.
    #[must_use]
    pub fn published_at(&self) -> Timestamp {
        self.published_at
    }
}

impl PublicJwk {
    /// The JWK of an uncompressed point (SEC 1 section 2.3.3).
    fn new(point: &[u8]) -> Option<Self> {
        let coordinates = point.strip_prefix(&[4])?;
        if coordinates.len() != 2 * COORDINATE_BYTES {
            return None;
        }
        let (x, y) = coordinates.split_at_checked(COORDINATE_BYTES)?;
        let (x, y) = (secret::encode(x), secret::encode(y));
        // The required members in the order of their names, without white space (RFC 7638 section 3).
        let thumbprint = secret::sha256(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes());
        Some(Self { kty: "EC", crv: "P-256", x, y, kid: secret::encode(&thumbprint), alg: "ES256", usage: "sig" })
    }
}

/// The assertion keys. All are published; one signs.
#[derive(Debug)]
pub struct AssertionKeyRing {
    keys: Vec<AssertionKey>,
    publish_ahead: Duration,
    jwks: String,
}

impl AssertionKeyRing {
    /// A ring of these keys, of which the first shall sign once it has been published for `publish_ahead`.
    ///
    /// # Errors
    /// Where there is no key, or one occurs twice.
    pub fn new(keys: Vec<AssertionKey>, publish_ahead: Duration) -> Result<Self, AssertionKeyError> {
        if keys.is_empty() {
            return Err(AssertionKeyError::Empty);
        }
        for (index, key) in keys.iter().enumerate() {
            if keys.iter().take(index).any(|other| other.key_id() == key.key_id()) {
                return Err(AssertionKeyError::Repeated { position: index + 1 });
            }
        }
        let jwks = jwks_document(&keys);
        Ok(Self { keys, publish_ahead, jwks })
    }

    /// A ring with one new key, which has signed for ever.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn of_a_new_key() -> Self {
        let pem = SecretBytes::new(AssertionKey::generate_pem().expose().as_bytes().to_vec());
        let key = AssertionKey::from_pem(&pem, Timestamp::from_unix_seconds(0)).expect("it was made a moment ago");
        Self::new(vec![key], Duration::from_mins(90)).expect("one key makes a ring")
    }

    /// This ring as a value that a reload can replace.
    #[must_use]
    pub fn shared(self) -> SharedAssertionKeyRing {
        Arc::new(ArcSwap::from_pointee(self))
    }

    /// The key set with every key of the ring (RFC 7517 section 5), in JSON.
    #[must_use]
    pub fn jwks_json(&self) -> &str {
        &self.jwks
    }

    /// The keys, in the ring's order.
    #[must_use]
    pub fn keys(&self) -> &[AssertionKey] {
        &self.keys
    }

    /// The key that signs at `now`: the first that has been published long enough; where none has, the one that has
    /// been published longest, since that is the one that signed before, or the very first there ever was.
    ///
    /// # Panics
    /// Never: a ring has a key.
    #[must_use]
    #[expect(clippy::expect_used, reason = "no ring is made without a key")]
    pub fn signing_key(&self, now: Timestamp) -> &AssertionKey {
        let is_known = |key: &&AssertionKey| key.published_at.plus(self.publish_ahead) <= now;
        let oldest = || self.keys.iter().min_by_key(|key| key.published_at);
        self.keys.iter().find(is_known).or_else(oldest).expect("a ring has a key")
    }

    /// Signs `claims` as a JWT with the key of `now`.
    ///
    /// # Errors
    /// Where the claims do not serialize to JSON, or the cryptography fails.
    pub fn sign(&self, now: Timestamp, claims: &impl Serialize) -> Result<String, SignError> {
        let AssertionKey { key, header, .. } = self.signing_key(now);
        jsonwebtoken::encode(header, claims, key).map_err(|_| SignError)
    }
}

#[expect(clippy::expect_used, reason = "strings are JSON")]
fn jwks_document(keys: &[AssertionKey]) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        keys: Vec<&'a PublicJwk>,
    }
    let document = Document { keys: keys.iter().map(|key| &key.jwk).collect() };
    serde_json::to_string(&document).expect("strings serialize to JSON")
}

#[cfg(test)]
mod tests;
