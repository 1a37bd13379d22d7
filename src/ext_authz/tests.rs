use std::collections::BTreeSet;

use envoy_types::pb::envoy::{
    config::core::v3::{HeaderMap, HeaderValue},
    service::auth::v3::{
        AttributeContext, CheckRequest, CheckResponse, attribute_context, check_response::HttpResponse,
    },
};
use http::HeaderName;
use prost::Message as _;

use super::{decode, encode, reference, status};
use crate::{
    check::{CheckRecord, Checked},
    decision::{Allow, Body, Decision, HeaderText, Location, Mutations, Page, Respond, SetCookie},
    reason::{Disposition, Reason},
    request::{Kind, RawRequest},
};

fn checked(decision: Decision, kind: Kind) -> Checked {
    Checked { decision, record: CheckRecord::for_tests("request-1"), kind }
}

/// The answer as Envoy reads it: `envoy-types` would have written the same bytes.
fn response(checked: &Checked) -> CheckResponse {
    let framed = encode::framed(checked);
    let (prefix, message) = framed.split_at(encode::PREFIX);
    assert_eq!(prefix, [&[0], &u32::try_from(message.len()).unwrap().to_be_bytes()[..]].concat());
    assert_eq!(message, reference::response(checked).encode_to_vec());
    CheckResponse::decode(message).unwrap()
}

fn denied(response: CheckResponse) -> (i32, i32, Vec<(String, String)>, String) {
    let grpc = response.status.unwrap().code;
    let Some(HttpResponse::DeniedResponse(denied)) = response.http_response else { panic!("not a denial") };
    let headers = denied.headers.into_iter().map(|option| option.header.unwrap());
    (grpc, denied.status.unwrap().code, headers.map(|header| (header.key, header.value)).collect(), denied.body)
}

#[test]
fn no_answer_of_ours_can_be_read_as_allowed() {
    for disposition in Disposition::ALL {
        for kind in [Kind::Navigation, Kind::Script, Kind::Grpc, Kind::WebSocket] {
            let respond = Respond { disposition, ..Respond::new(Reason::NotSignedIn) };
            let (grpc, http, headers, _) = denied(response(&checked(Decision::Respond(respond), kind)));
            assert_ne!(grpc, 0, "{disposition:?}");
            assert_eq!(http, i32::from(status::http(disposition)));
            assert!(headers.contains(&("cache-control".into(), "no-store".into())));
        }
    }
}

#[test]
fn headers_overwrite_and_none_is_both_set_and_removed() {
    let mut mutations = Mutations::new();
    mutations.set(&HeaderName::from_static("kubeflow-userid"), HeaderText::from_static("a"));
    mutations.remove("kubeflow-userid");
    mutations.remove("kubeflow_userid");
    let response = response(&checked(Decision::Allow(Allow::new(Reason::Session, mutations)), Kind::Script));
    assert_eq!(response.status.unwrap().code, 0);
    let Some(HttpResponse::OkResponse(ok)) = response.http_response else { panic!("not allowed") };
    let [header] = ok.headers.as_slice() else { panic!("{:?}", ok.headers) };
    assert_eq!(header.append_action, 2, "overwrite if exists or add");
    let header = header.header.as_ref().unwrap();
    assert_eq!((header.key.as_str(), header.value.as_str()), ("kubeflow-userid", "a"));
    assert!(header.raw_value.is_empty());
    assert_eq!(ok.headers_to_remove, ["kubeflow_userid"]);
}

#[test]
fn a_program_is_told_the_reason_and_the_request_id() {
    let respond = Respond::new(Reason::NotPermitted);
    let (_, _, headers, body) = denied(response(&checked(Decision::Respond(respond), Kind::Script)));
    assert!(headers.contains(&("content-type".into(), "application/problem+json".into())));
    let document: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(document["reason"], "not_permitted");
    assert_eq!(document["request_id"], "request-1");
    assert_eq!(document["status"], 403);
}

