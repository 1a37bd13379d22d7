//! What the cases name as `${NAME}`: true credentials, and forged ones that no text can hold.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::jwt;
use crate::portcullis::{ASSERTION_ISSUER, LOGIN_COOKIE, SESSION_COOKIE, TOKEN_AUDIENCE};

/// Makes all of them for one gateway.
pub(super) async fn prepare(gateway: &Gateway) -> Result<BTreeMap<&'static str, String>> {
    let mut made = BTreeMap::new();
    people(gateway, &mut made).await?;
    tokens(gateway, &mut made)?;
    others(gateway, &mut made)?;
    made.insert("COOKIE", SESSION_COOKIE.to_owned());
    made.insert("LOGIN_COOKIE", LOGIN_COOKIE.to_owned());
    made.insert("PROVIDER", gateway.provider.issuer().to_owned());
    Ok(made)
}

async fn people(gateway: &Gateway, made: &mut BTreeMap<&'static str, String>) -> Result<()> {
    let ticket = async |user: &str| -> Result<String> {
        let mut visitor = gateway.visitor()?;
        visitor.sign_in(user, "/private/first").await?;
        visitor.cookies.remove(SESSION_COOKIE).context("no session cookie")
    };
    let (alice, bob) = (ticket("alice").await?, ticket("bob").await?);
    made.insert("ALICE_COOKIE", format!("{SESSION_COOKIE}={alice}"));
    made.insert("BOB_COOKIE", format!("{SESSION_COOKIE}={bob}"));
    let (first, rest) = alice.split_at(1);
    let other = if first == "A" { "B" } else { "A" };
    made.insert("ALICE_FIRST_CHANGED", format!("{SESSION_COOKIE}={other}{rest}"));
    made.insert("ALICE_CUT_SHORT", format!("{SESSION_COOKIE}={}", &alice[..alice.len() - 1]));
    // Two halves of two true tickets.
    made.insert("ALICE_AND_BOB", format!("{SESSION_COOKIE}={}{}", &alice[..alice.len() / 2], &bob[bob.len() / 2..]));
    made.insert("ALICE_TICKET", alice);
    let mut assertion = gateway.visitor()?;
    let landed = assertion.sign_in("alice", "/private/assertion").await?;
    let echo = landed.echo()?;
    let own = echo.headers.only("portcullis-assertion").context("no assertion")?;
    made.insert("OWN_ASSERTION", own.to_owned());
    Ok(())
}

