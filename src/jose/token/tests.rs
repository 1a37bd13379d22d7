use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::jose::testing::{merged, unsigned};

fn token(header: &Value, claims: &Value) -> String {
    format!("{}.{}", unsigned(header, claims), secret::encode(b"signature"))
}

fn peek_header(header: &Value) -> Result<UnverifiedToken, TokenError> {
    peek(&token(header, &json!({})))
}

fn peek_claims(claims: &Value) -> Result<UnverifiedToken, TokenError> {
    peek(&token(&json!({"alg": "RS256"}), claims))
}

fn raw(header: &str, claims: &str) -> String {
    format!("{}.{}.{}", secret::encode(header.as_bytes()), secret::encode(claims.as_bytes()), secret::encode(b"s"))
}

#[test]
fn a_token_is_read_with_all_that_it_says() {
    let token = peek(&token(
        &json!({"alg": "ES256", "kid": "k/1", "typ": "JWT"}),
        &json!({
            "iss": "https://issuer", "sub": "s", "aud": ["a", "b"], "exp": 2000, "nbf": 1000.9, "iat": 1001, "jti": "j",
            "x": {"y": [1]},
        }),
    ))
    .unwrap();
    assert_eq!(token.algorithm(), Some(Algorithm::Es256));
    assert_eq!(token.key_id(), Some("k/1"));
    assert_eq!(token.token_type(), Some("JWT"));
    assert_eq!(token.issuer(), Some("https://issuer"));
    assert_eq!(token.subject(), Some("s"));
    assert_eq!(token.audiences(), ["a", "b"]);
    assert_eq!(token.expires_at(), Some(Timestamp::from_unix_seconds(2000)));
    assert_eq!(token.not_before(), Some(Timestamp::from_unix_seconds(1000)));
    assert_eq!(token.issued_at(), Some(Timestamp::from_unix_seconds(1001)));
    assert_eq!(token.token_id(), Some("j"));
    assert_eq!(token.claim("x"), Some(&json!({"y": [1]})));
    assert_eq!(token.claims().len(), 8);
    assert_eq!(peek_claims(&json!({"aud": "one"})).unwrap().audiences(), ["one"]);
    assert!(peek_claims(&json!({})).unwrap().audiences().is_empty());
}