#[test]
fn a_grpc_caller_gets_trailers_and_no_body() {
    let respond = Respond::new(Reason::ApiServerUnavailable);
    let (_, _, headers, body) = denied(response(&checked(Decision::Respond(respond), Kind::Grpc)));
    assert_eq!(body, "");
    assert!(headers.contains(&("grpc-status".into(), "14".into())));
    let message = headers.iter().find(|(name, _)| name == "grpc-message").unwrap();
    assert!(message.1.contains("api_server_unavailable") && message.1.contains("request-1"));
}

#[test]
fn every_header_of_an_answer_occurs_once() {
    let page = Page { html: "<p>".into(), content_security_policy: HeaderText::from_static("default-src 'none'") };
    let respond = Respond {
        body: Body::Page(page),
        location: Location::on_origin("https://kf.example.com", "/").ok(),
        set_cookie: SetCookie::new("__Host-a", "b", None).ok(),
        retry_after: Some(std::time::Duration::from_millis(1)),
        challenge: Some(HeaderText::from_static("Bearer")),
        allow_methods: Some(HeaderText::from_static("GET")),
        ..Respond::new(Reason::Page)
    };
    let (_, _, headers, _) = denied(response(&checked(Decision::Respond(respond), Kind::Navigation)));
    let names: BTreeSet<_> = headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), headers.len());
    assert_eq!(names.iter().filter(|name| **name == "set-cookie").count(), 1);
    assert!(headers.contains(&("retry-after".into(), "1".into())), "never 0, which would mean at once");
}

#[test]
fn the_document_tells_the_status_of_every_reason() {
    let rows =
        include_str!("../../docs/reasons.md").lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let told: Vec<(&str, &str)> =
        rows.map(|(code, rest)| (code, rest.split('|').nth(1).unwrap_or_default().trim())).collect();
    let statuses = |reason: &Reason| {
        let statuses = reason.dispositions().iter().map(|kind| status::http(*kind).to_string());
        statuses.collect::<Vec<_>>().join(", ")
    };
    let given: Vec<(&str, String)> = Reason::ALL.iter().map(|reason| (reason.as_str(), statuses(reason))).collect();
    let given =
        given.iter().map(|(code, statuses)| (*code, if statuses.is_empty() { "passes" } else { statuses.as_str() }));
    assert_eq!(told, given.collect::<Vec<_>>());
}

fn request(http: attribute_context::HttpRequest) -> CheckRequest {
    let request = attribute_context::Request { http: Some(http), ..Default::default() };
    CheckRequest { attributes: Some(AttributeContext { request: Some(request), ..Default::default() }) }
}

fn read(request: &CheckRequest) -> RawRequest {
    decode::raw_request(&request.encode_to_vec()).unwrap()
}

#[test]
fn both_header_encodings_are_read() {
    let header = |key: &str, raw: &[u8]| HeaderValue { key: key.into(), raw_value: raw.to_vec(), ..Default::default() };
    let raw = read(&request(attribute_context::HttpRequest {
        method: "GET".into(),
        header_map: Some(HeaderMap {
            headers: vec![header("cookie", b"a=1"), header("cookie", b"b=\xff2"), header("x", b"")],
        }),
        ..Default::default()
    }));
    let lines = |raw: &RawRequest| -> Vec<(String, String)> {
        raw.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(lines(&raw), [line("cookie", "a=1"), line("cookie", "b=!2"), line("x", "")]);

    let raw = read(&request(attribute_context::HttpRequest {
        headers: [("cookie".to_owned(), "a=1,b=2".to_owned())].into(),
        ..Default::default()
    }));
    assert_eq!(lines(&raw), [line("cookie", "a=1,b=2")]);
}

#[test]
fn an_empty_request_is_read_as_empty_not_as_an_error() {
    let raw = read(&CheckRequest::default());
    assert_eq!((raw.method(), raw.host(), raw.path()), ("", "", ""));
}
