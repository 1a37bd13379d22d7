//! Signing out at Portcullis signs out at the provider too, and revokes what it issued.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use std::time::Duration;

use portcullis_integration::browser::{Application, Browser};
use portcullis_integration::dex::Dex;
use portcullis_integration::envoy::{Envoy, Variant};
use portcullis_integration::faults::Fault;
use portcullis_integration::gateway::Gateway;
use portcullis_integration::oidc_provider::OidcProvider;
use portcullis_integration::pki::Authority;
use portcullis_integration::portcullis::{Config, HOST, ORIGIN, SESSION_COOKIE};
use portcullis_integration::raw_client::Response;
use portcullis_integration::upstream::{Protocol, Upstream};
use portcullis_integration::visitor::{Visitor, sent_on};
use serde_json::Value;
use url::Url;

/// A link of a page of this origin.
const LINK: [(&str, &str); 4] = [
    ("accept", "text/html"),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
];

async fn gateway(configure: impl FnOnce(Config) -> Config) -> Gateway {
    Gateway::start(Variant::NEWEST, configure).await.unwrap()
}

fn redirect(response: &Response) -> Url {
    assert_eq!(response.status, 303, "{}", response.text());
    Url::parse(response.headers.only("location").unwrap()).unwrap()
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

fn path_and_query(url: &Url) -> String {
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}

/// Waits until so many tokens were revoked: nobody waits for that in the product.
async fn revoked(gateway: &Gateway, count: usize) -> Vec<String> {
    let revoked = async {
        while gateway.provider.revoked().len() < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), revoked).await.expect("a token is revoked in the end");
    gateway.provider.revoked()
}

#[tokio::test]
async fn a_link_leads_through_the_provider_and_back() {
    let gateway = gateway(|config| config.set("/origins/0/after_logout_url", "/bye")).await;
    gateway.provider.change(|settings| settings.refresh_tokens = true);
    let mut alice = gateway.visitor().unwrap();
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    let mut thief = alice.clone();

    let to_provider = redirect(&alice.request("GET", "/portcullis/logout", &LINK).await.unwrap());
    assert!(!alice.cookies.contains_key(SESSION_COOKIE));
    assert_eq!(thief.fetch("GET", "/").await.unwrap().status, 401, "the session is gone before the answer");
    assert!(to_provider.as_str().starts_with(&format!("{}/end-session?", gateway.provider.issuer())));
    assert!(parameter(&to_provider, "id_token_hint").is_some_and(|hint| hint.split('.').count() == 3));
    assert_eq!(parameter(&to_provider, "client_id").as_deref(), Some("portcullis"));
    let back = format!("{ORIGIN}/portcullis/signed-out");
    assert_eq!(parameter(&to_provider, "post_logout_redirect_uri"), Some(back));

    let back = sent_on(&to_provider).await.unwrap();
    assert_eq!(parameter(&back, "state"), parameter(&to_provider, "state"));
    assert_eq!(redirect(&alice.navigate(&path_and_query(&back)).await.unwrap()).as_str(), format!("{ORIGIN}/bye"));
    // Whoever comes with another state, or with none, stays on our page.
    for path in ["/portcullis/signed-out?state=made-up", "/portcullis/signed-out"] {
        let page = alice.navigate(path).await.unwrap();
        assert_eq!(page.status, 200, "{path}");
        assert!(page.text().contains("signed out"), "{}", page.text());
    }
    assert_eq!(revoked(&gateway, 1).await.len(), 1);
    assert_eq!(gateway.provider.refresh_tokens(), 0);
}

