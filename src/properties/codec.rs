//! Our reading of Envoy's messages, compared with `envoy-types`: whatever bytes come, both read the same request, or both
//! refuse. And messages out of bytes: each chooses, mostly among what a `CheckRequest` may hold, in any order, as often as
//! it likes and of any wire type.

use std::collections::BTreeSet;

use arbitrary::{Result, Unstructured};
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, attribute_context::HttpRequest};
use prost::{
    Message,
    encoding::{WireType, encode_varint},
};

use crate::{
    ext_authz::{self, reference},
    request::RawRequest,
};

/// Whatever bytes come as a message: we read of them what `envoy-types` reads, and refuse them where it does. Fields that
/// nobody reads may be as they like: there, `envoy-types` reads what is left without them.
///
/// # Panics
/// Where it does not hold.
pub fn messages_are_read_as_by_the_stock_codec(message: &[u8]) {
    let read = ext_authz::raw_request(message);
    let kept = kept::CheckRequest::decode(message).map(|kept| {
        let kept = kept.encode_to_vec();
        CheckRequest::decode(kept.as_slice()).expect("what is kept is a message of Envoy's")
    });
    match (&read, kept) {
        (Some(read), Ok(kept)) => are_one(read, kept),
        (None, Err(_)) => {}
        (read, kept) => panic!("we read {read:?}, the stock codec {kept:?}, of {}", message.escape_ascii()),
    }
    if let Ok(whole) = CheckRequest::decode(message) {
        are_one(&read.expect("the stock codec reads it"), whole);
    }
}

