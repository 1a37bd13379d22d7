//! HTTP/1.1, parsed by hand.

use anyhow::{Context, Result};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::log::Log;
use super::received::Received;
use crate::wire::http1::{Framing, Reader, framing};

pub(super) async fn serve(stream: TcpStream, log: Log) -> Result<()> {
    let mut reader = Reader::new(stream);
    while let Some((head, raw)) = reader.head().await? {
        let (body, trailers) = reader.body(framing(&head.headers, Framing::Empty)?).await?;
        let mut words = head.start_line.split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (method, target, protocol) = (word(), word(), word());
        let received = Received {
            protocol,
            method,
            target,
            authority: head.headers.all("host").join(","),
            scheme: None,
            headers: head.headers,
            trailers,
            body: crate::wire::text(&body),
            raw_head: Some(BASE64.encode(&raw)),
        };
        log.add(received.clone());
        if let Some(key) = websocket_key(&received) {
            return open_websocket(reader, key).await;
        }
        answer(reader.stream(), &received).await?;
    }
    Ok(())
}

async fn answer(stream: &mut TcpStream, received: &Received) -> Result<()> {
    let body = serde_json::to_vec_pretty(received).context("a request is plain data")?;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut bytes = head.into_bytes();
    if received.method != "HEAD" {
        bytes.extend(body);
    }
    stream.write_all(&bytes).await?;
    Ok(())
}

fn websocket_key(received: &Received) -> Option<&str> {
    let upgrade = received.headers.only("upgrade")?;
    upgrade.eq_ignore_ascii_case("websocket").then(|| received.headers.only("sec-websocket-key"))?
}

/// Accepts the handshake (RFC 6455 section 4.2.2), then gives back the bytes that come.
async fn open_websocket(reader: Reader<TcpStream>, key: &str) -> Result<()> {
    const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let accept = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: {}\r\n\r\n",
        BASE64.encode(accept)
    );
    let (mut stream, early) = reader.into_parts();
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&early).await?;
    let (mut incoming, mut outgoing) = stream.split();
    tokio::io::copy(&mut incoming, &mut outgoing).await?;
    Ok(())
}
