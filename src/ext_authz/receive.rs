//! A check's message as it comes: counted from its first byte, and never waited for too long.

use std::{
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, request::Parts};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use thiserror::Error;
use tokio::time::timeout;

use super::{encode::PREFIX, wire::Malformed};
use crate::{memory::Taken, reason::Reason};

/// The longest message that is read, in bytes. Envoy's limit for all headers of a request is 60 KiB; what is longer
/// holds a body (`with_request_body`), which nothing here looks at.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// How often a message's bytes are there at once: as they came, and as they were read.
const COPIES: usize = 2;
/// Up to this size a message may use the quarter of the memory that longer ones leave free, in bytes.
const SHORT_BYTES: usize = 8 * 1024;
/// How long a message may take to arrive: a gateway has all of it when it begins.
const MESSAGE_DEADLINE: Duration = Duration::from_secs(10);

/// Why a message is not read.
#[derive(Debug, Error)]
pub(super) enum Unread {
    #[error("there is no room for it")]
    NoRoom,
    #[error("it is over the limit")]
    TooLong,
    #[error("it did not come in time")]
    Slow,
    #[error("it is compressed")]
    Compressed,
    #[error("it is not one whole message")]
    NotOne,
    #[error("it did not come: {0}")]
    Broken(Box<dyn std::error::Error + Send + Sync>),
    #[error("{0}")]
    Malformed(#[from] Malformed),
}

impl Unread {
    /// Why the check is refused. What a gateway does wrong is told.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::NoRoom => return Reason::TooManyChecks,
            Self::TooLong => tracing::warn!(
                limit = MAX_MESSAGE_BYTES,
                "a gateway sends a message over the limit, which is refused: is `with_request_body` set? No body is looked at here"
            ),
            error => tracing::warn!(%error, "a gateway's message cannot be read"),
        }
        Reason::MalformedRequest
    }
}

/// A message with what stands before it.
pub(super) struct Received(Chunks);

enum Chunks {
    /// As it came, which is the rule.
    One(Bytes),
    Joined(Vec<u8>),
}

impl Received {
    /// The message of a request. `taken` grows by what it takes.
    pub(super) async fn of<B>(head: &Parts, body: B, taken: &Taken) -> Result<Self, Unread>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if !is_plain(&head.headers) {
            return Err(Unread::Compressed);
        }
        let body = pin!(body);
        let mut complete = pin!(Self::complete(body, taken));
        // The clock runs from when something is waited for, which is seldom.
        match futures::poll!(complete.as_mut()) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => timeout(MESSAGE_DEADLINE, complete).await.unwrap_or(Err(Unread::Slow)),
        }
    }

    /// The message.
    pub(super) fn message(&self) -> Result<&[u8], Unread> {
        match self.expected()? {
            Some(length) if self.bytes().len() == length => Ok(self.bytes().get(PREFIX..).unwrap_or_default()),
            _ => Err(Unread::NotOne),
        }
    }

    async fn complete<B>(mut body: Pin<&mut B>, taken: &Taken) -> Result<Self, Unread>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut received = Self(Chunks::One(Bytes::new()));
        while !body.is_end_stream()
            && let Some(frame) = body.frame().await
        {
            let frame = frame.map_err(|error| Unread::Broken(error.into()))?;
            if let Ok(data) = frame.into_data() {
                received.add(data, taken)?;
            }
        }
        Ok(received)
    }

    fn add(&mut self, data: Bytes, taken: &Taken) -> Result<(), Unread> {
        let (length, more) = (self.bytes().len() + data.len(), data.len().saturating_mul(COPIES));
        if !(if length <= SHORT_BYTES { taken.more(more) } else { taken.more_common(more) }) {
            return Err(Unread::NoRoom);
        }
        match &mut self.0 {
            Chunks::One(first) if first.is_empty() => *first = data,
            Chunks::One(first) => self.0 = Chunks::Joined([first.as_ref(), &data].concat()),
            Chunks::Joined(joined) => joined.extend_from_slice(&data),
        }
        if self.expected()?.is_some_and(|expected| length > expected) {
            return Err(Unread::NotOne);
        }
        Ok(())
    }

    /// How long all of it is, once its beginning has come.
    fn expected(&self) -> Result<Option<usize>, Unread> {
        let Some((&[flag, ref length @ ..], _)) = self.bytes().split_first_chunk::<PREFIX>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        match flag {
            0 if length <= MAX_MESSAGE_BYTES => Ok(Some(PREFIX + length)),
            0 => Err(Unread::TooLong),
            _ => Err(Unread::Compressed),
        }
    }

    fn bytes(&self) -> &[u8] {
        match &self.0 {
            Chunks::One(first) => first,
            Chunks::Joined(joined) => joined,
        }
    }
}

