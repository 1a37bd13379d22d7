//! HTTP/1: any bytes out, one parsed answer in.

use anyhow::{Context, Result};
use tokio::io::AsyncWriteExt;

use super::{Closed, Response, Stream, Target, in_time};
use crate::wire::http1::{Framing, Reader, framing};

/// A connection of HTTP/1.
pub struct Connection {
    reader: Reader<Box<dyn Stream>>,
}

impl Connection {
    /// Connects.
    pub async fn open(target: &Target) -> Result<Self> {
        let stream = in_time(target.connect(b"http/1.1")).await?;
        Ok(Self { reader: Reader::new(stream) })
    }

    /// Writes bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        in_time(async {
            self.reader.stream().write_all(bytes).await?;
            Ok(self.reader.stream().flush().await?)
        })
        .await
    }

    /// Reads the answer to a request with the given method. Interim answers but 101 are skipped.
    pub async fn receive(&mut self, method: &str) -> Result<Response> {
        in_time(async {
            loop {
                let (head, _) = self.reader.head().await?.ok_or(Closed)?;
                let status: u16 = head
                    .start_line
                    .split(' ')
                    .nth(1)
                    .and_then(|code| code.parse().ok())
                    .with_context(|| format!("no status line: {:?}", head.start_line))?;
                let framing = match status {
                    100 | 102..200 => continue,
                    101 | 204 | 304 => Framing::Empty,
                    _ if method == "HEAD" => Framing::Empty,
                    _ => framing(&head.headers, Framing::UntilClose)?,
                };
                let (body, trailers) = self.reader.body(framing).await?;
                let response = Response { status, headers: head.headers, body, trailers };
                crate::evidence::response(&response);
                return Ok(response);
            }
        })
        .await
    }

    /// The stream after an upgrade.
    #[must_use]
    pub fn into_stream(self) -> Box<dyn Stream> {
        self.reader.into_parts().0
    }
}

/// Sends one request on a connection of its own and reads the answer.
///
/// An error that is [`Closed`] means that the peer hung up without one.
pub async fn exchange(target: &Target, bytes: &[u8]) -> Result<Response> {
    let mut connection = Connection::open(target).await?;
    // The peer may refuse and close before it has read all; what it said still counts.
    let sent = connection.send(bytes).await;
    let method = bytes.split(|byte| *byte == b' ').next();
    let method = String::from_utf8_lossy(method.unwrap_or_default()).into_owned();
    match connection.receive(&method).await {
        Ok(response) => Ok(response),
        Err(error) => Err(sent.err().unwrap_or(error)),
    }
}

/// `GET target` with a Host line and the given further lines.
pub async fn get(at: &Target, host: &str, target: &str, lines: &[(&str, &str)]) -> Result<Response> {
    exchange(at, &request("GET", host, target, lines)).await
}

/// A request without a body. Nothing in it is checked or changed.
#[must_use]
pub fn request(method: &str, host: &str, target: &str, lines: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in lines {
        crate::evidence::sent(name, value);
        bytes.push_str(name);
        bytes.push_str(": ");
        bytes.push_str(value);
        bytes.push_str("\r\n");
    }
    bytes.push_str("\r\n");
    bytes.into_bytes()
}
