//! A panic on a listener costs one request.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, routing::get};
use http::StatusCode;
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;
use crate::{
    http::{Dependency, DependencyState, Readiness, operations},
    panics,
};

/// An authorization service that panics while it is told to.
#[derive(Clone, Debug, Default)]
struct Panics(Arc<AtomicBool>);

#[tonic::async_trait]
impl Authorization for Panics {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        assert!(!self.0.load(Ordering::SeqCst), "scripted");
        Err(Status::already_exists("the test's answer"))
    }
}

#[tokio::test]
async fn a_panic_on_the_check_listener_is_internal_and_the_connection_lives() {
    let listener = Listener::bind("check", &Bind::Tcp("127.0.0.1:0".parse().unwrap()), None).await.unwrap();
    let (address, service) = (listener.address(), Panics::default());
    let gate = Gate::new(Routed(AuthorizationServer::new(service.clone())), &Health::new());
    tokio::spawn(Server::checks(listener, gate, Limits::CHECK).run(CancellationToken::new()));
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    for _ in 0..3 {
        service.0.store(true, Ordering::SeqCst);
        let failed = soon("an answer", check(channel.clone())).await.unwrap_err();
        assert_eq!(failed.code(), tonic::Code::Internal, "{failed:?}");
        service.0.store(false, Ordering::SeqCst);
        soon("an answer", check(channel.clone())).await.unwrap();
    }
}

async fn http(router: Router) -> String {
    let listener = Listener::bind("http", &Bind::Tcp("127.0.0.1:0".parse().unwrap()), None).await.unwrap();
    let address = listener.address();
    tokio::spawn(Server::http(listener, router, Limits::HTTP).run(CancellationToken::new()));
    address
}

/// Sends one request over this connection, and reads the status.
async fn status(stream: &mut TcpStream, path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    // What is left of the last answer may come first.
    while !answer.contains("HTTP/1.1 ") || !answer.contains("\r\n\r\n") {
        let mut bytes = [0; 4096];
        let count = soon("an answer", stream.read(&mut bytes)).await.unwrap();
        assert_ne!(count, 0, "the connection ended: {answer}");
        answer.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    answer.split_once("HTTP/1.1 ").unwrap().1[..3].to_owned()
}

#[tokio::test]
async fn a_panic_over_http_is_500_and_the_connection_lives() {
    let router = Router::new()
        .route("/panics", get(async || -> StatusCode { panic!("scripted") }))
        .route("/answers", get(async || StatusCode::NO_CONTENT));
    let mut stream = TcpStream::connect(http(router).await).await.unwrap();
    for (path, wanted) in [("/panics", "500"), ("/answers", "204"), ("/panics", "500"), ("/answers", "204")] {
        assert_eq!(status(&mut stream, path).await, wanted, "{path}");
    }
}

/// What a subscriber of this thread writes.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_panic_of_a_dependency_is_counted_and_told() {
    let before = std::panic::take_hook();
    let mut registry = Registry::with_prefix("portcullis");
    let told = panics::teller(&mut registry);
    // Other tests panic too, on threads of their own, and want to be heard.
    std::panic::set_hook(Box::new(move |info| {
        told(info);
        before(info);
    }));
    let written = Written::default();
    let lines = written.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || lines.clone()).finish();
    // With one subscriber alone, what another test's panic meets first is decided by that test's thread, which has none.
    let _another = tracing::Dispatch::new(tracing_subscriber::registry());
    let _on_this_thread = tracing::subscriber::set_default(subscriber);

    let state = Arc::new(|| -> DependencyState { panic!("the state is known; it was secret") });
    let dependency = Dependency { name: "provider dex".to_owned(), state };
    let dependencies = Arc::new(arc_swap::ArcSwap::from_pointee(vec![dependency]));
    let readiness = Readiness::default();
    readiness.set(true);
    let registry = Arc::new(registry);
    let address = http(operations(readiness, dependencies, Arc::clone(&registry))).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for (path, wanted) in [("/readyz?verbose", "500"), ("/readyz", "200"), ("/healthz", "200")] {
        assert_eq!(status(&mut stream, path).await, wanted, "{path}");
    }

    let mut metrics = String::new();
    encode(&mut metrics, &registry).unwrap();
    let count = metrics.lines().find_map(|line| line.strip_prefix("portcullis_panics_total ")).unwrap();
    assert!(count.parse::<u64>().unwrap() >= 1, "{metrics}");
    let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("a panic") && log.contains("the state is known"), "{log}");
    assert!(log.contains("src/app/tests/panicking.rs") && !log.contains("secret"), "{log}");
}
