use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    jose::{
        MAX_TOKEN_BYTES, peek,
        testing::{ED25519, P256, P384, P521, RSA, TestKey, jwks, key_of, merged, unsigned},
    },
    reason::Reason,
    secret,
};

const NOW: u64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(NOW)
}

fn expectation() -> Expectation {
    Expectation::new("https://issuer.example", vec!["portcullis".to_owned(), "other-name".to_owned()])
}

fn claims() -> Value {
    json!({"iss": "https://issuer.example", "aud": "portcullis", "sub": "alice", "iat": NOW, "exp": NOW + 300})
}

fn all_keys() -> Jwks {
    jwks(&[&RSA.jwk, &P256.jwk, &P384.jwk, &P521.jwk, &ED25519.jwk])
}

fn judge(token: &str) -> Result<VerifiedToken, TokenError> {
    verify(&peek(token)?, &all_keys(), &expectation(), now())
}

/// The verdict on a token of the RSA key with this header and these claims.
fn judge_rsa(header: &Value, members: &Value) -> Result<(), TokenError> {
    let header = merged(&json!({"alg": "RS256", "kid": "rsa"}), header);
    judge(&RSA.sign(Algorithm::Rs256, &header, &merged(&claims(), members))).map(drop)
}

#[test]
fn every_algorithm_verifies_with_its_key_and_no_other() {
    for algorithm in Algorithm::ALL.iter().copied() {
        let key = key_of(algorithm);
        let header = json!({"alg": algorithm.name(), "kid": key.jwk["kid"], "typ": "JWT"});
        let token = key.sign(algorithm, &header, &claims());
        assert_eq!(judge(&token).unwrap().subject(), Some("alice"), "{algorithm:?}");

        let mut narrower = expectation();
        narrower.algorithms.retain(|allowed| *allowed != algorithm);
        let verdict = verify(&peek(&token).unwrap(), &all_keys(), &narrower, now());
        assert_eq!(verdict.unwrap_err(), TokenError::Algorithm, "{algorithm:?}");

        for other in Algorithm::ALL.iter().copied().filter(|other| *other != algorithm) {
            let header = json!({"alg": other.name(), "kid": key.jwk["kid"]});
            let verdict = judge(&key.sign(algorithm, &header, &claims()));
            assert!(
                matches!(verdict, Err(TokenError::Algorithm | TokenError::Signature)),
                "{algorithm:?} as {other:?}: {verdict:?}"
            );
        }
    }
}

#[test]
fn unsigned_tokens_are_refused() {
    for name in ["none", "nOnE", "None", "NONE", ""] {
        let message = unsigned(&json!({"alg": name, "kid": "rsa"}), &claims());
        for signature in ["", "AAAA"] {
            assert_eq!(judge(&format!("{message}.{signature}")).unwrap_err(), TokenError::Algorithm, "{name}");
        }
    }
    let signed = RSA.sign(Algorithm::Rs256, &json!({"alg": "RS256", "kid": "rsa"}), &claims());
    let stripped = &signed[..=signed.rfind('.').unwrap()];
    assert_eq!(judge(stripped).unwrap_err(), TokenError::Signature);
}

#[test]
fn a_public_key_is_no_shared_secret() {
    for key in [&RSA, &P256] {
        for (name, algorithm) in [("HS256", jsonwebtoken::Algorithm::HS256), ("HS512", jsonwebtoken::Algorithm::HS512)]
        {
            let message = unsigned(&json!({"alg": name, "kid": key.jwk["kid"]}), &claims());
            let secret = jsonwebtoken::EncodingKey::from_secret(key.public_pem.as_bytes());
            let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &secret, algorithm).unwrap();
            assert_eq!(judge(&format!("{message}.{signature}")).unwrap_err(), TokenError::Algorithm);
        }
    }
}

#[test]
fn an_ecdsa_signature_of_zeros_is_refused() {
    for (key, algorithm, length) in
        [(&P256, Algorithm::Es256, 64), (&P384, Algorithm::Es384, 96), (&P521, Algorithm::Es512, 132)]
    {
        let message = unsigned(&json!({"alg": algorithm.name(), "kid": key.jwk["kid"]}), &claims());
        for signature in
            [vec![0; length], vec![0xff; length], vec![0; length - 1], vec![], vec![0x30, 6, 2, 1, 0, 2, 1, 0]]
        {
            let token = format!("{message}.{}", secret::encode(&signature));
            assert_eq!(judge(&token).unwrap_err(), TokenError::Signature, "{algorithm:?} {}", signature.len());
        }
    }
}

