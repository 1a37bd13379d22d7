//! Rules that ask for a login that is recent, or of a kind: with a provider that keeps to what it is asked, and with one
//! that does not.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use portcullis_integration::envoy::{Envoy, Variant};
use portcullis_integration::faults::edit;
use portcullis_integration::gateway::Gateway;
use portcullis_integration::jwt;
use portcullis_integration::oidc_provider::OidcProvider;
use portcullis_integration::on_each_envoy;
use portcullis_integration::patience::until;
use portcullis_integration::portcullis::{Config, ORIGIN, Portcullis, SESSION_COOKIE};
use portcullis_integration::raw_client::Response;
use portcullis_integration::registration::Person;
use portcullis_integration::upstream::{Protocol, Upstream};
use portcullis_integration::visitor::{Visitor, log_in, path_and_query};
use serde_json::{Value, json};
use url::Url;

on_each_envoy!(a_script_and_a_token_hear_the_challenge_of_rfc_9470);

/// The context class of a second factor, at the real provider.
const SECOND_FACTOR: &str = "urn:example:mfa";
const RECENT: &str = "Bearer realm=\"portcullis\", error=\"insufficient_user_authentication\", \
                      error_description=\"More recent authentication is required\", max_age=\"900\"";

fn rules() -> Value {
    json!([
        { "name": "recent", "paths": [{ "prefix": "/recent" }], "login": { "max_age": "15m" } },
        { "name": "strong", "paths": [{ "prefix": "/strong" }], "login": { "acr": [SECOND_FACTOR] } },
        { "name": "key", "paths": [{ "prefix": "/key" }], "login": { "amr": ["hwk"] } },
    ])
}

/// A gateway at which people sign in at the certified provider.
struct House {
    envoy: Envoy,
    portcullis: Portcullis,
    provider: OidcProvider,
    _upstream: Upstream,
}

impl House {
    async fn open() -> Self {
        let provider = OidcProvider::start().await.unwrap();
        let config = Config::new().unwrap().sign_in_at(provider.registration()).unwrap().rules(rules());
        let portcullis = config.start().await.unwrap();
        let upstream = Upstream::start(Protocol::Http1).await.unwrap();
        let envoy = Envoy::builder(Variant::NEWEST).unwrap().check(portcullis.check_address()).upstream(&upstream);
        let envoy = envoy.start().await.unwrap();
        Self { envoy, portcullis, provider, _upstream: upstream }
    }

    /// Somebody who signed in where nothing is asked of that, and their browser as the provider knows it.
    async fn signed_in(&self, user: &str) -> (Visitor, Person) {
        let mut visitor = Visitor::new(self.envoy.to_http1(), ORIGIN).unwrap();
        let person = self.provider.person(user).unwrap();
        let to_provider = visitor.begin("/").await.unwrap();
        assert_eq!([asked(&to_provider, "max_age"), asked(&to_provider, "prompt")], [None, None]);
        let back = person.walk(&to_provider).await.unwrap();
        let landing = visitor.come_back(&back).await.unwrap();
        visitor.navigate(&landing).await.unwrap().echo().unwrap();
        (visitor, person)
    }
}

async fn gateway() -> Gateway {
    Gateway::start(Variant::NEWEST, |config| config.rules(rules())).await.unwrap()
}

