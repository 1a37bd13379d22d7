//! The strict mode: what was ended at the provider ends here soon.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use std::time::{Duration, Instant};

use portcullis_integration::check_client::{Answer, Check, CheckClient};
use portcullis_integration::check_visitor::CheckVisitor;
use portcullis_integration::envoy::{Envoy, Variant};
use portcullis_integration::faults::{Fault, edit};
use portcullis_integration::gateway::{Gateway, HOST};
use portcullis_integration::lateness::Lateness;
use portcullis_integration::movable_clock::{MovableClock, Moves};
use portcullis_integration::oidc_provider::OidcProvider;
use portcullis_integration::patience::{PATIENCE, until};
use portcullis_integration::portcullis::{Config, ORIGIN, Portcullis, SESSION_COOKIE};
use portcullis_integration::provider::{Provider, Settings};
use portcullis_integration::raw_client::Response;
use portcullis_integration::upstream::{Protocol, Upstream};
use portcullis_integration::visitor::Visitor;
use serde_json::json;
use url::Url;

/// Uses the session until it does not pass any more.
async fn refusal(visitor: &Visitor) -> Response {
    until("the refusal", async || {
        let response = visitor.clone().fetch("GET", "/").await.unwrap();
        (response.status != 200).then_some(response)
    })
    .await
}

/// Uses the session until its provider was asked about it, and said yes.
async fn is_asked_about(portcullis: &Portcullis, visitor: &Visitor) {
    until("the question", async || {
        let response = visitor.clone().fetch("GET", "/").await.unwrap();
        assert_eq!(response.status, 200, "{} {}", response.text(), portcullis.log_tail());
        let labels = [r#"outcome="active""#];
        (portcullis.metric("portcullis_oidc_strict_checks_total", &labels).await.unwrap() > 0).then_some(())
    })
    .await;
}

async fn gateway(ask: &str) -> (Gateway, Visitor) {
    let strict = json!({ "every": "1s", "ask": ask });
    let gateway = Gateway::start(Variant::NEWEST, |config| config.set("/providers/0/strict", strict)).await.unwrap();
    let mut alice = gateway.visitor().unwrap();
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    (gateway, alice)
}

#[tokio::test]
async fn a_session_passes_while_the_provider_says_so_and_ends_when_it_does_not() {
    for ask in ["introspection", "userinfo"] {
        let (gateway, alice) = gateway(ask).await;
        let asked = || {
            let calls = gateway.provider.calls();
            if ask == "userinfo" { calls.userinfo } else { calls.introspection }
        };
        let began = Instant::now();
        let mut used = 0_u64;
        while asked() < 2 {
            assert_eq!(alice.clone().fetch("GET", "/").await.unwrap().status, 200);
            used += 1;
            assert!(began.elapsed() < PATIENCE, "{ask}: the provider is not asked");
        }
        let (asked, elapsed) = (asked(), began.elapsed().as_secs());
        assert!(asked <= elapsed + 1, "{ask}: asked {asked} times for {used} requests within {elapsed} s");
        gateway.provider.forget_tokens();
        let refused = refusal(&alice).await;
        assert_eq!(refused.status, 401, "{ask}: {}", refused.text());
    }
}

#[tokio::test]
async fn no_answer_is_no_yes() {
    let (gateway, alice) = gateway("introspection").await;
    gateway.provider.lie(|faults| faults.introspection = Fault::Status(500));
    let refused = refusal(&alice).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("provider_unavailable"), "{}", refused.text());
    gateway.provider.be_honest();
    until("the session's return", async || {
        (alice.clone().fetch("GET", "/").await.unwrap().status == 200).then_some(())
    })
    .await;
}

/// The wall clock goes back by less than makes a session one of the future.
#[tokio::test]
async fn a_clock_that_is_set_back_does_not_switch_the_strict_mode_off() {
    const STEP: i64 = 50;
    let clock = MovableClock::new(Moves::WallClock).unwrap();
    let strict = json!({ "every": "1s", "ask": "introspection" });
    let configure = |config: Config| config.set("/providers/0/strict", strict).clock(&clock);
    let gateway = Gateway::start(Variant::NEWEST, configure).await.unwrap();
    let mut alice = gateway.visitor().unwrap();
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    let (began, control) = (Instant::now(), Lateness::watch());
    clock.set(-STEP).unwrap();
    gateway.provider.forget_tokens();
    let refused = refusal(&alice).await;
    assert_eq!(refused.status, 401, "{}", refused.text());
    let (elapsed, late) = (began.elapsed(), control.p99());
    // Else it would be when the clock has caught up.
    assert!(elapsed < Duration::from_secs(STEP.unsigned_abs() / 2) + late, "{elapsed:?}, {late:?}");
}

#[tokio::test]
async fn a_check_that_waits_for_the_provider_does_not_pass_after_the_logout() {
    let strict = json!({ "every": "1s", "ask": "introspection" });
    // Else the provider itself would say no, since the logout reaches it first.
    let configure = |config: Config| {
        config.set("/providers/0/strict", strict).set("/providers/0/logout", json!({ "revoke_tokens": false }))
    };
    let gateway = Gateway::start(Variant::NEWEST, configure).await.unwrap();
    let mut alice = gateway.visitor().unwrap();
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    gateway.provider.lie(|faults| faults.introspection = Fault::Delay(Duration::from_secs(2)));
    let client = gateway.check_client().await.unwrap();
    let ticket = &alice.cookies[SESSION_COOKIE];
    let check = Check::get(HOST, "/").header("cookie", format!("{SESSION_COOKIE}={ticket}")).build();
    // Within a second of the sign-in nobody is asked.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let before = gateway.provider.calls().introspection;
    let checks = futures::future::join_all((0..20).map(|_| client.check(check.clone())));
    let logout = async {
        while gateway.provider.calls().introspection == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        alice.fetch("POST", "/portcullis/logout").await.unwrap().status
    };
    let (answers, logout) = tokio::join!(checks, logout);
    assert_eq!(logout, 201);
    for answer in answers {
        let answer = answer.unwrap();
        assert!(matches!(answer, Answer::Deny { status: 401, .. }), "{answer:?}");
    }
}

