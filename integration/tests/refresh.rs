//! Sessions follow the provider: refreshed ahead of the access token's end, once, and never against a logout.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use std::time::{Duration, Instant};

use futures::future::join_all;
use portcullis_integration::check_client::{Answer, Check, CheckClient};
use portcullis_integration::dex::Dex;
use portcullis_integration::envoy::{Envoy, Variant};
use portcullis_integration::faults::{Edit, Fault, edit};
use portcullis_integration::gateway::{Gateway, HOST};
use portcullis_integration::jwt::Algorithm;
use portcullis_integration::oidc_provider::OidcProvider;
use portcullis_integration::patience::{PATIENCE, until};
use portcullis_integration::portcullis::{Config, ORIGIN, Portcullis, SESSION_COOKIE};
use portcullis_integration::raw_client::Response;
use portcullis_integration::registration::Registration;
use portcullis_integration::upstream::{Protocol, Upstream};
use portcullis_integration::visitor::{Visitor, log_in, path_and_query};
use serde_json::{Value, json};

/// How long an access token is taken to be good at least, and a little more.
const SHORTEST_LIFE: Duration = Duration::from_millis(5100);

/// A gateway whose provider issues access tokens for so many seconds, with refresh tokens; alice is signed in.
async fn gateway(lifetime: i64, ahead: &str) -> (Gateway, Visitor) {
    let refresh = json!({ "ahead": ahead });
    let gateway =
        Gateway::start(Variant::NEWEST, |config| config.embedded_store().set("/providers/0/refresh", refresh));
    let gateway = gateway.await.unwrap();
    gateway.provider.change(|settings| {
        settings.refresh_tokens = true;
        settings.access_token_lifetime = lifetime;
    });
    let mut alice = gateway.visitor().unwrap();
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    (gateway, alice)
}

/// Uses the session until it does not pass any more.
async fn refusal(visitor: &Visitor) -> Response {
    until("the refusal", async || {
        let response = visitor.clone().fetch("GET", "/").await.unwrap();
        (response.status != 200).then_some(response)
    })
    .await
}

async fn until_it_passes(visitor: &Visitor) {
    until("the provider's return", async || {
        let response = visitor.clone().fetch("GET", "/").await.unwrap();
        assert!(matches!(response.status, 200 | 503), "{} {}", response.status, response.text());
        (response.status == 200).then_some(())
    })
    .await;
}

async fn groups(visitor: &mut Visitor) -> String {
    let received = visitor.fetch("GET", "/").await.unwrap().echo().unwrap();
    received.headers.only("kubeflow-groups").unwrap_or_default().to_owned()
}

fn check_of(visitor: &Visitor) -> Check {
    Check::get(HOST, "/").header("cookie", format!("{SESSION_COOKIE}={}", visitor.cookies[SESSION_COOKIE]))
}

/// 200 for a permission.
async fn status(client: &CheckClient, check: &Check) -> i32 {
    match client.check(check.build()).await.unwrap() {
        Answer::Deny { status, .. } => status,
        Answer::Allow { .. } => 200,
    }
}

