//! How a scripted server misbehaves on the wire.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// A change that a test makes to what an honest server would say.
pub type Edit = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// Makes an [`Edit`].
pub fn edit(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Option<Edit> {
    Some(Arc::new(change))
}

/// What an endpoint does instead of its honest answer, or before it.
#[derive(Debug, Clone, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Answers with this status and a short text.
    Status(u16),
    /// Answers 429 or 503 and says when to come again, in seconds.
    RetryAfter(u16, u32),
    /// Answers 200 with this body, as JSON.
    Body(String),
    /// Answers 302 to this place.
    Redirect(String),
    /// Answers 200 with so many bytes of a JSON text that does not end before them.
    Huge(usize),
    /// Waits, then answers honestly.
    Delay(Duration),
    /// Never answers.
    Hang,
}

impl Fault {
    /// The dishonest answer; none where the honest one is due.
    pub async fn answer(self) -> Option<Response> {
        match self {
            Self::None => None,
            Self::Status(status) => Some((code(status), "a scripted fault").into_response()),
            Self::RetryAfter(status, seconds) => {
                let after = [(header::RETRY_AFTER, seconds.to_string())];
                Some((code(status), after, "a scripted fault").into_response())
            }
            Self::Body(body) => Some(json_text(body)),
            Self::Redirect(to) => Some((StatusCode::FOUND, [(header::LOCATION, to)]).into_response()),
            Self::Huge(length) => {
                let filler = "x".repeat(length);
                Some(json_text(format!("{{\"filler\":\"{filler}\"}}")))
            }
            Self::Delay(time) => {
                tokio::time::sleep(time).await;
                None
            }
            Self::Hang => std::future::pending().await,
        }
    }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a test names a valid status")
}

fn json_text(body: String) -> Response {
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    (content_type, Body::from(body)).into_response()
}
