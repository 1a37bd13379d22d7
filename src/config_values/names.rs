//! Names, hosts, URLs and paths: parsed once, strictly.

use url::Url;

use super::Context;
use crate::{
    config_file::{FieldError, FieldPath},
    request::{Host, HostName, HostPattern, HostPatternError, PlainPath},
};

/// A name of ours: `[a-z0-9-]`, 1 to 63 of them.
pub(crate) fn name(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=63).contains(&text.len()) && text.bytes().all(plain) {
        return Some(text.to_owned());
    }
    context.refuse(
        FieldError::new(at, "it is no name").found(text).write("write 1 to 63 of the characters `a-z`, `0-9`, `-`"),
    )
}

/// A host as requests are compared with it: lower case, no port, no dot at its end.
pub(crate) fn host(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<HostName> {
    match HostName::parse(text).ok() {
        Some(normal) if normal.as_str() == text => Some(normal),
        Some(normal) => context.refuse(
            FieldError::new(at, "a host is written in lower case, with no dot at its end")
                .found(text)
                .write(format!("write `{}`", normal.as_str())),
        ),
        None => {
            context.refuse(FieldError::new(at, "it is no host name").found(text).write(
                "write a host such as `kubeflow.example.com`, without scheme, port or wildcard (and in punycode)",
            ))
        }
    }
}

/// Hosts as requests are compared with them: lower case, no port, no dot at the end; or `*.` or `**.` and a domain.
pub(crate) fn hosts(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<HostPattern> {
    match HostPattern::parse(text) {
        Ok(normal) if normal.to_string() == text => Some(normal),
        Ok(normal) => context.refuse(
            FieldError::new(at, "a host is written in lower case, with no dot at its end")
                .found(text)
                .write(format!("write `{normal}`")),
        ),
        Err(error @ HostPatternError::TooWide) => {
            context.refuse(FieldError::new(at, error.to_string()).found(text).write(
                "name each host, or write `*.` (one label) or `**.` (one or more) before a domain of yours, such as \
                 `*.models.example.com`",
            ))
        }
        Err(error @ HostPatternError::NotAHost) => {
            context.refuse(FieldError::new(at, error.to_string()).found(text).write(
                "write a host such as `kubeflow.example.com`, without scheme and port (and in punycode), or \
                 `*.models.example.com` for hosts of one label more, `**.models.example.com` for hosts of any",
            ))
        }
    }
}

/// The host of an origin's URL, where it has one that requests can name.
pub(crate) fn host_of_origin(url: &str) -> Option<HostName> {
    HostName::parse(&Url::parse(url).ok()?.host()?.to_string()).ok()
}

/// Whether `http://` may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlainHttp {
    Never,
    /// Not now; this word would allow it.
    Unless(&'static str),
    /// To this machine only.
    Loopback,
    Allowed,
}

/// A URL without credentials, query and fragment.
pub(crate) fn url(context: &mut Context<'_>, at: &FieldPath, text: &str, plain_http: PlainHttp) -> Option<Url> {
    let Ok(url) = Url::parse(text) else {
        return context.refuse(
            FieldError::new(at, "it is no URL").found(text).write("write a URL such as `https://host.example.com`"),
        );
    };
    if !url.username().is_empty() || url.password().is_some() {
        return context.refuse(
            FieldError::new(at, "a URL must not hold a user name or password").write("remove what stands before `@`"),
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return context.refuse(
            FieldError::new(at, "a query or fragment does not belong here")
                .found(text)
                .write("remove what follows `?` or `#`"),
        );
    }
    if url.host_str().is_none_or(|host| Host::parse(host).is_err()) {
        // A browser's reader takes `https://{tenant}.example` for a URL; no client can call it.
        return context.refuse(
            FieldError::new(at, "its host is no host name or address")
                .found(text)
                .write("write a URL such as `https://host.example.com`, with nothing left to fill in"),
        );
    }
    let advice = match (url.scheme(), plain_http) {
        ("https", _) | ("http", PlainHttp::Allowed) => return Some(url),
        ("http", PlainHttp::Loopback) if is_loopback(&url) => return Some(url),
        ("http", PlainHttp::Unless(word)) => {
            format!("write an `https://` URL, or `{word}` where nobody else is on the line")
        }
        _ => "write an `https://` URL".to_owned(),
    };
    context.refuse(FieldError::new(at, "it is not `https://`").found(text).write(advice))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A path of ours, or that browsers are led to.
pub(crate) fn plain_path(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<PlainPath> {
    if let Ok(path) = PlainPath::parse(text) {
        return Some(path);
    }
    context.refuse(FieldError::new(at, "it is no plain path, and no request would be taken for it").found(text).write(
        "write a path that begins with `/`, of letters, digits and `-._~$&'()*+,=:@`, without `//` and dot segments",
    ))
}

/// The value of an `Origin` header (RFC 6454 section 6.2), as browsers send it.
pub(crate) fn origin(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<String> {
    let normal = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    match normal.map(|url| url.origin().ascii_serialization()) {
        Some(normal) if normal == text => Some(normal),
        Some(normal) => context.refuse(
            FieldError::new(at, "it is not written as browsers send an origin")
                .found(text)
                .write(format!("write `{normal}`")),
        ),
        None => context.refuse(
            FieldError::new(at, "it is no origin").found(text).write("write `https://host` or `https://host:port`"),
        ),
    }
}
