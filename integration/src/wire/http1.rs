//! Reads HTTP/1 messages off a stream, and keeps every byte of their heads.

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Head, HeaderLines, header_line};

/// More than any test sends.
const LARGEST_BODY: usize = 16 << 20;

/// How the end of a body is told (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    Empty,
    /// So many bytes.
    Length(usize),
    /// Chunks, and perhaps trailers.
    Chunked,
    /// All that comes until the peer closes.
    UntilClose,
}

/// The framing that the header lines tell; `otherwise` where they tell none.
pub fn framing(headers: &HeaderLines, otherwise: Framing) -> Result<Framing> {
    let coding = headers.all("transfer-encoding").join(",");
    if coding.to_ascii_lowercase().contains("chunked") {
        return Ok(Framing::Chunked);
    }
    match headers.all("content-length").first() {
        None => Ok(otherwise),
        Some(length) => {
            Ok(Framing::Length(length.parse().with_context(|| format!("content-length is no number: {length:?}"))?))
        }
    }
}

/// A stream with what was read from it and not yet used.
#[derive(Debug)]
pub struct Reader<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    /// Nothing was read from the stream yet.
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The stream, to write to.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream, and what was read too far.
    pub fn into_parts(self) -> (S, Vec<u8>) {
        (self.stream, self.buffer)
    }

    /// Reads a message's head with its exact bytes; none where the peer closed before the first byte.
    pub async fn head(&mut self) -> Result<Option<(Head, Vec<u8>)>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let bytes = self.take(end + 4);
                return Ok(Some((Head::parse(&bytes)?, bytes)));
            }
            if !self.fill().await? {
                ensure!(self.buffer.is_empty(), "the peer closed within a head: {:?}", super::text(&self.buffer));
                return Ok(None);
            }
        }
    }

    /// Reads a body and its trailers.
    pub async fn body(&mut self, framing: Framing) -> Result<(Vec<u8>, HeaderLines)> {
        match framing {
            Framing::Empty => Ok(<_>::default()),
            Framing::Length(length) => Ok((self.exactly(length).await?, HeaderLines::default())),
            Framing::Chunked => self.chunks().await,
            Framing::UntilClose => {
                while self.fill().await? {}
                Ok((std::mem::take(&mut self.buffer), HeaderLines::default()))
            }
        }
    }

    async fn chunks(&mut self) -> Result<(Vec<u8>, HeaderLines)> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
            let size = std::str::from_utf8(size)?.trim();
            let size =
                usize::from_str_radix(size, 16).with_context(|| format!("a chunk's size is no number: {size:?}"))?;
            if size == 0 {
                break;
            }
            body.extend(self.exactly(size).await?);
            ensure!(self.line().await?.is_empty(), "a chunk is longer than told");
        }
        let mut trailers = HeaderLines::default();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok((body, trailers));
            }
            trailers.0.push(header_line(&line)?);
        }
    }

    /// One line without its CR LF.
    async fn line(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let mut line = self.take(end + 2);
                line.truncate(end);
                return Ok(line);
            }
            ensure!(self.fill().await?, "the peer closed within a body");
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        ensure!(length <= LARGEST_BODY, "a body of {length} bytes");
        while self.buffer.len() < length {
            ensure!(self.fill().await?, "the peer closed within a body");
        }
        Ok(self.take(length))
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Reads some more; false at the end of the stream.
    async fn fill(&mut self) -> Result<bool> {
        if self.buffer.len() > LARGEST_BODY {
            bail!("a message without an end");
        }
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn chunked_bodies_and_trailers_are_read() {
        let bytes: &[u8] = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
            3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nEnd: yes\r\n\r\nGET";
        let mut reader = Reader::new(bytes);
        let (head, raw) = reader.head().await.unwrap().unwrap();
        assert!(raw.ends_with(b"chunked\r\n\r\n"));
        let framing = framing(&head.headers, Framing::Empty).unwrap();
        let (body, trailers) = reader.body(framing).await.unwrap();
        assert_eq!(body, b"abc0123456789");
        assert_eq!(trailers.only("end"), Some("yes"));
        assert_eq!(reader.into_parts().1, b"GET");
    }

    #[tokio::test]
    async fn an_early_end_is_an_error() {
        let bytes: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc";
        let mut reader = Reader::new(bytes);
        let (head, _) = reader.head().await.unwrap().unwrap();
        let framing = framing(&head.headers, Framing::UntilClose).unwrap();
        assert_eq!(framing, Framing::Length(5));
        assert!(reader.body(framing).await.is_err());
    }
}