/// Whether messages come as they are ("gRPC over HTTP2", Message-Encoding).
fn is_plain(headers: &HeaderMap) -> bool {
    headers.get("grpc-encoding").is_none_or(|encoding| encoding == "identity")
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Arc};

    use futures::{StreamExt as _, stream};
    use http::Request;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;
    use crate::memory::Budget;

    const ROOM: u64 = 8 << 20;

    fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
        [&[flag], &u32::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
    }

    /// What comes of these frames, of which the last may be kept back for ever.
    async fn received(encoding: Option<&str>, frames: Vec<Vec<u8>>, ends: bool, room: u64) -> Result<Vec<u8>, Unread> {
        let budget: Arc<Budget> = Budget::new(room);
        let taken = budget.take(0).unwrap();
        let mut request = Request::new(());
        if let Some(encoding) = encoding {
            request.headers_mut().insert("grpc-encoding", encoding.parse().unwrap());
        }
        let frames = frames.into_iter().map(|frame| Ok::<_, Infallible>(Frame::data(frame.into())));
        let rest = if ends { stream::empty().left_stream() } else { stream::pending().right_stream() };
        let body = StreamBody::new(stream::iter(frames).chain(rest));
        let received = Received::of(&request.into_parts().0, body, &taken).await?;
        received.message().map(<[u8]>::to_vec)
    }

    async fn read(frames: Vec<Vec<u8>>) -> Result<Vec<u8>, Unread> {
        received(None, frames, true, ROOM).await
    }

    #[tokio::test]
    async fn a_message_comes_in_frames_of_any_size() {
        let whole = framed(0, b"message");
        assert_eq!(read(vec![whole.clone()]).await.unwrap(), b"message");
        assert_eq!(read(whole.iter().map(|byte| vec![*byte]).collect()).await.unwrap(), b"message");
        assert_eq!(read(vec![vec![], whole.clone(), vec![]]).await.unwrap(), b"message");
        assert_eq!(read(vec![framed(0, b"")]).await.unwrap(), b"");
        assert_eq!(received(Some("identity"), vec![whole], true, ROOM).await.unwrap(), b"message");
    }

    #[tokio::test]
    async fn what_is_not_one_whole_plain_message_is_not_read() {
        let whole = framed(0, b"message");
        for cut in 0..whole.len() {
            assert!(matches!(read(vec![whole[..cut].to_vec()]).await, Err(Unread::NotOne)), "{cut}");
        }
        let two = [whole.clone(), whole.clone()];
        assert!(matches!(read(vec![two.concat()]).await, Err(Unread::NotOne)));
        assert!(matches!(read(two.to_vec()).await, Err(Unread::NotOne)));
        for flag in [1, 2, 255] {
            assert!(matches!(read(vec![framed(flag, b"message")]).await, Err(Unread::Compressed)), "{flag}");
        }
        assert!(matches!(received(Some("gzip"), vec![whole], true, ROOM).await, Err(Unread::Compressed)));
    }

    #[tokio::test]
    async fn a_long_message_is_refused_once_it_says_how_long_it_is() {
        let longest = framed(0, &vec![7; MAX_MESSAGE_BYTES]);
        assert_eq!(read(vec![longest]).await.unwrap().len(), MAX_MESSAGE_BYTES);
        let longer = framed(0, &vec![7; MAX_MESSAGE_BYTES + 1]);
        assert!(matches!(received(None, vec![longer[..PREFIX].to_vec()], false, ROOM).await, Err(Unread::TooLong)));
    }

    #[tokio::test]
    async fn what_a_message_takes_is_taken_of_the_budget() {
        let message = |bytes| vec![framed(0, &vec![7; bytes])];
        assert!(matches!(received(None, message(5000), true, 10_000).await, Err(Unread::NoRoom)));
        assert!(received(None, message(4900), true, 10_000).await.is_ok(), "a short one may take all of it");
        assert!(matches!(received(None, message(10_000), true, 26_000).await, Err(Unread::NoRoom)));
        assert!(received(None, message(9_000), true, 26_000).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_does_not_end_is_waited_for_as_long_as_the_deadline_says() {
        let endless = || received(None, vec![framed(0, b"message")], false, ROOM);
        assert!(timeout(MESSAGE_DEADLINE * 99 / 100, endless()).await.is_err(), "not before the deadline");
        assert!(matches!(timeout(MESSAGE_DEADLINE * 101 / 100, endless()).await, Ok(Err(Unread::Slow))));
    }
}
