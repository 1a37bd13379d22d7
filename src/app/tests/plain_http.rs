//! The listeners of HTTP: limits, and an orderly end.

use axum::{Router, routing::get};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;

async fn start() -> (String, CancellationToken, JoinHandle<()>) {
    let bind = Bind::Tcp("127.0.0.1:0".parse().unwrap());
    let listener = Listener::bind("http", &bind, None).await.unwrap();
    let (address, stop) = (listener.address(), CancellationToken::new());
    let router = Router::new().route("/", get(async || "here"));
    let task = tokio::spawn(Server::http(listener, router, Limits::HTTP).run(stop.clone()));
    (address, stop, task)
}

async fn exchange(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that has seen enough may close before all is sent.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = soon("an answer", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_header_has_a_limit() {
    let (address, ..) = start().await;
    let fits = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {}\r\n\r\n", "y".repeat(8 * 1024));
    assert!(exchange(&address, fits.as_bytes()).await.starts_with("HTTP/1.1 200 "));
    let too_large = fits.replace("x: ", &format!("x: {}", "y".repeat(16 * 1024)));
    let answer = exchange(&address, too_large.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_kept_connection_does_not_keep_the_process() {
    let (address, stop, task) = start().await;
    let mut idle = TcpStream::connect(&address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    soon("an answer", idle.read_exact(&mut first)).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    stop.cancel();
    soon("the end", task).await.unwrap();
}