#[tokio::test]
async fn a_script_is_told_where_to_go_and_learns_no_token() {
    let gateway = gateway(|config| config).await;
    let mut alice = gateway.visitor().unwrap();
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    let logout = alice.fetch("POST", "/portcullis/logout").await.unwrap();
    assert_eq!(logout.status, 201, "{}", logout.text());
    let after = Url::parse(logout.json::<Value>().unwrap()["afterLogoutURL"].as_str().unwrap()).unwrap();
    assert!(after.as_str().starts_with(&format!("{ORIGIN}/portcullis/signed-out?continue=")), "{after}");

    // By a script it leads nowhere; as a page it leads to the provider.
    let read = alice.fetch("GET", &path_and_query(&after)).await.unwrap();
    assert_eq!((read.status, read.headers.only("location")), (200, None));
    let to_provider = redirect(&alice.navigate(&path_and_query(&after)).await.unwrap());
    let hint = parameter(&to_provider, "id_token_hint").unwrap();
    for part in hint.split('.') {
        assert!(!logout.text().contains(part) && !after.as_str().contains(part), "the ID token shows in {after}");
    }
    let page = alice.navigate("/portcullis/signed-out?continue=made-up").await.unwrap();
    assert_eq!(page.status, 200, "{}", page.text());
}

#[tokio::test]
async fn where_it_is_switched_off_the_provider_is_left_alone() {
    let off = serde_json::json!({ "at_provider": false, "revoke_tokens": false });
    let gateway = gateway(|config| config.set("/providers/0/logout", off)).await;
    let mut alice = gateway.visitor().unwrap();
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    let landed = redirect(&alice.request("GET", "/portcullis/logout", &LINK).await.unwrap());
    assert_eq!(landed.as_str(), format!("{ORIGIN}/portcullis/signed-out"));
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    let logout = alice.fetch("POST", "/portcullis/logout").await.unwrap();
    assert_eq!(logout.json::<Value>().unwrap()["afterLogoutURL"], format!("{ORIGIN}/portcullis/signed-out"));
    assert_eq!((gateway.provider.calls().revocation, gateway.provider.calls().end_session), (0, 0));
}

#[tokio::test]
async fn nobody_waits_for_a_revocation_and_its_failure_is_counted() {
    let gateway = gateway(|config| config.set("/providers/0/timeout", "5s")).await;
    gateway.provider.lie(|faults| faults.revocation = Fault::Hang);
    let mut alice = gateway.visitor().unwrap();
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    assert_eq!(alice.fetch("POST", "/portcullis/logout").await.unwrap().status, 201);
    assert_eq!(metric(&gateway, "failure").await, 0, "the answer came before the revocation had failed");
    let counted = async {
        while metric(&gateway, "failure").await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), counted).await.unwrap();

    gateway.provider.be_honest();
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    assert_eq!(alice.fetch("POST", "/portcullis/logout").await.unwrap().status, 201);
    revoked(&gateway, 1).await;
}

async fn metric(gateway: &Gateway, outcome: &str) -> u64 {
    let metrics = gateway.portcullis.metrics().await.unwrap();
    let name = format!("portcullis_oidc_revocations_total{{provider=\"test\",outcome=\"{outcome}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
}

/// The certified provider: whoever signed out is asked for the password again, and the token is dead there.
#[tokio::test]
async fn the_certified_provider_has_ended_its_session_too() {
    let provider = OidcProvider::start().await.unwrap();
    let config = Config::new().unwrap().sign_in_at(provider.registration()).unwrap();
    let portcullis = config.start().await.unwrap();
    let upstream = Upstream::start(Protocol::Http1).await.unwrap();
    let envoy = Envoy::builder(Variant::NEWEST).unwrap().check(portcullis.check_address()).upstream(&upstream);
    let envoy = envoy.start().await.unwrap();
    let mut alice = Visitor::new(envoy.to_http1(), ORIGIN).unwrap();
    let person = provider.person("alice").unwrap();
    let stranger = provider.person("nobody-of-this-name").unwrap();
    assert!(stranger.walk(&alice.begin("/").await.unwrap()).await.is_err(), "nobody signs in without an account");

    let callback = person.walk(&alice.begin("/").await.unwrap()).await.unwrap();
    alice.come_back(&callback).await.unwrap();
    alice.navigate("/").await.unwrap().echo().unwrap();
    let to_provider = redirect(&alice.request("GET", "/portcullis/logout", &LINK).await.unwrap());
    let back = person.walk(&to_provider).await.unwrap();
    assert_eq!(back.path(), "/portcullis/signed-out");
    assert_eq!(parameter(&back, "state"), parameter(&to_provider, "state"));
    let page = alice.navigate(&path_and_query(&back)).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.text());

    // Without the provider's session the next sign-in shows a form, which this person fills in with another name.
    let again = alice.begin("/").await.unwrap();
    let shown = person.first_page(&again).await.unwrap();
    assert!(shown.contains("name=\"login\""), "{shown}");
    let counted = async {
        let name = "portcullis_oidc_revocations_total{provider=\"oidc-provider\",outcome=\"success\"} 1";
        while !portcullis.metrics().await.unwrap().contains(name) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), counted).await.expect("the provider takes the revocation");
}