/// How many refreshes succeeded.
fn refreshes(metrics: &str, provider: &str) -> u64 {
    let name = format!("portcullis_oidc_refreshes_total{{provider=\"{provider}\",outcome=\"success\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
}

/// Clients of these replicas; with one store that replicas share, several may be given.
async fn clients(replicas: &[&Portcullis]) -> Vec<CheckClient> {
    join_all(replicas.iter().map(async |replica| CheckClient::connect(&replica.check_address()).await.unwrap())).await
}

#[tokio::test]
async fn new_groups_come_with_the_refresh_and_nobody_waits_for_it() {
    let (gateway, mut alice) = gateway(4, "1m").await;
    gateway.provider.change(|settings| settings.users[0].groups = Some(vec!["team-c".to_owned()]));
    // The provider thinks for longer than any check takes.
    gateway.provider.lie(|faults| faults.refresh = Fault::Hang);
    let was = groups(&mut alice).await;
    assert_eq!(was, "team-a,everyone");
    until("the refresh", async || {
        let status = alice.clone().fetch("GET", "/").await.unwrap().status;
        assert!(matches!(status, 200 | 503), "{status}");
        (gateway.provider.calls().refresh > 0).then_some(())
    })
    .await;
    gateway.provider.be_honest();
    // The call that hangs is given up, and another one tells.
    let now = until("the new groups", async || {
        let response = alice.clone().fetch("GET", "/").await.unwrap();
        assert!(matches!(response.status, 200 | 503), "{} {}", response.status, response.text());
        let groups = response.echo().ok()?.headers.only("kubeflow-groups")?.to_owned();
        (groups != was).then_some(groups)
    })
    .await;
    assert_eq!(now, "team-c");
}

#[tokio::test]
async fn fifty_checks_at_once_are_one_call_after_the_end_of_the_access_token() {
    let (gateway, alice) = gateway(1, "1s").await;
    fifty_checks_are_one_call(&gateway, &alice, &[&gateway.portcullis]).await;
}

/// For any number of replicas that share a store.
async fn fifty_checks_are_one_call(gateway: &Gateway, alice: &Visitor, replicas: &[&Portcullis]) {
    gateway.provider.change(|settings| settings.access_token_lifetime = 300);
    gateway.provider.lie(|faults| faults.refresh = Fault::Delay(Duration::from_millis(500)));
    let clients = clients(replicas).await;
    let check = check_of(alice);
    // Nobody uses the session while its access token ends.
    tokio::time::sleep(SHORTEST_LIFE).await;
    let before = gateway.provider.calls().refresh;
    let answers = join_all((0..50).map(|number| status(&clients[number % clients.len()], &check))).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    assert_eq!(gateway.provider.calls().refresh - before, 1);
}

/// Each refresh of the provider's is answered, and says that the access token has ended already.
#[tokio::test]
async fn access_tokens_without_a_life_make_no_call_of_every_check() {
    let (gateway, alice) = gateway(0, "1m").await;
    let client = CheckClient::connect(&gateway.portcullis.check_address()).await.unwrap();
    let check = check_of(&alice);
    let began = Instant::now();
    for _ in 0..50 {
        assert_eq!(status(&client, &check).await, 200);
    }
    let (calls, elapsed) = (gateway.provider.calls().refresh, began.elapsed());
    // Half of the shortest life ahead of its end.
    assert!(u128::from(calls) <= elapsed.as_millis().div_ceil(2500), "{calls} refreshes within {elapsed:?}");
}

/// Answers of the token endpoint that nobody can use, with a refresh token in the place of the one that was brought.
#[tokio::test]
async fn a_session_outlives_answers_that_cannot_be_used() {
    let unusable: [(&str, Option<Edit>); 4] = [
        ("no access token", edit(|answer| drop(answer.as_object_mut().unwrap().remove("access_token")))),
        ("an access token that is no text", edit(|answer| answer["access_token"] = json!(7))),
        ("an unreadable ID token", edit(|answer| answer["id_token"] = json!("none"))),
        ("no time, and no ID token of ours", edit(|answer| answer["id_token"] = json!(["a"]))),
    ];
    let (gateway, mut alice) = gateway(1, "1s").await;
    for (what, edit) in unusable {
        gateway.provider.change(|settings| settings.access_token_lifetime = 1);
        gateway.provider.lie(|faults| faults.edit_token = edit);
        until(what, async || {
            let status = alice.clone().fetch("GET", "/").await.unwrap().status;
            assert!(matches!(status, 200 | 503), "{what}: {status}");
            (status == 503).then_some(())
        })
        .await;
        gateway.provider.be_honest();
        until_it_passes(&alice).await;
    }
    assert_eq!(groups(&mut alice).await, "team-a,everyone");
    let told = gateway
        .portcullis
        .records()
        .await
        .unwrap()
        .iter()
        .any(|record| record.to_string().contains("refused the code"));
    assert!(!told, "no code was brought");
}

#[tokio::test]
async fn a_session_outlives_many_access_tokens_and_a_restart() {
    let (mut gateway, mut alice) = gateway(2, "1s").await;
    for wanted in 1..=3 {
        until("a refresh", async || {
            let status = alice.clone().fetch("GET", "/").await.unwrap().status;
            assert_eq!(status, 200);
            (gateway.provider.calls().refresh >= wanted).then_some(())
        })
        .await;
    }
    assert_eq!(gateway.provider.refresh_tokens(), 1, "each refresh token was replaced by the next");
    // A kill between the provider's answer and the store would lose the token that came.
    until("the last answer in the store", async || {
        let metrics = gateway.portcullis.metrics().await.unwrap();
        (refreshes(&metrics, "test") == gateway.provider.calls().refresh).then_some(())
    })
    .await;
    gateway.portcullis.restart().await.unwrap();
    let before = gateway.provider.calls().refresh;
    tokio::time::sleep(SHORTEST_LIFE).await;
    assert_eq!(groups(&mut alice).await, "team-a,everyone");
    assert!(gateway.provider.calls().refresh > before);
}

#[tokio::test]
async fn the_provider_s_end_of_the_grant_is_the_session_s_end() {
    let (gateway, mut alice) = gateway(1, "1s").await;
    gateway.provider.forget_tokens();
    let refused = refusal(&alice).await;
    assert_eq!(refused.status, 401, "{}", refused.text());
    let metrics = gateway.portcullis.metrics().await.unwrap();
    assert!(metrics.contains("portcullis_oidc_refreshes_total{provider=\"test\",outcome=\"ended\"} 1"), "{metrics}");
    assert_eq!(alice.navigate("/").await.unwrap().status, 302, "and so it is to sign in again");
}

#[tokio::test]
async fn an_outage_after_the_access_token_is_503_and_passes() {
    let (gateway, mut alice) = gateway(1, "1s").await;
    gateway.provider.lie(|faults| faults.refresh = Fault::Status(503));
    let refused = refusal(&alice).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("provider_unavailable"), "{}", refused.text());
    assert!(refused.headers.only("retry-after").is_some());
    let page = alice.navigate("/portcullis/logout").await.unwrap();
    assert_eq!(page.status, 200, "who wants to sign out is not held up: {}", page.text());
    gateway.provider.be_honest();
    until_it_passes(&alice).await;
}

