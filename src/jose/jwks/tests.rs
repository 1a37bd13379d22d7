use aws_lc_rs::rsa::KeySize;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    jose::{
        algorithm::KeyType,
        testing::{ED25519, P256, P384, P521, RSA, TestKey, jwks, jwks_document},
    },
    secret,
};

#[test]
fn keys_of_every_kind_are_found_by_name_and_algorithm() {
    let set = jwks(&[&RSA.jwk, &P256.jwk, &P384.jwk, &P521.jwk, &ED25519.jwk]);
    assert_eq!(set.len(), 5);
    for algorithm in Algorithm::ALL {
        let (own, other) = match algorithm {
            Algorithm::Es256 => ("p256", "p384"),
            Algorithm::Es384 => ("p384", "p256"),
            Algorithm::Es512 => ("p521", "p256"),
            Algorithm::EdDsa => ("ed25519", "rsa"),
            _ => ("rsa", "ed25519"),
        };
        assert_eq!(set.find(Some(own), *algorithm).unwrap().key_id.as_deref(), Some(own));
        assert_eq!(set.find(Some(other), *algorithm).unwrap_err(), KeyLookupError::OtherAlgorithm);
        assert_eq!(set.find(Some("x"), *algorithm).unwrap_err(), KeyLookupError::Unknown);
        assert_eq!(set.find(None, *algorithm).unwrap().key_id.as_deref(), Some(own));
    }
}

#[test]
fn a_key_that_names_its_algorithm_serves_no_other() {
    let set = jwks(&[RSA.jwk_with(&json!({"alg": "RS256", "use": "sig"}))]);
    assert!(set.find(Some("rsa"), Algorithm::Rs256).is_ok());
    for other in [Algorithm::Rs512, Algorithm::Ps256, Algorithm::Es256] {
        assert_eq!(set.find(Some("rsa"), other).unwrap_err(), KeyLookupError::OtherAlgorithm);
        assert_eq!(set.find(None, other).unwrap_err(), KeyLookupError::Unknown);
    }
}

#[test]
fn a_name_that_two_keys_have_is_told_by_the_algorithm_or_not_at_all() {
    let other = TestKey::p256("p256").jwk;
    let twice = jwks(&[&P256.jwk, &other]);
    assert_eq!(twice.find(Some("p256"), Algorithm::Es256).unwrap_err(), KeyLookupError::Ambiguous);
    assert_eq!(twice.find(None, Algorithm::Es256).unwrap_err(), KeyLookupError::Ambiguous);
    let kinds = jwks(&[P256.jwk_with(&json!({"kid": "k"})), RSA.jwk_with(&json!({"kid": "k"}))]);
    assert_eq!(kinds.find(Some("k"), Algorithm::Es256).unwrap().algorithms, [Algorithm::Es256]);
    assert_eq!(kinds.find(Some("k"), Algorithm::Rs256).unwrap().algorithms, Algorithm::of_key(KeyType::Rsa));
}

#[test]
fn a_key_without_a_name_fits_tokens_without_one() {
    let set = jwks(&[P256.jwk_with(&json!({"kid": null}))]);
    assert!(set.find(None, Algorithm::Es256).is_ok());
    assert_eq!(set.find(Some("p256"), Algorithm::Es256).unwrap_err(), KeyLookupError::Unknown);
}

