//! One public key of a key set (JWK, RFC 7517 section 4), and the signatures that it verifies.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
    VerificationAlgorithm,
};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, KeyType};
use crate::secret;

/// The sizes of an RSA modulus that are accepted, in bits: below is weak, above is slow (and the library refuses it).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A public key that was found sound, of one kind.
pub(super) struct PublicKey {
    key_type: KeyType,
    by: Verifier,
}

enum Verifier {
    /// `jsonwebtoken`.
    Library(DecodingKey),
    /// `aws-lc-rs` itself, for what `jsonwebtoken` lacks.
    AwsLc(ParsedPublicKey),
}

impl PublicKey {
    /// Reads the key's own members: `kty`, `crv`, and what that kind of key consists of. Nothing where it is of no kind
    /// that is known, weak, or damaged.
    pub(super) fn from_jwk(jwk: &Map<String, Value>) -> Option<Self> {
        match text(jwk, "kty")? {
            "RSA" => rsa(jwk),
            "EC" => ec(jwk),
            "OKP" => okp(jwk),
            _ => None,
        }
    }

    /// What kind of key it is.
    pub(super) fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// Whether this key made `signature` (in base64url) of `signed`, by this algorithm. Never by one of another kind of
    /// key.
    pub(super) fn verifies(&self, algorithm: Algorithm, signed: &str, signature: &str) -> bool {
        if algorithm.key_type() != self.key_type {
            return false;
        }
        match (&self.by, algorithm.of_library()) {
            (Verifier::Library(key), Some(algorithm)) => {
                jsonwebtoken::crypto::verify(signature, signed.as_bytes(), key, algorithm).unwrap_or(false)
            }
            (Verifier::AwsLc(key), None) => {
                secret::decode(signature).is_some_and(|signature| key.verify_sig(signed.as_bytes(), &signature).is_ok())
            }
            _ => false,
        }
    }
}

/// RFC 7518 section 6.3.
fn rsa(jwk: &Map<String, Value>) -> Option<PublicKey> {
    let modulus = unsigned(jwk, "n")?;
    let exponent = unsigned(jwk, "e")?;
    let bits = modulus.len() * 8 - usize::try_from(modulus.first()?.leading_zeros()).ok()?;
    let exponent_is_sound = exponent.len() <= 4 && exponent.last()? % 2 == 1 && exponent != [1];
    (RSA_BITS.contains(&bits) && exponent_is_sound).then(|| PublicKey {
        key_type: KeyType::Rsa,
        by: Verifier::Library(DecodingKey::from_rsa_raw_components(&modulus, &exponent)),
    })
}

/// RFC 7518 section 6.2.
fn ec(jwk: &Map<String, Value>) -> Option<PublicKey> {
    let (length, key_type, verification): (_, _, &'static dyn VerificationAlgorithm) = match text(jwk, "crv")? {
        "P-256" => (32, KeyType::P256, &ECDSA_P256_SHA256_FIXED),
        "P-384" => (48, KeyType::P384, &ECDSA_P384_SHA384_FIXED),
        "P-521" => (66, KeyType::P521, &ECDSA_P521_SHA512_FIXED),
        _ => return None,
    };
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != length || y.len() != length {
        return None;
    }
    // The uncompressed form of SEC 1 section 2.3.3. Reading it checks that the point is on the curve.
    let point = [[4].as_slice(), &x, &y].concat();
    let parsed = ParsedPublicKey::new(verification, &point).ok()?;
    let by = match key_type {
        KeyType::P521 => Verifier::AwsLc(parsed),
        _ => Verifier::Library(DecodingKey::from_ec_der(&point)),
    };
    Some(PublicKey { key_type, by })
}

/// RFC 8037 section 2.
fn okp(jwk: &Map<String, Value>) -> Option<PublicKey> {
    if text(jwk, "crv")? != "Ed25519" {
        return None;
    }
    let point = bytes(jwk, "x")?;
    ParsedPublicKey::new(&ED25519, &point).ok()?;
    Some(PublicKey { key_type: KeyType::Ed25519, by: Verifier::Library(DecodingKey::from_ed_der(&point)) })
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    jwk.get(name)?.as_str()
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    secret::decode(text(jwk, name)?)
}

/// A big-endian number without leading zeros.
fn unsigned(jwk: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    let bytes = bytes(jwk, name)?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes.get(start..)?.to_vec())
}
