//! Our view of a request: what may be believed of it, parsed once and strictly.
//!
//! `ext_authz` makes a [`Request`] of either of Envoy's header encodings. Nothing here trusts the scheme, any
//! `X-Forwarded-*` header or the query.

mod authorization;
mod cookies;
mod headers;
mod host;
mod host_pattern;
mod kind;
mod path;
mod plain_path;
mod provenance;
mod query;
mod raw;
mod text;

use std::fmt;

use thiserror::Error;

pub use authorization::{Authorization, BearerToken};
pub use cookies::{CookieHeader, CookieNames, Stripped};
pub use headers::{Headers, is_variant_below, is_variant_of, variant_form};
pub use host::{Host, HostError, HostName};
pub use host_pattern::{HostPattern, HostPatternError};
pub use kind::Kind;
pub use path::{Path, PathError, look_alike};
pub use plain_path::{PlainPath, PlainPathError};
pub use provenance::Provenance;
pub use query::{Parameter, Query, QueryError, fully_decoded};
pub use raw::RawRequest;

use crate::secret;

/// The longest request target that is read, in bytes. Envoy's own limit for all headers is 60 KiB.
const MAX_TARGET_BYTES: usize = 16 * 1024;
/// The longest request id that is taken over.
const MAX_REQUEST_ID_BYTES: usize = 64;

/// Why a request cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The method is missing or no token (RFC 9110 section 9.1).
    #[error("the method is missing or malformed")]
    Method,
    /// The host is missing or not one plain authority.
    #[error("the host is missing or not one plain authority")]
    Host,
    /// The path is missing, too long or not in origin form (RFC 9112 section 3.2.1).
    #[error("the path is missing, too long or not in origin form")]
    Path,
}

/// A request that cannot be judged, and what came of it.
#[derive(Clone, Debug, Error)]
#[error("{error}")]
pub struct Unreadable {
    /// Why.
    pub error: RequestError,
    /// What came.
    pub raw: Box<RawRequest>,
    /// Who asks, as far as can be told.
    pub kind: Kind,
    /// The request's id.
    pub id: RequestId,
}

struct Parts {
    host: Host,
    path: Path,
    query: Query,
}

impl Parts {
    fn read(raw: &RawRequest) -> Result<Self, RequestError> {
        if !is_method(raw.method()) {
            return Err(RequestError::Method);
        }
        let host = Host::parse(raw.host()).map_err(|_| RequestError::Host)?;
        let target = raw.path();
        if target.len() > MAX_TARGET_BYTES || !target.starts_with('/') {
            return Err(RequestError::Path);
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        Ok(Self { host, path: Path::new(path), query: Query::new(query) })
    }
}

/// A request that can be judged.
#[derive(Clone, Debug)]
pub struct Request {
    /// As it came: the method, the target and the peer's address are read from here.
    raw: RawRequest,
    host: Host,
    path: Path,
    query: Query,
    kind: Kind,
    id: RequestId,
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// Where host, path or method are missing, or cannot be read in one way.
    pub fn parse(raw: RawRequest) -> Result<Self, Unreadable> {
        let (kind, id) = (Kind::of(raw.method(), raw.headers()), RequestId::of(raw.headers()));
        match Parts::read(&raw) {
            Ok(Parts { host, path, query }) => Ok(Self { raw, host, path, query, kind, id }),
            Err(error) => Err(Unreadable { error, raw: Box::new(raw), kind, id }),
        }
    }

    /// The method, as it came. Methods are case-sensitive (RFC 9110 section 9.1).
    #[must_use]
    pub fn method(&self) -> &str {
        self.raw.method()
    }

    /// The host that was asked for.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The path, without its query.
    #[must_use]
    pub const fn path(&self) -> &Path {
        &self.path
    }

    /// The query. It decides nothing but inside our own endpoints, and where a rule says what it names.
    #[must_use]
    pub const fn query(&self) -> &Query {
        &self.query
    }

    /// The path with its query, as it came.
    #[must_use]
    pub fn target(&self) -> &str {
        self.raw.path()
    }

    /// The header lines.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        self.raw.headers()
    }

