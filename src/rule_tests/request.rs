//! A case's request as a gateway would bring it, but for the credential, which is made when the case runs.

use std::collections::BTreeMap;

use super::form;
use crate::{
    config_file::{FieldError, FieldPath},
    decision::HeaderName,
    request::{Host, HostName, RawRequest},
};

/// From where all requests come (RFC 5737).
const PEER: &str = "192.0.2.1";
const COOKIE: &str = "cookie";

/// A request without a credential of ours.
#[derive(Debug)]
pub(super) struct Request {
    method: String,
    authority: String,
    host: HostName,
    /// The path with its query, as it is sent.
    target: String,
    /// By name in lower case.
    headers: BTreeMap<String, String>,
    is_navigation: bool,
}

/// What proves who sends a request.
pub(super) enum Credential {
    /// A session's cookie, `NAME=TICKET`, and the origin that it is for.
    Cookie { pair: String, origin: String },
    /// A bearer token.
    Bearer(String),
}

impl Request {
    pub(super) fn read(at: &FieldPath, written: &form::Request, errors: &mut Vec<FieldError>) -> Option<Self> {
        let address = address(&written.url).inspect_err(|problem| {
            let error = FieldError::new(&at.key("url"), *problem).found(&written.url);
            errors.push(error.write("write a whole address such as `https://kubeflow.example.com/pipeline/?x=y`"));
        });
        let headers = headers(&at.key("headers"), &written.headers, errors);
        let Address { authority, host, target } = address.ok()?;
        let (method, is_navigation) = (written.method.clone(), written.navigation);
        Some(Self { method, authority, host, target, headers: headers?, is_navigation })
    }

    /// The host that is asked for.
    pub(super) const fn host(&self) -> &HostName {
        &self.host
    }

    /// The value of a header that is written, by its name in lower case.
    pub(super) fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// The request as the gateway tells it.
    pub(super) fn with(&self, credential: Option<&Credential>) -> RawRequest {
        let mut headers = self.browsers(credential);
        headers.extend(self.headers.clone());
        match credential {
            Some(Credential::Cookie { pair, .. }) => {
                // Envoy makes one line of several.
                let cookies = headers.entry(COOKIE.to_owned()).or_default();
                *cookies = if cookies.is_empty() { pair.clone() } else { format!("{cookies}; {pair}") };
            }
            Some(Credential::Bearer(token)) => {
                headers.insert("authorization".to_owned(), format!("Bearer {token}"));
            }
            None => {}
        }
        let raw = RawRequest::new(&self.method, &self.authority, &self.target).from_peer(PEER);
        headers.iter().fold(raw, |raw, (name, value)| raw.header(name, value))
    }

    /// The headers of a browser (Fetch Metadata) that is told to go to a page, or whose session a page of the same origin
    /// uses. Where a table tells some itself, a page's are not added.
    fn browsers(&self, credential: Option<&Credential>) -> BTreeMap<String, String> {
        let is_told = self.headers.keys().any(|name| name.starts_with("sec-fetch-") || name == "origin");
        let origin = match credential {
            Some(Credential::Cookie { origin, .. }) => Some(origin.as_str()),
            _ => None,
        };
        let is_safe = matches!(self.method.as_str(), "GET" | "HEAD");
        let told: &[(&str, &str)] = if self.is_navigation {
            let site = if is_safe { "none" } else { "same-origin" };
            &[
                ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
                ("sec-fetch-dest", "document"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-site", site),
            ]
        } else if origin.is_some() && !is_told {
            &[
                ("accept", "*/*"),
                ("sec-fetch-dest", "empty"),
                ("sec-fetch-mode", "cors"),
                ("sec-fetch-site", "same-origin"),
            ]
        } else {
            &[]
        };
        // A page tells its origin with whatever changes something (Fetch standard, "append a request `Origin` header").
        let origin = origin.filter(|_| !told.is_empty() && !is_safe).map(|origin| ("origin", origin));
        told.iter().copied().chain(origin).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

struct Address {
    authority: String,
    host: HostName,
    target: String,
}

/// Parts an address without changing a byte of its path: what is ambiguous is to be tested, too.
fn address(url: &str) -> Result<Address, &'static str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let rest = rest.ok_or("it is no `https://` address")?;
    if rest.contains('#') {
        return Err("a browser does not send what follows a `#`");
    }
    if rest.chars().any(|next| next.is_control() || next == ' ') {
        return Err("it holds a space or a control, which no request line can");
    }
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = Host::parse(authority).map_err(|_| "it names no host")?;
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    Ok(Address { authority: authority.to_owned(), host: host.host_name().clone(), target })
}

fn headers(
    at: &FieldPath,
    written: &BTreeMap<String, String>,
    errors: &mut Vec<FieldError>,
) -> Option<BTreeMap<String, String>> {
    let before = errors.len();
    let mut headers = BTreeMap::new();
    for (name, value) in written {
        let at = at.key(name);
        let Some(name) = header_name(&at, name, errors) else { continue };
        if value.chars().any(char::is_control) {
            errors.push(FieldError::new(&at, "the value holds a control, which no header can").found(value));
        } else if headers.insert(name, value.clone()).is_some() {
            errors.push(FieldError::new(&at, "the header is written twice, in upper and in lower case"));
        }
    }
    (errors.len() == before).then_some(headers)
}

/// A header's name in lower case.
pub(super) fn header_name(at: &FieldPath, name: &str, errors: &mut Vec<FieldError>) -> Option<String> {
    let read = HeaderName::from_bytes(name.as_bytes());
    if read.is_err() {
        errors.push(FieldError::new(at, "it is no header's name").found(name));
    }
    read.ok().map(|name| name.as_str().to_owned())
}