#[test]
fn the_key_comes_from_the_issuer_and_not_from_the_token() {
    let attacker = TestKey::p256("p256");
    let own_key =
        json!({"alg": "ES256", "kid": "p256", "jwk": attacker.jwk, "jku": "https://evil", "x5u": "https://evil"});
    assert_eq!(judge(&attacker.sign(Algorithm::Es256, &own_key, &claims())).unwrap_err(), TokenError::Signature);
    // Beside a good signature they are ignored.
    assert!(judge(&P256.sign(Algorithm::Es256, &own_key, &claims())).is_ok());

    for key_id in ["../../x", "RSA", "rsa2", "';DROP/**/TABLE/**/keys"] {
        assert_eq!(judge_rsa(&json!({"kid": key_id}), &json!({})), Err(TokenError::UnknownKey), "{key_id}");
    }
    // One key of each kind: without a `kid`, the one that fits is meant.
    assert_eq!(judge_rsa(&json!({"kid": null}), &json!({})), Ok(()));
    // The name of a key of another kind.
    assert_eq!(judge_rsa(&json!({"kid": "p256"}), &json!({})), Err(TokenError::Algorithm));
}

#[test]
fn issuer_and_audience_are_compared_byte_for_byte() {
    for issuer in
        ["https://issuer.example/", "https://Issuer.example", "http://issuer.example", "https://issuer.example ", ""]
    {
        assert_eq!(judge_rsa(&json!({}), &json!({"iss": issuer})), Err(TokenError::Issuer), "{issuer}");
    }
    assert_eq!(judge_rsa(&json!({}), &json!({"iss": null})), Err(TokenError::Issuer));
    for good in [json!("other-name"), json!(["x", "portcullis"]), json!(["portcullis", "other-name"])] {
        assert_eq!(judge_rsa(&json!({}), &json!({"aud": good})), Ok(()), "{good}");
    }
    for bad in [json!("Portcullis"), json!("portcullis "), json!(""), json!([]), json!(["x"]), json!(null)] {
        assert_eq!(judge_rsa(&json!({}), &json!({"aud": bad})), Err(TokenError::Audience), "{bad}");
    }
    // An empty list of audiences expects nobody, not everybody.
    let nobody = Expectation { audiences: Vec::new(), ..expectation() };
    let token = RSA.sign(Algorithm::Rs256, &json!({"alg": "RS256"}), &merged(&claims(), &json!({"aud": []})));
    assert_eq!(nobody.check(&peek(&token).unwrap(), now()).unwrap_err(), TokenError::Audience);
}

#[test]
fn the_authorized_party_is_the_client_where_that_is_asked() {
    let strict = Expectation { authorized_party: Some("portcullis".to_owned()), ..expectation() };
    let check = |expectation: &Expectation, members: Value| {
        let token = unsigned(&json!({"alg": "RS256"}), &merged(&claims(), &members)) + ".AAAA";
        expectation.check(&peek(&token).unwrap(), now()).map(drop)
    };
    let several = json!(["portcullis", "x"]);
    for (members, verdict) in [
        (json!({}), Ok(())),
        (json!({"azp": "portcullis"}), Ok(())),
        (json!({"aud": ["portcullis", "other-name"]}), Ok(())),
        (json!({"aud": several, "azp": "portcullis"}), Ok(())),
        (json!({"aud": several}), Err(TokenError::AuthorizedParty)),
        (json!({"azp": "x"}), Err(TokenError::AuthorizedParty)),
        (json!({"azp": ["portcullis"]}), Err(TokenError::AuthorizedParty)),
        (json!({"aud": several, "azp": "x"}), Err(TokenError::AuthorizedParty)),
    ] {
        assert_eq!(check(&strict, members.clone()), verdict, "{members}");
        assert_eq!(check(&expectation(), members), Ok(()));
    }
}