/// The certified provider, where the person signs out without us: no back-channel tells of it.
#[tokio::test]
async fn a_sign_out_at_the_certified_provider_reaches_us() {
    for ask in ["introspection", "userinfo"] {
        let provider = OidcProvider::start().await.unwrap();
        let issuer = provider.registration().issuer.clone();
        let config = Config::new().unwrap().sign_in_at(provider.registration()).unwrap();
        let portcullis = config.set("/providers/0/strict", json!({ "every": "1s", "ask": ask })).start().await.unwrap();
        let upstream = Upstream::start(Protocol::Http1).await.unwrap();
        let envoy = Envoy::builder(Variant::NEWEST).unwrap().check(portcullis.check_address()).upstream(&upstream);
        let envoy = envoy.start().await.unwrap();
        let mut alice = Visitor::new(envoy.to_http1(), ORIGIN).unwrap();
        let person = provider.person("alice").unwrap();
        let callback = person.walk(&alice.begin("/").await.unwrap()).await.unwrap();
        alice.come_back(&callback).await.unwrap();
        is_asked_about(&portcullis, &alice).await;

        let back =
            [("client_id", "portcullis"), ("post_logout_redirect_uri", &format!("{ORIGIN}/portcullis/signed-out"))];
        person.walk(&Url::parse_with_params(&format!("{issuer}/session/end"), back).unwrap()).await.unwrap();
        let refused = refusal(&alice).await;
        assert_eq!(refused.status, 401, "{ask}: {}", refused.text());
    }
}

/// Hydra, for example, publishes no introspection endpoint.
#[tokio::test]
async fn a_provider_that_nobody_can_ask_is_an_error_at_the_start_and_signs_nobody_in() {
    for (ask, endpoint, settings) in [
        ("introspection", "introspection_endpoint", ["endpoints.introspection", "strict.ask: userinfo"]),
        ("userinfo", "userinfo_endpoint", ["endpoints.userinfo", "leave `strict` out"]),
    ] {
        let provider = Provider::start(Settings::default()).await.unwrap();
        provider.lie(|faults| {
            faults.edit_discovery = edit(move |document| drop(document.as_object_mut().unwrap().remove(endpoint)));
        });
        let strict = json!({ "every": "1s", "ask": ask });
        let config = Config::new().unwrap().provider(&provider).unwrap().set("/providers/0/strict", strict);
        let portcullis = config.start().await.unwrap();
        let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
        let answer = CheckVisitor::new(&client, HOST).navigate("/").await.unwrap();
        assert_eq!((answer.status(), answer.reason().as_deref()), (503, Some("sign_in_not_set_up")), "{ask}");
        let errors = portcullis.told("ERROR", "`strict`").await.unwrap();
        assert_eq!(errors.len(), 1, "{ask}: {errors:?}");
        for setting in settings {
            assert!(errors[0]["error"].as_str().unwrap().contains(setting), "{setting}: {errors:?}");
        }
        provider.be_honest();
        until("a sign-in", async || {
            let answer = CheckVisitor::new(&client, HOST).navigate("/").await.unwrap();
            (answer.status() == 302).then_some(())
        })
        .await;
    }
}

/// Keycloak calls a token inactive whose audience lacks the client.
#[tokio::test]
async fn a_token_that_is_inactive_from_the_first_is_told_with_what_that_may_be() {
    let (gateway, alice) = gateway("introspection").await;
    gateway.provider.lie(|faults| faults.introspection = Fault::Body("{\"active\":false}".to_owned()));
    let refused = refusal(&alice).await;
    assert_eq!(refused.status, 401, "{}", refused.text());
    let ended = gateway.portcullis.told("INFO", "a session ends").await.unwrap();
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!(ended[0]["session"].as_str().map(str::len), Some(12), "{ended:?}");
    let question = "is this client in the token's audience?";
    assert!(ended[0]["why"].as_str().unwrap().contains(question), "{ended:?}");
    assert_eq!(gateway.portcullis.told("WARN", question).await.unwrap().len(), 1);

    // The one that was good before has ended at the provider.
    let (gateway, alice) = self::gateway("introspection").await;
    is_asked_about(&gateway.portcullis, &alice).await;
    gateway.provider.forget_tokens();
    assert_eq!(refusal(&alice).await.status, 401);
    assert!(gateway.portcullis.told("INFO", question).await.unwrap().is_empty());
}

#[tokio::test]
async fn introspection_that_refuses_this_client_is_not_told_to_be_away() {
    let (gateway, alice) = gateway("introspection").await;
    gateway.provider.lie(|faults| faults.introspection = Fault::Status(403));
    let refused = refusal(&alice).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("sign_in_not_set_up"), "{}", refused.text());
    let errors = gateway.portcullis.told("ERROR", "strict.ask: userinfo").await.unwrap();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0]["error"].as_str().unwrap().contains("403"), "{errors:?}");
}
