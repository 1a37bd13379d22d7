//! Another language's JOSE library, `jose` of Node, verifies the assertion with keys that it finds by
//! discovery.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use portcullis_integration::envoy::Variant;
use portcullis_integration::gateway::Gateway;
use portcullis_integration::jwt::{self, Algorithm, SigningKey};
use portcullis_integration::node::Script;
use portcullis_integration::pki::Authority;
use serde_json::{Value, json};

const AUDIENCE: &str = "notebooks";

/// Runs the verifier, and gives the outcome of each token.
async fn verify(issuer: &str, authority: &Authority, tokens: &Value) -> Value {
    let script = Script::new(include_str!("jose/verify.mjs")).unwrap();
    let question = script.folder().join("question.json");
    let root = script.folder().join("ca.pem");
    std::fs::write(&question, json!({ "issuer": issuer, "audience": AUDIENCE, "tokens": tokens }).to_string()).unwrap();
    std::fs::write(&root, authority.pem()).unwrap();
    let node = script.launch("jose").unwrap().arg(&question).env("NODE_EXTRA_CA_CERTS", &root);
    let mut node = node.start().unwrap();
    let status = node.wait_exit(Duration::from_mins(1)).await.unwrap();
    assert!(status.success(), "{}", node.log());
    let log = node.log();
    let line = log.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("no outcomes: {log}"));
    serde_json::from_str(line).unwrap()
}

/// The token with one claim changed, and its signature kept.
fn tampered(token: &str, name: &str, value: &str) -> String {
    let mut claims = jwt::claims(token).unwrap();
    claims[name] = value.into();
    let mut parts: Vec<&str> = token.split('.').collect();
    let payload = BASE64.encode(claims.to_string());
    parts[1] = &payload;
    parts.join(".")
}

#[tokio::test]
async fn another_languages_library_verifies_the_assertion() {
    let authority = Authority::new("the tests' authority").unwrap();
    let identity = authority.server(&[]).unwrap();
    let mut issuer = String::new();
    let gateway = Gateway::start(Variant::NEWEST, |config| {
        let (certificate, key) = identity.write(config.folder(), "published").unwrap();
        issuer = format!("https://{}", config.get("/listeners/http/bind").and_then(Value::as_str).unwrap());
        config
            .set("/listeners/http/tls", json!({ "certificate": certificate, "key": key }))
            .set("/assertion/issuer", issuer.as_str())
            .rules(json!([{ "name": "notebooks", "access": "authenticated", "audience": AUDIENCE }]))
    });
    let gateway = gateway.await.unwrap();

    let mut alice = gateway.visitor().unwrap();
    let received = alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    let user = received.headers.only("portcullis-assertion").unwrap();
    let bearer = format!("Bearer {}", gateway.mint_token("team-a", "robot"));
    let received = gateway.get("/", &[("authorization", &bearer)]).await.unwrap().echo().unwrap();
    let account = received.headers.only("portcullis-assertion").unwrap();

    let claims = jwt::claims(user).unwrap();
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let header = jwt::header(user).unwrap().to_string();
    let forged = stranger.sign_bytes(header.as_bytes(), claims.to_string().as_bytes()).unwrap();
    let unsigned = jwt::unsigned(br#"{"alg":"none"}"#, claims.to_string().as_bytes(), b"");
    let tokens = json!({
        "user": { "token": user },
        "account": { "token": account },
        "tampered": { "token": tampered(user, "sub", "user:test:subject-of-bob") },
        "for another audience": { "token": tampered(user, "aud", "kubeflow") },
        "another audience": { "token": user, "expect": { "audience": "kubeflow" } },
        "another issuer": { "token": user, "expect": { "issuer": "https://portcullis.test" } },
        "another key": { "token": forged },
        "unsigned": { "token": unsigned },
    });
    let outcomes = verify(&issuer, &authority, &tokens).await;

    let (user, account) = (&outcomes["user"], &outcomes["account"]);
    assert_eq!(user["payload"], claims, "{outcomes:#}");
    assert_eq!(user["header"]["alg"], "ES256");
    assert_eq!(user["payload"]["sub"], "user:test:subject-of-alice");
    assert_eq!(user["payload"]["email"], "alice@example.com");
    assert_eq!(user["payload"]["groups"], json!(["team-a", "everyone"]));
    assert_eq!(account["payload"]["sub"], "system:serviceaccount:team-a:robot", "{outcomes:#}");
    let lifetime = |claims: &Value| claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!((1..=60).contains(&lifetime(&user["payload"])), "{outcomes:#}");
    for (name, code) in [
        ("tampered", "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"),
        ("for another audience", "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"),
        ("another audience", "ERR_JWT_CLAIM_VALIDATION_FAILED"),
        ("another issuer", "ERR_JWT_CLAIM_VALIDATION_FAILED"),
        ("another key", "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"),
        ("unsigned", "ERR_JOSE_ALG_NOT_ALLOWED"),
    ] {
        assert_eq!(outcomes[name]["refused"], code, "{name}");
    }
}
