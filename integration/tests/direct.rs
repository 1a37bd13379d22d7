//! The check service called directly, for what Envoy never sends and for who may call.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use portcullis_integration::check_client::{Answer, Check, CheckClient, Encoding};
use portcullis_integration::envoy::{CheckAddress, CheckTls};
use portcullis_integration::pki::{Authority, Identity};
use portcullis_integration::portcullis::{Config, HOST, Portcullis};
use serde_json::json;
use tonic_health::pb::health_check_response::ServingStatus;

const CALLER: &str = "spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway";

fn config() -> Config {
    let rules = json!([
        { "name": "public", "paths": [{ "prefix": "/public" }], "access": "public" },
        { "name": "denied", "paths": [{ "prefix": "/denied" }], "access": "deny" },
    ]);
    Config::new().unwrap().rules(rules)
}

async fn start() -> (Portcullis, CheckClient) {
    let portcullis = config().start().await.unwrap();
    let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
    (portcullis, client)
}

/// The status of a denial; 200 for a permission, which must be written so that all gateways agree.
fn status(answer: &Answer) -> i32 {
    match answer {
        Answer::Deny { status, .. } => *status,
        Answer::Allow { set, remove, .. } => {
            for (name, value) in &set.0 {
                assert!(!value.is_empty(), "{name} is set to nothing, which agentgateway ignores");
                assert!(!remove.contains(name), "{name} is both set and removed");
                assert_eq!(set.all(name).len(), 1, "{name} is set twice");
            }
            200
        }
    }
}