/// A parameter of the authorization request.
fn asked(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// The same request as a browser may make of it on its way: without these parameters, and with those.
fn changed(url: &Url, without: &[&str], with: &[(&str, &str)]) -> Url {
    let mut changed = url.clone();
    let kept: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let kept = kept.iter().filter(|(name, _)| !without.contains(&name.as_str()));
    changed.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(with);
    changed
}

/// Fails unless the answer is a page that says that the login is not enough, and leads nowhere by itself.
fn assert_ends_here(response: &Response) {
    let text = response.text();
    assert_eq!(response.status, 403, "{text}");
    assert_eq!(response.headers.only("location"), None);
    assert!(text.contains("insufficient_user_authentication") && text.contains("sign in once more"), "{text}");
}

async fn a_script_and_a_token_hear_the_challenge_of_rfc_9470(variant: Variant) {
    let gateway = Gateway::start(variant, |config| config.rules(rules())).await.unwrap();
    let hour_ago = jwt::now() - 3600;
    gateway.provider.lie(|faults| faults.edit_claims = edit(move |claims| claims["auth_time"] = hour_ago.into()));
    let mut alice = gateway.visitor().unwrap();
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    let challenged = |response: &Response| {
        assert_eq!(response.status, 401, "{}", response.text());
        assert_eq!(response.headers.only("www-authenticate"), Some(RECENT));
        assert_eq!(response.json::<Value>().unwrap()["reason"], "insufficient_user_authentication");
    };
    for method in ["GET", "POST", "DELETE"] {
        challenged(&alice.fetch(method, "/recent/api").await.unwrap());
    }
    let bearer = format!("Bearer {}", gateway.mint_token("team-a", "default-editor"));
    challenged(&gateway.get("/recent/api", &[("authorization", &bearer)]).await.unwrap());
    gateway.get("/", &[("authorization", &bearer)]).await.unwrap().echo().unwrap();
    // Of another class and by another method: each is told as far as RFC 9470 has words for it.
    let strong = alice.fetch("POST", "/strong").await.unwrap();
    let challenge = strong.headers.only("www-authenticate").unwrap();
    assert!(challenge.ends_with(", acr_values=\"urn:example:mfa\""), "{challenge}");
    assert_eq!(alice.fetch("POST", "/key").await.unwrap().status, 401);
    // A form's page, and a frame.
    let page = alice.submit("/recent", "a=b").await.unwrap();
    assert_eq!((page.status, page.headers.only("www-authenticate")), (401, Some(RECENT)));
    assert!(page.text().contains("Please sign in again"), "{}", page.text());
    let frame = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe"), ("sec-fetch-site", "same-origin")];
    let page = alice.request("GET", "/recent", &frame).await.unwrap();
    assert_eq!((page.status, page.headers.only("www-authenticate")), (401, Some(RECENT)));
    assert!(page.text().contains("login?return=%2Frecent&#38;max_age=900"), "{}", page.text());
}

#[tokio::test]
async fn a_navigation_signs_in_once_more_at_a_real_provider_and_comes_back_to_where_it_was() {
    let house = House::open().await;
    let (mut carol, person) = house.signed_in("carol").await;
    assert_eq!(carol.fetch("POST", "/recent/api").await.unwrap().status, 401);
    let before = carol.clone();

    let to_provider = carol.begin("/recent/page?x=1&y=%20").await.unwrap();
    assert_eq!([asked(&to_provider, "max_age"), asked(&to_provider, "prompt")].map(Option::unwrap), ["900", "login"]);
    let page = person.first_page(&to_provider).await.unwrap();
    assert!(page.contains("<form"), "the provider remembers her, and asks her all the same: {page}");
    let back = person.walk(&to_provider).await.unwrap();
    let landing = carol.come_back(&back).await.unwrap();
    assert_eq!(landing, "/recent/page?x=1&y=%20");
    let received = carol.navigate(&landing).await.unwrap().echo().unwrap();
    assert_eq!(received.headers.only("kubeflow-userid"), Some("carol@example.com"));
    carol.fetch("POST", "/recent/api").await.unwrap().echo().unwrap();
    // Her other session has ended.
    assert_eq!(before.clone().fetch("GET", "/").await.unwrap().status, 401);
    // The callback that comes once more makes nothing younger or older.
    assert_eq!(carol.clone().come_back(&back).await.unwrap(), landing);
    let cookie = carol.cookies[SESSION_COOKIE].clone();
    carol.navigate(&landing).await.unwrap().echo().unwrap();
    assert_eq!(carol.cookies[SESSION_COOKIE], cookie);
}

#[tokio::test]
async fn what_a_browser_makes_of_the_authorization_request_does_not_make_its_login_younger() {
    let house = House::open().await;
    let (mut carol, person) = house.signed_in("carol").await;
    for with in [&[][..], &[("max_age", "86400")]] {
        let forged = changed(&carol.begin("/recent").await.unwrap(), &["max_age", "prompt"], with);
        let back = person.walk(&forged).await.unwrap();
        let callback = carol.navigate(&path_and_query(&back)).await.unwrap();
        assert_ends_here(&callback);
        // The session is what it was. A callback that comes once more, later, says no more either.
        assert_eq!(carol.fetch("POST", "/recent").await.unwrap().status, 401);
        carol.fetch("GET", "/").await.unwrap().echo().unwrap();
    }
    // Who leaves the age as it is, is asked by the provider.
    let honest = changed(&carol.begin("/recent").await.unwrap(), &["prompt"], &[]);
    assert!(person.first_page(&honest).await.unwrap().contains("<form"));
    let back = person.walk(&honest).await.unwrap();
    let landing = carol.come_back(&back).await.unwrap();
    carol.navigate(&landing).await.unwrap().echo().unwrap();
    let told = house.portcullis.told("WARN", "no_auth_time").await.unwrap();
    assert_eq!(told.len(), 1, "one of the forged ones brought no `auth_time`: {told:?}");
}

/// `acr_values` is a wish, and this provider fulfils it where it authenticates anew.
#[tokio::test]
async fn a_second_factor_is_asked_for_at_a_real_provider_until_it_is_brought() {
    let house = House::open().await;
    let (mut alice, person) = house.signed_in("alice").await;
    let first = alice.begin("/strong").await.unwrap();
    assert_eq!(asked(&first, "acr_values").as_deref(), Some(SECOND_FACTOR));
    assert_eq!([asked(&first, "max_age"), asked(&first, "prompt")], [None, None]);
    let back = person.walk(&first).await.unwrap();
    let once_more = alice.begin(&path_and_query(&back)).await.unwrap();
    assert_eq!(asked(&once_more, "acr_values").as_deref(), Some(SECOND_FACTOR));
    assert_eq!(asked(&once_more, "prompt").as_deref(), Some("login"));
    let back = person.walk(&once_more).await.unwrap();
    let landing = alice.come_back(&back).await.unwrap();
    assert_eq!(landing, "/strong");
    alice.navigate(&landing).await.unwrap().echo().unwrap();
    alice.fetch("POST", "/strong").await.unwrap().echo().unwrap();
}

#[tokio::test]
async fn a_provider_that_ignores_what_it_is_asked_signs_nobody_in_and_makes_no_loop() {
    let gateway = gateway().await;
    let now = jwt::now();
    for (number, (path, claims)) in [
        ("/recent", json!({ "auth_time": now - 3600 })),
        ("/recent", json!({ "auth_time": null })),
        // In the future it would be fresh for ever.
        ("/recent", json!({ "auth_time": now + 86400 })),
        ("/recent", json!({ "auth_time": "now" })),
        // One that is not on the list, and one that would be with another on it.
        ("/strong", json!({ "acr": "urn:example:password" })),
        ("/strong", json!({ "acr": [SECOND_FACTOR] })),
        ("/key", json!({ "amr": ["pwd"], "acr": "hwk" })),
        ("/key", json!({ "amr": "pwd hwk" })),
    ]
    .into_iter()
    .enumerate()
    {
        let lie = claims.clone();
        gateway.provider.lie(|faults| {
            faults.edit_claims = edit(move |told| {
                for (name, value) in lie.as_object().unwrap() {
                    told[name] = value.clone();
                }
            });
        });
        let mut alice = gateway.visitor().unwrap();
        alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
        let cookie = alice.cookies[SESSION_COOKIE].clone();
        let sent = gateway.provider.calls().authorize;
        let mut ways = 0_u64;
        let mut here = path.to_owned();
        let end = loop {
            let response = alice.navigate(&here).await.unwrap();
            if response.status != 302 {
                break response;
            }
            let to_provider = Url::parse(response.headers.only("location").unwrap()).unwrap();
            here = path_and_query(&log_in(&to_provider, "alice").await.unwrap());
            ways += 1;
            assert!(ways < 5, "round and round: {claims}");
        };
        assert_ends_here(&end);
        assert!(ways <= if path == "/strong" { 2 } else { 1 }, "{claims}: {ways}");
        assert_eq!(gateway.provider.calls().authorize - sent, ways, "{claims}");
        assert_eq!(alice.cookies[SESSION_COOKIE], cookie, "{number}: the session is what it was");
        alice.fetch("GET", "/").await.unwrap().echo().unwrap();
        assert_eq!(alice.fetch("GET", path).await.unwrap().status, 401, "{claims}");
    }
    let told = gateway.portcullis.told("WARN", "no_auth_time").await.unwrap();
    assert_eq!(told.len(), 1, "told once: {told:?}");
    let lacks = gateway.portcullis.told("INFO", "the rule asks for").await.unwrap();
    assert!(lacks.len() >= 8, "what each lacks is told: {lacks:?}");
}

#[tokio::test]
async fn a_rule_that_comes_by_a_reload_counts_for_sessions_that_are_there() {
    let mut gateway = Gateway::start(Variant::NEWEST, Config::embedded_store).await.unwrap();
    let mut alice = gateway.visitor().unwrap();
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    alice.fetch("POST", "/key").await.unwrap().echo().unwrap();
    gateway.portcullis.rewrite(|tree| tree["rules"] = rules()).unwrap();
    until("the new rules", async || (status(&alice, "/key").await == 401).then_some(())).await;
    // What was kept of the login then is enough for the one, and not for the others; also after a restart.
    for _ in 0..2 {
        alice.fetch("POST", "/recent").await.unwrap().echo().unwrap();
        assert_eq!(alice.fetch("POST", "/strong").await.unwrap().status, 401);
        gateway.portcullis.restart().await.unwrap();
        until("the gateway", async || (status(&alice, "/").await == 200).then_some(())).await;
    }
    gateway.provider.change(|settings| drop(settings.users[0].claims.insert("amr".to_owned(), json!(["pwd", "hwk"]))));
    let to_provider = alice.begin("/key/page").await.unwrap();
    assert_eq!(asked(&to_provider, "prompt").as_deref(), Some("login"));
    let landing = alice.come_back(&log_in(&to_provider, "alice").await.unwrap()).await.unwrap();
    assert_eq!(landing, "/key/page");
    alice.fetch("POST", "/key").await.unwrap().echo().unwrap();
    gateway.portcullis.restart().await.unwrap();
    until("the gateway", async || (status(&alice, "/").await == 200).then_some(())).await;
    alice.fetch("POST", "/key").await.unwrap().echo().unwrap();
}

async fn status(visitor: &Visitor, path: &str) -> u16 {
    visitor.clone().fetch("POST", path).await.unwrap().status
}
