//! A running process takes changes of its files within 10 s, without a restart: seen from outside.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis_integration::check_client::{Answer, Check, CheckClient};
use portcullis_integration::envoy::{CheckAddress, CheckTls, Variant};
use portcullis_integration::gateway::Gateway;
use portcullis_integration::http::plain_client;
use portcullis_integration::jwt;
use portcullis_integration::pki::Authority;
use portcullis_integration::portcullis::{Config, HOST, Portcullis};
use portcullis_integration::provider::{Client, Provider, Settings};
use portcullis_integration::visitor::{Visitor, log_in, path_and_query};
use serde_json::{Value, json};

const CALLER: &str = "spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway";

/// What `docs/configuration.md` promises.
const BOUND: Duration = Duration::from_secs(10);

/// Polls until the change of a moment ago shows; fails once the bound has passed. How late a timer
/// wakes on this machine now is the slack of the bound.
async fn takes_effect(what: &str, mut shows: impl AsyncFnMut() -> bool) {
    const PAUSE: Duration = Duration::from_millis(100);
    let changed = Instant::now();
    let mut slack = Duration::ZERO;
    while !shows().await {
        let elapsed = changed.elapsed();
        assert!(elapsed <= BOUND + slack, "{what}: not after {elapsed:?}, slack {slack:?}");
        let control = Instant::now();
        tokio::time::sleep(PAUSE).await;
        slack = slack.max(control.elapsed().saturating_sub(PAUSE));
    }
    let elapsed = changed.elapsed();
    assert!(elapsed <= BOUND + slack, "{what}: after {elapsed:?}, slack {slack:?}");
}

/// Replaces a file in one step, as mounted Secrets change.
fn replace(file: &Path, contents: impl AsRef<[u8]>) {
    let aside = file.with_extension("new");
    fs::write(&aside, contents).unwrap();
    fs::rename(&aside, file).unwrap();
}

fn assert_still_runs(portcullis: &mut Portcullis, id: u32) {
    let exited = portcullis.process().exited().unwrap();
    assert_eq!((portcullis.process().id(), exited), (id, None), "it was not to restart");
}

/// The status of a check; 200 for a permission.
async fn status(client: &CheckClient, path: &str) -> i32 {
    match client.check(Check::get(HOST, path).build()).await.unwrap() {
        Answer::Allow { .. } => 200,
        Answer::Deny { status, .. } => status,
    }
}

async fn reload_failed(portcullis: &Portcullis) -> bool {
    let metrics = portcullis.metrics().await.unwrap();
    let value = metrics.lines().find_map(|line| line.strip_prefix("portcullis_config_reload_failed "));
    match value {
        Some("0") => false,
        Some("1") => true,
        other => panic!("no such gauge: {other:?}"),
    }
}

#[tokio::test]
async fn a_rule_changes_and_a_wrong_file_changes_nothing() {
    let rules = json!([{ "name": "page", "paths": [{ "prefix": "/page" }], "access": "public" }]);
    let mut portcullis = Config::new().unwrap().rules(rules).start().await.unwrap();
    let id = portcullis.process().id();
    let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
    assert_eq!(status(&client, "/page").await, 200);
    assert!(!reload_failed(&portcullis).await);

    portcullis.rewrite(|tree| tree["rules"][0]["access"] = json!("deny")).unwrap();
    takes_effect("a denied path", async || status(&client, "/page").await == 403).await;

    let wrong = |tree: &mut Value| {
        tree["rules"][0]["access"] = json!("public");
        tree["default"]["access"] = json!("public");
    };
    portcullis.rewrite(wrong).unwrap();
    takes_effect("a wrong file is told", async || reload_failed(&portcullis).await).await;
    assert_eq!(status(&client, "/page").await, 403, "what was there before stays in force");

    portcullis.rewrite(|tree| tree["default"]["access"] = json!("authenticated")).unwrap();
    takes_effect("a mended file", async || status(&client, "/page").await == 200 && !reload_failed(&portcullis).await)
        .await;
    assert_still_runs(&mut portcullis, id);
}

/// Whether somebody gets to the service, with the session that they have.
async fn is_signed_in(visitor: &mut Visitor) -> bool {
    visitor.navigate("/page").await.unwrap().is_from_upstream()
}

#[tokio::test]
async fn a_client_secret_changes() {
    let mut gateway = Gateway::start(Variant::NEWEST, |config| config).await.unwrap();
    let id = gateway.portcullis.process().id();
    let mut bob = gateway.visitor().unwrap();
    assert!(bob.sign_in("bob", "/page").await.unwrap().is_from_upstream());

    let changed = "another-client-secret-of-the-tests";
    gateway.provider.change(|settings| settings.clients[0].secret = Some(changed.to_owned()));
    let exchanges = gateway.provider.calls().token;
    let refused = gateway.visitor().unwrap().sign_in("alice", "/page").await.unwrap_err();
    let refused = format!("{refused:#}");
    assert!(refused.contains("status 503 and no redirect"), "{refused}");
    assert!(gateway.provider.calls().token > exchanges, "the provider was asked, and refused the old secret");

    let file = gateway.portcullis.config().get("/providers/0/client_secret/file").and_then(Value::as_str);
    replace(Path::new(file.unwrap()), changed);
    takes_effect("the new client secret", async || {
        let landed = gateway.visitor().unwrap().sign_in("alice", "/page").await;
        landed.is_ok_and(|landed| landed.is_from_upstream())
    })
    .await;
    assert!(is_signed_in(&mut bob).await, "no session is lost");
    assert_still_runs(&mut gateway.portcullis, id);
}