#[tokio::test]
async fn a_request_without_its_parts_is_denied() {
    let (_portcullis, client) = start().await;
    let empty = client.check(<_>::default()).await.unwrap();
    assert_eq!(status(&empty), 400, "{empty:?}");
    for check in [
        Check::new("", HOST, "/public"),
        Check::new("GET", "", "/public"),
        Check::new("GET", HOST, ""),
        Check::new("GET", HOST, "public"),
        Check::new("CONNECT", HOST, ""),
    ] {
        let answer = client.check(check.build()).await.unwrap();
        assert_eq!(status(&answer), 400, "{check:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_host_is_one_plain_authority() {
    let (_portcullis, client) = start().await;
    for (host, wanted) in [
        (HOST, 200),
        ("KUBEFLOW.test", 200),
        ("kubeflow.test.", 200),
        ("kubeflow.test:443", 200),
        ("kubeflow.test:8443", 200),
        ("evil.test", 421),
        ("notkubeflow.test", 421),
        ("kubeflow.test.evil.test", 421),
        ("kubeflow.test,evil.test", 400),
        ("evil.test,kubeflow.test", 400),
        ("user:pw@kubeflow.test", 400),
        ("kubeflow.test@evil.test", 400),
        ("kubeflow.test/evil", 400),
        ("kubeflow.test evil.test", 400),
        ("kubeflow.test:443:443", 400),
        ("[::1", 400),
    ] {
        for encoding in [Encoding::Map, Encoding::Raw] {
            let check = Check::get(host, "/public/page").encoding(encoding);
            let answer = client.check(check.build()).await.unwrap();
            assert_eq!(status(&answer), wanted, "{host} {encoding:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn both_encodings_get_the_same_answer() {
    let (_portcullis, client) = start().await;
    let checks = [
        Check::get(HOST, "/public/page"),
        Check::get(HOST, "/private"),
        Check::get(HOST, "/denied"),
        Check::get(HOST, "/public/../private"),
        Check::get(HOST, "/public").header("kubeflow_userid", "evil").header("Kubeflow.UserID", "evil"),
        Check::get(HOST, "/public").header("cookie", "a=1; __Host-portcullis=x; b=2"),
        Check::get(HOST, "/public").header("x-other", b"\xff\xfe"),
        Check::get(HOST, "/private").header("authorization", "Bearer no-token"),
    ];
    for check in checks {
        let map = client.check(check.build()).await.unwrap();
        let raw = client.check(check.clone().encoding(Encoding::Raw).build()).await.unwrap();
        assert_eq!(status(&map), status(&raw), "{check:?}");
        if let (Answer::Allow { set, mut remove, .. }, Answer::Allow { set: other, remove: mut removed, .. }) =
            (map, raw)
        {
            remove.sort();
            removed.sort();
            assert_eq!((set, remove), (other, removed), "{check:?}");
        }
    }
}

#[tokio::test]
async fn a_protected_name_in_connection_is_refused() {
    let (_portcullis, client) = start().await;
    for value in ["kubeflow-userid", "close, Kubeflow-UserID", "kubeflow_groups", "portcullis-assertion,x"] {
        let check = Check::get(HOST, "/public").header("connection", value);
        let answer = client.check(check.build()).await.unwrap();
        assert_eq!(status(&answer), 400, "{value}: {answer:?}");
    }
    let check = Check::get(HOST, "/public").header("connection", "keep-alive, x-harmless");
    assert_eq!(status(&client.check(check.build()).await.unwrap()), 200);
}

#[tokio::test]
async fn every_spelling_that_was_received_is_removed() {
    let (_portcullis, client) = start().await;
    let names = ["kubeflow_userid", "kubeflow.userid", "kubeflow~groups", "auth!method", "portcullis|assertion"];
    let check = names.iter().fold(Check::get(HOST, "/public"), |check, name| check.header(name, "evil"));
    let answer = client.check(check.build()).await.unwrap();
    let Answer::Allow { remove, .. } = &answer else { panic!("{answer:?}") };
    for name in names.into_iter().chain(["kubeflow-userid", "kubeflow-groups", "auth-method"]) {
        assert!(remove.iter().any(|removed| removed == name), "{name} stays: {remove:?}");
    }
}

#[tokio::test]
async fn health_speaks_of_this_process() {
    let (_portcullis, client) = start().await;
    for service in ["", "envoy.service.auth.v3.Authorization"] {
        assert_eq!(client.health(service).await.unwrap(), ServingStatus::Serving);
    }
    assert_eq!(client.health("no.such.Service").await.unwrap_err().code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn a_unix_socket_takes_checks() {
    let portcullis = config().unix_socket().start().await.unwrap();
    let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
    let answer = client.check(Check::get(HOST, "/public").build()).await.unwrap();
    assert_eq!(status(&answer), 200, "{answer:?}");
}

#[tokio::test]
async fn only_a_named_certificate_may_call() {
    let authority = Authority::new("ours").unwrap();
    let stranger = Authority::new("another").unwrap();
    let config = config();
    let (certificate, key) = authority.server(&["check.test"]).unwrap().write(config.folder(), "check").unwrap();
    let client_ca = config.folder().join("ca.crt");
    std::fs::write(&client_ca, authority.pem()).unwrap();
    let tls = json!({
        "certificate": certificate,
        "key": key,
        "client_ca": client_ca,
        "allowed_sans": [CALLER],
    });
    let portcullis = config.set("/listeners/check/tls", tls).start().await.unwrap();
    let CheckAddress::Tcp(address) = portcullis.check_address() else { panic!("a TCP listener") };
    let call = async |identity: Option<Identity>| {
        let server_name = "check.test".to_owned();
        let tls = CheckTls { authority: authority.pem(), server_name, identity };
        let client = CheckClient::connect_tls(address, &tls).await?;
        client.check(Check::get(HOST, "/public").build()).await
    };

    let answer = call(Some(authority.client(CALLER).unwrap())).await.unwrap();
    assert_eq!(status(&answer), 200);
    let other = "spiffe://cluster.local/ns/evil/sa/istio-ingressgateway";
    for (refused, what) in [
        (None, "no certificate"),
        (Some(authority.client(other).unwrap()), "another name"),
        (Some(authority.client(&format!("{CALLER}x")).unwrap()), "a longer name"),
        (Some(stranger.client(CALLER).unwrap()), "another authority"),
    ] {
        let answer = call(refused).await;
        assert!(answer.is_err(), "{what}: {answer:?}");
    }
    let plain = CheckClient::connect(&portcullis.check_address()).await;
    let plain = match plain {
        Ok(client) => client.check(Check::get(HOST, "/public").build()).await,
        Err(error) => Err(error),
    };
    assert!(plain.is_err(), "clear text: {plain:?}");
}
