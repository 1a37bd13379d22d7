//! Tokens of every kind: honest ones, each with one difference, forged ones, and each with one odd key set.

use serde_json::{Value, json};

use crate::{
    jose::{
        Algorithm,
        testing::{ED25519, P256, P384, P521, RSA, TestKey, jwks_document, key_of, merged, unsigned},
    },
    secret,
};

pub(super) const ISSUER: &str = "https://idp.example.com/dex";
pub(super) const CLIENT_ID: &str = "portcullis";
pub(super) const NONCE: &str = "nonce-1";
pub(super) const ACCESS_TOKEN: &str = "access-token-1";
pub(super) const CODE: &str = "code-1";
pub(super) const NOW: u64 = 1_800_000_000;

/// One difference from an honest token. Members set to `null` are removed; [`NULL`] stands for `null` itself.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    pub(super) name: String,
    pub(super) header: Value,
    pub(super) claims: Value,
}

const NULL: &str = "the value null";

fn short(value: &Value) -> String {
    value.to_string().chars().take(40).collect()
}

fn headed(name: &str, value: Value) -> Edit {
    let told = format!("the header's {name} is {}", short(&value));
    Edit { name: told, header: member(name, value), claims: json!({}) }
}

fn says(name: &str, value: Value) -> Edit {
    Edit { name: format!("{name} is {}", short(&value)), header: json!({}), claims: member(name, value) }
}

fn member(name: &str, value: Value) -> Value {
    Value::Object([(name.to_owned(), value)].into_iter().collect())
}

pub(super) fn header_edits() -> Vec<Edit> {
    let kid = |value: Value| headed("kid", value);
    let mut edits = vec![
        kid(json!(null)),
        kid(json!("unknown")),
        kid(json!("")),
        kid(json!(7)),
        kid(json!(NULL)),
        kid(json!("../../x")),
        kid(json!("k".repeat(300))),
        headed("jwk", P384.jwk.clone()),
        headed("jku", json!("https://evil.example.com")),
        headed("x5c", json!(["AAAA"])),
        headed("x", json!({"y": [1, 2]})),
        headed("crit", json!([])),
        headed("crit", json!(["exp"])),
        headed("crit", json!(NULL)),
        headed("b64", json!(false)),
        headed("b64", json!(true)),
        headed("zip", json!("DEF")),
        headed("enc", json!("A128GCM")),
        headed("cty", json!("JWT")),
        headed("cty", json!("json")),
        headed("cty", json!(NULL)),
        headed("alg", json!(null)),
        headed("alg", json!(["ES256"])),
    ];
    let types = [
        "JWT",
        "jwt",
        "application/jwt",
        "APPLICATION/JWT",
        "JOSE",
        "application/jose",
        "at+jwt",
        "logout+jwt",
        "application/at+jwt",
        "",
        "JWT;x=1",
        "application/jwt;x=1",
        "text/jwt",
        "/jwt",
        " JWT",
    ];
    edits.extend(types.map(|typ| headed("typ", json!(typ))));
    edits.extend([json!(null), json!(NULL), json!(7)].map(|typ| headed("typ", typ)));
    let algorithms =
        ["none", "nOnE", "", "HS256", "HS512", "ES512", "ES256K", "RS1", "EdDSA", "dir", "A128GCM", "es256"];
    edits.extend(algorithms.map(|algorithm| headed("alg", json!(algorithm))));
    edits
}

