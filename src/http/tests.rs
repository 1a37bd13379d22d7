//! Both routers, asked directly.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::{Router, body::Body};
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::{
    clock::{SystemClock, Timestamp},
    jose::{AssertionKey, AssertionKeyRing},
    logout::SharedBackChannel,
    oidc::{self},
    secret::{RootKeyRing, SecretBytes},
    session::{self, Sessions},
    store::{MemoryStore, Stores},
};

async fn ask(router: Router, method: Method, path: &str) -> (Response<()>, String) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
}

fn key() -> AssertionKey {
    let pem = SecretBytes::new(AssertionKey::generate_pem().expose().as_bytes().to_vec());
    AssertionKey::from_pem(&pem, Timestamp::from_unix_seconds(0)).unwrap()
}

fn public(issuer: &str) -> Router {
    let keys = AssertionKeyRing::new(vec![key(), key()], Duration::ZERO).unwrap().shared();
    published(Arc::new(ArcSwap::from_pointee(issuer.to_owned())), keys, no_provider())
}

/// Sign-in where there is no provider.
fn no_provider() -> SharedBackChannel {
    let clock = SystemClock::shared();
    let store = Arc::new(MemoryStore::new(Arc::clone(&clock)));
    let keys = RootKeyRing::new(&[SecretBytes::new((0..32).collect())]).unwrap().shared();
    let day = Duration::from_hours(24);
    let config = session::Config { absolute_lifetime: day, idle_lifetime: day, open_bytes: 1 << 20 };
    let sessions =
        Sessions::new(&Stores::of(store), keys.clone(), Arc::clone(&clock), &config, session::Metrics::default());
    let config = oidc::Config { providers: Vec::new(), limits: oidc::Limits::default() };
    let metrics = oidc::Metrics::register(&mut Registry::default());
    let oidc = oidc::Oidc::new(config, keys, Arc::new(sessions), clock, metrics, None).unwrap();
    Arc::new(ArcSwap::from_pointee(oidc.back_channel))
}

#[tokio::test]
async fn back_channel_logout_takes_a_small_form_for_a_provider_that_there_is() {
    let router = public("https://gate.example.com");
    let form = "application/x-www-form-urlencoded";
    for (content_type, body, status) in [
        (form, "logout_token=a.b.c".to_owned(), 404),
        (form, "logout_token=a&logout_token=a".to_owned(), 400),
        (form, "token=a".to_owned(), 400),
        (form, String::new(), 400),
        ("application/json", "{\"logout_token\":\"a\"}".to_owned(), 400),
        (form, format!("logout_token={}", "a".repeat(64 * 1024)), 413),
    ] {
        let request = Request::post("/backchannel-logout/dex").header("content-type", content_type);
        let response = router.clone().oneshot(request.body(Body::from(body.clone())).unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{body:.40}");
        assert_eq!(response.headers()["cache-control"], "no-store", "{body:.40}");
    }
    let (response, _) = ask(router, Method::GET, "/backchannel-logout/dex").await;
    assert_eq!(response.status(), 405);
}

#[tokio::test]
async fn discovery_leads_to_the_key_set() {
    let (response, text) =
        ask(public("https://gate.example.com"), Method::GET, "/.well-known/openid-configuration").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["cache-control"], "public, max-age=300");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["issuer"], "https://gate.example.com");
    let key_set = document["jwks_uri"].as_str().unwrap().strip_prefix("https://gate.example.com").unwrap();

    let (response, text) = ask(public("https://gate.example.com"), Method::GET, key_set).await;
    assert_eq!(response.status(), 200);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["keys"].as_array().unwrap().len(), 2);
    assert!(document["keys"][0].get("d").is_none(), "the private part is never published");
}

#[tokio::test]
async fn an_issuer_with_a_path_serves_below_it() {
    let issuer = "https://example.com/gate";
    for path in ["/gate/.well-known/openid-configuration", "/.well-known/openid-configuration"] {
        let (response, text) = ask(public(issuer), Method::GET, path).await;
        assert_eq!(response.status(), 200, "{path}");
        assert!(text.contains("https://example.com/gate/.well-known/jwks.json"));
    }
    let (response, _) = ask(public(issuer), Method::GET, "/other/.well-known/jwks.json").await;
    assert_eq!(response.status(), 404);
}

#[tokio::test]
async fn only_reading_methods_are_answered() {
    let issuer = "https://example.com";
    let (head, text) = ask(public(issuer), Method::HEAD, "/.well-known/jwks.json").await;
    assert_eq!((head.status().as_u16(), text.as_str()), (200, ""));
    for path in ["/.well-known/jwks.json", "/elsewhere"] {
        let (response, _) = ask(public(issuer), Method::POST, path).await;
        assert_eq!(response.status(), 405, "{path}");
    }
}

fn operated(readiness: &Readiness, failing: bool) -> Router {
    operated_with(readiness, if failing { DependencyState::Failing } else { DependencyState::Answering })
}

fn operated_with(readiness: &Readiness, state: DependencyState) -> Router {
    let dependency = Dependency { name: "provider dex".to_owned(), state: Arc::new(move || state.clone()) };
    let mut registry = Registry::default();
    let counter: Counter = Counter::default();
    registry.register("portcullis_tests", "A counter", counter.clone());
    counter.inc();
    let dependencies = ArcSwap::from_pointee(vec![dependency]);
    operations(readiness.clone(), Arc::new(dependencies), Arc::new(registry))
}

#[tokio::test]
async fn readiness_speaks_of_this_process_alone() {
    let readiness = Readiness::default();
    let (response, text) = ask(operated(&readiness, false), Method::GET, "/readyz").await;
    assert_eq!((response.status().as_u16(), text.as_str()), (503, "not ready\n"));
    readiness.set(true);
    let (response, text) = ask(operated(&readiness, true), Method::GET, "/readyz?verbose").await;
    assert_eq!((response.status().as_u16(), text.as_str()), (200, "ready\nprovider dex: failing\n"));
    let (_, text) = ask(operated(&readiness, false), Method::GET, "/readyz?verbose=1").await;
    assert_eq!(text, "ready\nprovider dex: answering\n");
    let since = Timestamp::from_unix_seconds(1_800_000_000);
    let lost = DependencyState::FailingSince { since, problem: "unreachable".into() };
    let (_, text) = ask(operated_with(&readiness, lost), Method::GET, "/readyz?verbose").await;
    assert_eq!(text, "ready\nprovider dex: failing since 2027-01-15T08:00:00Z (unreachable)\n");
    let (response, _) = ask(operated(&Readiness::default(), true), Method::GET, "/healthz").await;
    assert_eq!(response.status(), 200, "a process that is not ready lives");
}

#[tokio::test]
async fn metrics_are_open_metrics() {
    let (response, text) = ask(operated(&Readiness::default(), false), Method::GET, "/metrics").await;
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    assert!(text.contains("portcullis_tests_total 1\n") && text.ends_with("# EOF\n"), "{text}");
}
