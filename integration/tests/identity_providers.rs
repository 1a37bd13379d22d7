//! The way of a sign-in, step by step and without a browser: with the scripted provider behind each
//! Envoy, and once with each of the real ones.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use std::fs;
use std::path::Path;

use futures::StreamExt as _;
use portcullis_integration::dex::Dex;
use portcullis_integration::envoy::{Envoy, Variant};
use portcullis_integration::gateway::{Gateway, HOST};
use portcullis_integration::oidc_provider::OidcProvider;
use portcullis_integration::on_each_envoy;
use portcullis_integration::portcullis::{Config, LOGIN_COOKIE, ORIGIN, Portcullis, SESSION_COOKIE};
use portcullis_integration::raw_client::Response;
use portcullis_integration::registration::Registration;
use portcullis_integration::upstream::{Protocol, Received, Upstream};
use portcullis_integration::visitor::{self, Visitor};
use serde_json::Value;
use url::Url;

on_each_envoy!(
    a_visitor_signs_in_and_out,
    five_cold_tabs_of_one_visitor_all_land,
    a_callback_that_nobody_opened_spends_nothing,
    a_callback_twice_is_one_sign_in,
    a_callback_of_somebody_else_exchanges_nothing,
);

async fn gateway(variant: Variant) -> Gateway {
    Gateway::start(variant, |config| config).await.expect("the ensemble starts")
}

/// Fails unless the upstream saw this user and no cookie of ours.
fn assert_user(received: &Received, user: &str, groups: &str) {
    let headers = &received.headers;
    assert_eq!(headers.folded("kubeflow-userid"), [("kubeflow-userid", user)]);
    assert_eq!(headers.folded("kubeflow-groups"), [("kubeflow-groups", groups)]);
    assert_eq!(headers.folded("portcullis-assertion").len(), 1);
    for cookie in headers.all("cookie") {
        assert!(!cookie.contains(SESSION_COOKIE), "our cookie travels on: {cookie}");
    }
}

fn assert_redirect(response: &Response, status: u16) -> Url {
    assert_eq!(response.status, status, "{}", response.text());
    assert_eq!(response.headers.only("cache-control"), Some("no-store"));
    Url::parse(response.headers.only("location").unwrap()).unwrap()
}

async fn a_visitor_signs_in_and_out(variant: Variant) {
    let gateway = gateway(variant).await;
    let mut alice = gateway.visitor().unwrap();
    alice.cookies.insert("theme".to_owned(), "dark".to_owned());

    let to_provider = assert_redirect(&alice.navigate("/pipelines/?run=1&tab=a%20b").await.unwrap(), 302);
    assert!(to_provider.as_str().starts_with(gateway.provider.issuer()), "{to_provider}");
    let parameter = |name: &str| to_provider.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value);
    assert_eq!(parameter("redirect_uri").as_deref(), Some("https://kubeflow.test/portcullis/callback"));
    assert_eq!(parameter("code_challenge_method").as_deref(), Some("S256"));
    assert!(parameter("state").is_some() && parameter("nonce").is_some(), "{to_provider}");

    let callback = visitor::log_in(&to_provider, "alice").await.unwrap();
    let back = alice.navigate(&path_and_query(&callback)).await.unwrap();
    assert_eq!(assert_redirect(&back, 303).as_str(), format!("{ORIGIN}/pipelines/?run=1&tab=a%20b"));
    let cookie = back.headers.only("set-cookie").unwrap();
    for attribute in ["__Host-portcullis=", "; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(cookie.contains(attribute), "{attribute} in {cookie}");
    }

    let received = alice.navigate("/pipelines/?run=1&tab=a%20b").await.unwrap().echo().unwrap();
    assert_eq!(received.target, "/pipelines/?run=1&tab=a%20b");
    assert_user(&received, "alice@example.com", "team-a,everyone");
    assert_eq!(received.headers.only("cookie"), Some("theme=dark"));

    let thief = alice.clone();
    let logout = alice.fetch("POST", "/portcullis/logout").await.unwrap();
    assert_eq!(logout.status, 201, "{}", logout.text());
    let after = logout.json::<Value>().unwrap()["afterLogoutURL"].as_str().unwrap().to_owned();
    assert!(after.starts_with(&format!("{ORIGIN}/portcullis/signed-out?continue=")), "{after}");
    assert!(!alice.cookies.contains_key(SESSION_COOKIE));
    for mut who in [alice, thief] {
        assert_eq!(who.fetch("GET", "/pipelines/").await.unwrap().status, 401);
        assert_redirect(&who.navigate("/pipelines/").await.unwrap(), 302);
    }
}

