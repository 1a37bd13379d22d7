//! A request as a service behind the gateway receives it.

use serde::{Deserialize, Serialize};

use crate::wire::HeaderLines;

/// A request as the upstream received it; also the body of its answer, as JSON.
///
/// Texts are lossless, see [`crate::wire::text`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// `HTTP/1.1` or `HTTP/2`.
    pub protocol: String,
    /// The method.
    pub method: String,
    /// The request target, HTTP/2's `:path`.
    pub target: String,
    /// The value of `Host`, HTTP/2's `:authority`.
    pub authority: String,
    /// HTTP/2's `:scheme`.
    pub scheme: Option<String>,
    /// Every header line.
    pub headers: HeaderLines,
    /// Every trailer line.
    pub trailers: HeaderLines,
    /// The body.
    pub body: String,
    /// HTTP/1 only: request line and header lines byte for byte, base64.
    pub raw_head: Option<String>,
}