/// Both orders of the race: a logout while the provider answers a refresh, and a refresh while a logout is answered.
#[tokio::test]
async fn a_logout_wins_against_a_refresh_in_both_orders() {
    let (gateway, mut alice) = gateway(1, "1s").await;
    let client = CheckClient::connect(&gateway.portcullis.check_address()).await.unwrap();

    // The refresh began first.
    gateway.provider.lie(|faults| faults.refresh = Fault::Delay(Duration::from_secs(1)));
    let thief = check_of(&alice);
    tokio::time::sleep(SHORTEST_LIFE).await;
    let check = status(&client, &thief);
    let logout = async {
        until("the refresh", async || (gateway.provider.calls().refresh == 1).then_some(())).await;
        alice.fetch("POST", "/portcullis/logout").await.unwrap().status
    };
    let (checked, logged_out) = tokio::join!(check, logout);
    assert_eq!((checked, logged_out), (401, 201));
    assert_eq!(status(&client, &thief).await, 401);
    until("the end of every token", async || {
        (!gateway.provider.revoked().is_empty() && gateway.provider.refresh_tokens() == 0).then_some(())
    })
    .await;

    // Many times at once, in whatever order: whoever has logged out stays so.
    gateway.provider.be_honest();
    let mut browsers = vec![alice; 10];
    for browser in &mut browsers {
        browser.cookies.clear();
        browser.sign_in("alice", "/").await.unwrap().echo().unwrap();
    }
    tokio::time::sleep(SHORTEST_LIFE).await;
    for mut alice in browsers {
        let thief = check_of(&alice);
        let checks = join_all((0..10).map(|_| status(&client, &thief)));
        let (checked, logout) = tokio::join!(checks, alice.fetch("POST", "/portcullis/logout"));
        let logout = logout.unwrap();
        assert_eq!(logout.status, 201, "{}", logout.text());
        assert!(checked.iter().all(|status| matches!(status, 200 | 401)), "{checked:?}");
        assert_eq!(status(&client, &thief).await, 401, "a refresh brought a session back");
    }
}

/// Signs in at a real provider whose access tokens are short, and gives the visitor.
struct Door {
    envoy: Envoy,
    portcullis: Portcullis,
    _upstream: Upstream,
}

impl Door {
    async fn open(registration: &Registration, scopes: &[&str]) -> Self {
        let upstream = Upstream::start(Protocol::Http1).await.unwrap();
        let config = Config::new().unwrap().sign_in_at(registration).unwrap();
        let config = config.set("/providers/0/refresh", json!({ "ahead": "1s" })).set("/providers/0/scopes", scopes);
        let portcullis = config.start().await.unwrap();
        let envoy = Envoy::builder(Variant::NEWEST).unwrap().check(portcullis.check_address()).upstream(&upstream);
        Self { envoy: envoy.start().await.unwrap(), portcullis, _upstream: upstream }
    }

    fn visitor(&self) -> Visitor {
        Visitor::new(self.envoy.to_http1(), ORIGIN).unwrap()
    }

