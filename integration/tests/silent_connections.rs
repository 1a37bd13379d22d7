//! Connections that say nothing, or not enough, keep no place from those that do: on every listener, by real sockets,
//! with the deadlines that everybody has.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use portcullis_integration::administrator::{Administrator, administered};
use portcullis_integration::check_client::{Check, CheckClient};
use portcullis_integration::envoy::{CheckAddress, CheckTls, Variant};
use portcullis_integration::gateway::Gateway;
use portcullis_integration::lateness::Lateness;
use portcullis_integration::pki::Authority;
use portcullis_integration::portcullis::{Config, HOST, Portcullis, binary};
use portcullis_integration::process::{Launch, Signal};
use portcullis_integration::provider::{Provider, Settings};
use portcullis_integration::raw_client::{Target, http1};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

const GATEWAY: &str = "spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway";

/// The first request must be complete within so long, and a connection that is told to close may take a second more.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
const CLOSING: Duration = Duration::from_secs(1);
/// How long strangers' connections may be idle.
const IDLE: Duration = Duration::from_secs(30);
/// Within so long a probe is answered, on a machine that is not late.
const PROBE: Duration = Duration::from_secs(1);
/// What a loaded machine adds, beyond what the control shows: what is not there by then never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// HTTP/2's preface with empty SETTINGS (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The same, with `SETTINGS_INITIAL_WINDOW_SIZE` 0: no byte of an answer's body may be sent.
const PREFACE_WITHOUT_WINDOW: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
/// A complete `GET /metrics` on stream 1, by HPACK's static table.
const GET_METRICS: &[u8] = b"\0\0\x0f\x01\x05\0\0\0\x01\x82\x86\x04\x08/metrics\x41\x01a";

