//! What holds for any input: the properties that tests and fuzz targets share.
//!
//! No part of what is released: compiled for tests, and with the feature `fuzzing` for the targets in `integration/fuzz`.
//!
//! An input is bytes. A [`Target`] makes a check of them, lets it run through everything that a check of Envoy runs
//! through, from its encoded message to our encoded answer, with rules of every kind, a signed-in person and a service
//! account; and panics where a property of [`PROPERTIES`] does not hold. Time stands still, and what is random in an
//! answer decides nothing: an input that fails once fails always.

mod captures;
mod codec;
mod exchange;
mod grammar;
mod holds;
mod house;
mod provider;
mod sign_in;

use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, attribute_context::HttpRequest};

pub use captures::what_is_captured_is_what_is_read;
pub use codec::messages_are_read_as_by_the_stock_codec;
pub use exchange::Exchange;
pub use holds::{
    PROPERTIES, Property, at_most_one_cookie_is_set, credentials_of_ours_end_here, every_decision_has_a_reason,
    no_protected_header_survives, no_reading_of_a_closed_path_passes, nobody_is_named_without_a_credential,
    other_cookies_pass, public_rules_match_clean_paths_only, redirects_stay_with_us_or_the_provider,
    set_and_removed_never_meet, values_hold_no_line_ends,
};
pub use sign_in::the_way_back_leads_home;

use house::{HOST, SESSION_COOKIE, TICKET};

use crate::request::Request;

/// A way to run the properties on bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of the fuzz target, and of its corpus.
    pub name: &'static str,
    /// Runs; panics where a property does not hold.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "decoding", run: decoding },
    Target { name: "message", run: message },
    Target { name: "request", run: request },
    Target { name: "path", run: path },
    Target { name: "cookies", run: cookies },
    Target { name: "return_target", run: the_way_back_leads_home },
    Target { name: "captures", run: what_is_captured_is_what_is_read },
];

/// Bytes as Envoy's message, decoded and read: it neither panics, nor takes more memory than [`most_allocated`].
///
/// Who calls this measures the memory: only the test or the fuzz target knows the allocator.
pub fn decoding(message: &[u8]) {
    if let Some(raw) = crate::ext_authz::raw_request(message) {
        drop(Request::parse(raw));
    }
}

/// The most bytes that [`decoding`] may hold at once for a message of this length.
///
/// Two bytes make an empty header line, which takes some fifty bytes of memory, twice while a list grows; nothing takes
/// more than that.
#[must_use]
pub const fn most_allocated(length: usize) -> usize {
    16 * 1024 + 256 * length
}

/// Bytes as Envoy's message, which is read as by the stock codec, and goes through a whole check; and as choices that make
/// such a message.
pub fn message(message: &[u8]) {
    messages_are_read_as_by_the_stock_codec(message);
    messages_are_read_as_by_the_stock_codec(&codec::message_of(message));
    if let Some(exchange) = Exchange::of_message(message) {
        every_property(&exchange);
    }
}

/// Bytes as choices that make a request.
pub fn request(choices: &[u8]) {
    every_property(&Exchange::of_choices(choices));
}

/// Bytes as the path that somebody who is signed in asks for.
pub fn path(path: &[u8]) {
    every_property(&Exchange::of_path(path));
}

/// Bytes as lines of cookies.
pub fn cookies(lines: &[u8]) {
    every_property(&Exchange::of_cookies(lines));
}

fn every_property(exchange: &Exchange) {
    for property in PROPERTIES {
        property(exchange);
    }
}

impl Exchange {
    /// What comes of the request that these bytes choose.
    #[must_use]
    pub fn of_choices(choices: &[u8]) -> Self {
        Self::of(grammar::request(choices))
    }

    /// What comes of this path, asked for by somebody who is signed in.
    #[must_use]
    pub fn of_path(path: &[u8]) -> Self {
        let path = String::from_utf8_lossy(path).into_owned();
        Self::of(get(path, vec![("cookie".into(), format!("{SESSION_COOKIE}={TICKET}"))]))
    }

    /// What comes of these lines of cookies, where nobody needs to be signed in.
    #[must_use]
    pub fn of_cookies(lines: &[u8]) -> Self {
        let lines = String::from_utf8_lossy(lines);
        let lines = lines.split('\n').map(|line| ("cookie".to_owned(), line.to_owned()));
        Self::of(get("/optional/page".into(), lines.collect()))
    }
}

fn get(path: String, lines: Vec<exchange::Line>) -> CheckRequest {
    let request = HttpRequest { method: "GET".into(), host: HOST.into(), path, ..HttpRequest::default() };
    exchange::message(grammar::raw(request, lines))
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;
