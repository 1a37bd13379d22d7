//! A connection whose small writes leave together.
//!
//! HTTP/2 writes an answer in pieces: the header, the message, the trailer. Each would be a call of the system, which costs
//! more than the answer. What was written leaves when the connection flushes, which it does once it has written
//! everything that it has.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes may wait: what is written beyond that waits until some have left, so that a peer who does not read holds
/// no more than this.
const MOST: usize = 64 * 1024;
/// What a connection keeps for the next answers when all have left; a quiet one keeps no more.
const KEPT: usize = 8 * 1024;

/// A stream that gathers what is written until it is flushed.
#[derive(Debug)]
pub(super) struct Gathering<S> {
    stream: S,
    waiting: BytesMut,
}

impl<S: AsyncWrite + Unpin> Gathering<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, waiting: BytesMut::new() }
    }

    /// Lets all that waits leave.
    fn poll_leave(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let left = ready!(Pin::new(&mut self.stream).poll_write(context, &self.waiting))?;
            if left == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.advance(left);
        }
        if self.waiting.capacity() > KEPT {
            self.waiting = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

/// It does not report vectored writes: HTTP/2 would then chain each message behind its header, which costs more than to
/// copy it.
impl<S: AsyncWrite + Unpin> AsyncWrite for Gathering<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.waiting.len() >= MOST {
            ready!(self.poll_leave(context))?;
        }
        let taken = bytes.get(..MOST - self.waiting.len()).unwrap_or(bytes);
        self.waiting.extend_from_slice(taken);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_leave(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_leave(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn nothing_leaves_before_the_flush_and_all_does_then() {
        let (ours, mut theirs) = duplex(1024);
        let mut gathering = Gathering::new(ours);
        let mut read = [0; 16];
        gathering.write_all(b"one ").await.unwrap();
        gathering.write_all(b"two").await.unwrap();
        assert!(futures::poll!(std::pin::pin!(theirs.read(&mut read))).is_pending());
        gathering.flush().await.unwrap();
        assert_eq!(theirs.read(&mut read).await.unwrap(), 7);
        assert_eq!(&read[..7], b"one two");
    }

    #[tokio::test]
    async fn who_does_not_read_holds_no_more_than_the_bound() {
        let (ours, mut theirs) = duplex(10);
        let mut gathering = Gathering::new(ours);
        let sent: Vec<u8> = (0..=u8::MAX).cycle().take(3 * MOST).collect();
        let mut written = 0;
        while let Poll::Ready(taken) = futures::poll!(std::pin::pin!(gathering.write(&sent[written..]))) {
            written += taken.unwrap();
            assert!(gathering.waiting.len() <= MOST);
        }
        assert!((MOST..MOST + 20).contains(&written), "{written}");
        // Nothing is lost or said twice once it is read.
        let rest = sent[written..].to_vec();
        let writes = tokio::spawn(async move {
            gathering.write_all(&rest).await.unwrap();
            gathering.shutdown().await.unwrap();
            gathering
        });
        let mut read = Vec::new();
        theirs.read_to_end(&mut read).await.unwrap();
        assert!(read == sent);
        assert!(writes.await.unwrap().waiting.capacity() <= KEPT);
    }

    #[tokio::test]
    async fn a_peer_who_is_gone_is_an_error_of_the_flush() {
        let (ours, theirs) = duplex(10);
        let mut gathering = Gathering::new(ours);
        drop(theirs);
        gathering.write_all(b"taken").await.unwrap();
        assert_eq!(gathering.flush().await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