/// A gateway with refresh tokens and all that a provider may be asked, and alice and bob signed in there.
async fn gateway_with_sessions() -> (Gateway, Visitor, Visitor) {
    let gateway = Gateway::start(Variant::NEWEST, |config| {
        config.embedded_store().set("/providers/0/refresh", json!({ "ahead": "1m" }))
    });
    let gateway = gateway.await.unwrap();
    gateway.provider.change(|settings| settings.refresh_tokens = true);
    let mut people = Vec::new();
    for name in ["alice", "bob"] {
        let mut visitor = gateway.visitor().unwrap();
        visitor.sign_in(name, "/page").await.unwrap().echo().unwrap();
        people.push(visitor);
    }
    let [alice, bob] = <[Visitor; 2]>::try_from(people).unwrap();
    (gateway, alice, bob)
}

/// The `sub` of the assertion that a service gets.
async fn subject(visitor: &mut Visitor) -> String {
    let received = visitor.fetch("GET", "/page").await.unwrap().echo().unwrap();
    let claims = jwt::claims(received.headers.only("portcullis-assertion").unwrap()).unwrap();
    claims["sub"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn sessions_end_with_the_issuer_that_they_came_from() {
    let (mut gateway, mut alice, mut bob) = gateway_with_sessions().await;
    let id = gateway.portcullis.process().id();
    // A sign-in that is on its way to the old issuer meanwhile.
    let mut carol = gateway.visitor().unwrap();
    let callback = log_in(&carol.begin("/page").await.unwrap(), "alice").await.unwrap();
    let (before, ticket) = (gateway.provider.calls(), alice.cookies.clone());

    // Another issuer, where another person has alice's subject, and access tokens that end at once.
    let other = Provider::start(Settings { refresh_tokens: true, ..Settings::default() }).await.unwrap();
    other.change(|settings| settings.users[0].email = Some("somebody-else@example.com".to_owned()));
    gateway.portcullis.rewrite(|tree| tree["providers"][0]["issuer"] = json!(other.issuer())).unwrap();
    takes_effect("the other issuer", async || {
        let refused = alice.clone().fetch("GET", "/page").await.unwrap();
        assert!(matches!(refused.status, 200 | 401), "{} {}", refused.status, refused.text());
        refused.status == 401
    })
    .await;

    assert_eq!(bob.fetch("POST", "/portcullis/logout").await.unwrap().status, 201);
    let location = alice.navigate("/page").await.unwrap().headers.only("location").unwrap().to_owned();
    assert!(location.starts_with(other.issuer()), "she is to sign in at the other one: {location}");
    // The code of the old issuer does not reach the new one, which may say it is its own.
    let mut forged = callback.clone();
    let pairs: Vec<_> = callback.query_pairs().into_owned().filter(|(name, _)| name != "iss").collect();
    forged.query_pairs_mut().clear().extend_pairs(pairs).append_pair("iss", other.issuer());
    let answer = carol.navigate(&path_and_query(&forged)).await.unwrap();
    assert_eq!(answer.status, 302, "the sign-in starts again: {}", answer.text());

    let asked = other.calls();
    assert_eq!((asked.token, asked.introspection, asked.userinfo, asked.revocation), (0, 0, 0, 0), "{asked:?}");
    assert_eq!(gateway.provider.calls(), before, "and nothing went to the old one");
    let listed = gateway.portcullis.records().await.unwrap();
    let told = |text: &str| listed.iter().any(|record| record["message"].as_str().is_some_and(|it| it.contains(text)));
    assert!(told("the issuer or the client id changed") && told("it came of another issuer or client id"));

    // Whoever signs in now is who the new issuer says; to services that is the same subject.
    alice.sign_in("alice", "/page").await.unwrap().echo().unwrap();
    assert_eq!(subject(&mut alice).await, "user:test:subject-of-alice");

    // Back at the old issuer nothing revives: no logout token of it was taken meanwhile.
    let issuer = gateway.provider.issuer().to_owned();
    gateway.portcullis.rewrite(|tree| tree["providers"][0]["issuer"] = json!(issuer)).unwrap();
    takes_effect("the old issuer", async || alice.clone().fetch("GET", "/page").await.unwrap().status == 401).await;
    alice.cookies = ticket;
    assert_eq!(alice.fetch("GET", "/page").await.unwrap().status, 401);
    assert_still_runs(&mut gateway.portcullis, id);
}

#[tokio::test]
async fn sessions_end_with_the_client_that_their_tokens_are_for() {
    let (mut gateway, mut alice, _) = gateway_with_sessions().await;
    gateway.provider.change(|settings| {
        let client = Client { id: "another".to_owned(), ..settings.clients[0].clone() };
        settings.clients.push(client);
    });
    let before = gateway.provider.calls();
    gateway.portcullis.rewrite(|tree| tree["providers"][0]["client_id"] = json!("another")).unwrap();
    takes_effect("the other client", async || {
        let refused = alice.clone().fetch("GET", "/page").await.unwrap();
        assert!(matches!(refused.status, 200 | 401), "{} {}", refused.status, refused.text());
        refused.status == 401
    })
    .await;
    let after = gateway.provider.calls();
    assert_eq!((after.token, after.revocation), (before.token, before.revocation), "no token of the other client's");
    alice.sign_in("alice", "/page").await.unwrap().echo().unwrap();
    assert_eq!(subject(&mut alice).await, "user:test:subject-of-alice");
}

fn root_key(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name);
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).unwrap();
    fs::write(&file, key).unwrap();
    file
}