    /// Uses the session until it was refreshed so often.
    async fn is_refreshed(&self, visitor: &Visitor, provider: &str, times: u64) {
        until("the refresh", async || {
            let response = visitor.clone().fetch("GET", "/").await.unwrap();
            assert_eq!(response.status, 200, "{} {}", response.text(), self.portcullis.log_tail());
            let received = response.echo().unwrap();
            assert_eq!(received.headers.only("kubeflow-userid"), Some("alice@example.com"));
            assert_eq!(received.headers.only("kubeflow-groups"), Some("team-a,everyone"));
            (refreshes(&self.portcullis.metrics().await.unwrap(), provider) >= times).then_some(())
        })
        .await;
    }
}

/// The certified provider replaces each refresh token, and ends the whole grant where one comes twice: three refreshes
/// in a row show that none did.
#[tokio::test]
async fn the_certified_provider_refreshes_with_rotation() {
    let provider = OidcProvider::start_with(2, None).await.unwrap();
    let door = Door::open(provider.registration(), &["openid", "email", "profile", "groups"]).await;
    let mut alice = door.visitor();
    let callback = provider.log_in(&alice.begin("/").await.unwrap(), "alice").await.unwrap();
    alice.come_back(&callback).await.unwrap();
    door.is_refreshed(&alice, "oidc-provider", 3).await;
    assert_eq!(alice.fetch("POST", "/portcullis/logout").await.unwrap().status, 201);
    assert_eq!(alice.fetch("GET", "/").await.unwrap().status, 401);
}

#[tokio::test]
async fn dex_refreshes_with_the_scope_for_it() {
    let dex = Dex::start_with("3s").await.unwrap();
    let scopes = ["openid", "email", "profile", "groups", "offline_access"];
    let door = Door::open(dex.registration(), &scopes).await;
    let mut alice = door.visitor();
    let callback = dex.log_in(&alice.begin("/").await.unwrap(), "alice").await.unwrap();
    alice.come_back(&callback).await.unwrap();
    door.is_refreshed(&alice, "dex", 2).await;
}

/// What `/readyz?verbose` says of the provider. The process is ready all the time.
async fn told_of_the_provider(gateway: &Gateway) -> String {
    let url = format!("http://{}/readyz?verbose", gateway.portcullis.operations_address());
    let answer = portcullis_integration::http::plain_client().unwrap().get(url).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200, "readiness speaks of this process alone");
    let text = answer.text().await.unwrap();
    text.lines().find_map(|line| line.strip_prefix("provider test: ")).unwrap().to_owned()
}

/// The records about the provider at this level.
async fn records_of_the_provider(gateway: &Gateway, level: &str) -> Vec<Value> {
    let records = gateway.portcullis.records().await.unwrap();
    records.into_iter().filter(|record| record["provider"] == "test" && record["level"] == level).collect()
}

/// Three sessions are used all the while, each of which asks both endpoints.
#[tokio::test]
async fn an_outage_is_told_once_for_all_who_meet_it_and_once_when_it_is_over() {
    let configure = |config: Config| {
        config
            .set("/providers/0/refresh", json!({ "ahead": "1s" }))
            .set("/providers/0/strict", json!({ "every": "1s", "ask": "introspection" }))
    };
    let gateway = Gateway::start(Variant::NEWEST, configure).await.unwrap();
    gateway.provider.change(|settings| {
        settings.refresh_tokens = true;
        settings.access_token_lifetime = 300;
    });
    let mut people = Vec::new();
    for person in ["alice", "alice", "bob"] {
        let mut visitor = gateway.visitor().unwrap();
        visitor.sign_in(person, "/").await.unwrap().echo().unwrap();
        people.push(visitor);
    }
    assert_eq!(told_of_the_provider(&gateway).await, "answering");
    // First introspection says that the tokens are not good, so that they are refreshed, in vain; then it is away too.
    gateway.provider.lie(|faults| {
        faults.introspection = Fault::Body("{\"active\":false}".to_owned());
        faults.refresh = Fault::Status(503);
    });
    let use_all = async |until: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !until() {
            for person in &people {
                let status = person.clone().fetch("GET", "/").await.unwrap().status;
                assert!(matches!(status, 200 | 503), "{status}");
            }
            assert!(began.elapsed() < PATIENCE, "the provider is not asked");
        }
    };
    let before = gateway.provider.calls();
    use_all(&|| gateway.provider.calls().refresh >= before.refresh + 4).await;
    let told = told_of_the_provider(&gateway).await;
    assert!(told.starts_with("failing since 2"), "{told}");
    assert!(told.ends_with(" (refresh: it does not answer: status 503)"), "{told}");
    gateway.provider.lie(|faults| faults.introspection = Fault::Status(502));
    let before = gateway.provider.calls();
    use_all(&|| gateway.provider.calls().introspection >= before.introspection + 4).await;
    let told = told_of_the_provider(&gateway).await;
    assert!(told.ends_with(" (introspection: it does not answer: status 502)"), "{told}");
    let warnings = records_of_the_provider(&gateway, "WARN").await;
    let warnings: Vec<_> = warnings.iter().filter(|record| record["oddity"] != "inactive_at_once").collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0]["message"], "the provider does not answer");
    assert_eq!((&warnings[0]["call"], &warnings[0]["error"]), (&json!("refresh"), &json!("status 503")));
    assert!(records_of_the_provider(&gateway, "ERROR").await.is_empty());

    gateway.provider.be_honest();
    for person in &people {
        until_it_passes(person).await;
    }
    assert_eq!(told_of_the_provider(&gateway).await, "answering");
    let over = records_of_the_provider(&gateway, "INFO").await;
    let over: Vec<_> = over.iter().filter(|record| record["message"] == "the provider answers again").collect();
    assert_eq!(over.len(), 1, "{over:?}");
    assert!(over[0]["lasted_s"].as_u64().unwrap() >= 5, "{over:?}");
    let again = records_of_the_provider(&gateway, "WARN").await;
    assert_eq!(again.iter().filter(|record| record["message"] == "the provider does not answer").count(), 1);
}

