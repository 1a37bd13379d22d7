//! What the harness learns of secrets from the messages that pass through its hands.

use envoy_types::ext_authz::v3::pb::{CheckResponse, HeaderValueOption, HttpResponse};
use serde_json::Value as Json;
use url::Url;

use super::collector::{Collector, page, secret};
use super::forms::signature;
use super::kinds::Kind;
use crate::faults::Fault;
use crate::raw_client::Response;
use crate::upstream::Received;
use crate::wire::HeaderLines;

/// No cookie of ours is shorter.
const SHORTEST_COOKIE: usize = 32;

/// Whether evidence is kept at all: else nothing needs to be read.
fn is_kept() -> bool {
    Collector::of_this_process().is_some()
}

/// Learns what a client received: cookies, where it is sent, and the page.
pub fn response(response: &Response) {
    if is_kept() {
        headers(&response.headers);
        // The upstreams of the tests answer with what they received, an assertion among it.
        if response.echo().is_err() {
            page(&response.body);
        }
    }
}

/// Learns what the gateway is told.
pub fn check_answer(answer: &CheckResponse) {
    if !is_kept() {
        return;
    }
    match &answer.http_response {
        Some(HttpResponse::DeniedResponse(denied)) => {
            headers(&lines(&denied.headers));
            page(denied.body.as_bytes());
        }
        Some(HttpResponse::OkResponse(ok)) => {
            headers(&lines(&ok.response_headers_to_add));
            to_upstream(&lines(&ok.headers));
        }
        _ => {}
    }
}

fn lines(options: &[HeaderValueOption]) -> HeaderLines {
    let header = |option: &HeaderValueOption| option.header.clone().map(|header| (header.key, header.value));
    HeaderLines(options.iter().filter_map(header).collect())
}

/// Learns what a service behind the gateway received.
pub fn received(request: &Received) {
    if is_kept() {
        to_upstream(&request.headers);
    }
}

fn to_upstream(headers: &HeaderLines) {
    let signed = headers.0.iter().filter(|(_, value)| signature(value).is_some());
    for (name, value) in signed.filter(|(name, _)| !name.eq_ignore_ascii_case("authorization")) {
        let kind = if name.to_ascii_lowercase().contains("cookie") { Kind::Ticket } else { Kind::Assertion };
        secret(kind, value);
    }
}

fn headers(headers: &HeaderLines) {
    headers.all("set-cookie").into_iter().for_each(cookie);
    if let Some(url) = headers.only("location").and_then(|location| Url::parse(location).ok()) {
        callback(&url);
    }
}

/// Learns a cookie from the value of `Set-Cookie`.
pub fn cookie(set_cookie: &str) {
    let pair = set_cookie.split(';').next().unwrap_or_default();
    if let Some((name, value)) = pair.split_once('=').filter(|(_, value)| value.len() >= SHORTEST_COOKIE) {
        secret(if name.ends_with("-login") { Kind::LoginCookie } else { Kind::Ticket }, value);
    }
}

/// Learns a code and a `state` from a URL, to the provider or back.
pub fn callback(url: &Url) {
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "state" => secret(Kind::State, &value),
            "code" => secret(Kind::Code, &value),
            _ => {}
        }
    }
}

/// Learns from a header line that a client sends: what it shows as `authorization`, whatever the scheme.
pub fn sent(name: &str, value: &str) {
    if !name.eq_ignore_ascii_case("authorization") {
        return;
    }
    let credential = value.rsplit(' ').next().unwrap_or_default();
    // Of a token its signature is enough, and floods make many.
    secret(Kind::Bearer, signature(credential).unwrap_or(credential));
}

/// Learns what a client sent to the token endpoint (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
pub fn token_request<'a>(parameters: impl IntoIterator<Item = (&'a String, &'a String)>) {
    for (name, value) in parameters {
        match name.as_str() {
            "code" => secret(Kind::Code, value),
            "code_verifier" => secret(Kind::Verifier, value),
            "refresh_token" => secret(Kind::RefreshToken, value),
            "client_secret" => secret(Kind::ClientSecret, value),
            _ => {}
        }
    }
}

/// Learns what the token endpoint answers (RFC 6749 section 5.1).
pub fn token_answer(answer: &Json) {
    for (name, kind) in
        [("access_token", Kind::AccessToken), ("refresh_token", Kind::RefreshToken), ("id_token", Kind::IdToken)]
    {
        if let Some(value) = answer[name].as_str() {
            secret(kind, value);
        }
    }
}

/// Learns what a scripted answer of the token endpoint holds.
pub fn fault(fault: &Fault) {
    if let Fault::Body(body) = fault
        && let Ok(answer) = serde_json::from_str(body)
    {
        token_answer(&answer);
    }
}
