//! Where somebody was authenticated, the service behind the gateway sees exactly one trusted
//! identity, whatever the client forged beside its true credential.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use portcullis_integration::envoy::Variant;
use portcullis_integration::gateway::{Gateway, HOST};
use portcullis_integration::portcullis::{ASSERTION_ISSUER, SESSION_COOKIE};
use portcullis_integration::raw_client::http2;
use portcullis_integration::upstream::Received;
use portcullis_integration::{jwt, on_each_envoy};
use serde_json::{Value, json};

on_each_envoy!(
    a_signed_in_visitor_is_seen_as_one_identity,
    a_service_account_is_seen_as_one_identity,
    a_credential_that_connection_hides_does_not_count,
    hop_by_hop_tricks_do_not_remove_the_identity,
);

async fn gateway(variant: Variant) -> Gateway {
    let rules = json!([{ "name": "optional", "paths": [{ "prefix": "/optional" }], "access": "optional" }]);
    Gateway::start(variant, |config| config.rules(rules)).await.expect("the ensemble starts")
}

/// Forgeries that every Envoy lets through to the check.
const FORGED: [(&str, &str); 8] = [
    ("Kubeflow-UserID", "evil@example.com"),
    ("kubeflow-userid", "evil@example.com"),
    ("KUBEFLOW-USERID", ""),
    ("kubeflow.userid", "evil@example.com"),
    ("kubeflow-groups", "system:masters"),
    ("Kubeflow-Groups", "admins,team-a"),
    ("auth-method", "evil"),
    ("Portcullis-Assertion", "eyJhbGciOiJub25lIn0.e30."),
];

/// What a hardened Envoy refuses itself.
const FORGED_WITH_UNDERSCORES: [(&str, &str); 2] =
    [("kubeflow_userid", "evil@example.com"), ("kubeflow_groups", "system:masters")];

fn forged(variant: Variant) -> Vec<(&'static str, &'static str)> {
    let mut lines = FORGED.to_vec();
    if !variant.is_hardened() {
        lines.extend(FORGED_WITH_UNDERSCORES);
    }
    lines
}

/// Fails unless the upstream saw this user, once, and nothing that any application takes for another.
fn assert_identity(received: &Received, user: &str, groups: Option<&str>) {
    let headers = &received.headers;
    assert_eq!(headers.folded("kubeflow-userid"), [("kubeflow-userid", user)]);
    let groups: Vec<_> = groups.map(|groups| ("kubeflow-groups", groups)).into_iter().collect();
    assert_eq!(headers.folded("kubeflow-groups"), groups);
    assert_eq!(headers.folded("auth-method").len(), 1);
    assert_eq!(headers.folded("portcullis-assertion").len(), 1);
    assert!(!headers.has("authorization"), "a credential travels on: {headers:?}");
    for cookie in headers.all("cookie") {
        assert!(!cookie.contains(SESSION_COOKIE), "a credential travels on: {cookie}");
    }
}

fn assertion(received: &Received) -> Value {
    let assertion = received.headers.only("portcullis-assertion").expect("one assertion");
    jwt::claims(assertion).unwrap()
}

async fn a_signed_in_visitor_is_seen_as_one_identity(variant: Variant) {
    let gateway = gateway(variant).await;
    let mut alice = gateway.visitor().unwrap();
    let landed = alice.sign_in("alice", "/wanted?page=1").await.unwrap();
    let received = landed.echo().unwrap();
    assert_eq!(received.target, "/wanted?page=1");
    assert_identity(&received, "alice@example.com", Some("team-a,everyone"));
    let claims = assertion(&received);
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ASSERTION_ISSUER), &json!("kubeflow")));
    assert_eq!(claims["sub"], "user:test:subject-of-alice");
    assert_eq!(claims["email"], "alice@example.com");

    for path in ["/private", "/optional"] {
        let response = alice.request("GET", path, &forged(variant)).await.unwrap();
        let received = response.echo().unwrap();
        assert_identity(&received, "alice@example.com", Some("team-a,everyone"));
        assert_eq!(assertion(&received)["sub"], "user:test:subject-of-alice");
    }

    let cookie = format!("a=1; {SESSION_COOKIE}={}", alice.cookies[SESSION_COOKIE]);
    for target in [gateway.envoy.to_http1(), gateway.envoy.to_http2()] {
        let mut request = http2::Request::get(HOST, "/private").header("cookie", &cookie);
        for (name, value) in forged(variant) {
            request = request.header(&name.to_ascii_lowercase(), value);
        }
        let received = http2::exchange(&target, &request).await.unwrap().echo().unwrap();
        assert_identity(&received, "alice@example.com", Some("team-a,everyone"));
        assert_eq!(received.headers.only("cookie"), Some("a=1"));
    }
}

async fn a_service_account_is_seen_as_one_identity(variant: Variant) {
    let gateway = gateway(variant).await;
    let token = gateway.mint_token("ns", "robot");
    let bearer = format!("Bearer {token}");
    let name = "system:serviceaccount:ns:robot";
    for path in ["/private", "/optional"] {
        let honest = gateway.get(path, &[("authorization", &bearer)]).await.unwrap();
        let received = honest.echo().unwrap_or_else(|error| panic!("{error:#}"));
        let groups = received.headers.only("kubeflow-groups").map(str::to_owned);
        assert_identity(&received, name, groups.as_deref());
        assert_eq!(assertion(&received)["sub"], name);

        let mut lines = forged(variant);
        lines.push(("Authorization", &bearer));
        let received = gateway.get(path, &lines).await.unwrap().echo().unwrap();
        assert_identity(&received, name, groups.as_deref());
    }
}

async fn a_credential_that_connection_hides_does_not_count(variant: Variant) {
    let gateway = gateway(variant).await;
    let bearer = format!("Bearer {}", gateway.mint_token("ns", "robot"));
    let mut alice = gateway.visitor().unwrap();
    alice.sign_in("alice", "/").await.unwrap();

    let hidden = [("Connection", "cookie, authorization"), ("Authorization", bearer.as_str())];
    let private = alice.request("GET", "/private", &hidden).await.unwrap();
    assert!(matches!(private.status, 400 | 401), "{} {}", private.status, private.text());
    let optional = alice.request("GET", "/optional", &hidden).await.unwrap();
    if optional.status != 400 {
        let received = optional.echo().unwrap();
        assert!(received.headers.folded("kubeflow-userid").is_empty(), "{received:?}");
        assert!(!received.headers.has("portcullis-assertion"), "{received:?}");
    }
}

async fn hop_by_hop_tricks_do_not_remove_the_identity(variant: Variant) {
    let gateway = gateway(variant).await;
    let bearer = format!("Bearer {}", gateway.mint_token("ns", "robot"));
    for names in ["kubeflow-userid", "Kubeflow-UserID, kubeflow-groups, portcullis-assertion", "x, auth-method"] {
        for forgery in [None, Some(("kubeflow-userid", "evil"))] {
            let mut lines = vec![("Connection", names), ("Authorization", &bearer)];
            lines.extend(forgery);
            let response = gateway.get("/private", &lines).await.unwrap();
            if response.status != 400 {
                let received = response.echo().unwrap();
                let groups = received.headers.only("kubeflow-groups").map(str::to_owned);
                assert_identity(&received, "system:serviceaccount:ns:robot", groups.as_deref());
            }
        }
    }
}
