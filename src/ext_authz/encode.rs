//! Our decision as Envoy's response. The one function that makes a `CheckResponse`: an empty one would mean "allowed".

use envoy_types::pb::{
    envoy::{
        config::core::v3::{HeaderValue, HeaderValueOption, header_value_option::HeaderAppendAction},
        service::auth::v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse, check_response::HttpResponse},
        r#type::v3::HttpStatus,
    },
    google::rpc::Status,
};
use tonic::Code;

use super::status;
use crate::{
    check::Checked,
    decision::{Allow, Body, Decision, Respond},
    request::Kind,
};

pub(super) fn response(checked: Checked) -> CheckResponse {
    answer(checked.decision, checked.kind, checked.record.request_id())
}

pub(super) fn answer(decision: Decision, kind: Kind, request_id: &str) -> CheckResponse {
    match decision {
        Decision::Allow(allow) => allowed(&allow),
        Decision::Respond(respond) => denied(&respond, kind, request_id),
    }
}

fn allowed(allow: &Allow) -> CheckResponse {
    let mutations = allow.mutations();
    let ok = OkHttpResponse {
        headers: mutations.sets().map(|(name, value)| overwrite(name, value.as_str())).collect(),
        headers_to_remove: mutations.removes().map(str::to_owned).collect(),
        response_headers_to_add: mutations
            .response_sets()
            .map(|(name, value)| overwrite(name, value.as_str()))
            .collect(),
        ..OkHttpResponse::default()
    };
    CheckResponse {
        status: Some(Status { code: Code::Ok as i32, ..Status::default() }),
        http_response: Some(HttpResponse::OkResponse(ok)),
        ..CheckResponse::default()
    }
}

fn denied(respond: &Respond, kind: Kind, request_id: &str) -> CheckResponse {
    let code = status::grpc(respond.disposition);
    let (body, mut headers) = body(respond, kind, request_id);
    headers.extend(common_headers(respond));
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: status::http(respond.disposition).into() }),
        headers: headers.into_iter().map(|(name, value)| overwrite(name, &value)).collect(),
        body,
    };
    CheckResponse {
        status: Some(Status { code: code as i32, message: respond.reason.as_str().to_owned(), ..Status::default() }),
        http_response: Some(HttpResponse::DeniedResponse(denied)),
        ..CheckResponse::default()
    }
}

type Headers = Vec<(&'static str, String)>;

/// The body as the caller can read it, with the headers that tell what it is.
fn body(respond: &Respond, kind: Kind, request_id: &str) -> (String, Headers) {
    if kind == Kind::Grpc {
        // Envoy keeps these and answers trailers-only; a body would replace the message.
        let code = status::grpc(respond.disposition) as i32;
        let message = format!("{} (request id {request_id})", respond.reason.as_str());
        return (String::new(), vec![("grpc-status", code.to_string()), ("grpc-message", message)]);
    }
    match &respond.body {
        Body::Empty => (String::new(), Vec::new()),
        Body::Json(document) => (document.clone(), vec![("content-type", "application/json".to_owned())]),
        Body::Problem => (problem(respond, request_id), vec![("content-type", "application/problem+json".to_owned())]),
        Body::Page(page) => (
            page.html.clone(),
            vec![
                ("content-type", "text/html; charset=utf-8".to_owned()),
                ("content-security-policy", page.content_security_policy.as_str().to_owned()),
                ("cross-origin-opener-policy", "same-origin".to_owned()),
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
        "detail": respond.reason.summary(),
        "reason": respond.reason.as_str(),
        "request_id": request_id,
    })
    .to_string()
}

fn common_headers(respond: &Respond) -> Headers {
    let mut headers = vec![
        ("cache-control", "no-store".to_owned()),
        ("referrer-policy", "no-referrer".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
    ];
    let mut add = |name, value: Option<String>| headers.extend(value.map(|value| (name, value)));
    add("location", respond.location.as_ref().map(|location| location.as_str().to_owned()));
    add("set-cookie", respond.set_cookie.as_ref().map(|cookie| cookie.header().as_str().to_owned()));
    add("retry-after", respond.retry_after.map(|after| after.as_secs().max(1).to_string()));
    add("www-authenticate", respond.challenge.as_ref().map(|challenge| challenge.as_str().to_owned()));
    add("allow", respond.allow_methods.as_ref().map(|methods| methods.as_str().to_owned()));
    headers
}

/// Replaces every value of the header. `append` stays unset and the action says the same: releases that read the one and
/// those that read the other agree on it.
fn overwrite(name: &str, value: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: name.to_owned(), value: value.to_owned(), ..HeaderValue::default() }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    }
}
