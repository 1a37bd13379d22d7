//! OpenID Connect Back-Channel Logout 1.0: the provider ends sessions, by session and by person.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use portcullis_integration::administrator::{Administrator, administered};
use portcullis_integration::envoy::{Envoy, Variant};
use portcullis_integration::faults::{Fault, edit};
use portcullis_integration::gateway::Gateway;
use portcullis_integration::movable_clock::{MovableClock, Moves};
use portcullis_integration::oidc_provider::OidcProvider;
use portcullis_integration::portcullis::{Config, ORIGIN, Portcullis};
use portcullis_integration::redis::RedisServer;
use portcullis_integration::upstream::{Protocol, Upstream};
use portcullis_integration::visitor::Visitor;
use portcullis_integration::{http, jwt};
use reqwest::header::CACHE_CONTROL;
use serde_json::{Value, json};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const FORM: &str = "application/x-www-form-urlencoded";

async fn gateway() -> Gateway {
    Gateway::start(Variant::NEWEST, |config| config).await.unwrap()
}

async fn signed_in(gateway: &Gateway, user: &str) -> Visitor {
    let mut visitor = gateway.visitor().unwrap();
    visitor.sign_in(user, "/").await.unwrap().echo().unwrap();
    visitor
}

async fn is_signed_in(visitor: &mut Visitor) -> bool {
    match visitor.fetch("GET", "/").await.unwrap().status {
        200 => true,
        401 => false,
        status => panic!("status {status}"),
    }
}

