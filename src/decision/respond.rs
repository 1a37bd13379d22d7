//! Our own answers: what they are, not how a protocol spells them. `ext_authz` gives them status codes.

use std::time::Duration;

use thiserror::Error;
use url::Url;

use super::{header::HeaderText, refusal::Refusal};
use crate::reason::{Disposition, Reason};

/// An answer of our own.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an answer that is dropped is a request without one"]
pub struct Respond {
    /// Why.
    pub reason: Reason,
    /// Its kind.
    pub disposition: Disposition,
    /// What it says.
    pub body: Body,
    /// What more there is to say of the reason, for people.
    pub detail: Option<String>,
    /// Where it sends the client.
    pub location: Option<Location>,
    /// The one cookie that it sets: one is what every client of ext_authz delivers.
    pub set_cookie: Option<SetCookie>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// The `WWW-Authenticate` challenge (RFC 9110 section 11.6.1), for a request without credentials to pass.
    pub challenge: Option<HeaderText>,
    /// The methods that are answered, for [`Disposition::MethodNotAllowed`].
    pub allow_methods: Option<HeaderText>,
    /// Whether the browser shall forget what it stores for the origin, its service workers among it, cookies not (Clear
    /// Site Data, section 3.1).
    pub clear_site_data: bool,
}

impl Respond {
    /// An answer of the reason's usual kind, with a body that the caller's kind decides: a page for a navigation,
    /// problem+json for the rest.
    pub fn new(reason: Reason) -> Self {
        Refusal::new(reason).into()
    }

    /// A redirect.
    pub fn redirect(reason: Reason, location: Location) -> Self {
        Self { location: Some(location), body: Body::Empty, ..Self::new(reason) }
    }

    /// A page of ours.
    pub fn page(why: impl Into<Refusal>, page: Page) -> Self {
        Self { body: Body::Page(page), ..Self::from(why.into()) }
    }

    /// A JSON document of ours.
    pub fn json(why: impl Into<Refusal>, document: String) -> Self {
        Self { body: Body::Json(document), ..Self::from(why.into()) }
    }

    /// An address that answers other methods than the one that was asked with: these.
    pub fn method_not_allowed(methods: &'static str) -> Self {
        let allow_methods = Some(HeaderText::from_static(methods));
        Self { allow_methods, ..Self::new(Reason::MethodNotAllowed) }
    }

    /// The same answer with a cookie.
    pub fn with_cookie(mut self, cookie: SetCookie) -> Self {
        self.set_cookie = Some(cookie);
        self
    }
}

impl From<Refusal> for Respond {
    fn from(refusal: Refusal) -> Self {
        Self {
            reason: refusal.reason(),
            disposition: refusal.disposition(),
            body: Body::Problem,
            detail: None,
            location: None,
            set_cookie: None,
            retry_after: refusal.retry_after(),
            challenge: challenge(refusal.disposition()),
            allow_methods: None,
            clear_site_data: false,
        }
    }
}

/// The challenge of a 401 (RFC 6750 section 3).
fn challenge(disposition: Disposition) -> Option<HeaderText> {
    match disposition {
        Disposition::Unauthorized => Some(HeaderText::from_static("Bearer realm=\"portcullis\"")),
        Disposition::InvalidToken => {
            Some(HeaderText::from_static("Bearer realm=\"portcullis\", error=\"invalid_token\""))
        }
        Disposition::Ok
        | Disposition::Created
        | Disposition::Found
        | Disposition::SeeOther
        | Disposition::BadRequest
        | Disposition::Forbidden
        | Disposition::NotFound
        | Disposition::MethodNotAllowed
        | Disposition::Misdirected
        | Disposition::TooManyRequests
        | Disposition::Unavailable
        | Disposition::Internal => None,
    }
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    Empty,
    /// The reason and the request's id: a page for a navigation, problem+json (RFC 9457) for a script, `grpc-message`
    /// for gRPC. The pipeline renders it once it knows who asks.
    Problem,
    /// A page.
    Page(Page),
    /// A JSON document.
    Json(String),
}

/// An HTML page, rendered and ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The document.
    pub html: String,
    /// Its Content-Security-Policy.
    pub content_security_policy: HeaderText,
}

/// Why a text is no place to send a browser to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not an absolute http or https URL that a Location header can hold")]
pub struct LocationError;

/// Where an answer sends the client: an absolute http or https URL, as a header can hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location(HeaderText);

