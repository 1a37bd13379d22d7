use serde_json::{Value, json};

use super::*;
use crate::{
    jose::{Algorithm, Expectation, Jwks, TokenError, peek, testing::P384, verify::verify},
    secret::SecretBytes,
};

const AHEAD: Duration = Duration::from_mins(90);

fn at(minutes: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000).plus(Duration::from_mins(minutes))
}

fn key(published_at: Timestamp) -> AssertionKey {
    let pem = AssertionKey::generate_pem();
    AssertionKey::from_pem(&SecretBytes::new(pem.expose().as_bytes().to_vec()), published_at).unwrap()
}

fn ring(keys: Vec<AssertionKey>) -> AssertionKeyRing {
    AssertionKeyRing::new(keys, AHEAD).unwrap()
}

#[test]
fn an_assertion_verifies_with_the_published_set() {
    let ring = ring(vec![key(at(0)), key(at(0))]);
    let claims = json!({
        "iss": "https://portcullis.example", "aud": "kubeflow", "sub": "user:dex:alice",
        "iat": at(1).as_unix_seconds(), "exp": at(2).as_unix_seconds(),
    });
    let token = peek(&ring.sign(at(1), &claims).unwrap()).unwrap();
    assert_eq!(token.algorithm(), Some(Algorithm::Es256));
    assert_eq!(token.token_type(), Some("JWT"));
    assert_eq!(token.key_id(), Some(ring.keys()[0].key_id()));
    let keys = Jwks::parse(ring.jwks_json().as_bytes(), 10_000).unwrap();
    assert_eq!(keys.len(), 2);
    let expectation = Expectation::new("https://portcullis.example", vec!["kubeflow".to_owned()]);
    assert_eq!(verify(&token, &keys, &expectation, at(1)).unwrap().subject(), Some("user:dex:alice"));

    let others = Jwks::parse(jwks_document(&[key(at(0))]).as_bytes(), 10_000).unwrap();
    assert_eq!(verify(&token, &others, &expectation, at(1)).unwrap_err(), TokenError::UnknownKey);
}

#[test]
fn the_set_holds_public_members_only() {
    let ring = ring(vec![key(at(0))]);
    let document: Value = serde_json::from_str(ring.jwks_json()).unwrap();
    let names: std::collections::BTreeSet<_> =
        document["keys"][0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"].into());
    assert_eq!(document["keys"][0]["use"], "sig");
    assert_eq!(document["keys"][0]["kid"], ring.keys()[0].key_id());
}

#[test]
fn the_name_of_a_key_is_its_thumbprint() {
    // The key of RFC 7515 appendix A.3; its thumbprint was computed with another library.
    let jwk = PublicJwk::new(
        &[
            [4].as_slice(),
            &secret::decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU").unwrap(),
            &secret::decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0").unwrap(),
        ]
        .concat(),
    )
    .unwrap();
    assert_eq!(jwk.kid, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
}

#[test]
fn the_very_first_key_signs_at_once() {
    let ring = ring(vec![key(at(0))]);
    assert_eq!(ring.signing_key(at(0)).published_at(), at(0));
}

#[test]
fn a_new_key_signs_once_every_verifier_has_it() {
    // The new key stands in front; the old one has not been published for long either.
    for old in [at(0), at(95)] {
        let ring = ring(vec![key(at(100)), key(old)]);
        for before in [at(100), at(189), at(190).minus(Duration::from_millis(1))] {
            assert_eq!(ring.signing_key(before).published_at(), old, "{before:?}");
        }
        assert_eq!(ring.signing_key(at(190)).published_at(), at(100));
    }
}

#[test]
fn the_order_of_the_ring_decides_between_keys_that_are_known() {
    let ring = ring(vec![key(at(50)), key(at(60)), key(at(0))]);
    assert_eq!(ring.signing_key(at(1000)).published_at(), at(50));
    // Not the first yet, so the one that signed before.
    assert_eq!(ring.signing_key(at(100)).published_at(), at(0));
}

#[test]
fn rings_that_are_empty_or_repeat_a_key_are_refused() {
    assert_eq!(AssertionKeyRing::new(Vec::new(), AHEAD).unwrap_err(), AssertionKeyError::Empty);
    let pem = SecretBytes::new(AssertionKey::generate_pem().expose().as_bytes().to_vec());
    let twice = [0, 1].map(|minute| AssertionKey::from_pem(&pem, at(minute)).unwrap());
    let refused = AssertionKeyRing::new(Vec::from(twice), AHEAD).unwrap_err();
    assert_eq!(refused, AssertionKeyError::Repeated { position: 2 });
}

#[test]
fn files_that_hold_no_such_key_are_refused() {
    let p384 = pem_of(P384.private.as_bytes());
    let truncated = AssertionKey::generate_pem().expose()[..120].to_owned();
    for bad in ["", "no pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &p384, &truncated] {
        let refused = AssertionKey::from_pem(&SecretBytes::new(bad.as_bytes().to_vec()), at(0)).unwrap_err();
        assert_eq!(refused, AssertionKeyError::NotAKey);
        assert!(!format!("{refused}").contains("BEGIN"));
    }
}

fn pem_of(pkcs8: &[u8]) -> String {
    let base64 = base64::engine::general_purpose::STANDARD.encode(pkcs8);
    format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n")
}

#[test]
fn keys_do_not_print() {
    let pem = AssertionKey::generate_pem();
    assert_eq!(format!("{pem:?}"), "[redacted]");
    let lines: Vec<_> = pem.expose().lines().collect();
    assert_eq!(lines.first(), Some(&"-----BEGIN PRIVATE KEY-----"));
    assert_eq!(lines.last(), Some(&"-----END PRIVATE KEY-----"));
    assert!(lines.iter().all(|line| line.len() <= 64));
    let key = AssertionKey::from_pem(&SecretBytes::new(pem.expose().as_bytes().to_vec()), at(0)).unwrap();
    let printed = format!("{:?}", ring(vec![key]));
    assert!(!printed.contains(lines[1]) && !printed.to_ascii_lowercase().contains("encodingkey"), "{printed}");
}