fn assertion_key(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    file
}

/// How many of the assertion's keys are served.
async fn published(portcullis: &Portcullis) -> usize {
    let url = format!("http://{}/.well-known/jwks.json", portcullis.http_address());
    let response = plain_client().unwrap().get(url).send().await.unwrap().error_for_status().unwrap();
    let jwks: Value = response.json().await.unwrap();
    jwks["keys"].as_array().unwrap().len()
}

#[tokio::test]
async fn keys_are_added_and_leave() {
    let folder = tempfile::tempdir().unwrap();
    let [old_root, new_root] = ["root-1", "root-2"].map(|name| root_key(folder.path(), name));
    let [old, new] = ["assertion-1.pem", "assertion-2.pem"].map(|name| assertion_key(folder.path(), name));
    let keys = json!({ "root": [&old_root], "assertion": [&old] });
    let mut gateway = Gateway::start(Variant::NEWEST, |config| config.set("/keys", keys)).await.unwrap();
    let id = gateway.portcullis.process().id();
    let mut alice = gateway.visitor().unwrap();
    assert!(alice.sign_in("alice", "/page").await.unwrap().is_from_upstream());
    assert_eq!(published(&gateway.portcullis).await, 1);

    let both = json!({ "root": [&new_root, &old_root], "assertion": [&old, &new] });
    gateway.portcullis.rewrite(|tree| tree["keys"] = both).unwrap();
    takes_effect("a second assertion key", async || published(&gateway.portcullis).await == 2).await;
    assert!(is_signed_in(&mut alice).await, "the old root key still opens");
    let mut bob = gateway.visitor().unwrap();
    assert!(bob.sign_in("bob", "/page").await.unwrap().is_from_upstream());

    gateway.portcullis.rewrite(|tree| tree["keys"]["root"] = json!([new_root])).unwrap();
    takes_effect("the old root key left, and she has to sign in", async || {
        matches!(alice.navigate("/page").await.unwrap().status, 302 | 303)
    })
    .await;
    assert!(is_signed_in(&mut bob).await, "the first root key sealed this session");
    assert_still_runs(&mut gateway.portcullis, id);
}

#[tokio::test]
async fn the_check_listener_changes_its_certificate_and_its_authority() {
    let [old, new] = ["old", "new"].map(|name| Authority::new(name).unwrap());
    let config = Config::new().unwrap();
    let (certificate, key) = old.server(&["check.test"]).unwrap().write(config.folder(), "check").unwrap();
    let client_ca = config.folder().join("ca.crt");
    fs::write(&client_ca, old.pem()).unwrap();
    let tls = json!({ "certificate": certificate, "key": key, "client_ca": client_ca, "allowed_sans": [CALLER] });
    let config = config.set("/default/access", "deny").set("/listeners/check/tls", tls);
    let mut portcullis = config.start().await.unwrap();
    let id = portcullis.process().id();
    let CheckAddress::Tcp(address) = portcullis.check_address() else { panic!("a TCP listener") };
    let connect = async |server: &Authority, client: &Authority| {
        let identity = Some(client.client(CALLER).unwrap());
        let tls = CheckTls { authority: server.pem(), server_name: "check.test".to_owned(), identity };
        CheckClient::connect_tls(address, &tls).await
    };
    let is_admitted = async |server: &Authority, client: &Authority| match connect(server, client).await {
        Ok(connected) => connected.check(Check::get(HOST, "/").build()).await.is_ok(),
        Err(_) => false,
    };
    let connected = connect(&old, &old).await.unwrap();
    assert_eq!(status(&connected, "/").await, 403);
    assert!(!is_admitted(&old, &new).await, "the new authority is not known yet");

    let identity = new.server(&["check.test"]).unwrap();
    replace(&certificate, identity.certificate);
    replace(&key, identity.key);
    replace(&client_ca, new.pem());
    takes_effect("the new authority", async || is_admitted(&new, &new).await).await;
    assert!(!is_admitted(&new, &old).await, "a certificate from the old authority");
    assert!(!is_admitted(&old, &new).await, "the old certificate is shown no more");
    takes_effect("the old connection closes", async || connected.check(Check::get(HOST, "/").build()).await.is_err())
        .await;
    assert_still_runs(&mut portcullis, id);
}