/// The claims of a good logout token, with these set; `null` removes one.
fn claims(gateway: &Gateway, changes: &Value) -> Value {
    let now = jwt::now();
    let mut claims = json!({
        "iss": gateway.provider.issuer(), "aud": "portcullis", "iat": now, "exp": now + 120,
        "jti": jwt::random_id(), "events": { EVENT: {} },
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let object = claims.as_object_mut().unwrap();
    object.retain(|_, value| !value.is_null());
    claims
}

async fn send(portcullis: &Portcullis, body: String) -> u16 {
    send_by(&http::plain_client().unwrap(), portcullis, body).await
}

async fn send_by(client: &reqwest::Client, portcullis: &Portcullis, body: String) -> u16 {
    let url = format!("http://{}/backchannel-logout/test", portcullis.http_address());
    let request = client.post(url).header("content-type", FORM).body(body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
    answer.status().as_u16()
}

async fn send_token(gateway: &Gateway, changes: &Value) -> u16 {
    let token = gateway.provider.sign(&claims(gateway, changes)).unwrap();
    send(&gateway.portcullis, format!("logout_token={token}")).await
}

#[tokio::test]
async fn a_session_ends_by_its_sid_and_a_person_by_sub() {
    let gateway = gateway().await;
    let (mut first, mut second) = (signed_in(&gateway, "alice").await, signed_in(&gateway, "alice").await);
    let mut bob = signed_in(&gateway, "bob").await;
    let sessions = gateway.provider.signed_in();
    assert_eq!(send_token(&gateway, &json!({ "sid": sessions[0].session })).await, 200);
    assert!(!is_signed_in(&mut first).await && is_signed_in(&mut second).await && is_signed_in(&mut bob).await);
    assert_eq!(send_token(&gateway, &json!({ "sub": sessions[1].subject })).await, 200);
    assert!(!is_signed_in(&mut second).await && is_signed_in(&mut bob).await);
    let metrics = gateway.portcullis.metrics().await.unwrap();
    let accepted = "portcullis_oidc_back_channel_logouts_total{provider=\"test\",outcome=\"accepted\"} 2";
    assert!(metrics.contains(accepted), "{metrics}");
}

#[tokio::test]
async fn a_token_that_is_not_good_ends_nothing_and_a_good_one_works_once() {
    let gateway = gateway().await;
    let mut alice = signed_in(&gateway, "alice").await;
    let session = gateway.provider.signed_in()[0].clone();
    let now = jwt::now();
    for changes in [
        json!({ "iss": "https://evil.test" }),
        json!({ "aud": "another" }),
        json!({ "exp": now - 120 }),
        json!({ "iat": null }),
        json!({ "jti": null }),
        json!({ "events": {} }),
        json!({ "nonce": "n" }),
        json!({ "sub": null }),
    ] {
        let mut changed = json!({ "sub": session.subject });
        for (name, value) in changes.as_object().unwrap() {
            changed[name] = value.clone();
        }
        assert_eq!(send_token(&gateway, &changed).await, 400, "{changes}");
    }
    let good = claims(&gateway, &json!({ "sub": session.subject }));
    let unsigned = jwt::unsigned(br#"{"alg":"none","typ":"logout+jwt"}"#, good.to_string().as_bytes(), b"");
    assert_eq!(send(&gateway.portcullis, format!("logout_token={unsigned}")).await, 400);
    assert_eq!(send(&gateway.portcullis, String::new()).await, 400);
    assert_eq!(send(&gateway.portcullis, format!("logout_token={}", "a".repeat(100_000))).await, 413);
    assert!(is_signed_in(&mut alice).await);

    let body = format!("logout_token={}", gateway.provider.sign(&good).unwrap());
    let once = tokio::join!(send(&gateway.portcullis, body.clone()), send(&gateway.portcullis, body.clone()));
    assert_eq!(once, (200, 200), "whoever did not hear the first answer asks again");
    assert!(!is_signed_in(&mut alice).await);
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    assert_eq!(send(&gateway.portcullis, body).await, 200);
    assert!(is_signed_in(&mut alice).await, "a replay ends no later session");
    let labels = [r#"provider="test""#, r#"outcome="replayed""#];
    assert_eq!(gateway.portcullis.metric("portcullis_oidc_back_channel_logouts_total", &labels).await.unwrap(), 2);
}

/// What the log says of a logout names the sessions as lists of sessions do, and their person.
#[tokio::test]
async fn a_logout_is_told_with_its_sessions_and_their_person() {
    let gateway = Gateway::start(Variant::NEWEST, administered).await.unwrap();
    let (mut first, mut second) = (signed_in(&gateway, "alice").await, signed_in(&gateway, "alice").await);
    let list = ["sessions", "list", "--user", "alice@example.com"];
    let listed = Administrator::of(&gateway.portcullis).told_json(&list).await.unwrap();
    let handles: Vec<String> =
        listed["sessions"].as_array().unwrap().iter().map(|it| it["handle"].as_str().unwrap().to_owned()).collect();
    let sessions = gateway.provider.signed_in();
    assert_eq!(send_token(&gateway, &json!({ "sid": sessions[0].session })).await, 200);
    assert_eq!(send_token(&gateway, &json!({ "sub": sessions[0].subject })).await, 200);
    assert_eq!(send_token(&gateway, &json!({ "sub": sessions[0].subject })).await, 200);
    assert!(!is_signed_in(&mut first).await && !is_signed_in(&mut second).await);
    let records = gateway.portcullis.records().await.unwrap();
    let told: Vec<_> = records
        .iter()
        .filter(|record| record["message"] == "the provider ended sessions")
        .map(|record| json!([record["ended"], record["session"], record["principal"]]))
        .collect();
    let alice = "alice@example.com";
    assert_eq!(told, [json!([1, handles[0], alice]), json!([1, handles[1], alice]), json!([0, "", null])]);
}

/// Hydra's have no `exp`; who takes such says so, and takes them for two minutes, once.
#[tokio::test]
async fn a_token_without_an_end_ends_a_session_only_where_that_is_written() {
    let labels = [r#"provider="test""#, r#"outcome="refused""#];
    let strict = gateway().await;
    let mut alice = signed_in(&strict, "alice").await;
    let session = strict.provider.signed_in()[0].clone();
    let without_end = json!({ "sub": session.subject, "exp": null });
    assert_eq!(send_token(&strict, &without_end).await, 400);
    assert!(is_signed_in(&mut alice).await);
    assert_eq!(strict.portcullis.metric("portcullis_oidc_back_channel_logouts_total", &labels).await.unwrap(), 1);
    let records = strict.portcullis.records().await.unwrap();
    let names_the_word = |record: &Value| record.to_string().contains("logout_token_without_exp");
    assert!(records.iter().any(names_the_word), "the operator hears what would let it pass");

    let word = json!({ "logout_token_without_exp": true });
    let gateway = Gateway::start(Variant::NEWEST, |config| config.set("/providers/0/logout", word)).await.unwrap();
    let mut alice = signed_in(&gateway, "alice").await;
    let session = gateway.provider.signed_in()[0].clone();
    let old = json!({ "sub": session.subject, "exp": null, "iat": jwt::now() - 200 });
    assert_eq!(send_token(&gateway, &old).await, 400);
    assert!(is_signed_in(&mut alice).await, "it is more than two minutes old");
    let token = claims(&gateway, &json!({ "sid": session.session, "exp": null }));
    let body = format!("logout_token={}", gateway.provider.sign(&token).unwrap());
    assert_eq!(send(&gateway.portcullis, body.clone()).await, 200);
    assert!(!is_signed_in(&mut alice).await);
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    assert_eq!(send(&gateway.portcullis, body).await, 200);
    assert!(is_signed_in(&mut alice).await, "a replay ends no later session");
}

/// Anybody may send a token whose key nobody knows; those whose key is known do not wait behind it.
#[tokio::test]
async fn strangers_who_wait_for_keys_keep_no_logout_out() {
    let clock = MovableClock::new(Moves::AllClocks).unwrap();
    let gateway = Gateway::start(Variant::NEWEST, |config| config.clock(&clock)).await.unwrap();
    let mut alice = signed_in(&gateway, "alice").await;
    let session = gateway.provider.signed_in()[0].clone();
    // The keys are old enough to be asked for again.
    clock.set(40).unwrap();
    gateway.provider.lie(|faults| faults.jwks = Fault::Hang);
    let good = claims(&gateway, &json!({ "sub": session.subject })).to_string();
    // One client: to make one takes longer than to send.
    let client = http::plain_client().unwrap();
    let mut strangers: FuturesUnordered<_> = (0..80)
        .map(|number| {
            let header = json!({ "alg": "ES256", "kid": format!("made-up-{number}") }).to_string();
            let token = jwt::unsigned(header.as_bytes(), good.as_bytes(), b"made up");
            send_by(&client, &gateway.portcullis, format!("logout_token={token}"))
        })
        .collect();
    // Those who are turned away show that every place is taken.
    for _ in 0..16 {
        assert_eq!(strangers.next().await, Some(400));
    }
    assert_eq!(send_token(&gateway, &json!({ "sub": session.subject })).await, 200);
    assert!(!is_signed_in(&mut alice).await);
    assert_eq!(strangers.map(|status| assert_eq!(status, 400)).count().await, 64);
}

/// Redis stands still while the logout is asked for. Whether it does it later, nobody hears.
#[tokio::test]
async fn a_logout_that_redis_did_not_answer_is_done_when_its_token_comes_again() {
    let redis = RedisServer::start(&[]);
    let gateway = Gateway::start(Variant::NEWEST, |config| config.redis_store(&redis).unwrap()).await.unwrap();
    let mut alice = signed_in(&gateway, "alice").await;
    let session = gateway.provider.signed_in()[0].clone();
    let body = format!(
        "logout_token={}",
        gateway.provider.sign(&claims(&gateway, &json!({ "sub": session.subject }))).unwrap()
    );
    redis.pause();
    assert_ne!(send(&gateway.portcullis, body.clone()).await, 200);
    redis.resume();
    let begun = std::time::Instant::now();
    while alice.fetch("GET", "/").await.unwrap().status == 503 {
        assert!(begun.elapsed() < Duration::from_mins(1), "the store is not back");
    }
    assert_eq!(send(&gateway.portcullis, body.clone()).await, 200);
    assert!(!is_signed_in(&mut alice).await);
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    assert_eq!(send(&gateway.portcullis, body).await, 200);
    assert!(is_signed_in(&mut alice).await, "a replay ends no later session");
}

/// A provider that names no `sid` at the sign-in may do so at the logout.
#[tokio::test]
async fn a_session_without_a_sid_ends_with_each_one_of_its_person() {
    let gateway = gateway().await;
    gateway.provider.lie(|faults| {
        faults.edit_claims = edit(|claims| drop(claims.as_object_mut().unwrap().remove("sid")));
    });
    let (mut alice, mut bob) = (signed_in(&gateway, "alice").await, signed_in(&gateway, "bob").await);
    let session = gateway.provider.signed_in()[0].clone();
    let named = json!({ "sub": session.subject, "sid": session.session });
    assert_eq!(send_token(&gateway, &named).await, 200);
    assert!(!is_signed_in(&mut alice).await && is_signed_in(&mut bob).await);
}

/// The certified provider tells us by itself when its session ends, whichever of our browsers asked for it.
#[tokio::test]
async fn the_certified_provider_ends_the_other_browsers_of_its_session() {
    let config = Config::new().unwrap();
    let back_channel = format!("http://{}/backchannel-logout/oidc-provider", config.http_address());
    let provider = OidcProvider::start_with(300, Some(&back_channel)).await.unwrap();
    let portcullis = config.sign_in_at(provider.registration()).unwrap().start().await.unwrap();
    let upstream = Upstream::start(Protocol::Http1).await.unwrap();
    let envoy = Envoy::builder(Variant::NEWEST).unwrap().check(portcullis.check_address()).upstream(&upstream);
    let envoy = envoy.start().await.unwrap();
    let sign_in = async |person: &portcullis_integration::registration::Person| {
        let mut visitor = Visitor::new(envoy.to_http1(), ORIGIN).unwrap();
        let callback = person.walk(&visitor.begin("/").await.unwrap()).await.unwrap();
        visitor.come_back(&callback).await.unwrap();
        visitor.navigate("/").await.unwrap().echo().unwrap();
        visitor
    };
    // Two of our sessions come of one session there, a third of another one.
    let (person, elsewhere) = (provider.person("alice").unwrap(), provider.person("alice").unwrap());
    let (mut first, mut second) = (sign_in(&person).await, sign_in(&person).await);
    let mut third = sign_in(&elsewhere).await;

    let link = [("accept", "text/html"), ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "navigate")];
    let link = [&link[..], &[("sec-fetch-dest", "document")]].concat();
    let answer = first.request("GET", "/portcullis/logout", &link).await.unwrap();
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert!(is_signed_in(&mut second).await, "the provider was not asked yet");
    let to_provider = url::Url::parse(answer.headers.only("location").unwrap()).unwrap();
    person.walk(&to_provider).await.unwrap();
    assert!(!is_signed_in(&mut second).await, "{}", portcullis.log_tail());
    assert!(is_signed_in(&mut third).await, "another session of the same person lives on");
}
