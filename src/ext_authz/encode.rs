//! Our answer as the bytes of Envoy's `CheckResponse`: the one function that makes one, since an empty one would mean
//! "allowed". It writes into one buffer of the right size, and copies each value once.
//!
//! `envoy-types` reads the same as it would have written: `reference` shows it, byte for byte.

use bytes::{BufMut as _, Bytes};
use prost::encoding::{WireType, encode_varint, encoded_len_varint};
use tonic::Code;

use super::answer::{Answer, Denied};
use crate::{check::Checked, decision::Mutations};

/// What stands before a message ("gRPC over HTTP2", Length-Prefixed-Message): whether it is compressed, and its length.
pub(super) const PREFIX: usize = 5;

/// `HeaderValueOption.append_action`: the key and `OVERWRITE_IF_EXISTS_OR_ADD`. `append` stays unset and the action says
/// the same: releases that read the one and those that read the other agree on it.
const OVERWRITE: [u8; 2] = [3 << 3 | WireType::Varint as u8, 2];

/// The answer to a check, as a message of gRPC with what stands before it.
pub(super) fn framed(checked: &Checked) -> Bytes {
    match Answer::to(checked) {
        Answer::Allowed(mutations) => allowed(mutations),
        Answer::Denied(denied) => denied_message(&denied),
    }
}

/// The answer to a gateway that asks in shadow: it changes nothing, also where a gateway would obey it.
pub(super) fn unchanged() -> Bytes {
    allowed(&Mutations::default())
}

/// A `CheckResponse` with an `OkHttpResponse`.
fn allowed(mutations: &Mutations) -> Bytes {
    let length = mutations.sets().map(|(name, value)| header_len(name, value.as_str())).sum::<usize>()
        + mutations.removes().map(|name| field_len(name.len())).sum::<usize>()
        + mutations.response_sets().map(|(name, value)| header_len(name, value.as_str())).sum::<usize>();
    let status = field_len(0);
    let mut message = Message::with_prefix(status + field_len(length));
    message.begin(1, 0);
    message.begin(3, length);
    for (name, value) in mutations.sets() {
        message.header(2, name, value.as_str());
    }
    for name in mutations.removes() {
        message.bytes(5, name);
    }
    for (name, value) in mutations.response_sets() {
        message.header(6, name, value.as_str());
    }
    message.end()
}

/// A `CheckResponse` with a `DeniedHttpResponse`.
fn denied_message(denied: &Denied<'_>) -> Bytes {
    let Denied { code, reason, status, headers, body } = denied;
    let (code, http_status) = (code_number(*code), u64::from(*status));
    let status_length = number_len(code) + text_len(reason);
    let http_status_length = number_len(http_status);
    let length = field_len(http_status_length)
        + headers.iter().map(|(name, value)| header_len(name, value)).sum::<usize>()
        + text_len(body);
    let mut message = Message::with_prefix(field_len(status_length) + field_len(length));
    message.begin(1, status_length);
    message.number(1, code);
    message.text(2, reason);
    message.begin(2, length);
    message.begin(1, http_status_length);
    message.number(1, http_status);
    for (name, value) in headers {
        message.header(2, name, value);
    }
    message.text(3, body);
    message.end()
}

fn code_number(code: Code) -> u64 {
    u64::from((code as i32).unsigned_abs())
}

/// What a field of so many bytes takes with its key and its length. All keys here are of one byte.
const fn field_len(bytes: usize) -> usize {
    1 + encoded_len_varint(bytes as u64) + bytes
}

/// What a number takes. All numbers here are other than zero, which would not be written.
const fn number_len(number: u64) -> usize {
    1 + encoded_len_varint(number)
}

/// What a text takes that is not written where it is empty.
const fn text_len(text: &str) -> usize {
    if text.is_empty() { 0 } else { field_len(text.len()) }
}

/// What a `HeaderValueOption` takes.
const fn header_len(name: &str, value: &str) -> usize {
    field_len(option_len(text_len(name) + text_len(value)))
}

/// What a `HeaderValueOption` holds, of a `HeaderValue` of so many bytes.
const fn option_len(header: usize) -> usize {
    field_len(header) + OVERWRITE.len()
}

/// A message that is being written.
struct Message(Vec<u8>);

impl Message {
    /// With what stands before a message of so many bytes, and room for them.
    fn with_prefix(length: usize) -> Self {
        let mut bytes = Vec::with_capacity(PREFIX + length);
        bytes.put_u8(0);
        bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        Self(bytes)
    }

    /// Begins a field of so many bytes, which are written next.
    fn begin(&mut self, number: u8, bytes: usize) {
        self.0.push(number << 3 | WireType::LengthDelimited as u8);
        encode_varint(bytes as u64, &mut self.0);
    }

    fn bytes(&mut self, number: u8, text: &str) {
        self.begin(number, text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn text(&mut self, number: u8, text: &str) {
        if !text.is_empty() {
            self.bytes(number, text);
        }
    }

    fn number(&mut self, number: u8, value: u64) {
        self.0.push(number << 3 | WireType::Varint as u8);
        encode_varint(value, &mut self.0);
    }

    /// A `HeaderValueOption` that replaces every value of the header.
    fn header(&mut self, number: u8, name: &str, value: &str) {
        let header = text_len(name) + text_len(value);
        self.begin(number, option_len(header));
        self.begin(1, header);
        self.text(1, name);
        self.text(2, value);
        self.0.extend_from_slice(&OVERWRITE);
    }

    fn end(self) -> Bytes {
        self.0.into()
    }
}