#[test]
fn keys_that_cannot_verify_here_are_left_out() {
    let small = "AQAB".repeat(64); // 1536 bits
    for left_out in [
        json!({"kty": "oct", "kid": "k", "k": "c2VjcmV0"}),
        json!({"kty": "oct", "kid": "k", "k": "c2VjcmV0", "alg": "HS256"}),
        json!({"kty": "EC", "crv": "P-521", "kid": "k", "x": "AA", "y": "AA"}),
        json!({"kty": "OKP", "crv": "X25519", "kid": "k", "x": ED25519.jwk["x"]}),
        json!({"kid": "k"}),
        json!({"kty": ["RSA"], "kid": "k"}),
        RSA.jwk_with(&json!({"use": "enc"})),
        RSA.jwk_with(&json!({"use": ["sig"]})),
        RSA.jwk_with(&json!({"key_ops": ["encrypt"]})),
        RSA.jwk_with(&json!({"alg": "RSA-OAEP"})),
        RSA.jwk_with(&json!({"alg": "ES256"})),
        RSA.jwk_with(&json!({"alg": "none"})),
        RSA.jwk_with(&json!({"alg": "HS256"})),
        RSA.jwk_with(&json!({"d": "AQAB"})),
        RSA.jwk_with(&json!({"kid": "k".repeat(257)})),
        RSA.jwk_with(&json!({"kid": 1})),
        RSA.jwk_with(&json!({"n": small})),
        RSA.jwk_with(&json!({"n": ""})),
        RSA.jwk_with(&json!({"n": "AAAA".repeat(100)})),
        RSA.jwk_with(&json!({"n": "AQAB".repeat(400)})),
        RSA.jwk_with(&json!({"n": "not base64"})),
        RSA.jwk_with(&json!({"e": "AQ"})),
        RSA.jwk_with(&json!({"e": "AAAB"})),
        RSA.jwk_with(&json!({"e": "Ag"})),
        RSA.jwk_with(&json!({"e": ""})),
        RSA.jwk_with(&json!({"e": "AQAAAAAB"})),
        RSA.jwk_with(&json!({"e": null})),
        P256.jwk_with(&json!({"x": P256.jwk["y"], "y": P256.jwk["x"]})),
        P256.jwk_with(&json!({"crv": "P-384"})),
        P256.jwk_with(&json!({"crv": "P-521"})),
        P521.jwk_with(&json!({"crv": "P-256"})),
        P521.jwk_with(&json!({"alg": "ES256"})),
        P521.jwk_with(&json!({"x": P521.jwk["y"], "y": P521.jwk["x"]})),
        P256.jwk_with(&json!({"x": "AA"})),
        P256.jwk_with(&json!({"y": null})),
        ED25519.jwk_with(&json!({"x": "AA"})),
    ] {
        let set = jwks(&[&left_out, &P384.jwk]);
        assert_eq!(set.len(), 1, "{left_out}");
    }
    let explicit = json!({"use": "sig", "key_ops": ["verify"], "alg": "RS256", "x5c": ["AAAA"], "unknown": {}});
    assert_eq!(jwks(&[RSA.jwk_with(&explicit)]).len(), 1);
    assert!(Jwks::parse(br#"{"keys":[]}"#, 100).unwrap().is_empty());
    assert_eq!(jwks(&[json!(1), json!("x"), json!(null)]).len(), 0);
}

#[test]
fn rsa_keys_have_2048_bits_at_least() {
    let key = TestKey::rsa("k", KeySize::Rsa2048);
    assert_eq!(jwks(std::slice::from_ref(&key.jwk)).len(), 1);
    let mut modulus = secret::decode(key.jwk["n"].as_str().unwrap()).unwrap();
    modulus[0] = 0x7f;
    assert_eq!(jwks(&[key.jwk_with(&json!({"n": secret::encode(&modulus)}))]).len(), 0, "2047 bits");
    // Leading zeros do not make a key longer, and do not spoil a good one.
    let mut padded = vec![0; 8];
    padded.extend(secret::decode(key.jwk["n"].as_str().unwrap()).unwrap());
    assert_eq!(jwks(&[key.jwk_with(&json!({"n": secret::encode(&padded)}))]).len(), 1);
}

#[test]
fn documents_that_are_no_key_set_are_refused() {
    for document in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, r#"{"keys":[]}x"#, "<html>"] {
        assert_eq!(Jwks::parse(document.as_bytes(), 1000).unwrap_err(), JwksError::Malformed, "{document}");
    }
    let twice = r#"{"keys":[],"keys":[]}"#;
    assert_eq!(Jwks::parse(twice.as_bytes(), 1000).unwrap_err(), JwksError::Malformed);
    let inner = r#"{"keys":[{"kty":"oct","kty":"RSA"}]}"#;
    assert_eq!(Jwks::parse(inner.as_bytes(), 1000).unwrap_err(), JwksError::Malformed);
    let many = jwks_document(&vec![json!({"kty": "x"}); 65]);
    assert_eq!(Jwks::parse(many.as_bytes(), 10_000).unwrap_err(), JwksError::TooManyKeys);
    let full = jwks_document(&vec![json!({"kty": "x"}); 64]);
    assert!(Jwks::parse(full.as_bytes(), full.len()).is_ok());
    assert_eq!(Jwks::parse(full.as_bytes(), full.len() - 1).unwrap_err(), JwksError::TooLarge);
}

proptest! {
    #[test]
    fn reading_a_damaged_set_never_panics(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut document = jwks_document(&[&P256.jwk, &ED25519.jwk, &RSA.jwk]).into_bytes();
        let place = place.index(document.len());
        document[place] = byte;
        let _ = Jwks::parse(&document, document.len());
    }
}
