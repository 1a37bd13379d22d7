//! An issuer to test against: keys of every kind, and tokens signed with any header and claims.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rand::SystemRandom,
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
        EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
    },
};
use base64::Engine as _;
use jsonwebtoken::EncodingKey;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Algorithm, Jwks, algorithm::KeyType};
use crate::secret;

/// A private key with its public JWK, which names no `alg`.
pub(crate) struct TestKey {
    pub(crate) jwk: Value,
    pub(crate) private: EncodingKey,
    /// The key again, where the signature library lacks its algorithm.
    pair: Option<EcdsaKeyPair>,
    /// The public part as people publish it, for attacks that use it as a shared secret.
    pub(crate) public_pem: String,
}

impl TestKey {
    /// A fresh RSA key of this size.
    pub(crate) fn rsa(key_id: &str, size: rsa::KeySize) -> Self {
        let pair = rsa::KeyPair::generate(size).unwrap();
        let public = pair.public_key();
        let (n, e) = (public.modulus().big_endian_without_leading_zero(), public.exponent());
        let jwk = json!({
            "kty": "RSA", "kid": key_id,
            "n": secret::encode(n), "e": secret::encode(e.big_endian_without_leading_zero()),
        });
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let private = EncodingKey::from_rsa_pem(pem("PRIVATE KEY", pkcs8.as_ref()).as_bytes()).unwrap();
        Self { jwk, private, pair: None, public_pem: pem("RSA PUBLIC KEY", public.as_ref()) }
    }

    /// A fresh key on P-256.
    pub(crate) fn p256(key_id: &str) -> Self {
        Self::ec(key_id, "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING)
    }

    /// A fresh key on P-384.
    pub(crate) fn p384(key_id: &str) -> Self {
        Self::ec(key_id, "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING)
    }

    /// A fresh key on P-521.
    pub(crate) fn p521(key_id: &str) -> Self {
        Self::ec(key_id, "P-521", &ECDSA_P521_SHA512_FIXED_SIGNING)
    }

    fn ec(key_id: &str, curve: &str, signing: &'static EcdsaSigningAlgorithm) -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(signing, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(signing, pkcs8.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = point[1..].split_at((point.len() - 1) / 2);
        let jwk = json!({
            "kty": "EC", "crv": curve, "kid": key_id, "x": secret::encode(x), "y": secret::encode(y),
        });
        let public_pem = pem("PUBLIC KEY", point);
        let private = EncodingKey::from_ec_der(pkcs8.as_ref());
        Self { jwk, private, pair: Some(pair), public_pem }
    }

    /// A fresh Ed25519 key.
    pub(crate) fn ed25519(key_id: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": key_id, "x": secret::encode(point)});
        let private = EncodingKey::from_ed_der(pkcs8.as_ref());
        Self { jwk, private, pair: None, public_pem: pem("PUBLIC KEY", point) }
    }

    /// The JWK with these members set; `null` removes one.
    pub(crate) fn jwk_with(&self, members: &Value) -> Value {
        merged(&self.jwk, members)
    }

    /// A token with exactly this header and these claims, signed by this key with `algorithm`.
    pub(crate) fn sign(&self, algorithm: Algorithm, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        let signature = match (algorithm.of_library(), &self.pair) {
            (Some(algorithm), _) => jsonwebtoken::crypto::sign(message.as_bytes(), &self.private, algorithm).unwrap(),
            (None, Some(pair)) => secret::encode(pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref()),
            (None, None) => panic!("{algorithm:?} needs another key"),
        };
        format!("{message}.{signature}")
    }
}

/// One key of each kind, made once: `rsa`, `p256`, `p384`, `p521`, `ed25519`.
pub(crate) static RSA: LazyLock<TestKey> = LazyLock::new(|| TestKey::rsa("rsa", rsa::KeySize::Rsa2048));
pub(crate) static P256: LazyLock<TestKey> = LazyLock::new(|| TestKey::p256("p256"));
pub(crate) static P384: LazyLock<TestKey> = LazyLock::new(|| TestKey::p384("p384"));
pub(crate) static P521: LazyLock<TestKey> = LazyLock::new(|| TestKey::p521("p521"));
pub(crate) static ED25519: LazyLock<TestKey> = LazyLock::new(|| TestKey::ed25519("ed25519"));

/// The one of them that this algorithm signs with.
pub(crate) fn key_of(algorithm: Algorithm) -> &'static TestKey {
    match algorithm.key_type() {
        KeyType::Rsa => &RSA,
        KeyType::P256 => &P256,
        KeyType::P384 => &P384,
        KeyType::P521 => &P521,
        KeyType::Ed25519 => &ED25519,
    }
}

/// The key set of these JWKs, as a document.
pub(crate) fn jwks_document(keys: &[impl Serialize]) -> String {
    json!({ "keys": keys }).to_string()
}

/// The key set of these JWKs.
pub(crate) fn jwks(keys: &[impl Serialize]) -> Jwks {
    Jwks::parse(jwks_document(keys).as_bytes(), 1 << 20).unwrap()
}

/// `base` with these members set; `null` removes one.
pub(crate) fn merged(base: &Value, members: &Value) -> Value {
    let mut object = base.as_object().unwrap().clone();
    for (name, value) in members.as_object().unwrap() {
        if value.is_null() {
            object.remove(name)
        } else {
            object.insert(name.clone(), value.clone())
        };
    }
    object.into()
}

/// Header, dot and claims of a token.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", secret::encode(header.to_string().as_bytes()), secret::encode(claims.to_string().as_bytes()))
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}
