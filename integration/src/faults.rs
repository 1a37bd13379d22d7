//! How a scripted server misbehaves on the wire.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::response::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::{self, Stream, StreamExt as _};
use serde_json::Value;

/// A change that a test makes to what an honest server would say.
pub type Edit = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// Makes an [`Edit`].
pub fn edit(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Option<Edit> {
    Some(Arc::new(change))
}

/// What an endpoint does instead of its honest answer, before it, or to its bytes.
#[derive(Debug, Clone, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Answers with this status and a short text.
    Status(u16),
    /// Answers with this status and says when to come again, in the words of `Retry-After`.
    RetryAfter(u16, String),
    /// Answers 200 with this body, as JSON.
    Body(String),
    /// Answers with this status, type of content and body.
    Answer(u16, &'static str, String),
    /// Answers 302 to this place.
    Redirect(String),
    /// Answers 307, which repeats method and body, to this place.
    TemporaryRedirect(String),
    /// Answers 200 with so many bytes of a JSON text that does not end before them.
    Huge(usize),
    /// Announces so many bytes and sends none of them.
    Announced(u64),
    /// Answers 200 with a JSON text that never ends.
    Endless,
    /// Waits, then answers honestly.
    Delay(Duration),
    /// Never answers.
    Hang,
    /// Sends the honest answer's head at once, and then one byte of its body after each such pause.
    Drip(Duration),
    /// Sends half of the honest body, then closes the connection.
    Truncated,
    /// Announces half of the honest body's length, and sends so much.
    TooShort,
    /// Announces more than the honest body, sends that, and then keeps the connection open in silence.
    TooLong,
    /// Compresses the honest body, and says so.
    Gzip,
    /// Answers 200 with a JSON text of so many bytes, compressed to few.
    GzipBomb(usize),
    /// Adds a header of so many bytes.
    HugeHeader(usize),
    /// Adds so many headers.
    Headers(usize),
    /// Gives the honest body another type of content.
    ContentType(&'static str),
    /// Says one member of the honest JSON object once more, at its end, with this value.
    Twice(&'static str, Value),
    /// Writes this before the honest body.
    Before(&'static str),
    /// Writes this behind the honest body.
    Behind(&'static str),
}

impl Fault {
    /// The answer of an endpoint whose honest one is `honest`. That is made only where something of it is sent.
    pub async fn answer(self, honest: impl FnOnce() -> Response) -> Response {
        match self {
            Self::None => honest(),
            Self::Status(status) => (code(status), "a scripted fault").into_response(),
            Self::RetryAfter(status, when) => {
                (code(status), [(header::RETRY_AFTER, when)], "a scripted fault").into_response()
            }
            Self::Body(body) => typed("application/json", body),
            Self::Answer(status, content_type, body) => (code(status), typed(content_type, body)).into_response(),
            Self::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
            Self::TemporaryRedirect(to) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response(),
            Self::Huge(length) => typed("application/json", filler(length)),
            Self::Announced(length) => announced(length, stream::pending::<Result<Bytes, Infallible>>()),
            Self::Endless => {
                let begin = stream::once(async { Bytes::from_static(b"{\"filler\":\"") });
                let chunk = Bytes::from(vec![b'x'; 64 << 10]);
                let body = begin.chain(stream::repeat(chunk)).map(Ok::<_, Infallible>);
                typed("application/json", Body::from_stream(body))
            }
            Self::Delay(time) => {
                tokio::time::sleep(time).await;
                honest()
            }
            Self::Hang => std::future::pending().await,
            Self::GzipBomb(length) => compressed(typed("application/json", Body::empty()), filler(length).as_bytes()),
            deformed => deformed.deform(honest()).await,
        }
    }

    /// Changes the bytes of an honest answer.
    async fn deform(self, honest: Response) -> Response {
        let (mut head, body) = honest.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("an honest body is in memory");
        let whole = body.len() as u64;
        let half = body.slice(..body.len() / 2);
        match self {
            Self::Drip(pause) => {
                let bytes = stream::iter(body).then(move |byte| async move {
                    tokio::time::sleep(pause).await;
                    Ok::<_, Infallible>(vec![byte])
                });
                Response::from_parts(head, Body::from_stream(bytes))
            }
            Self::Truncated => {
                let broken = stream::iter([Ok(half), Err(std::io::Error::other("a scripted fault"))]);
                announced(whole, broken)
            }
            Self::TooShort => announced(half.len() as u64, stream::iter([Ok::<_, Infallible>(half)])),
            Self::TooLong => announced(whole + 1, stream::iter([Ok::<_, Infallible>(body)]).chain(stream::pending())),
            Self::Gzip => {
                head.headers.remove(header::CONTENT_LENGTH);
                compressed(Response::from_parts(head, Body::empty()), &body)
            }
            Self::HugeHeader(length) => {
                let value = HeaderValue::from_str(&"x".repeat(length)).expect("letters are a header's value");
                head.headers.insert("x-filler", value);
                Response::from_parts(head, Body::from(body))
            }
            Self::Headers(count) => {
                for _ in 0..count {
                    head.headers.append("x-filler", HeaderValue::from_static("x"));
                }
                Response::from_parts(head, Body::from(body))
            }
            Self::ContentType(content_type) => {
                head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
                Response::from_parts(head, Body::from(body))
            }
            Self::Twice(member, value) => {
                let body = String::from_utf8_lossy(&body);
                let open = body.trim_end().strip_suffix('}').expect("the honest answer is an object");
                with_text(head, format!("{open},\"{member}\":{value}}}"))
            }
            Self::Before(text) => with_text(head, format!("{text}{}", String::from_utf8_lossy(&body))),
            Self::Behind(text) => with_text(head, format!("{}{text}", String::from_utf8_lossy(&body))),
            other => unreachable!("{other:?} changes no bytes"),
        }
    }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a test names a valid status")
}

fn typed(content_type: &'static str, body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body.into()).into_response()
}

fn with_text(mut head: Parts, body: String) -> Response {
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(body))
}

fn filler(length: usize) -> String {
    format!("{{\"filler\":\"{}\"}}", "x".repeat(length))
}

/// JSON of an announced length, whatever `body` sends of it.
fn announced<E>(length: u64, body: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Response
where
    E: Into<axum::BoxError> + 'static,
{
    let mut answer = typed("application/json", Body::from_stream(body));
    answer.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    answer
}

/// An answer's head with this body, compressed.
fn compressed(head: Response, body: &[u8]) -> Response {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).expect("a Vec takes every byte");
    let (mut head, _) = head.into_parts();
    head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(head, Body::from(encoder.finish().expect("a Vec takes every byte")))
}

#[cfg(test)]
mod tests {
    use axum::Json;
    use serde_json::json;

    use super::*;

    async fn bytes(fault: Fault) -> Result<Bytes, axum::Error> {
        let answer = fault.answer(|| Json(json!({ "a": 1 })).into_response()).await;
        to_bytes(answer.into_body(), usize::MAX).await
    }

    #[tokio::test]
    async fn honest_bytes_are_deformed_as_told() {
        assert_eq!(bytes(Fault::None).await.unwrap(), "{\"a\":1}");
        assert_eq!(bytes(Fault::Twice("a", json!([2]))).await.unwrap(), "{\"a\":1,\"a\":[2]}");
        assert_eq!(bytes(Fault::Before("\u{feff}")).await.unwrap(), "\u{feff}{\"a\":1}");
        assert_eq!(bytes(Fault::Behind("{}")).await.unwrap(), "{\"a\":1}{}");
        assert_eq!(bytes(Fault::TooShort).await.unwrap(), "{\"a");
        assert_eq!(bytes(Fault::Drip(Duration::ZERO)).await.unwrap(), "{\"a\":1}");
        assert!(bytes(Fault::Truncated).await.is_err());
        assert!(bytes(Fault::GzipBomb(1 << 20)).await.unwrap().len() < 1 << 14);
        assert!(bytes(Fault::Gzip).await.unwrap().starts_with(&[0x1f, 0x8b]));
    }

    #[tokio::test]
    async fn a_dishonest_answer_makes_no_honest_one() {
        let answer = Fault::RetryAfter(429, "7".to_owned()).answer(|| panic!("it is not asked for")).await;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers()["retry-after"], "7");
        let length =
            Fault::Announced(5).answer(|| panic!("it is not asked for")).await.headers()["content-length"].clone();
        assert_eq!(length, "5");
    }
}