pub(super) fn claim_edits() -> Vec<Edit> {
    let of = |name: &'static str, values: Vec<Value>| values.into_iter().map(move |value| says(name, value));
    let dates = |around: Vec<Value>| {
        around.into_iter().chain([
            json!(null),
            json!(NULL),
            json!(0),
            json!(-1),
            json!(1e300),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(253_402_300_800_u64),
            json!("never"),
            json!(NOW.to_string()),
            json!("2027-01-15T08:00:00Z"),
            json!("2099-01-01T00:00:00Z"),
            json!(true),
            json!([NOW]),
        ])
    };
    let ahead = |seconds: u64| json!(NOW + seconds);
    let ago = |seconds: u64| json!(NOW - seconds);
    #[expect(clippy::cast_precision_loss, reason = "the dates of these tests are small")]
    let seconds = NOW as f64;
    let mut edits: Vec<Edit> = Vec::new();
    edits.extend(of("exp", dates(vec![ago(61), ago(60), ago(59), ahead(0), json!(seconds + 0.5)]).collect()));
    edits.extend(of("exp", vec![json!(seconds - 59.5), ahead(1 << 32)]));
    edits.extend(of("iat", dates(vec![ahead(60), ahead(61), ago(660), ago(661), json!(seconds + 0.5)]).collect()));
    edits.extend(of("nbf", dates(vec![ahead(60), ahead(61), ago(1)]).collect()));
    edits.extend(of("auth_time", dates(vec![ago(5), ahead(3600), json!(seconds - 0.5)]).collect()));
    edits.extend(of("updated_at", dates(vec![ago(5)]).collect()));
    edits.extend(of(
        "iss",
        vec![
            json!(null),
            json!(NULL),
            json!(""),
            json!("https://idp.example.com/dex/"),
            json!("https://IDP.example.com/dex"),
            json!("https://evil.example.com"),
            json!("no URL"),
            json!([ISSUER]),
            json!(7),
        ],
    ));
    edits.extend(of(
        "aud",
        vec![
            json!(null),
            json!(NULL),
            json!(""),
            json!([]),
            json!([CLIENT_ID]),
            json!([CLIENT_ID, CLIENT_ID]),
            json!([CLIENT_ID, "another"]),
            json!(["another"]),
            json!("Portcullis"),
            json!("portcullis "),
            json!([CLIENT_ID, null]),
            json!([CLIENT_ID, 7]),
            json!([[CLIENT_ID]]),
            json!({ CLIENT_ID: true }),
            json!(7),
        ],
    ));
    let texts = |own: Vec<Value>| {
        own.into_iter().chain([
            json!(null),
            json!(NULL),
            json!(""),
            json!(7),
            json!([NONCE]),
            json!({"a": 1}),
            json!(true),
        ])
    };
    edits.extend(of("sub", texts(vec![json!("another"), json!("s".repeat(300)), json!("a\nb")]).collect()));
    edits.extend(of("nonce", texts(vec![json!("another"), json!("nonce-1 "), json!("Nonce-1")]).collect()));
    edits.extend(of("azp", texts(vec![json!(CLIENT_ID), json!("another")]).collect()));
    edits.extend(of("at_hash", texts(vec![json!("AAAAAAAAAAAAAAAAAAAAAA")]).collect()));
    edits.extend(of("c_hash", texts(vec![json!("AAAAAAAAAAAAAAAAAAAAAA")]).collect()));
    for name in ["jti", "sid", "acr", "amr", "email", "name", "picture", "locale", "zoneinfo", "address", "groups"] {
        edits.extend(of(name, texts(vec![json!("text")]).collect()));
    }
    edits.extend(of("email_verified", texts(vec![json!("true"), json!("false"), json!("yes")]).collect()));
    edits.extend([says("name#de", json!("x")), says("#", json!("x")), says("email#de", json!("x"))]);
    edits.push(says("deep", (0..12).fold(json!(1), |inner, _| json!([inner]))));
    edits.push(says("too deep", (0..20).fold(json!(1), |inner, _| json!([inner]))));
    edits.push(says("filler", json!("x".repeat(20 << 10))));
    edits
}

/// Puts `null` where [`NULL`] stands.
fn with_nulls(value: &Value) -> Value {
    let mut object = value.as_object().unwrap().clone();
    for value in object.values_mut() {
        if *value == NULL {
            *value = Value::Null;
        }
    }
    object.into()
}

pub(super) fn all_keys() -> String {
    jwks_document(&[&RSA.jwk, &P256.jwk, &P384.jwk, &P521.jwk, &ED25519.jwk])
}

/// Header and claims of an honest token with these edits.
fn parts(algorithm: Algorithm, edits: &[Edit]) -> (Value, Value) {
    let mut header = json!({"alg": algorithm.name(), "kid": key_of(algorithm).jwk["kid"], "typ": "JWT"});
    let mut claims = json!({
        "iss": ISSUER, "sub": "subject-1", "aud": CLIENT_ID, "exp": NOW + 300, "iat": NOW, "nonce": NONCE,
        "at_hash": algorithm.half_hash(ACCESS_TOKEN), "c_hash": algorithm.half_hash(CODE), "auth_time": NOW - 5,
        "email": "user@example.com", "email_verified": true, "groups": ["team-a"],
    });
    for edit in edits {
        header = merged(&header, &edit.header);
        claims = merged(&claims, &edit.claims);
    }
    (with_nulls(&header), with_nulls(&claims))
}

