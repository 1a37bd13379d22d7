//! The check service called directly, for what Envoy never sends and for who may call.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use std::time::{Duration, Instant};

use envoy_types::ext_authz::v3::pb::{CheckRequest, CheckResponse};
use portcullis_integration::check_client::{Answer, Check, CheckClient, Encoding};
use portcullis_integration::envoy::{CheckAddress, CheckTls};
use portcullis_integration::faults::Fault;
use portcullis_integration::pki::{Authority, Identity};
use portcullis_integration::portcullis::{Config, HOST, Portcullis, TOKEN_AUDIENCE};
use portcullis_integration::review_api::ReviewApi;
use portcullis_integration::usage;
use prost::Message as _;
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

/// A check whose request has a body of so many bytes, as `with_request_body` sends it.
fn with_body(bytes: usize) -> CheckRequest {
    let mut request = Check::get(HOST, "/public/page").build();
    let http = request.attributes.as_mut().and_then(|attributes| attributes.request.as_mut()?.http.as_mut());
    http.unwrap().body = "x".repeat(bytes);
    request
}

/// An error of gRPC would pass a gateway that fails open.
#[tokio::test]
async fn a_message_that_cannot_be_read_is_denied_and_told() {
    let (portcullis, client) = start().await;
    for (bytes, wanted) in [(0, 200), (900 * 1024, 200), (1100 * 1024, 400), (5 << 20, 400)] {
        let answer = client.check(with_body(bytes)).await.unwrap();
        assert_eq!(status(&answer), wanted, "a body of {bytes} bytes: {answer:?}");
        if wanted == 400 {
            assert_eq!(answer.reason().as_deref(), Some("malformed_request"));
        }
    }
    let records = portcullis.records().await.unwrap();
    let told =
        records.iter().filter(|record| record["message"].as_str().is_some_and(|text| text.contains("over the limit")));
    assert_eq!(told.count(), 2, "{}", portcullis.log_tail());
    let refused = ["outcome=\"denied\"", "reason=\"malformed_request\""];
    assert_eq!(portcullis.metric("portcullis_checks_total", &refused).await.unwrap(), 2);
}

/// How many messages a connection sends without their ends.
const STREAMS: usize = 100;
/// As long as a check that brings all that Envoy lets a client send in headers.
const MESSAGE_BYTES: usize = 60_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_checks_take_is_bounded_in_bytes_and_short_ones_still_pass() {
    let portcullis = config().set("/logging/level", "info").start().await.unwrap();
    let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
    let long = Check::get(HOST, "/public/page").header("x-long", "x".repeat(50_000)).build();
    assert_eq!(status(&client.check(long.clone()).await.unwrap()), 200);
    let before = resident_bytes(&portcullis);
    let CheckAddress::Tcp(address) = portcullis.check_address() else { panic!("a unix socket") };
    // Three quarters of 64 MiB have room for 360 or so, each of which takes twice its length and 16 KiB more.
    let mut held = Vec::new();
    let answer = loop {
        held.push(hold_messages(address).await);
        let answer = client.check(long.clone()).await.unwrap();
        if status(&answer) != 200 {
            break answer;
        }
        assert!(held.len() < 20, "{} messages are held, and nothing is refused", held.len() * STREAMS);
    };
    assert_eq!((status(&answer), answer.reason().as_deref()), (503, Some("too_many_checks")), "{answer:?}");
    assert_eq!(answer.told("retry-after").len(), 1, "{answer:?}");
    let short = Check::get(HOST, "/public/page").build();
    assert_eq!(status(&client.check(short).await.unwrap()), 200, "a quarter is kept for short ones");
    let grown = resident_bytes(&portcullis).saturating_sub(before);
    assert!(grown < 2 * portcullis::memory::CHECKS, "grown by {grown} bytes");

    // A message must come to its end within ten seconds, and gives back what it took.
    let begun = Instant::now();
    while status(&client.check(long.clone()).await.unwrap()) != 200 {
        assert!(begun.elapsed() < Duration::from_mins(1), "the bytes are not given back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(held);
}

/// Sends messages without their last bytes; the connection ends with what is given back.
async fn hold_messages(address: std::net::SocketAddr) -> Vec<h2::SendStream<bytes::Bytes>> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut held = Vec::new();
    for _ in 0..STREAMS {
        sender = sender.ready().await.unwrap();
        let request = http::Request::post(format!("http://{address}/envoy.service.auth.v3.Authorization/Check"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (response, mut body) = sender.send_request(request, false).unwrap();
        let length = u32::try_from(MESSAGE_BYTES).unwrap();
        let mut bytes = [&[0], length.to_be_bytes().as_slice()].concat();
        bytes.resize(MESSAGE_BYTES, b'x');
        body.send_data(bytes.into(), false).unwrap();
        // Sent as far as the windows let it, by the connection's task.
        tokio::spawn(response);
        held.push(body);
    }
    // All of it was read when the last window is open again.
    let last = held.last_mut().unwrap();
    last.reserve_capacity(1);
    let _ = std::future::poll_fn(|context| last.poll_capacity(context)).await;
    held
}

/// A gateway that has stopped waiting hears of no permission, and one that still waits hears a denial: neither an empty
/// answer, which Envoy takes for a permission, nor an error, which a gateway that fails open does.
#[tokio::test]
async fn a_check_whose_deadline_passes_is_denied() {
    let api = ReviewApi::start().await.unwrap();
    let config = config().service_accounts(&api).unwrap().set("/service_accounts/timeout", "30s");
    let portcullis = config.start().await.unwrap();
    let CheckAddress::Tcp(address) = portcullis.check_address() else { panic!("a unix socket") };
    let token = |name: &str| format!("Bearer {}", api.token("team-a", name).audience(TOKEN_AUDIENCE).issue());
    let check = |name: &str| Check::get(HOST, "/private").header("authorization", token(name)).build();
    assert!(call_with_deadline(address, &check("first"), "20S").await.is_allowed());

    api.misbehave(|faults| faults.reviews = Fault::Hang);
    for deadline in ["300m", "1m", "1S"] {
        let answer = call_with_deadline(address, &check(&deadline.to_lowercase()), deadline).await;
        let told = (status(&answer), answer.reason());
        assert_eq!(told, (503, Some("deadline_exceeded".to_owned())), "{deadline}: {answer:?}");
    }
}

/// One check by hand: a client library would itself give up at the deadline.
async fn call_with_deadline(address: std::net::SocketAddr, request: &CheckRequest, deadline: &str) -> Answer {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let head = http::Request::post(format!("http://{address}/envoy.service.auth.v3.Authorization/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", deadline)
        .body(())
        .unwrap();
    let (response, mut body) = sender.send_request(head, false).unwrap();
    let message = request.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    body.send_data([[0].as_slice(), &length, &message].concat().into(), true).unwrap();
    let mut stream = response.await.unwrap().into_body();
    let mut answer = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data.unwrap();
        stream.flow_control().release_capacity(data.len()).unwrap();
        answer.extend_from_slice(&data);
    }
    Answer::read(CheckResponse::decode(&answer[5..]).unwrap()).unwrap()
}

fn resident_bytes(portcullis: &Portcullis) -> u64 {
    usage::resident_kib(portcullis.id()).unwrap() * 1024
}
