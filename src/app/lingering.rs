//! A connection that is closed as RFC 9112 section 9.6 has it: first our side, then, once the peer has closed theirs, the
//! rest.
//!
//! A system that closes a connection on which something came that nobody read tells the peer that it broke (a reset), and
//! a peer that is just writing takes the answers for lost that already lie in its buffer.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How long the peer may take to close its side.
const PATIENCE: Duration = Duration::from_secs(1);

/// A stream that reads what still comes when it is shut down, and forgets it.
#[derive(Debug)]
pub(super) struct Lingering<S> {
    stream: S,
    /// Until when, once our side is closed.
    closing: Option<Pin<Box<Sleep>>>,
}

impl<S> Lingering<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, closing: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closing.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        let closing = this.closing.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        let mut forgotten = [0; 1024];
        while closing.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut forgotten);
            match ready!(Pin::new(&mut this.stream).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                // The peer has closed its side, or is gone.
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        time::timeout,
    };

    use super::*;

    async fn pair() -> (tokio::net::TcpStream, tokio::net::TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connects = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
        let (theirs, ours) = tokio::join!(connects, listener.accept());
        (ours.unwrap().0, theirs.unwrap())
    }

    #[tokio::test]
    async fn a_peer_who_is_still_writing_reads_the_whole_answer_and_no_reset() {
        let (ours, mut theirs) = pair().await;
        theirs.write_all(&vec![1; 100_000]).await.unwrap();
        let closes = tokio::spawn(async move {
            let mut ours = Lingering::new(ours);
            ours.write_all(b"answer").await.unwrap();
            ours.shutdown().await.unwrap();
        });
        let mut answer = [0; 6];
        theirs.read_exact(&mut answer).await.unwrap();
        theirs.write_all(&[1; 1000]).await.unwrap();
        assert_eq!(theirs.read(&mut answer).await.unwrap(), 0, "the end, and no reset");
        drop(theirs);
        closes.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_who_never_closes_is_waited_for_a_second() {
        let (ours, theirs) = tokio::io::duplex(16);
        let mut ours = Lingering::new(ours);
        assert!(timeout(PATIENCE / 2, ours.shutdown()).await.is_err());
        timeout(PATIENCE, ours.shutdown()).await.unwrap().unwrap();
        drop(theirs);
    }
}