pub(super) fn token(algorithm: Algorithm, edits: &[Edit]) -> String {
    let (header, claims) = parts(algorithm, edits);
    key_of(algorithm).sign(algorithm, &header, &claims)
}

/// A token of exactly these texts, signed by the key on P-256.
fn raw(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", secret::encode(header.as_bytes()), secret::encode(claims.as_bytes()));
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &P256.private, jsonwebtoken::Algorithm::ES256).unwrap();
    format!("{message}.{signature}")
}

/// A token under its name, and the key set that it is judged with.
pub(super) type Case = (String, String, String);

fn edited() -> Vec<Case> {
    let mut cases = Vec::new();
    // One kind of key of which the set has one, and one of which it has several.
    for algorithm in [Algorithm::Rs256, Algorithm::Es256] {
        let edits = header_edits().into_iter().chain(claim_edits());
        cases.extend(edits.map(|edit| (edit.name.clone(), token(algorithm, &[edit]), all_keys())));
    }
    cases
}

fn by_algorithm() -> Vec<Case> {
    let mut cases = Vec::new();
    for algorithm in Algorithm::ALL.iter().copied() {
        cases.push((algorithm.name().to_owned(), token(algorithm, &[]), all_keys()));
        let no_kid = headed("kid", json!(null));
        cases.push((format!("{} without a kid", algorithm.name()), token(algorithm, &[no_kid]), all_keys()));
        for other in Algorithm::ALL.iter().copied().filter(|other| *other != algorithm) {
            let renamed = headed("alg", json!(other.name()));
            let name = format!("{} that says {}", algorithm.name(), other.name());
            cases.push((name, token(algorithm, &[renamed]), all_keys()));
        }
    }
    cases
}

fn forged() -> Vec<Case> {
    let honest = token(Algorithm::Es256, &[]);
    let (header, claims) = parts(Algorithm::Es256, &[]);
    let message = unsigned(&header, &claims);
    let other = token(Algorithm::Es256, &[says("email", json!("bob@example.com"))]);
    let hmac = |key: &[u8]| {
        let message = unsigned(&json!({"alg": "HS256", "kid": "p256"}), &claims);
        let key = jsonwebtoken::EncodingKey::from_secret(key);
        let algorithm = jsonwebtoken::Algorithm::HS256;
        format!("{message}.{}", jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap())
    };
    let twice = |text: &Value, member: &str| {
        let text = text.to_string();
        format!("{},{member}}}", text.strip_suffix('}').unwrap())
    };
    let signature = honest.rsplit_once('.').unwrap().1;
    let tokens = [
        ("honest", honest.clone()),
        ("no signature", format!("{message}.")),
        ("two parts", message.clone()),
        ("r = s = 0", format!("{message}.{}", secret::encode(&[0; 64]))),
        ("a signature of another token", format!("{message}.{}", other.rsplit_once('.').unwrap().1)),
        ("another key", P384.sign(Algorithm::Es384, &header, &claims)),
        ("HS256 by the PEM", hmac(P256.public_pem.as_bytes())),
        ("HS256 by the client secret", hmac(b"client-secret")),
        ("none", format!("{}.", unsigned(&json!({"alg": "none"}), &claims))),
        ("none with a signature", format!("{}.{signature}", unsigned(&json!({"alg": "none"}), &claims))),
        ("five parts", "a.b.c.d.e".to_owned()),
        ("four parts", format!("{honest}.x")),
        ("nothing", String::new()),
        ("no base64url", honest.replace('.', ".+")),
        ("padded", format!("{honest}==")),
        ("a space before it", format!(" {honest}")),
        ("a line behind it", format!("{honest}\n")),
        ("alg said twice", raw(&twice(&header, "\"alg\":\"none\""), &claims.to_string())),
        ("kid said twice", raw(&twice(&header, "\"kid\":\"x\""), &claims.to_string())),
        ("x said twice in the header", raw(&twice(&header, "\"x\":1,\"x\":2"), &claims.to_string())),
        ("email said twice", raw(&header.to_string(), &twice(&claims, "\"email\":\"bob@example.com\""))),
        ("nonce said twice", raw(&header.to_string(), &twice(&claims, "\"nonce\":\"x\""))),
        ("groups said twice", raw(&header.to_string(), &twice(&claims, "\"groups\":[\"admins\"]"))),
        ("something behind the claims", raw(&header.to_string(), &format!("{claims}{{}}"))),
        ("a byte order mark before the claims", raw(&header.to_string(), &format!("\u{feff}{claims}"))),
        ("white space around the claims", raw(&header.to_string(), &format!(" {claims}\n"))),
        ("claims that are an array", raw(&header.to_string(), "[]")),
        ("claims that are null", raw(&header.to_string(), "null")),
        ("a header that is an array", raw("[]", &claims.to_string())),
        ("an infinite number", raw(&header.to_string(), &twice(&claims, "\"x\":1e999"))),
    ];
    tokens.into_iter().map(|(name, token)| (name.to_owned(), token, all_keys())).collect()
}

