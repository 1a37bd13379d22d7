use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

/// A server that answers every request with the same bytes, and counts connections and requests.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    last_request: Arc<std::sync::Mutex<String>>,
}

impl Server {
    async fn start(answer: impl Into<Vec<u8>>) -> Self {
        Self::start_with(answer, None).await
    }

    async fn start_with(answer: impl Into<Vec<u8>>, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            requests: Arc::default(),
            last_request: Arc::default(),
        };
        let answer: Arc<[u8]> = answer.into().into();
        let (connections, requests, last) =
            (Arc::clone(&server.connections), Arc::clone(&server.requests), Arc::clone(&server.last_request));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (answer, requests, last, tls) =
                    (Arc::clone(&answer), Arc::clone(&requests), Arc::clone(&last), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &answer, &requests, &last).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &answer, &requests, &last).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    fn url(&self) -> String {
        format!("http://{}/path?secret=hunter2", self.address)
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &[u8],
    requests: &AtomicUsize,
    last: &std::sync::Mutex<String>,
) {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        received.extend_from_slice(&buffer[..length]);
        if received.windows(4).any(|window| window == b"\r\n\r\n") {
            requests.fetch_add(1, Ordering::SeqCst);
            *last.lock().unwrap() = String::from_utf8_lossy(&received).into_owned();
            received.clear();
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}

fn plain() -> HttpClientConfig {
    HttpClientConfig { allow_http: true, ..HttpClientConfig::default() }
}

fn get(url: &str) -> http::Request<Vec<u8>> {
    http::Request::get(url).body(Vec::new()).unwrap()
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-mark: 1\r\n\r\nhi";

#[tokio::test]
async fn an_answer_comes_whole_and_the_connection_is_used_again() {
    let server = Server::start(OK).await;
    let client = HttpClient::new(&plain()).unwrap();
    for _ in 0..3 {
        let answer = client.send(get(&server.url())).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["x-mark"], "1");
        assert_eq!(answer.body().as_ref(), b"hi");
    }
    assert_eq!(server.requests.load(Ordering::SeqCst), 3);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    let request = server.last_request.lock().unwrap().to_ascii_lowercase();
    assert!(request.contains(&format!("user-agent: {USER_AGENT}\r\n")), "{request}");
    assert!(!request.contains("accept-encoding"), "{request}");
}

#[tokio::test]
async fn a_redirect_is_returned_and_not_followed() {
    let target = Server::start(OK).await;
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", target.address);
    let server = Server::start(redirect).await;
    let answer = HttpClient::new(&plain()).unwrap().send(get(&server.url())).await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(target.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn http_is_refused_unless_allowed_and_other_schemes_always() {
    let server = Server::start(OK).await;
    let client =
        HttpClient::new(&HttpClientConfig { extra_roots: vec![authority().1], ..HttpClientConfig::default() }).unwrap();
    assert_eq!(client.send(get(&server.url())).await.unwrap_err(), HttpError::InsecureUrl);
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
    let client = HttpClient::new(&plain()).unwrap();
    for url in ["ftp://127.0.0.1/", "/relative"] {
        assert_eq!(client.send(get(url)).await.unwrap_err(), HttpError::InvalidUrl, "{url}");
    }
}

#[tokio::test]
async fn a_large_body_is_refused_announced_or_streamed() {
    let limit = 1000;
    let client = HttpClient::new(&HttpClientConfig { body_limit: limit, ..plain() }).unwrap();
    let announced = Server::start("HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n").await;
    assert_eq!(client.send(get(&announced.url())).await.unwrap_err(), HttpError::BodyTooLarge(limit));
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    let streamed = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}{chunk}");
    let streamed = Server::start(streamed).await;
    assert_eq!(client.send(get(&streamed.url())).await.unwrap_err(), HttpError::BodyTooLarge(limit));
    let fits = Server::start(format!("HTTP/1.1 200 OK\r\ncontent-length: {limit}\r\n\r\n{}", "x".repeat(limit))).await;
    assert_eq!(client.send(get(&fits.url())).await.unwrap().body().len(), limit);
}

#[tokio::test]
async fn the_deadline_covers_headers_and_body() {
    let timeout = Duration::from_millis(200);
    let client = HttpClient::new(&HttpClientConfig { timeout, ..plain() }).unwrap();
    let silent = Server::start("").await;
    assert_eq!(client.send(get(&silent.url())).await.unwrap_err(), HttpError::Deadline(timeout));
    let stalled = Server::start("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx").await;
    assert_eq!(client.send(get(&stalled.url())).await.unwrap_err(), HttpError::Deadline(timeout));
}

#[tokio::test]
async fn the_number_of_calls_at_once_is_bounded() {
    let timeout = Duration::from_secs(1);
    let client = HttpClient::new(&HttpClientConfig { timeout, max_concurrent: 2, ..plain() }).unwrap();
    let server = Server::start(OK).await;
    let places = client.places.acquire_many(2).await.unwrap();
    assert_eq!(client.send(get(&server.url())).await.unwrap_err(), HttpError::Busy);
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
    drop(places);
    assert!(client.send(get(&server.url())).await.is_ok());
    assert_eq!(client.places.available_permits(), 2, "the place came back");
}

#[tokio::test]
async fn a_call_that_its_caller_gave_up_frees_its_place() {
    let client = Arc::new(HttpClient::new(&HttpClientConfig { max_concurrent: 1, ..plain() }).unwrap());
    let silent = Server::start("").await;
    let call = tokio::spawn({
        let (client, request) = (Arc::clone(&client), get(&silent.url()));
        async move { client.send(request).await }
    });
    while silent.requests.load(Ordering::SeqCst) == 0 {
        assert!(!call.is_finished(), "the call ended before it was answered");
        tokio::task::yield_now().await;
    }
    assert_eq!(client.places.available_permits(), 0);
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(client.places.available_permits(), 1);
}

#[tokio::test]
async fn failures_are_told_apart_and_reveal_no_url() {
    // Bound, so that nobody else takes the port, and not listening.
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = silent.local_addr().unwrap();
    let client = HttpClient::new(&plain()).unwrap();
    let refused = client.send(get(&format!("http://{closed}/?code=hunter2"))).await.unwrap_err();
    assert!(matches!(refused, HttpError::Connect(_)), "{refused:?}");
    let garbage = Server::start("SSH-2.0-OpenSSH\r\n\r\n").await;
    let garbage = client.send(get(&garbage.url())).await.unwrap_err();
    assert!(matches!(garbage, HttpError::Protocol(_)), "{garbage:?}");
    for error in [refused, garbage] {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2") && !text.contains("/path"), "{text}");
    }
}

/// A certification authority: its issuer and its certificate in PEM.
fn authority() -> (rcgen::Issuer<'static, rcgen::KeyPair>, Vec<u8>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    (rcgen::Issuer::new(params, key), certificate.pem().into_bytes())
}

fn acceptor(issuer: &rcgen::Issuer<'static, rcgen::KeyPair>) -> tokio_rustls::TlsAcceptor {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls_pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    Arc::new(config).into()
}

#[tokio::test]
async fn tls_trusts_the_extra_roots_and_nobody_else() {
    let (issuer, pem) = authority();
    let server = Server::start_with(OK, Some(acceptor(&issuer))).await;
    let url = format!("https://localhost:{}/", server.address.port());
    let trusting = HttpClientConfig { extra_roots: vec![pem], ..HttpClientConfig::default() };
    let answer = HttpClient::new(&trusting).unwrap().send(get(&url)).await.unwrap();
    assert_eq!(answer.body().as_ref(), b"hi");

    let other = HttpClientConfig { extra_roots: vec![authority().1], ..HttpClientConfig::default() };
    let refused = HttpClient::new(&other).unwrap().send(get(&url)).await.unwrap_err();
    assert!(matches!(refused, HttpError::Connect(_)), "{refused:?}");

    // The certificate names another host than the one that is called.
    let misnamed = format!("https://127.0.0.1:{}/", server.address.port());
    let refused = HttpClient::new(&trusting).unwrap().send(get(&misnamed)).await.unwrap_err();
    assert!(matches!(refused, HttpError::Connect(_)), "{refused:?}");
    assert_eq!(server.requests.load(Ordering::SeqCst), 1);
}

#[test]
fn a_ca_file_without_a_certificate_is_refused() {
    let pem = authority().1;
    for bad in
        [b"".to_vec(), b"no pem".to_vec(), b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec()]
    {
        let config = HttpClientConfig { extra_roots: vec![pem.clone(), bad], ..HttpClientConfig::default() };
        assert_eq!(HttpClient::new(&config).unwrap_err(), HttpClientError::ExtraRoot { position: 2 });
    }
}