    /// The peer's address, where the proxy told it.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.raw.source()
    }

    /// The id that logs, answers and people share.
    #[must_use]
    pub const fn request_id(&self) -> &RequestId {
        &self.id
    }

    /// What the `authorization` header holds.
    #[must_use]
    pub fn authorization(&self) -> Authorization<'_> {
        Authorization::of(self.headers())
    }

    /// The cookies.
    #[must_use]
    pub fn cookies(&self) -> CookieHeader<'_> {
        CookieHeader::of(self.headers())
    }

    /// Who asks: a browser's navigation, a script, gRPC.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the request comes from a page of this host. `origin` is this host's own origin, where it is configured,
    /// and `allowed` are those that the rule names.
    #[must_use]
    pub fn provenance(&self, origin: Option<&str>, allowed: &[String]) -> Provenance {
        Provenance::of(self.headers(), &self.host, origin, allowed)
    }
}

/// The id of a request: Envoy's `x-request-id` where it is plain, else one of ours.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    fn of(headers: &Headers) -> Self {
        let plain = |id: &&str| {
            (1..=MAX_REQUEST_ID_BYTES).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        headers.single("x-request-id").filter(plain).map_or_else(Self::generate, |id| Self(id.to_owned()))
    }

    /// A new id, for a request that brings none.
    #[must_use]
    pub fn generate() -> Self {
        Self(secret::random_id().replace('_', "-"))
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn is_method(text: &str) -> bool {
    // Methods are case-sensitive, and servers that fold them would act on another one than the rule saw.
    let token = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=32).contains(&text.len()) && text.bytes().all(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(method: &str, host: &str, path: &str) -> RawRequest {
        RawRequest::new(method, host, path)
    }

    #[test]
    fn no_credential_of_a_request_prints() {
        let with_credentials = |raw: RawRequest| {
            raw.header("authorization", "Bearer hunter2")
                .header("cookie", "__Host-portcullis=hunter2; application=hunter2")
                .header("x-api-key", "hunter2")
        };
        let unreadable = with_credentials(raw("GET", "me:hunter2@kf", "/callback?code=hunter2"));
        let raw = with_credentials(raw("GET", "kf", "/callback?code=hunter2"));
        let printed = |raw: &RawRequest| format!("{raw:?} {:?}", Request::parse(raw.clone()));
        assert!(!printed(&unreadable).contains("hunter2"), "{}", printed(&unreadable));
        assert!(!printed(&raw).contains("hunter2"), "{}", printed(&raw));

        let request = Request::parse(raw).unwrap();
        let (cookies, query) = (request.cookies(), &request.query);
        let stripped = cookies.without(&CookieNames::new(["__Host-portcullis".to_owned()]));
        let printed = format!("{:?} {cookies:?} {stripped:?} {query:?}", request.authorization());
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(format!("{request:?}").contains("x-api-key"), "what is no secret prints");
    }

    #[test]
    fn a_request_needs_a_method_a_host_and_a_path() {
        assert_eq!(Request::parse(raw("", "kf", "/")).unwrap_err().error, RequestError::Method);
        for method in ["GE T", "delete", "Get", "GET\n"] {
            assert_eq!(Request::parse(raw(method, "kf", "/")).unwrap_err().error, RequestError::Method, "{method}");
        }
        assert_eq!(Request::parse(raw("GET", "", "/")).unwrap_err().error, RequestError::Host);
        for path in ["", "*", "x", "https://kf/", "?a"] {
            assert_eq!(Request::parse(raw("GET", "kf", path)).unwrap_err().error, RequestError::Path, "{path}");
        }
        let long = format!("/{}", "a".repeat(MAX_TARGET_BYTES));
        assert_eq!(Request::parse(raw("GET", "kf", &long)).unwrap_err().error, RequestError::Path);
    }

    #[test]
    fn the_target_is_kept_byte_for_byte() {
        let request = Request::parse(raw("GET", "kf", "/a%2Fb?x=1?y&z")).unwrap();
        assert_eq!((request.path().raw(), request.query().raw()), ("/a%2Fb", Some("x=1?y&z")));
        assert_eq!(request.target(), "/a%2Fb?x=1?y&z");
    }

    #[test]
    fn a_strange_request_id_is_replaced() {
        for (given, kept) in
            [("abc-123", true), ("a b", false), ("", false), ("a\u{e9}", false), (&"a".repeat(65), false)]
        {
            let request = Request::parse(raw("GET", "kf", "/").header("x-request-id", given)).unwrap();
            assert_eq!(request.request_id().as_str() == given, kept, "{given:?}");
            assert!(!request.request_id().as_str().is_empty());
        }
    }
}
