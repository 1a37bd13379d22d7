//! The few frames of HTTP/2 that one request takes (RFC 9113 section 6).

use anyhow::{Result, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The only stream of a connection.
const STREAM: u32 = 1;
/// What every peer takes (RFC 9113 section 4.2).
const LARGEST_PAYLOAD: usize = 16_384;
/// So much of an answer is never read.
const LARGEST_BLOCK: usize = 1 << 20;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// `END_STREAM` of DATA and HEADERS, `ACK` of SETTINGS and PING.
const FLAG_1: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// A frame that matters to the request.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) ends_stream: bool,
    /// Without padding; a header block is whole.
    pub(super) payload: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Headers,
    Data,
    Reset,
    GoAway,
    Other,
}

/// A connection with one stream.
#[derive(Debug)]
pub(super) struct Frames<S> {
    stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    /// Sends the client's preface.
    pub(super) async fn start(stream: S) -> Result<Self> {
        let mut frames = Self { stream };
        frames.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
        frames.write(SETTINGS, 0, 0, &[]).await?;
        Ok(frames)
    }

    /// Sends a header block, in as many frames as it takes.
    pub(super) async fn write_headers(&mut self, block: &[u8], ends_stream: bool) -> Result<()> {
        let mut kind = HEADERS;
        let mut flags = u8::from(ends_stream) * FLAG_1;
        let mut chunks = block.chunks(LARGEST_PAYLOAD).peekable();
        while let Some(chunk) = chunks.next() {
            if chunks.peek().is_none() {
                flags |= END_HEADERS;
            }
            self.write(kind, flags, STREAM, chunk).await?;
            (kind, flags) = (CONTINUATION, 0);
        }
        Ok(())
    }

    /// Sends a body.
    pub(super) async fn write_data(&mut self, body: &[u8], ends_stream: bool) -> Result<()> {
        let mut chunks = body.chunks(LARGEST_PAYLOAD).peekable();
        while let Some(chunk) = chunks.next() {
            let is_last = chunks.peek().is_none();
            let flags = u8::from(ends_stream && is_last) * FLAG_1;
            self.write(DATA, flags, STREAM, chunk).await?;
        }
        Ok(())
    }

    /// Reads the next frame, after what belongs to the connection is answered; none at its end.
    pub(super) async fn read(&mut self) -> Result<Option<Frame>> {
        loop {
            let Some((kind, flags, mut payload)) = self.read_one().await? else { return Ok(None) };
            let is_ack = flags & FLAG_1 != 0;
            let ends_stream = matches!(kind, DATA | HEADERS) && is_ack;
            let kind = match kind {
                SETTINGS | PING if !is_ack => {
                    let echo: &[u8] = if kind == PING { &payload } else { &[] };
                    self.write(kind, FLAG_1, 0, echo).await?;
                    continue;
                }
                HEADERS => {
                    strip_padding(&mut payload, flags)?;
                    self.complete_block(&mut payload, flags).await?;
                    Kind::Headers
                }
                DATA => {
                    self.return_window(payload.len()).await?;
                    strip_padding(&mut payload, flags)?;
                    Kind::Data
                }
                RST_STREAM => Kind::Reset,
                GOAWAY => Kind::GoAway,
                _ => Kind::Other,
            };
            return Ok(Some(Frame { kind, ends_stream, payload }));
        }
    }

    /// Appends the frames that continue a header block.
    async fn complete_block(&mut self, block: &mut Vec<u8>, mut flags: u8) -> Result<()> {
        while flags & END_HEADERS == 0 {
            let Some((kind, more, payload)) = self.read_one().await? else { break };
            ensure!(kind == CONTINUATION, "a header block that is not continued");
            block.extend_from_slice(&payload);
            ensure!(block.len() <= LARGEST_BLOCK, "a header block without an end");
            flags = more;
        }
        Ok(())
    }

    /// Lets the peer send as much again, on the connection and on the stream.
    async fn return_window(&mut self, length: usize) -> Result<()> {
        if length > 0 {
            let increment = u32::try_from(length)?.to_be_bytes();
            self.write(WINDOW_UPDATE, 0, 0, &increment).await?;
            self.write(WINDOW_UPDATE, 0, STREAM, &increment).await?;
        }
        Ok(())
    }

    async fn read_one(&mut self) -> Result<Option<(u8, u8, Vec<u8>)>> {
        let mut head = [0; 9];
        if self.stream.read_exact(&mut head).await.is_err() {
            // Closed or reset: either way nothing more comes.
            return Ok(None);
        }
        let [a, b, c, kind, flags, ..] = head;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c]))?;
        ensure!(length <= LARGEST_PAYLOAD, "a frame of {length} bytes");
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await?;
        Ok(Some((kind, flags, payload)))
    }

    async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<()> {
        let length = u32::try_from(payload.len())?.to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend_from_slice(payload);
        // A peer that has closed already may still have told why.
        let _ = self.stream.write_all(&frame).await;
        let _ = self.stream.flush().await;
        Ok(())
    }
}

fn strip_padding(payload: &mut Vec<u8>, flags: u8) -> Result<()> {
    let mut front = 0;
    let mut back = 0;
    if flags & PADDED != 0 {
        front = 1;
        back = payload.first().copied().unwrap_or_default().into();
    }
    if flags & PRIORITY != 0 {
        front += 5;
    }
    ensure!(front + back <= payload.len(), "a frame with more padding than content");
    payload.truncate(payload.len() - back);
    payload.drain(..front);
    Ok(())
}