fn tokens(gateway: &Gateway, made: &mut BTreeMap<&'static str, String>) -> Result<()> {
    let api = &gateway.review_api;
    let robot = || api.token("ns", "robot").audience(TOKEN_AUDIENCE);
    made.insert("ROBOT_TOKEN", robot().issue());
    made.insert("FORGED_TOKEN", robot().forged());
    made.insert("UNKNOWN_TOKEN", robot().signed_unknown());
    made.insert("DEFAULT_AUDIENCE_TOKEN", api.token("ns", "robot").issue());
    made.insert("OTHER_AUDIENCE_TOKEN", api.token("ns", "robot").audience("another-service").issue());
    made.insert("EXPIRED_TOKEN", robot().lifetime(-61).issue());
    made.insert("TOKEN_WITHOUT_EXPIRY", robot().claim("exp", Value::Null).issue());
    made.insert("TOKEN_EXPIRING_IN_TEXT", robot().claim("exp", json!("9999999999")).issue());
    made.insert("TOKEN_OF_TOMORROW", robot().claim("nbf", json!(jwt::now() + 3600)).issue());
    made.insert("TOKEN_OF_A_USER", robot().claim("sub", json!("alice@example.com")).issue());
    made.insert("TOKEN_OF_MASTERS", robot().claim("sub", json!("system:masters")).issue());
    made.insert("TOKEN_WITHOUT_SUBJECT", robot().claim("sub", Value::Null).issue());
    made.insert("TOKEN_AUDIENCE_NUMBER", robot().claim("aud", json!(7)).issue());
    made.insert("TOKEN_WITHOUT_AUDIENCE", robot().claim("aud", Value::Null).issue());

    let (claims, kid) = (robot().claims().to_string(), api.kid());
    let unsigned =
        |header: &Value, signature: &[u8]| jwt::unsigned(header.to_string().as_bytes(), claims.as_bytes(), signature);
    let signed =
        |header: &Value| -> Result<String> { api.sign_bytes(header.to_string().as_bytes(), claims.as_bytes()) };
    for (name, algorithm) in [("ALG_NONE", "none"), ("ALG_NONE_MIXED", "nOnE"), ("ALG_EMPTY", "")] {
        made.insert(name, unsigned(&json!({ "alg": algorithm, "kid": kid }), b""));
    }
    made.insert("ALG_MISSING", signed(&json!({ "kid": kid }))?);
    made.insert("ALG_ANOTHER", signed(&json!({ "alg": "RS256", "kid": kid }))?);
    made.insert("ALG_LOWER_CASE", signed(&json!({ "alg": "es256", "kid": kid }))?);
    let hmac = json!({ "alg": "HS256", "kid": kid }).to_string();
    made.insert(
        "HMAC_WITH_PUBLIC_KEY",
        jwt::hmac_signed(api.public_pem()?.as_bytes(), hmac.as_bytes(), claims.as_bytes()),
    );
    made.insert("HMAC_WITH_NOTHING", jwt::hmac_signed(b"", hmac.as_bytes(), claims.as_bytes()));
    let honest = json!({ "alg": "ES256", "kid": kid });
    made.insert("ZERO_SIGNATURE", unsigned(&honest, &[0; 64]));
    made.insert("EMPTY_SIGNATURE", unsigned(&honest, b""));
    made.insert("SHORT_SIGNATURE", unsigned(&honest, &[1; 63]));
    made.insert("KID_PATH", signed(&json!({ "alg": "ES256", "kid": "../../../../dev/null" }))?);
    made.insert("KID_SQL", signed(&json!({ "alg": "ES256", "kid": "x' UNION SELECT 'k" }))?);
    made.insert("KID_LONG", signed(&json!({ "alg": "ES256", "kid": "k".repeat(8_000) }))?);
    made.insert("KID_NUMBER", signed(&json!({ "alg": "ES256", "kid": 1 }))?);
    for (name, key, value) in [
        ("WITH_JKU", "jku", json!("https://evil.example/keys")),
        ("WITH_X5U", "x5u", json!("https://evil.example/chain")),
        ("WITH_JWK", "jwk", json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" })),
    ] {
        let mut header = honest.clone();
        header[key] = value;
        made.insert(name, unsigned(&header, &[7; 64]));
    }
    made.insert("WITH_CRIT", signed(&json!({ "alg": "ES256", "kid": kid, "crit": ["b64"], "b64": false }))?);
    made.insert("WITH_B64", signed(&json!({ "alg": "ES256", "kid": kid, "b64": false }))?);
    let twice = |claim: &str| {
        let payload = claims.replacen('{', &format!("{{{claim},"), 1);
        api.sign_bytes(honest.to_string().as_bytes(), payload.as_bytes())
    };
    made.insert("ISSUER_TWICE", twice("\"iss\":\"https://elsewhere.example\"")?);
    made.insert("EXPIRY_TWICE", twice("\"exp\":1")?);
    made.insert("ISSUER_TWICE_ESCAPED", twice(r#""\u0069ss":"https://elsewhere.example""#)?);
    made.insert("TOO_LARGE", robot().claim("filler", json!("x".repeat(16_384))).issue());
    made.insert("FOUR_PARTS", format!("{}.x", made["ROBOT_TOKEN"]));
    made.insert(
        "TWO_PARTS",
        made["ROBOT_TOKEN"].rsplit_once('.').map(|(start, _)| start.to_owned()).unwrap_or_default(),
    );
    made.insert("PADDED", format!("{}==", made["ROBOT_TOKEN"]));
    made.insert("STANDARD_BASE64", made["FORGED_TOKEN"].replace('-', "+").replace('_', "/"));
    Ok(())
}

fn others(gateway: &Gateway, made: &mut BTreeMap<&'static str, String>) -> Result<()> {
    let claims = |issuer: &str| {
        json!({ "iss": issuer, "sub": "subject-of-alice", "aud": "portcullis", "exp": jwt::now() + 600, "iat": jwt::now(),
                "email": "alice@example.com", "email_verified": true, "groups": ["admins"] })
    };
    made.insert("ID_TOKEN", gateway.provider.sign(&claims(gateway.provider.issuer()))?);
    made.insert("OWN_ISSUER_TOKEN", gateway.provider.sign(&claims(ASSERTION_ISSUER))?);
    made.insert("FOREIGN_TOKEN", gateway.provider.sign(&claims("https://elsewhere.example"))?);
    // An application's own tokens, as applications make them.
    let own =
        |claims: Value| jwt::hmac_signed(b"the application's", br#"{"alg":"HS256"}"#, claims.to_string().as_bytes());
    let strange = json!({ "sub": 7, "aud": null, "jti": null, "exp": "1900000000", "nbf": "now" });
    made.insert("APPLICATION_TOKEN", own(strange.clone()));
    let mut named = strange;
    named["iss"] = json!("https://elsewhere.example");
    made.insert("APPLICATION_TOKEN_OF_AN_ISSUER", own(named.clone()));
    named["filler"] = json!("x".repeat(16_384));
    made.insert("APPLICATION_TOKEN_LARGE", own(named.clone()));
    named["iss"] = json!(gateway.provider.issuer());
    made.insert("PROVIDERS_TOKEN_LARGE", own(named));
    made.insert("LEGACY_TOKEN", gateway.provider.sign(&claims("kubernetes/serviceaccount"))?);
    Ok(())
}

/// Text with `\xNN` as bytes, `\r` and `\n`.
pub(super) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend(rest[..at].bytes());
        let escape = &rest[at + 1..];
        let hex = escape.strip_prefix('x').and_then(|hex| u8::from_str_radix(hex.get(..2)?, 16).ok());
        rest = match (escape.as_bytes().first(), hex) {
            (_, Some(byte)) => {
                bytes.push(byte);
                &escape[3..]
            }
            (Some(b'r'), None) => {
                bytes.push(b'\r');
                &escape[1..]
            }
            (Some(b'n'), None) => {
                bytes.push(b'\n');
                &escape[1..]
            }
            _ => {
                bytes.push(b'\\');
                escape
            }
        };
    }
    bytes.extend(rest.bytes());
    bytes
}
