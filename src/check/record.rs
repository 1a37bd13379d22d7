//! The one record of a check. It never holds a credential, and paths are without their query.

use std::time::Duration;

use crate::{
    decision::Decision,
    reason::{Disposition, Reason},
    request::{RawRequest, Request, RequestId},
};

/// The most bytes of a value from outside that a record keeps.
const MAX_OUTSIDE_BYTES: usize = 256;

/// What the log and the metrics say of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRecord {
    /// Why it was decided so.
    pub reason: Reason,
    /// Whether the request goes on.
    pub allowed: bool,
    /// The kind of our own answer.
    pub disposition: Option<Disposition>,
    /// The name of the rule.
    pub rule: Option<String>,
    /// Who was authenticated.
    pub principal: Option<String>,
    /// The request's id.
    pub request_id: String,
    method: String,
    host: String,
    path: String,
    source: String,
}

impl CheckRecord {
    /// The record of a request before anything is known but what came.
    pub(super) fn of_raw(raw: &RawRequest, id: &RequestId, reason: Reason, disposition: Disposition) -> Self {
        Self {
            reason,
            allowed: false,
            disposition: Some(disposition),
            rule: None,
            principal: None,
            request_id: id.as_str().to_owned(),
            method: outside(&raw.method),
            // An authority may hold a password, and so may a target that is a whole URL.
            host: outside(raw.host.rsplit('@').next().unwrap_or_default()),
            path: outside(raw.path.split(['?', '#']).next().filter(|path| path.starts_with('/')).unwrap_or_default()),
            source: outside(raw.source.as_deref().unwrap_or_default()),
        }
    }

    /// The record of a request of which nothing could be read.
    pub(super) fn of_nothing() -> Self {
        Self::of_raw(&RawRequest::default(), &RequestId::generate(), Reason::Internal, Disposition::Internal)
    }

    /// A record of nothing but a request's id.
    #[cfg(test)]
    pub(crate) fn for_tests(request_id: &str) -> Self {
        Self { request_id: request_id.to_owned(), ..Self::of_nothing() }
    }

    /// The record of a request before it is decided.
    pub(super) fn of_request(request: &Request) -> Self {
        Self {
            reason: Reason::Internal,
            allowed: false,
            disposition: Some(Disposition::Internal),
            rule: None,
            principal: None,
            request_id: request.request_id().as_str().to_owned(),
            method: request.method().to_owned(),
            host: outside(request.host().name()),
            path: outside(request.path().raw()),
            source: outside(request.source().unwrap_or_default()),
        }
    }

    pub(super) fn decided(&mut self, decision: &Decision) {
        self.reason = decision.reason();
        (self.allowed, self.disposition) = match decision {
            Decision::Allow(_) => (true, None),
            Decision::Respond(respond) => (false, Some(respond.disposition)),
        };
    }

    /// What came of it, for a metric's label.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self.disposition {
            None => "allowed",
            Some(Disposition::Ok | Disposition::Created | Disposition::Found | Disposition::SeeOther) => "answered",
            Some(Disposition::Unavailable | Disposition::TooManyRequests | Disposition::Internal) => "failed",
            Some(
                Disposition::BadRequest
                | Disposition::Unauthorized
                | Disposition::InvalidToken
                | Disposition::Forbidden
                | Disposition::NotFound
                | Disposition::MethodNotAllowed
                | Disposition::Misdirected,
            ) => "denied",
        }
    }

    pub(super) fn log(&self, elapsed: Duration) {
        tracing::info!(
            target: "portcullis::check",
            outcome = self.outcome(),
            reason = self.reason.as_str(),
            rule = self.rule.as_deref().unwrap_or_default(),
            principal = self.principal.as_deref().unwrap_or_default(),
            request_id = self.request_id,
            method = self.method,
            host = self.host,
            path = self.path,
            source = self.source,
            elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            "check"
        );
    }
}

/// A value from outside as a log may hold it: escaped, and cut at a character's boundary.
fn outside(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len().min(MAX_OUTSIDE_BYTES));
    for character in text.chars() {
        let next: String = if matches!(character, ' '..='~') && character != '\\' {
            character.into()
        } else {
            character.escape_default().collect()
        };
        if escaped.len() + next.len() > MAX_OUTSIDE_BYTES {
            break;
        }
        escaped.push_str(&next);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_never_holds_a_query() {
        let raw = RawRequest { path: "/callback?code=secret#x".into(), ..RawRequest::default() };
        let of_raw = |raw: &RawRequest| {
            CheckRecord::of_raw(raw, &RequestId::generate(), Reason::MalformedRequest, Disposition::BadRequest)
        };
        let record = of_raw(&raw);
        assert_eq!(record.path, "/callback");
        let raw =
            RawRequest { host: "me:secret@kf".into(), path: "https://me:secret@kf/".into(), ..RawRequest::default() };
        assert_eq!((of_raw(&raw).host.as_str(), of_raw(&raw).path.as_str()), ("kf", ""));
        assert!(!record.request_id.is_empty());
    }

    #[test]
    fn values_from_outside_are_escaped_and_cut() {
        assert_eq!(outside("/a b"), "/a b");
        assert_eq!(outside("/a\nb\u{1b}[31m\u{202e}\\"), "/a\\nb\\u{1b}[31m\\u{202e}\\\\");
        assert_eq!(outside(&"ü".repeat(1000)).len() / 6, 42);
        assert!(outside(&"a".repeat(1000)).len() == MAX_OUTSIDE_BYTES);
    }
}