/// That both hold the same. The lines of a map have no order.
fn are_one(read: &RawRequest, stock: CheckRequest) {
    let http = |request: &CheckRequest| -> Option<HttpRequest> { request.attributes.clone()?.request?.http };
    let mapped: BTreeSet<String> =
        http(&stock).unwrap_or_default().headers.keys().map(|name| name.to_ascii_lowercase()).collect();
    let stock = reference::raw_request(stock);
    let parts = |raw: &RawRequest| {
        let parts = [raw.method(), raw.host(), raw.path()].map(str::to_owned);
        (parts, raw.source().map(str::to_owned))
    };
    assert_eq!(parts(read), parts(&stock));
    let lines = |raw: &RawRequest| -> Vec<(String, String)> {
        raw.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let in_order = |raw: &RawRequest| {
        let mut lines = lines(raw);
        lines.retain(|(name, _)| !mapped.contains(name));
        lines
    };
    assert_eq!(in_order(read), in_order(&stock));
    let sorted = |raw: &RawRequest| {
        let mut lines = lines(raw);
        lines.sort_unstable();
        lines
    };
    assert_eq!(sorted(read), sorted(&stock));
}

/// Envoy's messages without the fields that nobody reads.
mod kept {
    use std::collections::HashMap;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct CheckRequest {
        #[prost(message, optional, tag = "1")]
        attributes: Option<AttributeContext>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct AttributeContext {
        #[prost(message, optional, tag = "1")]
        source: Option<Peer>,
        #[prost(message, optional, tag = "4")]
        request: Option<Request>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Peer {
        #[prost(message, optional, tag = "1")]
        address: Option<Address>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Address {
        #[prost(oneof = "Variant", tags = "1, 2, 3")]
        variant: Option<Variant>,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    enum Variant {
        #[prost(message, tag = "1")]
        Socket(SocketAddress),
        #[prost(message, tag = "2")]
        Pipe(()),
        #[prost(message, tag = "3")]
        Internal(()),
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct SocketAddress {
        #[prost(string, tag = "2")]
        address: String,
        #[prost(oneof = "Port", tags = "3, 4")]
        port: Option<Port>,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    enum Port {
        #[prost(uint32, tag = "3")]
        Value(u32),
        #[prost(string, tag = "4")]
        Named(String),
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Request {
        #[prost(message, optional, tag = "2")]
        http: Option<HttpRequest>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct HttpRequest {
        #[prost(string, tag = "2")]
        method: String,
        #[prost(map = "string, string", tag = "3")]
        headers: HashMap<String, String>,
        #[prost(string, tag = "4")]
        path: String,
        #[prost(string, tag = "5")]
        host: String,
        #[prost(message, optional, tag = "13")]
        header_map: Option<HeaderMap>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct HeaderMap {
        #[prost(message, repeated, tag = "1")]
        headers: Vec<HeaderValue>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct HeaderValue {
        #[prost(string, tag = "1")]
        key: String,
        #[prost(string, tag = "2")]
        value: String,
        #[prost(bytes = "vec", tag = "3")]
        raw_value: Vec<u8>,
    }
}

/// What a field holds.
enum Kind {
    Text,
    Bytes,
    Number,
    /// A message, by the numbers of its fields; what is listed twice is chosen twice as often.
    Message(&'static [(u8, Self)]),
}

const PIPE: Kind = Kind::Message(&[(1, Kind::Text), (2, Kind::Number)]);
const SOCKET: Kind = Kind::Message(&[(2, Kind::Text), (3, Kind::Number), (4, Kind::Text)]);
const ADDRESS: Kind = Kind::Message(&[(1, SOCKET), (1, SOCKET), (2, PIPE), (3, PIPE)]);
const ENTRY: Kind = Kind::Message(&[(1, Kind::Text), (2, Kind::Text)]);
const LINE: Kind = Kind::Message(&[(1, Kind::Text), (2, Kind::Text), (3, Kind::Bytes)]);
const HTTP: Kind = Kind::Message(&[
    (2, Kind::Text),
    (3, ENTRY),
    (3, ENTRY),
    (4, Kind::Text),
    (5, Kind::Text),
    (9, Kind::Number),
    (13, Kind::Message(&[(1, LINE)])),
    (13, Kind::Message(&[(1, LINE)])),
]);
const REQUEST: Kind = Kind::Message(&[(1, PIPE), (2, HTTP), (2, HTTP), (2, HTTP)]);
const ATTRIBUTES: Kind =
    Kind::Message(&[(1, Kind::Message(&[(1, ADDRESS)])), (4, REQUEST), (4, REQUEST), (4, REQUEST), (10, ENTRY)]);
const CHECK: &[(u8, Kind)] = &[(1, ATTRIBUTES)];

const TEXTS: &[&str] = &["", "GET", "/page", "kf.example.com", "cookie", "Cookie", "x-a", ":path", "a=1", "\u{e9}"];
const NO_TEXTS: &[&[u8]] = &[b"\xff", b"a\xe2\x82b", b"\xed\xa0\x80"];
const NUMBERS: &[u64] = &[0, 1, 3, 127, 128, 300, u32::MAX as u64, u64::MAX];
/// Wire types; those that are none, or end a group, are few.
const WIRE_TYPES: &[u8] = &[0, 1, 2, 3, 5, 0, 1, 2, 3, 5, 4, 6, 7];
const MOST_FIELDS: usize = 5;

/// The message that these bytes choose; most are well formed as far as they are read.
pub(super) fn message_of(choices: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    // Where the choices end, so does the message.
    let _ = fields(&mut Unstructured::new(choices), CHECK, &mut message);
    message
}

fn fields(choices: &mut Unstructured<'_>, known: &[(u8, Kind)], message: &mut Vec<u8>) -> Result<()> {
    for _ in 0..choices.int_in_range(1..=MOST_FIELDS)? {
        if choices.is_empty() {
            return Ok(());
        }
        if one_of(choices, 200)? {
            strange(choices, message)?;
            continue;
        }
        let (number, kind) = choices.choose(known)?;
        match kind {
            Kind::Number => {
                put_key(*number, WireType::Varint as u8, message);
                encode_varint(*choices.choose(NUMBERS)?, message);
            }
            Kind::Text => put(*number, text(choices, 200)?, message),
            Kind::Bytes => put(*number, text(choices, 2)?, message),
            Kind::Message(known) => {
                let mut inner = Vec::new();
                fields(choices, known, &mut inner)?;
                put(*number, &inner, message);
            }
        }
    }
    Ok(())
}

/// True once in so many times; never where the choices have ended.
fn one_of(choices: &mut Unstructured<'_>, many: u8) -> Result<bool> {
    Ok(choices.int_in_range(1..=many)? == many)
}

/// A text; one of so many is none.
fn text(choices: &mut Unstructured<'_>, of: u8) -> Result<&'static [u8]> {
    if one_of(choices, of)? { choices.choose(NO_TEXTS).copied() } else { Ok(choices.choose(TEXTS)?.as_bytes()) }
}

/// A field of any number and wire type, which may be none at all.
fn strange(choices: &mut Unstructured<'_>, message: &mut Vec<u8>) -> Result<()> {
    let (number, wire_type) = (choices.int_in_range(0..=15)?, *choices.choose(WIRE_TYPES)?);
    put_key(number, wire_type, message);
    match wire_type {
        0 => encode_varint(*choices.choose(NUMBERS)?, message),
        1 => message.extend([7; 8]),
        2 => {
            let text = text(choices, 2)?;
            encode_varint(text.len() as u64, message);
            message.extend(text);
        }
        3 => {
            for _ in 0..choices.int_in_range(0..=2)? {
                strange(choices, message)?;
            }
            put_key(if one_of(choices, 10)? { 1 } else { number }, 4, message);
        }
        5 => message.extend([7; 4]),
        _ => {}
    }
    Ok(())
}

/// Puts a field of bytes behind what there is of a message.
pub(super) fn put(number: u8, value: &[u8], message: &mut Vec<u8>) {
    put_key(number, WireType::LengthDelimited as u8, message);
    encode_varint(value.len() as u64, message);
    message.extend(value);
}

fn put_key(number: u8, wire_type: u8, message: &mut Vec<u8>) {
    message.push(number << 3 | wire_type);
}
