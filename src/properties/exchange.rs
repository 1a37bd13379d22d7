//! A message of Envoy and our answer to it, read by other code than the product's own.

use envoy_types::pb::envoy::{
    config::core::v3::HeaderValueOption,
    service::auth::v3::{
        AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse, attribute_context,
        check_response::HttpResponse,
    },
};
use prost::Message as _;

use super::{codec::messages_are_read_as_by_the_stock_codec, house::House};
use crate::{check::CheckRecord, ext_authz::reference};

/// A header line.
pub(super) type Line = (String, String);

/// A check, from the encoded message to the answer.
///
/// An input names the credentials that are good here as `{ticket}` and `{token}`: it cannot know them.
#[derive(Debug)]
pub struct Exchange {
    pub(super) asked: attribute_context::HttpRequest,
    pub(super) record: CheckRecord,
    pub(super) answer: CheckResponse,
    pub(super) ticket: String,
    pub(super) token: String,
}

impl Exchange {
    /// What comes of these bytes as the message that Envoy sends; `None` where they are none.
    #[must_use]
    pub fn of_message(message: &[u8]) -> Option<Self> {
        Some(Self::of(CheckRequest::decode(message).ok()?))
    }

    pub(super) fn of(request: CheckRequest) -> Self {
        Self::at(&House::new(), request)
    }

    /// What comes of a request at this gatekeeper, as it is read from the wire.
    pub(super) fn at(house: &House, request: CheckRequest) -> Self {
        let wire = filled(request, house).encode_to_vec();
        messages_are_read_as_by_the_stock_codec(&wire);
        let (checked, answer) = house.answer(&wire).expect("what was encoded decodes");
        assert_eq!(answer, reference::response(&checked).encode_to_vec(), "envoy-types writes it otherwise");
        let asked = CheckRequest::decode(wire.as_slice()).expect("what was encoded decodes");
        let asked = asked.attributes.and_then(|attributes| attributes.request).and_then(|request| request.http);
        Self {
            asked: asked.unwrap_or_default(),
            record: checked.record,
            answer: CheckResponse::decode(answer.as_slice()).expect("the answer is a message"),
            ticket: house.ticket().to_owned(),
            token: house.token().to_owned(),
        }
    }

    /// The header lines that came, names in lower case, in either of Envoy's encodings.
    pub(super) fn received(&self) -> Vec<Line> {
        let joined = self.asked.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
        let raw = self.asked.header_map.iter().flat_map(|map| &map.headers).map(|header| {
            let value = if header.raw_value.is_empty() { header.value.as_bytes() } else { &header.raw_value };
            (header.key.clone(), as_envoy_writes(value))
        });
        let lines = joined.chain(raw).map(|(name, value)| (name.to_ascii_lowercase(), value));
        lines.filter(|(name, _)| !name.starts_with(':')).collect()
    }

    /// The received values of this name.
    pub(super) fn received_values(&self, name: &str) -> Vec<String> {
        self.received().into_iter().filter(|(have, _)| have == name).map(|(_, value)| value).collect()
    }

    /// What goes on to the service: the header lines after our changes, as Envoy makes them. `None` where we answered.
    pub(super) fn upstream(&self) -> Option<Vec<Line>> {
        let ok = self.allowed()?;
        let mut lines = self.received();
        for (name, value) in lines_of(&ok.headers) {
            lines.retain(|(have, _)| !have.eq_ignore_ascii_case(&name));
            lines.push((name, value));
        }
        lines.retain(|(have, _)| !ok.headers_to_remove.iter().any(|name| name.eq_ignore_ascii_case(have)));
        Some(lines)
    }

    pub(super) fn allowed(&self) -> Option<&OkHttpResponse> {
        match &self.answer.http_response {
            Some(HttpResponse::OkResponse(ok)) => Some(ok),
            _ => None,
        }
    }

    pub(super) fn denied(&self) -> Option<&DeniedHttpResponse> {
        match &self.answer.http_response {
            Some(HttpResponse::DeniedResponse(denied)) => Some(denied),
            _ => None,
        }
    }

    /// Every header option that the answer holds: for the request that goes on, and for the client.
    pub(super) fn sent(&self) -> Vec<&HeaderValueOption> {
        let allowed = self.allowed().into_iter().flat_map(|ok| ok.headers.iter().chain(&ok.response_headers_to_add));
        allowed.chain(self.denied().into_iter().flat_map(|denied| &denied.headers)).collect()
    }

    /// The header lines that the client gets from us.
    pub(super) fn to_client(&self) -> Vec<Line> {
        let allowed = self.allowed().map(|ok| lines_of(&ok.response_headers_to_add));
        let denied = self.denied().map(|denied| lines_of(&denied.headers));
        allowed.into_iter().chain(denied).flatten().collect()
    }

    /// The value of the first line of this name that the client gets from us.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.to_client().into_iter().find(|(have, _)| have == name).map(|(_, value)| value)
    }
}

pub(super) fn lines_of(options: &[HeaderValueOption]) -> Vec<Line> {
    options.iter().filter_map(|option| option.header.clone()).map(|header| (header.key, header.value)).collect()
}

/// Each byte that is not UTF-8 as `!`.
fn as_envoy_writes(value: &[u8]) -> String {
    let replaced = |chunk: std::str::Utf8Chunk<'_>| format!("{}{}", chunk.valid(), "!".repeat(chunk.invalid().len()));
    value.utf8_chunks().map(replaced).collect()
}

/// The request with the credentials that it names.
pub(super) fn filled(mut request: CheckRequest, house: &House) -> CheckRequest {
    let Some(http) = http_of(&mut request) else { return request };
    http.path = house.fill(&http.path);
    for value in http.headers.values_mut() {
        *value = house.fill(value);
    }
    for header in http.header_map.iter_mut().flat_map(|map| &mut map.headers) {
        header.value = house.fill(&header.value);
        if let Ok(text) = std::str::from_utf8(&header.raw_value) {
            header.raw_value = house.fill(text).into_bytes();
        }
    }
    request
}

fn http_of(request: &mut CheckRequest) -> Option<&mut attribute_context::HttpRequest> {
    request.attributes.as_mut()?.request.as_mut()?.http.as_mut()
}

/// The message about an HTTP request.
pub(super) fn message(http: attribute_context::HttpRequest) -> CheckRequest {
    let request = attribute_context::Request { http: Some(http), ..Default::default() };
    CheckRequest { attributes: Some(AttributeContext { request: Some(request), ..Default::default() }) }
}
