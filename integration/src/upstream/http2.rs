//! HTTP/2 by the h2 crate.

use anyhow::{Context, Result};
use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use tokio::net::TcpStream;

use super::log::Log;
use super::received::Received;
use crate::wire::{HeaderLines, text};

pub(super) async fn serve(stream: TcpStream, log: Log) -> Result<()> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(stream) = connection.accept().await {
        let (request, answer) = stream?;
        // A stream that ends in an error is the client's to notice.
        tokio::spawn(respond(request, answer, log.clone()));
    }
    Ok(())
}

async fn respond(request: Request<RecvStream>, mut answer: SendResponse<Bytes>, log: Log) -> Result<()> {
    let (head, mut incoming) = request.into_parts();
    let body = read_body(&mut incoming).await?;
    let trailers = incoming.trailers().await?.unwrap_or_default();
    let uri = &head.uri;
    let received = Received {
        protocol: "HTTP/2".to_owned(),
        method: head.method.to_string(),
        target: uri.path_and_query().map_or("", |path| path.as_str()).into(),
        authority: uri.authority().map_or("", |name| name.as_str()).into(),
        scheme: uri.scheme_str().map(str::to_owned),
        headers: lines(&head.headers),
        trailers: lines(&trailers),
        body: text(&body),
        raw_head: None,
    };
    log.add(received.clone());

    let body = serde_json::to_vec_pretty(&received).context("a request is plain data")?;
    let head = Response::builder().header("content-type", "application/json");
    let mut outgoing = answer.send_response(head.body(())?, false)?;
    outgoing.send_data(body.into(), true)?;
    Ok(())
}

/// Reads a body to its end.
async fn read_body(incoming: &mut RecvStream) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = incoming.data().await {
        let chunk = chunk?;
        incoming.flow_control().release_capacity(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The fields of a map, as lines.
fn lines(map: &HeaderMap) -> HeaderLines {
    let line =
        |(name, value): (&http::HeaderName, &http::HeaderValue)| (name.as_str().to_owned(), text(value.as_bytes()));
    HeaderLines(map.iter().map(line).collect())
}