/// Chromium holds redirects of a form to the page's policy: the button must lead through the provider all the same.
#[tokio::test]
async fn the_button_leads_a_browser_through_the_provider_and_back() {
    let provider = OidcProvider::start().await.unwrap();
    let application = Application::start().await.unwrap();
    let portcullis = Config::new().unwrap().sign_in_at(provider.registration()).unwrap().start().await.unwrap();
    let identity = Authority::new("the tests' authority").unwrap().server(&[HOST]).unwrap();
    let envoy = Envoy::builder(Variant::NEWEST)
        .unwrap()
        .check(portcullis.check_address())
        .upstream_at(Protocol::Http1, application.address())
        .tls(identity.clone());
    let envoy = envoy.start().await.unwrap();
    let browser = Browser::builder().host(HOST, envoy.tls_address()).trust(&identity).unwrap();
    let browser = browser.trust(provider.identity()).unwrap().start().await.unwrap();

    for page in ["/portcullis/whoami", "/portcullis/logout"] {
        browser.open(&format!("{ORIGIN}/")).await.unwrap();
        // Without a session at the provider it asks who is there, each time anew.
        browser.wait_for_element("input[name=login]").await.unwrap();
        browser.type_into("input[name=login]", "alice@example.com").await.unwrap();
        browser.type_into("input[name=password]", "password").await.unwrap();
        browser.click("button[type=submit]").await.unwrap();
        browser.wait_for_element("#user").await.unwrap();
        browser.open(&format!("{ORIGIN}{page}")).await.unwrap();
        browser.click("form button").await.unwrap();
        browser.wait_for_url(|url| url.path().starts_with("/session/end")).await.unwrap();
        browser.click("form button").await.unwrap();
        browser.wait_for_url(|url| url.path() == "/portcullis/signed-out").await.unwrap();
        assert_eq!(browser.cookie(SESSION_COOKIE).await.unwrap(), None);
    }
}

/// Dex has neither an end of session nor a revocation in its metadata: the sign-out ends here.
#[tokio::test]
async fn dex_is_left_alone() {
    let dex = Dex::start().await.unwrap();
    let portcullis = Config::new().unwrap().sign_in_at(dex.registration()).unwrap().start().await.unwrap();
    let upstream = Upstream::start(Protocol::Http1).await.unwrap();
    let envoy = Envoy::builder(Variant::NEWEST).unwrap().check(portcullis.check_address()).upstream(&upstream);
    let envoy = envoy.start().await.unwrap();
    let mut alice = Visitor::new(envoy.to_http1(), ORIGIN).unwrap();
    let callback = dex.log_in(&alice.begin("/").await.unwrap(), "alice").await.unwrap();
    alice.come_back(&callback).await.unwrap();
    let landed = redirect(&alice.request("GET", "/portcullis/logout", &LINK).await.unwrap());
    assert_eq!(landed.as_str(), format!("{ORIGIN}/portcullis/signed-out"));
}