fn by_key_set() -> Vec<Case> {
    let key = |edit: Value| P256.jwk_with(&edit);
    let rsa = |edit: Value| RSA.jwk_with(&edit);
    let es256 = token(Algorithm::Es256, &[]);
    let no_kid = token(Algorithm::Es256, &[headed("kid", json!(null))]);
    let rs256 = token(Algorithm::Rs256, &[]);
    let mut padded = vec![0; 8];
    padded.extend(secret::decode(RSA.jwk["n"].as_str().unwrap()).unwrap());
    let stranger = TestKey::p256("p256").jwk;
    let sets = [
        ("no keys", &es256, vec![]),
        ("the key alone", &es256, vec![key(json!({}))]),
        ("a key for signatures", &es256, vec![key(json!({"use": "sig", "alg": "ES256", "key_ops": ["verify"]}))]),
        ("a key for encryption", &es256, vec![key(json!({"use": "enc"}))]),
        ("a key for signing", &es256, vec![key(json!({"key_ops": ["sign"]}))]),
        ("a key for another algorithm", &es256, vec![key(json!({"alg": "ES384"}))]),
        ("a key for an algorithm that is not known", &es256, vec![key(json!({"alg": "ES256K"}))]),
        ("a key on another curve", &es256, vec![key(json!({"crv": "P-384"}))]),
        ("a key of another kind", &es256, vec![rsa(json!({"kid": "p256"}))]),
        ("a key without a name", &es256, vec![key(json!({"kid": null}))]),
        ("a key without a name for a token without one", &no_kid, vec![key(json!({"kid": null}))]),
        ("two keys without a name", &no_kid, vec![key(json!({"kid": null})), stranger.clone()]),
        ("two curves for a token without a name", &no_kid, vec![key(json!({})), P384.jwk.clone()]),
        ("two kinds under one name", &es256, vec![key(json!({})), rsa(json!({"kid": "p256"}))]),
        ("two keys under one name", &es256, vec![key(json!({})), stranger.clone()]),
        ("two curves under one name", &es256, vec![key(json!({})), P384.jwk_with(&json!({"kid": "p256"}))]),
        ("the key of a stranger", &es256, vec![stranger]),
        ("a shared secret", &es256, vec![json!({"kty": "oct", "kid": "p256", "k": "c2VjcmV0"})]),
        ("a key that tells its private part", &es256, vec![key(json!({"d": "AQAB"}))]),
        ("a point that is on no curve", &es256, vec![key(json!({"x": P256.jwk["y"], "y": P256.jwk["x"]}))]),
        ("keys that nobody can read beside it", &es256, vec![json!({"kty": "x"}), json!(7), key(json!({}))]),
        ("an RSA key with leading zeros", &rs256, vec![rsa(json!({"n": secret::encode(&padded)}))]),
        ("an RSA key for PS256", &rs256, vec![rsa(json!({"alg": "PS256"}))]),
        ("an RSA key with the exponent 1", &rs256, vec![rsa(json!({"e": "AQ"}))]),
        ("an RSA key of 64 bits", &rs256, vec![rsa(json!({"n": "AQABAQABAQA"}))]),
    ];
    sets.into_iter().map(|(name, token, keys)| (name.to_owned(), token.clone(), jwks_document(&keys))).collect()
}

pub(super) fn corpus() -> Vec<Case> {
    [edited(), by_algorithm(), forged(), by_key_set()].concat()
}
