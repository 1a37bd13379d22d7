//! Envoy's request, from either header encoding.

use envoy_types::pb::envoy::{
    config::core::v3::{HeaderValue, address, socket_address},
    service::auth::v3::{AttributeContext, CheckRequest, attribute_context::HttpRequest},
};

use crate::request::RawRequest;

/// Reads what Envoy sent. What is missing stays empty: the parser behind refuses it.
pub(super) fn raw_request(request: CheckRequest) -> RawRequest {
    let attributes = request.attributes.unwrap_or_default();
    let source = source(&attributes);
    let http = attributes.request.and_then(|request| request.http).unwrap_or_default();
    let HttpRequest { method, host, path, headers, header_map, .. } = http;
    let mut lines: Vec<(String, String)> = headers.into_iter().collect();
    if let Some(map) = header_map {
        lines.extend(map.headers.into_iter().map(line));
    }
    let raw = RawRequest::new(&method, &host, &path);
    let raw = lines.iter().fold(raw, |raw, (name, value)| raw.header(name, value));
    match source {
        Some(source) => raw.from_peer(&source),
        None => raw,
    }
}

/// One line of the raw encoding. A byte that is not UTF-8 becomes `!`, as Envoy itself writes it in the other encoding.
fn line(header: HeaderValue) -> (String, String) {
    let value = if header.raw_value.is_empty() {
        header.value
    } else {
        match String::from_utf8(header.raw_value) {
            Ok(text) => text,
            Err(error) => replace_invalid(error.as_bytes()),
        }
    };
    (header.key, value)
}

fn replace_invalid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(std::iter::repeat_n('!', chunk.invalid().len()));
    }
    text
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