/// What a stranger sends before it says nothing more.
const SILENCES: [(&str, &[u8]); 6] = [
    ("not a byte", b""),
    ("half a header", b"GET /healthz HTTP/1.1\r\nhost: a\r\nx: "),
    ("half a preface", b"PRI * HTTP/2.0\r\n"),
    ("a preface and no request", PREFACE),
    ("half a body", b"POST /backchannel-logout/test HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\n\r\nlogout_token="),
    ("half a TLS handshake", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
];

async fn held(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Who had to give way at once cannot be written to.
    let _ = stream.write_all(bytes).await;
    stream
}

/// So many connections, each silent in its own way.
async fn crowd(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for number in 0..count {
        crowd.push(held(address, SILENCES[number % SILENCES.len()].1).await);
    }
    crowd
}

/// Waits until the other side has closed, and tells how long that took.
async fn closed<S: tokio::io::AsyncRead + Unpin>(stream: &mut S, began: Instant) -> Duration {
    let mut buffer = [0; 1024];
    let reads = async { while !matches!(stream.read(&mut buffer).await, Ok(0) | Err(_)) {} };
    tokio::time::timeout(IDLE + PATIENCE, reads).await.expect("the connection is closed");
    began.elapsed()
}

/// Asks as a kubelet does, over a connection of its own.
async fn probe(address: SocketAddr, path: &str) -> Duration {
    let began = Instant::now();
    let answer = http1::get(&Target::plain(address), "probe", path, &[("connection", "close")]).await;
    let answer = answer.unwrap_or_else(|error| panic!("{path}: {error:#}"));
    assert_eq!(answer.status, 200, "{path}");
    began.elapsed()
}

async fn all_probes_are_answered(portcullis: &Portcullis, control: &Lateness) {
    for _ in 0..5 {
        for path in ["/healthz", "/readyz", "/metrics"] {
            let took = probe(portcullis.operations_address(), path).await;
            let most = PROBE + control.p99();
            assert!(took < most, "{path} took {took:?}, with a bound of {most:?}");
        }
    }
}

/// A process with every listener, the one for administrators on a unix socket.
async fn start() -> (Portcullis, Provider) {
    let provider = Provider::start(Settings::default()).await.unwrap();
    let config = administered(Config::new().unwrap().provider(&provider).unwrap()).set("/logging/level", "info");
    (config.start().await.unwrap(), provider)
}

fn tcp(address: &CheckAddress) -> SocketAddr {
    let CheckAddress::Tcp(address) = address else { panic!("a TCP listener") };
    *address
}

async fn turned_away(portcullis: &Portcullis, listener: &str, cause: &str) -> u64 {
    let labels = [format!("listener=\"{listener}\""), format!("cause=\"{cause}\"")];
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    portcullis.metric("portcullis_connections_turned_away_total", &labels).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_strangers_hold_open_who_says_something_is_answered() {
    let (portcullis, _provider) = start().await;
    let control = Lateness::watch();
    let (operations, http) = (portcullis.operations_address(), portcullis.http_address());
    let gateway = CheckClient::connect(&portcullis.check_address()).await.unwrap();
    let check = || gateway.check(Check::get(HOST, "/").build());
    check().await.unwrap();

    // More than each listener has places for, of both kinds.
    let mut strangers = crowd(operations, 600).await;
    strangers.extend(crowd(http, 1800).await);
    // Half of them say what is no HTTP/2, and are closed for that.
    strangers.extend(crowd(tcp(&portcullis.check_address()), 1800).await);
    all_probes_are_answered(&portcullis, &control).await;
    // Those that did say something once, and those that never read an answer.
    for _ in 0..300 {
        strangers.push(held(operations, b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await);
        strangers.push(held(operations, &[PREFACE_WITHOUT_WINDOW, GET_METRICS].concat()).await);
    }
    let mut administrators = Vec::new();
    for _ in 0..80 {
        let mut stream = UnixStream::connect(Administrator::socket(&portcullis)).await.unwrap();
        let _ = stream.write_all(PREFACE).await;
        administrators.push(stream);
    }

    all_probes_are_answered(&portcullis, &control).await;
    probe(http, "/.well-known/jwks.json").await;
    Administrator::of(&portcullis).told(&["revocations", "list"]).await.unwrap();
    check().await.unwrap();
    let newcomer = CheckClient::connect(&portcullis.check_address()).await.unwrap();
    newcomer.check(Check::get(HOST, "/").build()).await.unwrap();
    for listener in ["operations", "http", "check", "admin"] {
        assert!(turned_away(&portcullis, listener, "crowd").await > 0, "{listener}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_request_has_ten_seconds_on_every_listener() {
    let (portcullis, _provider) = start().await;
    let control = Lateness::watch();
    let mut waits = Vec::new();
    let addresses = [
        ("operations", portcullis.operations_address()),
        ("http", portcullis.http_address()),
        ("check", tcp(&portcullis.check_address())),
    ];
    for (listener, address) in addresses {
        for (silence, bytes) in SILENCES {
            let (began, mut stream) = (Instant::now(), held(address, bytes).await);
            waits.push(tokio::spawn(async move { (listener, silence, closed(&mut stream, began).await) }));
        }
    }
    for bytes in [b"".as_slice(), b"PRI * HTTP/2.0\r\n", PREFACE] {
        let began = Instant::now();
        let mut stream = UnixStream::connect(Administrator::socket(&portcullis)).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        waits.push(tokio::spawn(async move { ("admin", "silence", closed(&mut stream, began).await) }));
    }
    for wait in waits {
        let (listener, silence, took) = wait.await.unwrap();
        let most = FIRST_REQUEST + CLOSING + PROBE + control.p99();
        assert!(took < most, "{listener}, {silence}: closed after {took:?}");
    }
    for listener in ["operations", "http", "check", "admin"] {
        assert!(turned_away(&portcullis, listener, "unfinished").await > 0, "{listener}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_tls_handshake_keeps_no_place() {
    let authority = Authority::new("ours").unwrap();
    let config = Config::new().unwrap();
    let (certificate, key) = authority.server(&["check.test"]).unwrap().write(config.folder(), "check").unwrap();
    let client_ca = config.folder().join("ca.crt");
    std::fs::write(&client_ca, authority.pem()).unwrap();
    let named = json!({ "certificate": certificate, "key": key, "client_ca": client_ca, "allowed_sans": [GATEWAY] });
    let config = config.set("/listeners/check/tls", named);
    let config = config.set("/listeners/http/tls", json!({ "certificate": certificate, "key": key }));
    let portcullis = config.start().await.unwrap();
    let control = Lateness::watch();
    let (check, http) = (tcp(&portcullis.check_address()), portcullis.http_address());

    let mut strangers = crowd(check, 900).await;
    strangers.extend(crowd(http, 900).await);
    all_probes_are_answered(&portcullis, &control).await;
    let identity = Some(authority.client(GATEWAY).unwrap());
    let tls = CheckTls { authority: authority.pem(), server_name: "check.test".to_owned(), identity };
    let gateway = CheckClient::connect_tls(check, &tls).await.unwrap();
    gateway.check(Check::get(HOST, "/").build()).await.unwrap();
    let published = Target::tls(http, "check.test", &authority.pem()).unwrap();
    let answer = http1::get(&published, HOST, "/.well-known/jwks.json", &[("connection", "close")]).await.unwrap();
    assert_eq!(answer.status, 200);

    let (_, hello) = SILENCES[5];
    for address in [check, http] {
        let began = Instant::now();
        let took = closed(&mut held(address, hello).await, began).await;
        assert!(took < FIRST_REQUEST + PROBE + control.p99(), "closed after {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_of_strangers_close_and_a_gateways_stays() {
    let (portcullis, _provider) = start().await;
    let control = Lateness::watch();
    let (operations, http) = (portcullis.operations_address(), portcullis.http_address());
    let mut waits = Vec::new();
    for (listener, address) in [("operations", operations), ("http", http)] {
        let (began, mut stream) = (Instant::now(), held(address, b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await);
        waits.push(tokio::spawn(async move { (listener, "HTTP/1.1", closed(&mut stream, began).await) }));
        // Its client answers pings.
        let (began, stream) = (Instant::now(), TcpStream::connect(address).await.unwrap());
        let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
        waits.push(tokio::spawn(async move {
            let _ = connection.await;
            (listener, "HTTP/2", began.elapsed())
        }));
        let request = http::Request::get(format!("http://{address}/healthz")).body(()).unwrap();
        let (answer, _) = sender.send_request(request, true).unwrap();
        answer.await.unwrap();
        // To hold the sender would change nothing, and to drop it would close the connection.
        std::mem::forget(sender);
    }
    let began = Instant::now();
    let mut unread = held(operations, &[PREFACE_WITHOUT_WINDOW, GET_METRICS].concat()).await;
    waits.push(tokio::spawn(
        async move { ("operations", "an answer that is not read", closed(&mut unread, began).await) },
    ));

    // What Envoy does: one request, and then nothing for long.
    let stream = TcpStream::connect(tcp(&portcullis.check_address())).await.unwrap();
    let (mut gateway, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let ask = |sender: &mut h2::client::SendRequest<bytes::Bytes>| {
        let path = "http://check/grpc.health.v1.Health/Check";
        let request = http::Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
        let (answer, mut body) = sender.send_request(request.body(()).unwrap(), false).unwrap();
        body.send_data(bytes::Bytes::from_static(&[0; 5]), true).unwrap();
        answer
    };
    assert_eq!(ask(&mut gateway).await.unwrap().status(), 200);

    for wait in waits {
        let (listener, protocol, took) = wait.await.unwrap();
        let most = IDLE + CLOSING + PROBE + control.p99();
        assert!(took < most, "{listener}, {protocol}: closed after {took:?}");
        assert!(took > FIRST_REQUEST, "{listener}, {protocol}: a scraper comes back to its connection, {took:?}");
    }
    assert!(!connection.is_finished(), "a gateway's connection stays");
    assert_eq!(ask(&mut gateway).await.unwrap().status(), 200);
    assert!(turned_away(&portcullis, "operations", "idle").await > 0);
    assert_eq!(turned_away(&portcullis, "check", "idle").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envoy_that_was_idle_longer_than_every_deadline_loses_no_check() {
    let gateway = Gateway::start(Variant::NEWEST, |config| config.set("/logging/level", "info")).await.unwrap();
    let token = gateway.mint_token("team-a", "runner");
    let bearer = format!("Bearer {token}");
    let ask = async || gateway.get("/", &[("authorization", &bearer)]).await.unwrap().status;
    assert_eq!(ask().await, 200);
    tokio::time::sleep(IDLE + CLOSING + PROBE).await;
    for _ in 0..20 {
        assert_eq!(ask().await, 200);
    }
    assert_eq!(turned_away(&gateway.portcullis, "check", "idle").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_few_file_descriptors_the_probes_are_answered_all_the_same() {
    const DESCRIPTORS: usize = 512;
    /// Connections that wait to be accepted, of each listener.
    const WAITING: usize = 128;
    let config = Config::new().unwrap().set("/logging/level", "info");
    let (file, check, http) = (config.write().unwrap(), tcp(&config.check_address()), config.http_address());
    let operations: SocketAddr = config.get("/listeners/operations/bind").unwrap().as_str().unwrap().parse().unwrap();
    let mut process = Launch::new("portcullis", "/usr/bin/prlimit")
        .arg(format!("--nofile={DESCRIPTORS}:{DESCRIPTORS}"))
        .arg(binary().unwrap())
        .args([PathBuf::from("serve"), PathBuf::from("--config"), file])
        .start()
        .unwrap();
    process.wait_for_ok(&format!("http://{operations}/readyz"), PATIENCE * 2).await.unwrap();
    process.wait_for_line("few file descriptors", PATIENCE).await.unwrap();
    let control = Lateness::watch();

    let mut strangers = Vec::new();
    let complete = [PREFACE, GET_METRICS].concat();
    for _ in 0..700 {
        strangers.push(held(check, PREFACE).await);
        strangers.push(held(check, &complete).await);
        strangers.push(held(http, b"GET /.well-known/jwks.json HTTP/1.1\r\nhost: a\r\n\r\n").await);
        strangers.push(held(http, b"").await);
    }
    // What waits while the process does not run is accepted in one go: almost as many as the system lets wait.
    for _ in 0..3 {
        // Nobody waits yet: the last to come is heard.
        probe(http, "/.well-known/jwks.json").await;
        held(check, PREFACE).await.read_u8().await.unwrap();
        process.signal(Signal::STOP).unwrap();
        for _ in 0..WAITING - 8 {
            strangers.push(held(check, PREFACE).await);
            strangers.push(held(http, b"").await);
        }
        process.signal(Signal::CONT).unwrap();
        probe(operations, "/healthz").await;
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        let took = probe(operations, path).await;
        assert!(took < PROBE + control.p99(), "{path} took {took:?}");
    }
    let open = std::fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap().count();
    assert!(open < DESCRIPTORS, "{open} descriptors are open");
    assert!(!process.log().contains("could not be accepted"), "{}", process.log_tail());
}
