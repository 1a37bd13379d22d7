//! What an answer says, before it is written: the status, the headers and the body of each kind of decision.

use std::borrow::Cow;

use tonic::Code;

use super::status;
use crate::{
    check::Checked,
    decision::{Body, Decision, Mutations, Respond},
    request::Kind,
};

/// What is answered to a check.
pub(super) enum Answer<'a> {
    /// The request goes on with these changes.
    Allowed(&'a Mutations),
    /// We answer ourselves.
    Denied(Denied<'a>),
}

/// An answer of our own. Its status is never one that means "allowed".
pub(super) struct Denied<'a> {
    /// The gRPC status of the check.
    pub(super) code: Code,
    /// Why.
    pub(super) reason: &'static str,
    /// The HTTP status.
    pub(super) status: u16,
    /// The headers, each of them once.
    pub(super) headers: Headers<'a>,
    /// The body.
    pub(super) body: Cow<'a, str>,
}

type Headers<'a> = Vec<(&'static str, Cow<'a, str>)>;

impl<'a> Answer<'a> {
    pub(super) fn to(checked: &'a Checked) -> Self {
        match &checked.decision {
            Decision::Allow(allow) => Self::Allowed(allow.mutations()),
            Decision::Respond(respond) => Self::Denied(Denied::of(respond, checked.kind, checked.record.request_id())),
        }
    }
}

impl<'a> Denied<'a> {
    fn of(respond: &'a Respond, kind: Kind, request_id: &str) -> Self {
        let (body, mut headers) = body(respond, kind, request_id);
        headers.extend(common_headers(respond));
        Self {
            code: status::grpc(respond.disposition),
            reason: respond.reason.as_str(),
            status: status::http(respond.disposition),
            headers,
            body,
        }
    }
}

/// The body as the caller can read it, with the headers that tell what it is.
fn body<'a>(respond: &'a Respond, kind: Kind, request_id: &str) -> (Cow<'a, str>, Headers<'a>) {
    if kind == Kind::Grpc {
        // Envoy keeps these and answers trailers-only; a body would replace the message.
        let code = status::grpc(respond.disposition) as i32;
        let message = format!("{} (request id {request_id})", respond.reason.as_str());
        return ("".into(), vec![("grpc-status", code.to_string().into()), ("grpc-message", message.into())]);
    }
    match &respond.body {
        Body::Empty => ("".into(), Vec::new()),
        Body::Json(document) => (document.into(), vec![("content-type", "application/json".into())]),
        Body::Problem => {
            (problem(respond, request_id).into(), vec![("content-type", "application/problem+json".into())])
        }
        Body::Page(page) => (
            page.html.as_str().into(),
            vec![
                ("content-type", "text/html; charset=utf-8".into()),
                ("content-security-policy", page.content_security_policy.as_str().into()),
                ("cross-origin-opener-policy", "same-origin".into()),
            ],
        ),
    }
}

/// RFC 9457, with the reason and the request's id as extension members.
fn problem(respond: &Respond, request_id: &str) -> String {
    serde_json::json!({
        "type": "about:blank",
        "title": status::title(respond.disposition),
        "status": status::http(respond.disposition),
        "detail": match &respond.detail {
            Some(detail) => format!("{} {detail}", respond.reason.summary()),
            None => respond.reason.summary().to_owned(),
        },
        "reason": respond.reason.as_str(),
        "request_id": request_id,
    })
    .to_string()
}

fn common_headers(respond: &Respond) -> Headers<'_> {
    let mut headers: Headers<'_> = vec![
        ("cache-control", "no-store".into()),
        ("referrer-policy", "no-referrer".into()),
        ("x-content-type-options", "nosniff".into()),
    ];
    if let Some(location) = &respond.location {
        headers.push(("location", location.as_str().into()));
    }
    if let Some(cookie) = &respond.set_cookie {
        headers.push(("set-cookie", cookie.header().as_str().to_owned().into()));
    }
    if let Some(after) = respond.retry_after {
        headers.push(("retry-after", after.as_secs().max(1).to_string().into()));
    }
    if let Some(challenge) = &respond.challenge {
        headers.push(("www-authenticate", challenge.as_str().into()));
    }
    if let Some(methods) = &respond.allow_methods {
        headers.push(("allow", methods.as_str().into()));
    }
    if respond.clear_site_data {
        headers.push(("clear-site-data", "\"storage\"".into()));
    }
    headers
}
