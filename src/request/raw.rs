//! What `ext_authz` read from the wire, before anything of it is believed.

use std::fmt;

use super::{
    headers::Headers,
    text::{Span, Text},
};

/// What `ext_authz` read from the wire, before anything of it is believed. Of what may be a credential nothing prints.
#[derive(Clone, Default)]
pub struct RawRequest {
    headers: Headers,
    method: Span,
    host: Span,
    path: Span,
    source: Option<Span>,
}

impl fmt::Debug for RawRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RawRequest")
            .field("method", &self.method())
            .field("headers", &self.headers)
            .field("source", &self.source())
            .finish_non_exhaustive()
    }
}

impl RawRequest {
    /// A request without header lines: the method, the authority, and the path with its query, each as it came.
    #[must_use]
    pub fn new(method: &str, host: &str, path: &str) -> Self {
        Self::with_room(method, host, path, 0, 0)
    }

    /// The same with room for so many header lines, and for so many bytes of them and of the peer's address.
    #[must_use]
    pub fn with_room(method: &str, host: &str, path: &str, lines: usize, bytes: usize) -> Self {
        let mut text = Text::with_capacity(method.len() + host.len() + path.len() + bytes);
        let (method, host, path) = (text.push(method), text.push(host), text.push(path));
        Self { headers: Headers::with_room(text, lines), method, host, path, source: None }
    }

    /// The same with one more header line, after those that it has. A pseudo-header is none.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.add_header(name, value);
        self
    }

    /// The same with the peer's address, which is never from `X-Forwarded-For`.
    #[must_use]
    pub fn from_peer(mut self, source: &str) -> Self {
        self.source = Some(self.headers.keep(source));
        self
    }

    /// Adds a header line after those that there are. A pseudo-header is none.
    pub fn add_header(&mut self, name: &str, value: &str) {
        self.headers.add(name, value);
    }

    /// The method, as it came.
    #[must_use]
    pub fn method(&self) -> &str {
        self.headers.kept(self.method)
    }

    /// The authority, as it came.
    #[must_use]
    pub fn host(&self) -> &str {
        self.headers.kept(self.host)
    }

    /// The path with its query, byte for byte what the upstream gets.
    #[must_use]
    pub fn path(&self) -> &str {
        self.headers.kept(self.path)
    }

    /// Every header line, in order, without pseudo-headers.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The peer's address, where the proxy told it.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.source.map(|source| self.headers.kept(source))
    }
}