#[test]
fn other_credentials_are_told_from_tokens() {
    for text in [
        "",
        ".",
        "..",
        "opaque",
        "a.b.c",
        "0123456789abcdef0123456789abcdef",
        "v1.local.abc",
        "....",
        "ey.ey.ey.ey",
        &raw("[]", "{}"),
        &raw("{\"user\":1}", "{}"), // signed strings of web frameworks look like this
        &raw("{\"alg\":1}", "{}"),
        &format!(" {}", raw("{\"alg\":\"RS256\"}", "{}")),
    ] {
        assert_eq!(peek(text).unwrap_err(), TokenError::NotJwt, "{text}");
        assert_eq!(TokenError::NotJwt.reason(), Reason::BearerNotJwt);
    }
    let encrypted = format!("{}.a.b.c.d", secret::encode(br#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#));
    assert_eq!(peek(&encrypted).unwrap_err(), TokenError::Encrypted);
}

#[test]
fn size_is_looked_at_first() {
    let limit = "x".repeat(MAX_TOKEN_BYTES);
    assert_eq!(peek(&limit).unwrap_err(), TokenError::NotJwt);
    assert_eq!(peek(&format!("{limit}x")).unwrap_err(), TokenError::TooLarge(MAX_TOKEN_BYTES));
    let large = token(&json!({"alg": "RS256", "kid": "k".repeat(100 * 1024)}), &json!({}));
    assert_eq!(peek(&large).unwrap_err(), TokenError::TooLarge(MAX_TOKEN_BYTES));
}

#[test]
fn a_name_that_occurs_twice_is_refused() {
    for (header, claims, part) in [
        (r#"{"alg":"RS256","alg":"none"}"#, "{}", "header"),
        (r#"{"alg":"RS256","\u0061lg":"none"}"#, "{}", "header"),
        (r#"{"alg":"RS256"}"#, r#"{"iss":"a","iss":"b"}"#, "claims"),
        (r#"{"alg":"RS256"}"#, r#"{"x":{"a":1,"a":2}}"#, "claims"),
    ] {
        assert_eq!(peek(&raw(header, claims)).unwrap_err(), TokenError::Malformed(part), "{header} {claims}");
    }
}

#[test]
fn damaged_parts_are_refused() {
    let header = r#"{"alg":"RS256"}"#;
    for claims in ["", "[]", "null", "\"a\"", "{", "{}{}"] {
        assert_eq!(peek(&raw(header, claims)).unwrap_err(), TokenError::Malformed("claims"), "{claims}");
    }
    let good = raw(header, "{}");
    let message = good.rsplit_once('.').unwrap().0;
    for signature in ["=", "a", "ab==", "a+b/", "a b", "AB"] {
        // The last one has bits set that no encoder sets: a second spelling of the same signature.
        let token = format!("{message}.{signature}");
        assert_eq!(peek(&token).unwrap_err(), TokenError::Malformed("signature"), "{signature}");
    }
}

#[test]
fn extensions_are_refused_and_foreign_keys_ignored() {
    let header = json!({"alg": "RS256"});
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("cty", json!("JWT")),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
    ] {
        let error = peek_header(&merged(&header, &json!({name: value}))).unwrap_err();
        assert_eq!(error, TokenError::UnsupportedHeader(name));
        assert_eq!(error.reason(), Reason::TokenMalformed);
    }
    let ignored = json!({"jku": "https://evil", "x5u": "https://evil", "jwk": {"kty": "oct"}, "x5c": ["AAAA"], "x": 1});
    assert!(peek_header(&merged(&header, &ignored)).is_ok());
}

#[test]
fn algorithms_that_are_not_known_are_none() {
    for name in ["none", "nOnE", "NONE", "HS256", "HS512", "ES521", "", "rs256"] {
        assert_eq!(peek_header(&json!({"alg": name})).unwrap().algorithm(), None, "{name}");
    }
}

#[test]
fn key_ids_are_short_and_visible() {
    let with = |key_id: Value| peek_header(&json!({"alg": "RS256", "kid": key_id}));
    assert!(with("k".repeat(256).into()).is_ok());
    assert!(with("../../x".into()).is_ok(), "a name like another: it is only ever compared");
    for bad in ["k".repeat(257).into(), "".into(), "a b".into(), "a\n".into(), "\0".into(), "é".into()] {
        assert_eq!(with(bad).unwrap_err(), TokenError::Malformed("kid"));
    }
    assert_eq!(with(json!(["k"])).unwrap_err(), TokenError::Malformed("kid"));
}

#[test]
fn claims_of_another_type_are_refused() {
    for (name, bad) in [
        ("iss", json!(1)),
        ("iss", json!(["a"])),
        ("iss", json!(null)),
        ("sub", json!({})),
        ("jti", json!(1)),
        ("aud", json!(1)),
        ("aud", json!([1])),
        ("aud", json!(["a", null])),
        ("aud", json!({"a": 1})),
    ] {
        let claims: Value = [(name.to_owned(), bad)].into_iter().collect::<Map<_, _>>().into();
        assert_eq!(peek_claims(&claims).unwrap_err(), TokenError::Malformed(name), "{claims}");
    }
}

#[test]
fn dates_are_finite_and_not_negative() {
    let read =
        |text: &str| peek(&raw(r#"{"alg":"RS256"}"#, &format!("{{\"exp\":{text}}}"))).map(|token| token.expires_at());
    for (text, seconds) in [("0", 0), ("1.999", 1), ("1e3", 1000), ("-0.0", 0), ("253402300799", 253_402_300_799)] {
        assert_eq!(read(text), Ok(Some(Timestamp::from_unix_seconds(seconds))), "{text}");
    }
    for text in ["-1", "-0.5", "\"1\"", "null", "true", "[1]", "253402300800", "18446744073709551615", "1e300"] {
        assert_eq!(read(text), Err(TokenError::Malformed("exp")), "{text}");
    }
    for text in ["1e999", "NaN", "Infinity", "01"] {
        assert_eq!(read(text), Err(TokenError::Malformed("claims")), "{text}");
    }
}

#[test]
fn tokens_do_not_print() {
    let token = peek_claims(&json!({"sub": "hunter2"})).unwrap();
    assert_eq!(format!("{token:?}"), "UnverifiedToken [redacted]");
}

proptest! {
    #[test]
    fn reading_never_panics(text in "\\PC{0,200}") {
        let _ = peek(&text);
    }

    #[test]
    fn reading_three_parts_of_anything_never_panics(
        header in proptest::collection::vec(any::<u8>(), 0..60),
        claims in proptest::collection::vec(any::<u8>(), 0..60),
        signature in "[A-Za-z0-9_=-]{0,20}",
    ) {
        let _ = peek(&format!("{}.{}.{signature}", secret::encode(&header), secret::encode(&claims)));
    }

    #[test]
    fn reading_claims_of_any_shape_never_panics(
        name in "iss|sub|aud|exp|nbf|iat|jti|azp",
        value in prop_oneof![
            any::<f64>().prop_map(|number| json!(number)),
            any::<i64>().prop_map(|number| json!(number)),
            any::<String>().prop_map(|text| json!(text)),
            proptest::collection::vec(any::<Option<bool>>(), 0..3).prop_map(|list| json!(list)),
        ],
    ) {
        if let Ok(token) = peek_claims(&json!({name.clone(): value})) {
            prop_assert!(token.claim(&name).is_some());
            // What was accepted can be printed: a date beyond the calendar cannot.
            let _ = format!("{:?}", (token.expires_at(), token.not_before(), token.issued_at()));
        }
    }
}
