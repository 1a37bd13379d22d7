//! The same, in and out, by `envoy-types` alone: what `decode` and `encode` are compared with.

use envoy_types::pb::{
    envoy::{
        config::core::v3::{
            HeaderValue, HeaderValueOption, address, header_value_option::HeaderAppendAction, socket_address,
        },
        service::auth::v3::{
            AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
            attribute_context::HttpRequest, check_response::HttpResponse,
        },
        r#type::v3::HttpStatus,
    },
    google::rpc::Status,
};
use tonic::Code;

use super::answer::{Answer, Denied};
use crate::{check::Checked, decision::Mutations, request::RawRequest};

/// What a message says of a request. The lines of Envoy's usual encoding come in any order.
pub(crate) fn raw_request(request: CheckRequest) -> RawRequest {
    let attributes = request.attributes.unwrap_or_default();
    let source = source(&attributes);
    let http = attributes.request.and_then(|request| request.http).unwrap_or_default();
    let HttpRequest { method, host, path, headers, header_map, .. } = http;
    let mut raw = RawRequest::new(&method, &host, &path);
    for (name, value) in headers {
        raw.add_header(&name, &value);
    }
    for header in header_map.into_iter().flat_map(|map| map.headers) {
        raw.add_header(&header.key, &value(&header));
    }
    match source {
        Some(source) => raw.from_peer(&source),
        None => raw,
    }
}

/// A byte that is not UTF-8 becomes `!`, as Envoy itself writes it in the other encoding.
fn value(header: &HeaderValue) -> String {
    if header.raw_value.is_empty() {
        return header.value.clone();
    }
    let chunks = header.raw_value.utf8_chunks();
    chunks.flat_map(|chunk| [chunk.valid().to_owned(), "!".repeat(chunk.invalid().len())]).collect()
}

/// The peer's address, as the proxy saw it. Never from a header.
fn source(attributes: &AttributeContext) -> Option<String> {
    match attributes.source.as_ref()?.address.as_ref()?.address.as_ref()? {
        address::Address::SocketAddress(socket) => match socket.port_specifier {
            Some(socket_address::PortSpecifier::PortValue(_)) | None => Some(socket.address.clone()),
            Some(socket_address::PortSpecifier::NamedPort(_)) => None,
        },
        _ => None,
    }
}

/// The answer to a check.
pub(crate) fn response(checked: &Checked) -> CheckResponse {
    match Answer::to(checked) {
        Answer::Allowed(mutations) => allowed(mutations),
        Answer::Denied(denied) => denied_response(denied),
    }
}

fn allowed(mutations: &Mutations) -> CheckResponse {
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

fn denied_response(denied: Denied<'_>) -> CheckResponse {
    let Denied { code, reason, status, headers, body } = denied;
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: status.into() }),
        headers: headers.into_iter().map(|(name, value)| overwrite(name, &value)).collect(),
        body: body.into_owned(),
    };
    CheckResponse {
        status: Some(Status { code: code as i32, message: reason.to_owned(), ..Status::default() }),
        http_response: Some(HttpResponse::DeniedResponse(denied)),
        ..CheckResponse::default()
    }
}

fn overwrite(name: &str, value: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: name.to_owned(), value: value.to_owned(), ..HeaderValue::default() }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    }
}