#[test]
fn times_are_judged_by_the_given_clock_with_a_minute_of_leeway() {
    for (members, verdict) in [
        (json!({"exp": NOW - 59}), Ok(())),
        (json!({"exp": NOW - 60}), Err(TokenError::Expired)),
        (json!({"exp": NOW - 61}), Err(TokenError::Expired)),
        (json!({"exp": 0}), Err(TokenError::Expired)),
        (json!({"exp": null}), Err(TokenError::NoExpiry)),
        (json!({"nbf": NOW + 60}), Ok(())),
        (json!({"nbf": NOW + 61}), Err(TokenError::NotYetValid)),
        (json!({"iat": NOW + 60}), Ok(())),
        (json!({"iat": NOW + 61}), Err(TokenError::NotYetValid)),
        (json!({"iat": null, "nbf": null}), Ok(())),
    ] {
        assert_eq!(judge_rsa(&json!({}), &members), verdict, "{members}");
        let token = unsigned(&json!({"alg": "RS256"}), &merged(&claims(), &members)) + ".AAAA";
        let may_last = Expectation { must_expire: false, ..expectation() };
        let verdict = if verdict == Err(TokenError::NoExpiry) { Ok(()) } else { verdict };
        assert_eq!(may_last.check(&peek(&token).unwrap(), now()).map(drop), verdict, "{members}");
    }
}

#[test]
fn a_token_of_another_type_is_refused() {
    for (typ, plain, logout) in [
        ("JWT", true, true),
        ("jwt", true, true),
        ("application/jwt", true, true),
        ("at+jwt", false, false),
        ("application/at+jwt", false, false),
        ("logout+jwt", false, true),
        ("Logout+JWT", false, true),
        ("JOSE", false, false),
        ("", false, false),
    ] {
        assert_eq!(TokenType::Jwt.accepts(Some(typ)), plain, "{typ}");
        assert_eq!(TokenType::Logout.accepts(Some(typ)), logout, "{typ}");
        assert_eq!(TokenType::OpenId.accepts(Some(typ)), plain || typ == "JOSE", "{typ}");
        let verdict = judge_rsa(&json!({"typ": typ}), &json!({}));
        assert_eq!(verdict, if plain { Ok(()) } else { Err(TokenError::Type) }, "{typ}");
    }
    assert!(TokenType::Jwt.accepts(None) && TokenType::Logout.accepts(None));
}

#[test]
fn every_refusal_has_a_reason() {
    for (error, reason) in [
        (TokenError::Signature, Reason::TokenSignature),
        (TokenError::UnknownKey, Reason::TokenSignature),
        (TokenError::Algorithm, Reason::TokenSignature),
        (TokenError::Audience, Reason::TokenAudience),
        (TokenError::Expired, Reason::TokenExpired),
        (TokenError::NotYetValid, Reason::TokenNotYetValid),
        (TokenError::TooLarge(MAX_TOKEN_BYTES), Reason::TokenMalformed),
        (TokenError::Issuer, Reason::BearerIssuerUnknown),
    ] {
        assert_eq!(error.reason(), reason);
    }
}

#[test]
fn verified_tokens_do_not_print() {
    let token = judge(&P256.sign(Algorithm::Es256, &json!({"alg": "ES256"}), &claims())).unwrap();
    assert_eq!(format!("{token:?}"), "VerifiedToken [redacted]");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_token_with_any_bit_flipped_is_refused(
        algorithm in prop::sample::select(&[Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::Es512, Algorithm::EdDsa][..]),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let key = key_of(algorithm);
        let token = key.sign(algorithm, &json!({"alg": algorithm.name(), "kid": key.jwk["kid"]}), &claims());
        prop_assert!(judge(&token).is_ok());
        let mut bytes = token.into_bytes();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        if let Ok(flipped) = std::str::from_utf8(&bytes) {
            prop_assert!(judge(flipped).is_err(), "byte {} bit {}", place, bit);
        }
    }

    #[test]
    fn a_token_cut_short_or_spliced_is_refused(cut in any::<prop::sample::Index>()) {
        let one = P256.sign(Algorithm::Es256, &json!({"alg": "ES256", "kid": "p256"}), &claims());
        let other = P256.sign(
            Algorithm::Es256, &json!({"alg": "ES256", "kid": "p256"}), &merged(&claims(), &json!({"sub": "mallory"})),
        );
        let cut = cut.index(one.len());
        prop_assert!(judge(&one[..cut]).is_err());
        let spliced = format!("{}{}", &one[..cut], &other[cut.min(other.len())..]);
        if spliced != one && spliced != other {
            prop_assert!(judge(&spliced).is_err());
        }
    }
}
