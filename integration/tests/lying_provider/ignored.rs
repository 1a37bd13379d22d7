//! What a provider adds, and what surrounds the product, must have no effect.

use std::net::Ipv4Addr;
use std::time::Duration;

use portcullis_integration::check_client::{Check, CheckClient};
use portcullis_integration::check_visitor::CheckVisitor;
use portcullis_integration::faults::{Fault, edit};
use portcullis_integration::jwt::{self, Algorithm, SigningKey};
use portcullis_integration::portcullis::{Config, HOST, TOKEN_AUDIENCE};
use portcullis_integration::provider::{Faults, Provider, Settings};
use portcullis_integration::review_api::ReviewApi;
use portcullis_integration::visitor::{log_in, path_and_query};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::ground::claim;

/// What is said, and the groups that the service behind must be told nevertheless.
struct Addition {
    what: &'static str,
    tell: Box<dyn Fn(&mut Faults)>,
    groups: &'static str,
    /// Those that the assertion tells, where these are others: the header is a list, and leaves out what holds a comma.
    asserted: Option<&'static [&'static str]>,
}

fn addition(what: &'static str, tell: impl Fn(&mut Faults) + 'static, groups: &'static str) -> Addition {
    Addition { what, tell: Box::new(tell), groups, asserted: None }
}

impl Addition {
    fn asserts(self, asserted: &'static [&'static str]) -> Self {
        Self { asserted: Some(asserted), ..self }
    }
}

#[tokio::test]
async fn what_a_provider_adds_makes_no_other_identity_and_no_call() {
    const HONEST: &str = "team-a,everyone";
    let thief = Provider::start(Settings::default()).await.unwrap();
    let elsewhere = thief.issuer().to_owned();
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap().jwk();
    let headed = |what, name: &'static str, value: Value| {
        addition(what, move |faults: &mut Faults| faults.edit_header = claim(name, value.clone()), HONEST)
    };
    let distributed = json!({
        "_claim_names": { "groups": "src", "email": "src" },
        "_claim_sources": { "src": { "endpoint": format!("{elsewhere}/userinfo"), "access_token": "a" } },
    });
    let additions = [
        addition("nothing", |_| (), HONEST),
        headed("jku", "jku", json!(format!("{elsewhere}/jwks"))),
        headed("x5u", "x5u", json!(format!("{elsewhere}/jwks"))),
        headed("a stranger's jwk", "jwk", stranger),
        headed("x5c", "x5c", json!(["MII="])),
        addition(
            "distributed claims",
            move |faults| {
                let distributed = distributed.clone();
                faults.edit_claims = edit(move |claims| {
                    claims.as_object_mut().unwrap().extend(distributed.as_object().unwrap().clone());
                });
            },
            HONEST,
        ),
        addition("a userinfo that nobody needs, and that hangs", |faults| faults.userinfo = Fault::Hang, HONEST),
        addition(
            "groups that are Kubernetes' own, empty, no texts, or hold what parts a header",
            |faults| {
                let groups = json!([
                    "system:masters",
                    "SYSTEM:Masters",
                    "system:serviceaccounts",
                    "team-a",
                    "",
                    7,
                    null,
                    ["admins"],
                    "a,admins",
                    "x\r\nkubeflow-userid: bob@example.com",
                    "\u{0}",
                    "g".repeat(1025),
                ]);
                faults.edit_claims = claim("groups", groups);
            },
            "team-a",
        )
        .asserts(&["team-a", "a,admins"]),
        addition("one group as a text", |faults| faults.edit_claims = claim("groups", json!("team-a,admins")), "")
            .asserts(&["team-a,admins"]),
        addition("groups as an object", |faults| faults.edit_claims = claim("groups", json!({ "admins": true })), ""),
        addition(
            "names for another claim",
            |faults| {
                faults.edit_claims = edit(|claims| {
                    for name in ["preferred_username", "upn", "name", "username", "kubeflow-userid"] {
                        claims[name] = json!("bob@example.com");
                    }
                });
            },
            HONEST,
        ),
    ];

    let provider = Provider::start(Settings::default()).await.unwrap();
    let portcullis = Config::new().unwrap().provider(&provider).unwrap().start().await.unwrap();
    let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
    for Addition { what, tell, groups, asserted: other } in additions {
        provider.be_honest();
        provider.lie(tell);
        let mut visitor = CheckVisitor::new(&client, HOST);
        let callback = log_in(&visitor.begin("/").await.unwrap(), "alice").await.unwrap();
        let answer = visitor.navigate(&path_and_query(&callback)).await.unwrap();
        assert_eq!((answer.status(), answer.reason()), (303, None), "{what}");
        let answer = visitor.navigate("/").await.unwrap();
        let wanted: &[&str] = if groups.is_empty() { &[] } else { &[groups] };
        let told = (answer.passed("kubeflow-userid"), answer.passed("kubeflow-groups"));
        assert_eq!(told, (vec!["alice@example.com"], wanted.to_vec()), "{what}");
        let [assertion] = answer.passed("portcullis-assertion")[..] else { panic!("{what}: {answer:?}") };
        let claims = jwt::claims(assertion).unwrap();
        let listed = || groups.split(',').filter(|group| !group.is_empty()).collect();
        let wanted: Vec<&str> = other.map_or_else(listed, <[_]>::to_vec);
        let asserted: Vec<&str> = claims["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        assert_eq!((claims["email"].as_str(), asserted), (Some("alice@example.com"), wanted), "{what}");
    }
    assert_eq!(provider.calls().userinfo, 0, "nothing was missing");
    assert_eq!(thief.calls(), <_>::default(), "something went elsewhere");
}

#[tokio::test]
async fn a_proxy_in_the_environment_sees_no_code_and_no_token() {
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let provider = Provider::start(Settings::default()).await.unwrap();
    let api = ReviewApi::start_at((Ipv4Addr::LOCALHOST, 0).into(), Algorithm::Es256).await.unwrap();
    let mut config = Config::new().unwrap().provider(&provider).unwrap().service_accounts(&api).unwrap();
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        config = config.environment(name, &address);
    }
    for name in ["NO_PROXY", "no_proxy"] {
        config = config.environment(name, "");
    }
    let portcullis = config.start().await.unwrap();
    let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
    assert!(CheckVisitor::new(&client, HOST).sign_in("alice", "/").await.unwrap().is_allowed());
    let token = api.token("team-a", "robot").audience(TOKEN_AUDIENCE).issue();
    let check = Check::get(HOST, "/").header("authorization", format!("Bearer {token}"));
    assert!(client.check(check.build()).await.unwrap().is_allowed());
    assert_eq!((provider.calls().token, provider.calls().jwks), (1, 1));
    // Whoever had connected would wait to be accepted.
    let connected = tokio::time::timeout(Duration::from_millis(10), proxy.accept()).await;
    assert!(connected.is_err(), "the proxy was asked: {connected:?}");
}