impl Location {
    /// A place to go to.
    ///
    /// # Errors
    /// Where the URL is not http or https, or has no plain spelling.
    pub fn new(url: &Url) -> Result<Self, LocationError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(LocationError);
        }
        Self::spelled(url.as_str())
    }

    /// A path of an origin's own: `origin` as configured, without a trailing slash, and a path that begins with one
    /// `/`. Sent as it is, so that a return target keeps its bytes.
    ///
    /// # Errors
    /// Where the path could lead to another origin or holds anything but visible ASCII.
    pub fn on_origin(origin: &str, path_and_query: &str) -> Result<Self, LocationError> {
        if !path_and_query.starts_with('/') || origin.ends_with('/') {
            return Err(LocationError);
        }
        let text = format!("{origin}{path_and_query}");
        // The origin that a browser reads from the result must be the one that was meant.
        let read = Url::parse(&text).map_err(|_| LocationError)?;
        let meant = Url::parse(origin).map_err(|_| LocationError)?;
        if read.origin() != meant.origin() || !read.username().is_empty() || read.password().is_some() {
            return Err(LocationError);
        }
        Self::spelled(&text)
    }

    fn spelled(text: &str) -> Result<Self, LocationError> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(LocationError);
        }
        HeaderText::parse(text).map(Self).map_err(|_| LocationError)
    }

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Why a cookie cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a cookie's name is a token and its value visible ASCII without quotes, comma, semicolon and backslash")]
pub struct CookieError;

/// A cookie of ours: always `__Host-` (so `Secure`, `Path=/`, no `Domain`), `HttpOnly`, `SameSite=Lax` (RFC 6265bis section 4.1).
#[derive(Clone, PartialEq, Eq)]
pub struct SetCookie {
    name: String,
    value: String,
    max_age: Option<u64>,
}

impl SetCookie {
    /// A cookie that lives for `max_age`, or as long as the browser's session.
    ///
    /// # Errors
    /// Where the name or the value cannot stand in a cookie.
    pub fn new(name: &str, value: &str, max_age: Option<Duration>) -> Result<Self, CookieError> {
        let octet = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
        let token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !name.starts_with("__Host-") || !name.bytes().all(token) || !value.bytes().all(octet) {
            return Err(CookieError);
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned(), max_age: max_age.map(|age| age.as_secs()) })
    }

    /// The order to forget the cookie.
    ///
    /// # Errors
    /// Where the name cannot stand in a cookie.
    pub fn deletion(name: &str) -> Result<Self, CookieError> {
        Self::new(name, "", Some(Duration::ZERO))
    }

    /// The value of the `Set-Cookie` header.
    ///
    /// # Panics
    /// Never: name and value were checked.
    #[must_use]
    #[expect(clippy::expect_used, reason = "name and value were checked when the cookie was made")]
    pub fn header(&self) -> HeaderText {
        let age = self.max_age.map(|age| format!("; Max-Age={age}")).unwrap_or_default();
        let text = format!("{}={}; Path=/{age}; Secure; HttpOnly; SameSite=Lax", self.name, self.value);
        HeaderText::parse(text).expect("name and value are visible ASCII")
    }
}

impl std::fmt::Debug for SetCookie {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}=[redacted]", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_target_keeps_its_bytes_and_our_origin() {
        let origin = "https://kf.example.com";
        let location = Location::on_origin(origin, "/notebook/a%2fb?x=1,2").unwrap();
        assert_eq!(location.as_str(), "https://kf.example.com/notebook/a%2fb?x=1,2");
        for bad in ["", "evil", "@evil.com/", ":8443/", ".evil.com", "/a b", "/a\r\nb", "/ü"] {
            assert_eq!(Location::on_origin(origin, bad), Err(LocationError), "{bad:?}");
        }
        // A scheme-relative path stays a path of ours once the origin stands before it.
        assert_eq!(Location::on_origin(origin, "//evil").unwrap().as_str(), "https://kf.example.com//evil");
    }

    #[test]
    fn redirects_leave_for_http_only() {
        assert!(Location::new(&Url::parse("javascript:alert(1)").unwrap()).is_err());
        assert!(Location::new(&Url::parse("https://idp/authorize?a=b").unwrap()).is_ok());
    }

    #[test]
    fn cookies_are_host_bound_and_hidden_in_logs() {
        let cookie = SetCookie::new("__Host-portcullis", "abc", Some(Duration::from_mins(1))).unwrap();
        assert_eq!(
            cookie.header().as_str(),
            "__Host-portcullis=abc; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax"
        );
        assert_eq!(format!("{cookie:?}"), "__Host-portcullis=[redacted]");
        // A browser takes the order to forget a `__Host-` cookie only with what the cookie itself needs.
        assert_eq!(
            SetCookie::deletion("__Host-portcullis").unwrap().header().as_str(),
            "__Host-portcullis=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"
        );
        for (name, value) in [("portcullis", "a"), ("__Host-a b", "a"), ("__Host-a", "a;b"), ("__Host-a", "a\r\nb")] {
            assert!(SetCookie::new(name, value, None).is_err(), "{name} {value}");
        }
    }
}