async fn five_cold_tabs_of_one_visitor_all_land(variant: Variant) {
    let gateway = gateway(variant).await;
    let mut browser = gateway.visitor().unwrap();
    // Tabs that are restored at once share no cookie yet: the browser keeps the one that comes last.
    let mut tabs = Vec::new();
    for tab in 1..=5 {
        let mut cold = gateway.visitor().unwrap();
        let wanted = format!("/tab/{tab}?of=5");
        tabs.push((wanted.clone(), cold.begin(&wanted).await.unwrap()));
        browser.cookies.extend(cold.cookies);
    }
    for (wanted, to_provider) in tabs.into_iter().rev() {
        let callback = visitor::log_in(&to_provider, "alice").await.unwrap();
        let landed = browser.come_back(&callback).await.unwrap();
        assert_eq!(landed, wanted);
        let received = browser.navigate(&landed).await.unwrap().echo().unwrap();
        assert_user(&received, "alice@example.com", "team-a,everyone");
    }
}

async fn a_callback_that_nobody_opened_spends_nothing(variant: Variant) {
    let gateway = gateway(variant).await;
    let mut alice = gateway.visitor().unwrap();
    let to_provider = alice.begin("/wanted").await.unwrap();
    let callback = path_and_query(&visitor::log_in(&to_provider, "alice").await.unwrap());
    let (navigate, document) = (("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"));
    for lines in [
        &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")][..],
        &[navigate, ("sec-fetch-dest", "iframe")],
        &[navigate, document, ("sec-purpose", "prefetch;prerender")],
    ] {
        let response = alice.request("GET", &callback, lines).await.unwrap();
        assert_eq!(response.status, 400, "{lines:?} {}", response.text());
    }
    assert!(!alice.cookies.contains_key(SESSION_COOKIE));
    assert_eq!(gateway.provider.calls().token, 0);
    assert_redirect(&alice.navigate(&callback).await.unwrap(), 303);
    assert_user(&alice.navigate("/wanted").await.unwrap().echo().unwrap(), "alice@example.com", "team-a,everyone");
}

async fn a_callback_twice_is_one_sign_in(variant: Variant) {
    let gateway = gateway(variant).await;
    let mut alice = gateway.visitor().unwrap();
    let to_provider = alice.begin("/wanted").await.unwrap();
    let callback = path_and_query(&visitor::log_in(&to_provider, "alice").await.unwrap());
    // At once, as a gateway repeats a check, and once more.
    let (mut first, mut second) = (alice.clone(), alice.clone());
    let (one, two) = tokio::join!(first.navigate(&callback), second.navigate(&callback));
    for response in [one.unwrap(), two.unwrap()] {
        assert_eq!(assert_redirect(&response, 303).path(), "/wanted");
    }
    assert_redirect(&first.navigate(&callback).await.unwrap(), 303);
    for mut who in [first, second] {
        assert_user(&who.navigate("/wanted").await.unwrap().echo().unwrap(), "alice@example.com", "team-a,everyone");
    }
    assert_eq!(gateway.provider.calls().token, 1, "a code is exchanged once");
}

async fn a_callback_of_somebody_else_exchanges_nothing(variant: Variant) {
    let gateway = gateway(variant).await;
    let mut attacker = gateway.visitor().unwrap();
    let to_provider = attacker.begin("/trap").await.unwrap();
    let forged = path_and_query(&visitor::log_in(&to_provider, "bob").await.unwrap());

    let mut stranger = gateway.visitor().unwrap();
    let again = assert_redirect(&stranger.navigate(&forged).await.unwrap(), 302);
    assert!(!stranger.cookies.contains_key(SESSION_COOKIE));
    let landed = stranger.come_back(&visitor::log_in(&again, "alice").await.unwrap()).await.unwrap();
    assert_eq!(landed, "/trap");
    assert_eq!(gateway.provider.calls().token, 1, "only the stranger's own code is exchanged");

    assert_eq!(assert_redirect(&stranger.navigate(&forged).await.unwrap(), 303).path(), "/trap");
    assert_user(&stranger.navigate("/trap").await.unwrap().echo().unwrap(), "alice@example.com", "team-a,everyone");
    assert_eq!(gateway.provider.calls().token, 1);
}

/// The product behind the newest Envoy, with a real provider.
struct Door {
    envoy: Envoy,
    _portcullis: Portcullis,
    _upstream: Upstream,
}

