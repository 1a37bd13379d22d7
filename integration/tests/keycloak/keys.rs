//! Keys: Keycloak's, which change, and ours, by which the client says who it is.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_integration::keycloak::{Keycloak, Plan, mapper};
use portcullis_integration::patience::until;
use portcullis_integration::portcullis::Config;
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use serde_json::json;

use crate::ground::{Browser, Ground};

/// The `kid` under which Keycloak knows our key.
const KEY_ID: &str = "portcullis-1";

/// The last fetch of the keys is that of the start, a moment ago.
pub(crate) async fn keys_that_change_right_after_a_fetch_lose_nobody(keycloak: &Keycloak) {
    let plan = Plan::new().set("accessTokenLifespan", 2).set("revokeRefreshToken", true).mapper(mapper::groups());
    let refresh = json!({ "ahead": "1m" });
    let ground = Ground::open(keycloak, plan, |config| config.set("/providers/0/refresh", refresh)).await;
    let mut people: Vec<Browser> = Vec::new();
    for user in ["alice", "bob", "alice"] {
        people.push(ground.signed_in(user).await);
    }
    for algorithm in ["ES256", "EdDSA"] {
        ground.realm.sign_with(algorithm).await.unwrap();
        people.push(ground.signed_in("alice").await);
        // Two refreshes of each take longer than the access tokens of before are taken to live.
        let (before, count) = (ground.refreshes().await, people.len() as u64);
        until("everybody's refresh", async || {
            for browser in &mut people {
                assert_eq!(browser.status().await, 200, "{algorithm}: {}", ground.portcullis.log_tail());
            }
            (ground.refreshes().await >= before + 2 * count).then_some(())
        })
        .await;
    }
    assert_eq!(ground.count("portcullis_oidc_refreshes_total", r#"outcome="failure""#).await, 0);
    // Logout tokens come by the new key, too.
    let sessions = ground.realm.sessions("alice").await.unwrap().len() as u64;
    ground.realm.log_out("alice").await.unwrap();
    until("every logout token", async || (ground.back_channel_logouts().await == sessions).then_some(())).await;
    assert_eq!(people[0].status().await, 401);
}

/// A client that Keycloak knows by a key.
fn known_by(attribute: &str, value: &str) -> Plan {
    let is_key_set = if attribute == "jwks.string" { "true" } else { "false" };
    Plan::new()
        .client("clientAuthenticatorType", "client-jwt")
        .attribute("token.endpoint.auth.signing.alg", "ES256")
        .attribute("use.jwks.string", is_key_set)
        .attribute(attribute, value)
}

/// The product with this key instead of a secret.
fn with_key(mut config: Config, key: &KeyPair) -> Config {
    let file = config.folder().join("client-key.pem");
    fs::write(&file, key.serialize_pem()).unwrap();
    config.tree()["providers"][0].as_object_mut().unwrap().remove("client_secret");
    config.set("/providers/0/client_key", file.to_str().unwrap())
}

pub(crate) async fn a_client_says_who_it_is_by_a_key(keycloak: &Keycloak) {
    let key = KeyPair::generate().unwrap();
    let named = |config| with_key(config, &key).set("/providers/0/client_key_id", KEY_ID);
    let ground = Ground::open(keycloak, known_by("jwks.string", &jwks(&key)), named).await;
    ground.signed_in("alice").await;
    // The attack beside it: whoever has another key.
    let another = jwks(&KeyPair::generate().unwrap());
    ground.realm.change_client(|client| client["attributes"]["jwks.string"] = json!(another)).await.unwrap();
    assert_eq!(ground.browser("alice").refusal().await, (503, "sign_in_not_set_up".to_owned()));
    assert_eq!(ground.told("ERROR", "invalid_client").await.len(), 1);

    // The other way of Keycloak's form, a certificate, has no name for the key: Keycloak refuses one.
    let plan = known_by("jwt.credential.certificate", &certificate(&key));
    let ground = Ground::open(keycloak, plan.clone(), |config| with_key(config, &key)).await;
    ground.signed_in("alice").await;
    let ground = Ground::open(keycloak, plan, named).await;
    assert_eq!(ground.browser("alice").refusal().await, (503, "sign_in_not_set_up".to_owned()));
    assert_eq!(ground.told("ERROR", "Unable to load public key").await.len(), 1);
}

/// The key set of one P-256 key.
fn jwks(key: &KeyPair) -> String {
    // An uncompressed point (SEC 1 section 2.3.3): 4, and the two coordinates.
    let (x, y) = key.der_bytes()[1..].split_at(32);
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    let key = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": KEY_ID, "alg": "ES256", "use": "sig" });
    json!({ "keys": [key] }).to_string()
}

/// A certificate of a key, as Keycloak keeps one: without the lines of PEM.
fn certificate(key: &KeyPair) -> String {
    STANDARD.encode(CertificateParams::default().self_signed(key).unwrap().der())
}
