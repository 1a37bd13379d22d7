//! HTTP/2: any fields in any order, pseudo-headers too, and one parsed answer.
//!
//! Frames are written by hand, since a library would refuse what a forger sends.

mod frames;

use anyhow::{Context, Result, bail, ensure};
use loona_hpack::{Decoder, Encoder};

use self::frames::{Frames, Kind};
use super::{Closed, Response, Stream, Target, in_time};
use crate::wire::{HeaderLines, text};

/// The peer's first flow-control window (RFC 9113 section 6.9.2); no body here is larger.
const WINDOW: usize = 65_535;

type Field = (Vec<u8>, Vec<u8>);

/// A request: its fields are sent as they stand.
#[derive(Debug, Clone)]
pub struct Request {
    /// Pseudo-headers and header fields, in order. Nothing is checked or changed.
    pub fields: Vec<Field>,
    /// The body; none is sent where it is empty.
    pub body: Vec<u8>,
    /// Trailer fields.
    pub trailers: Vec<Field>,
}

impl Request {
    /// `GET path` for a host, with scheme `http`.
    #[must_use]
    pub fn get(authority: &str, path: &str) -> Self {
        let pseudo = [(":method", "GET"), (":scheme", "http"), (":authority", authority), (":path", path)];
        let fields = pseudo.map(|(name, value)| (name.into(), value.into())).to_vec();
        Self { fields, body: Vec::new(), trailers: Vec::new() }
    }

    /// Replaces a pseudo-header, or adds it after the others.
    #[must_use]
    pub fn pseudo(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref().to_vec();
        if let Some((_, known)) = self.fields.iter_mut().find(|(known, _)| known == name.as_bytes()) {
            *known = value;
        } else {
            let end = self.fields.iter().take_while(|(name, _)| name.starts_with(b":")).count();
            self.fields.insert(end, (name.into(), value));
        }
        self
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        crate::evidence::sent(name, &String::from_utf8_lossy(value.as_ref()));
        self.fields.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// Adds a trailer field.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.trailers.push((name.into(), value.as_ref().to_vec()));
        self
    }
}

/// The peer ended the stream or the connection by an error code (RFC 9113 section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset(
    /// The error code.
    pub u32,
);

impl std::fmt::Display for Reset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the peer reset the stream with code {}", self.0)
    }
}

impl std::error::Error for Reset {}

/// Sends one request on a connection of its own and reads the answer.
///
/// An error that is [`Reset`] or [`Closed`] means that the peer refused without an answer.
pub async fn exchange(target: &Target, request: &Request) -> Result<Response> {
    in_time(async {
        let mut frames = Frames::start(target.connect(b"h2").await?).await?;
        send(&mut frames, request).await?;
        receive(&mut frames).await
    })
    .await
}

async fn send(frames: &mut Frames<Box<dyn Stream>>, request: &Request) -> Result<()> {
    ensure!(request.body.len() <= WINDOW, "a body of {} bytes", request.body.len());
    let mut encoder = Encoder::new();
    let mut encode =
        |fields: &[Field]| encoder.encode(fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice())));
    let (has_body, has_trailers) = (!request.body.is_empty(), !request.trailers.is_empty());
    frames.write_headers(&encode(&request.fields), !has_body && !has_trailers).await?;
    if has_body {
        frames.write_data(&request.body, !has_trailers).await?;
    }
    if has_trailers {
        frames.write_headers(&encode(&request.trailers), true).await?;
    }
    Ok(())
}

async fn receive(frames: &mut Frames<Box<dyn Stream>>) -> Result<Response> {
    let mut decoder = Decoder::new();
    let mut blocks: Vec<HeaderLines> = Vec::new();
    let mut body = Vec::new();
    loop {
        let frame = frames.read().await?.ok_or(Closed)?;
        match frame.kind {
            Kind::Headers => {
                let fields = decoder.decode(&frame.payload);
                let fields = fields.map_err(|error| anyhow::anyhow!("no HPACK: {error:?}"))?;
                let lines = fields.iter().map(|(name, value)| (text(name), text(value)));
                let lines = HeaderLines(lines.collect());
                // Interim answers are skipped.
                if !lines.only(":status").is_some_and(|status| status.starts_with('1')) {
                    blocks.push(lines);
                }
            }
            Kind::Data => body.extend_from_slice(&frame.payload),
            Kind::Reset => bail!(Reset(code(&frame.payload, 0)?)),
            Kind::GoAway => bail!(Reset(code(&frame.payload, 4)?)),
            Kind::Other => {}
        }
        if frame.ends_stream {
            return response(blocks, body);
        }
    }
}

fn response(blocks: Vec<HeaderLines>, body: Vec<u8>) -> Result<Response> {
    let mut blocks = blocks.into_iter();
    let mut headers = blocks.next().context("an answer without header fields")?;
    let status = headers.only(":status").context("an answer without a status")?.parse()?;
    headers.0.retain(|(name, _)| !name.starts_with(':'));
    let response = Response { status, headers, body, trailers: blocks.next().unwrap_or_default() };
    crate::evidence::response(&response);
    Ok(response)
}

fn code(payload: &[u8], at: usize) -> Result<u32> {
    let bytes = payload.get(at..at + 4).context("a frame that is too short")?;
    Ok(u32::from_be_bytes(bytes.try_into()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Protocol, Upstream};

    #[tokio::test]
    async fn fields_and_trailers_arrive_as_they_were_written() {
        let upstream = Upstream::start(Protocol::Http2).await.unwrap();
        let request = Request::get("h.test", "/a?b")
            .pseudo(":method", "POST")
            .header("x-two", "1")
            .header("x-two", b"\xff")
            .body("a body")
            .trailer("x-end", "t");
        let response = exchange(&Target::plain(upstream.address()), &request).await.unwrap();
        let received = response.echo().unwrap();
        assert_eq!((received.method.as_str(), received.target.as_str()), ("POST", "/a?b"));
        assert_eq!(received.headers.all("x-two"), ["1", r"\xff"]);
        assert_eq!((received.body.as_str(), received.trailers.only("x-end")), ("a body", Some("t")));
        assert_eq!(response.headers.only("content-type"), Some("application/json"));
    }

    #[tokio::test]
    async fn what_is_refused_is_an_error() {
        let upstream = Upstream::start(Protocol::Http2).await.unwrap();
        let request = Request::get("h.test", "/").header("Upper-Case", "1");
        let error = exchange(&Target::plain(upstream.address()), &request).await.unwrap_err();
        assert!(error.is::<Reset>() || error.is::<Closed>(), "{error:#}");
        assert!(upstream.received().is_empty());
    }
}