impl Door {
    async fn open(registration: &Registration) -> Self {
        let upstream = Upstream::start(Protocol::Http1).await.unwrap();
        let config = Config::new().unwrap().sign_in_at(registration).unwrap();
        let portcullis = config.start().await.unwrap();
        let envoy = Envoy::builder(Variant::NEWEST).unwrap().check(portcullis.check_address()).upstream(&upstream);
        Self { envoy: envoy.start().await.unwrap(), _portcullis: portcullis, _upstream: upstream }
    }

    /// Signs in, and gives what the upstream saw of the page that was wanted.
    async fn round_trip(&self, log_in: impl AsyncFn(&Url) -> Url) -> Received {
        let mut visitor = Visitor::new(self.envoy.to_http1(), ORIGIN).unwrap();
        let callback = log_in(&visitor.begin("/wanted?a=b").await.unwrap()).await;
        let landed = visitor.come_back(&callback).await.unwrap();
        assert_eq!(landed, "/wanted?a=b");
        let received = visitor.navigate(&landed).await.unwrap().echo().unwrap();
        visitor.fetch("POST", "/portcullis/logout").await.unwrap();
        assert_eq!(visitor.fetch("GET", "/wanted").await.unwrap().status, 401);
        received
    }
}

#[tokio::test]
async fn dex_signs_people_in() {
    let dex = Dex::start().await.unwrap();
    let door = Door::open(dex.registration()).await;
    for (user, groups) in [("alice", "team-a,everyone"), ("bob", "team-b,everyone")] {
        let received = door.round_trip(async |to| dex.log_in(to, user).await.unwrap()).await;
        assert_user(&received, &format!("{user}@example.com"), groups);
    }
}

#[tokio::test]
async fn oidc_provider_signs_people_in() {
    let provider = OidcProvider::start().await.unwrap();
    let door = Door::open(provider.registration()).await;
    for (user, groups) in [("alice", "team-a,everyone"), ("bob", "team-b,everyone")] {
        let received = door.round_trip(async |to| provider.log_in(to, user).await.unwrap()).await;
        assert_user(&received, &format!("{user}@example.com"), groups);
    }
}

#[tokio::test]
async fn ten_thousand_anonymous_navigations_write_nothing() {
    for variant in Variant::DEFAULTS {
        anonymous_navigations_write_nothing(variant).await;
    }
}

async fn anonymous_navigations_write_nothing(variant: Variant) {
    const NAVIGATIONS: usize = 10_000;
    let gateway = Gateway::start(variant, |config| config.embedded_store().set("/logging/level", "info"));
    let gateway = gateway.await.unwrap();
    let mut alice = gateway.visitor().unwrap();
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    let store = gateway.portcullis.config().folder().join("sessions");
    let before = contents(&store);

    // All kinds: without a cookie, with one of ours, with one that we never made.
    let made_up = [(LOGIN_COOKIE, "made-up"), (SESSION_COOKIE, "made-up")];
    let ours = (LOGIN_COOKIE, alice.cookies[LOGIN_COOKIE].as_str());
    let cookies: Vec<String> =
        std::iter::once(ours).chain(made_up).map(|(name, value)| format!("{name}={value}")).collect();
    let (client, url) = anonymous_client(&gateway);
    let statuses = futures::stream::iter(0..NAVIGATIONS).map(|number| {
        let request = client
            .get(format!("{url}/page/{number}"))
            .header("accept", "text/html")
            .header("sec-fetch-site", "none")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document");
        let request = match cookies.get(number % 4) {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        async move { request.send().await.map(|response| response.status().as_u16()) }
    });
    let wrong: Vec<_> =
        statuses.buffer_unordered(64).filter(|status| std::future::ready(!matches!(status, Ok(302)))).collect().await;
    assert!(wrong.is_empty(), "{} answers such as {:?}", wrong.len(), wrong.first());

    assert_eq!(contents(&store), before, "the store's files changed");
    let metrics = gateway.portcullis.metrics().await.unwrap();
    assert!(metrics.contains("sessions_created_total 1"), "{metrics}");
    assert_eq!(gateway.provider.calls().token, 1);
}

/// Every file of a folder with its bytes and the time of its last change.
fn contents(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>, std::time::SystemTime)> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .map(|file| {
            let changed = fs::metadata(&file).unwrap().modified().unwrap();
            (file.clone(), fs::read(&file).unwrap(), changed)
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "the store has no file");
    files
}

/// A client with one connection to the gateway, which it takes for the public host.
fn anonymous_client(gateway: &Gateway) -> (reqwest::Client, String) {
    portcullis_integration::http::install_crypto();
    let address = gateway.envoy.http1_address();
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .http2_prior_knowledge()
        .resolve(HOST, address);
    (client.build().unwrap(), format!("http://{HOST}:{}", address.port()))
}

fn path_and_query(url: &Url) -> String {
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}