#[tokio::test]
async fn a_secret_that_was_changed_at_the_provider_is_an_error_and_signs_nobody_out() {
    let (gateway, alice) = gateway(1, "1s").await;
    let secret = gateway.provider.client().secret;
    gateway.provider.change(|settings| settings.clients[0].secret = Some("another-secret-of-the-tests".to_owned()));
    let refused = refusal(&alice).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("sign_in_not_set_up"), "{}", refused.text());
    let page = alice.clone().navigate("/").await.unwrap();
    assert_eq!(page.status, 503, "{}", page.text());
    assert!(page.text().contains("Sign-in is not set up") && !page.text().contains("cannot be reached"));
    // Somebody who signs in meets the same.
    let mut bob = gateway.visitor().unwrap();
    let callback = log_in(&bob.begin("/").await.unwrap(), "bob").await.unwrap();
    assert_eq!(bob.navigate(&path_and_query(&callback)).await.unwrap().status, 503);

    let errors = records_of_the_provider(&gateway, "ERROR").await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0]["error"], "invalid_client");
    assert!(errors[0]["setting"].as_str().unwrap().contains("`client_secret`"), "{errors:?}");
    assert_eq!(errors[0]["url"], format!("{}/token", gateway.provider.issuer()));
    assert!(records_of_the_provider(&gateway, "WARN").await.is_empty());
    let told = told_of_the_provider(&gateway).await;
    assert!(told.contains("it refuses this client: error `invalid_client`"), "{told}");

    gateway.provider.change(|settings| settings.clients[0].secret = secret);
    until_it_passes(&alice).await;
    assert_eq!(told_of_the_provider(&gateway).await, "answering");
    let over = records_of_the_provider(&gateway, "INFO").await;
    let over = over.iter().filter(|record| record["message"] == "the provider takes this client again");
    assert_eq!(over.count(), 1);
}

/// The provider's keys were asked for a moment ago, at the start.
#[tokio::test]
async fn neither_a_new_key_nor_a_stumble_of_userinfo_costs_a_session() {
    let (gateway, mut alice) = gateway(1, "1s").await;
    gateway.provider.rotate_keys(Algorithm::Es256, false).unwrap();
    until("a refresh by the new key", async || {
        let response = alice.clone().fetch("GET", "/").await.unwrap();
        assert_eq!(response.status, 200, "{}", response.text());
        (refreshes(&gateway.portcullis.metrics().await.unwrap(), "test") > 0).then_some(())
    })
    .await;

    gateway.provider.change(|settings| settings.claims_in_id_token = false);
    gateway.provider.lie(|faults| faults.userinfo = Fault::Status(503));
    let before = gateway.provider.calls().userinfo;
    until("userinfo's stumble", async || {
        let status = alice.clone().fetch("GET", "/").await.unwrap().status;
        assert!(matches!(status, 200 | 503), "{status}");
        (gateway.provider.calls().userinfo > before).then_some(())
    })
    .await;
    gateway.provider.be_honest();
    until_it_passes(&alice).await;
    assert_eq!(groups(&mut alice).await, "team-a,everyone");
    assert_eq!(gateway.provider.refresh_tokens(), 1, "what came in the place of the token that was spent was kept");
    let told = records_of_the_provider(&gateway, "WARN").await;
    assert!(told.iter().all(|record| record["call"] == "userinfo") && told.len() <= 1, "{told:?}");
}
