//! An answer of gRPC on its way: one frame of data, and the trailers.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use hyper::body::{Body, Frame};
use tonic::Status;

/// The body of an answer: its one message, then the trailers, which say that all is well.
#[derive(Debug)]
pub struct Reply(Left);

#[derive(Debug)]
enum Left {
    Message(Bytes),
    Trailers,
    Nothing,
}

/// The response that carries a message, with what stands before it.
pub(super) fn with(framed: Bytes) -> Response<Reply> {
    let mut response = Response::new(Reply(Left::Message(framed)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (frame, left) = match std::mem::replace(&mut self.0, Left::Nothing) {
            Left::Message(framed) => (Frame::data(framed), Left::Trailers),
            Left::Trailers => (Frame::trailers(trailers()), Left::Nothing),
            Left::Nothing => return Poll::Ready(None),
        };
        self.0 = left;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Left::Nothing)
    }
}

fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
    trailers
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn an_answer_is_one_frame_of_data_and_trailers_that_say_ok() {
        let mut response = with(Bytes::from_static(b"framed"));
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/grpc");
        let body = response.body_mut();
        assert!(!body.is_end_stream());
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "framed");
        let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(trailers["grpc-status"], "0");
        assert!(body.is_end_stream() && body.frame().await.is_none());
    }
}
