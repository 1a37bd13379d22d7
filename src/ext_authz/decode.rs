//! Envoy's request, read from its bytes in place, in either header encoding. No map is built, and what nobody reads is
//! stepped over.
//!
//! `envoy-types` reads the same of the same bytes: `reference` shows it, and what protocol buffers leave open is decided
//! as there. A field that nobody reads may hold what is malformed there.

use std::{borrow::Cow, collections::HashSet};

use super::wire::{Fields, Malformed};
use crate::request::RawRequest;

/// Up to so many entries of a map are compared with each other, one by one.
const FEW: usize = 128;
/// How many header lines have room at once; most requests have fewer.
const USUAL_LINES: usize = 32;

type Entry<'a> = (&'a str, &'a str);
type Line<'a> = (&'a str, Cow<'a, str>);

/// What is read of a `CheckRequest`: where a field stands more than once, its last value.
#[derive(Default)]
struct Read<'a> {
    method: &'a str,
    host: &'a str,
    path: &'a str,
    /// Envoy's usual encoding: lines of one name are joined.
    headers: Vec<Entry<'a>>,
    /// With `encode_raw_headers`: every line as it came.
    header_map: Vec<Line<'a>>,
    source: Option<Address<'a>>,
}

/// Where a peer is; all else than a socket's address is nothing to us.
#[derive(Default)]
struct Address<'a> {
    address: &'a str,
    /// The port is named, as no peer's is.
    has_named_port: bool,
}

/// Reads what Envoy sent. What is missing stays empty: the parser behind refuses it.
pub(super) fn raw_request(message: &[u8]) -> Result<RawRequest, Malformed> {
    let mut read = Read::default();
    let mut fields = Fields::of(message);
    while let Some(key) = fields.next()? {
        match key.number {
            1 => read.attributes(fields.message(key)?)?,
            _ => fields.skip(key)?,
        }
    }
    keep_last_of_each(&mut read.headers);
    Ok(read.into_raw())
}

impl<'a> Read<'a> {
    /// `AttributeContext`.
    fn attributes(&mut self, mut fields: Fields<'a>) -> Result<(), Malformed> {
        while let Some(key) = fields.next()? {
            match key.number {
                1 => self.source(fields.message(key)?)?,
                4 => self.request(fields.message(key)?)?,
                _ => fields.skip(key)?,
            }
        }
        Ok(())
    }

    /// `AttributeContext.Peer`.
    fn source(&mut self, mut fields: Fields<'a>) -> Result<(), Malformed> {
        while let Some(key) = fields.next()? {
            match key.number {
                1 => self.address(fields.message(key)?)?,
                _ => fields.skip(key)?,
            }
        }
        Ok(())
    }

    /// `Address`: of its variants the last one counts.
    fn address(&mut self, mut fields: Fields<'a>) -> Result<(), Malformed> {
        while let Some(key) = fields.next()? {
            match key.number {
                1 => {
                    let address = self.source.take().unwrap_or_default();
                    self.source = Some(address.read(fields.message(key)?)?);
                }
                2 | 3 => {
                    fields.message(key)?.skip_all()?;
                    self.source = None;
                }
                _ => fields.skip(key)?,
            }
        }
        Ok(())
    }

    /// `AttributeContext.Request`.
    fn request(&mut self, mut fields: Fields<'a>) -> Result<(), Malformed> {
        while let Some(key) = fields.next()? {
            match key.number {
                2 => self.http(fields.message(key)?)?,
                _ => fields.skip(key)?,
            }
        }
        Ok(())
    }

    /// `AttributeContext.HttpRequest`.
    fn http(&mut self, mut fields: Fields<'a>) -> Result<(), Malformed> {
        while let Some(key) = fields.next()? {
            match key.number {
                2 => self.method = fields.text(key)?,
                3 => {
                    let entry = entry(fields.message(key)?)?;
                    add(&mut self.headers, entry);
                }
                4 => self.path = fields.text(key)?,
                5 => self.host = fields.text(key)?,
                13 => self.header_map(fields.message(key)?)?,
                _ => fields.skip(key)?,
            }
        }
        Ok(())
    }

    /// `HeaderMap`.
    fn header_map(&mut self, mut fields: Fields<'a>) -> Result<(), Malformed> {
        while let Some(key) = fields.next()? {
            match key.number {
                1 => {
                    let line = line(fields.message(key)?)?;
                    add(&mut self.header_map, line);
                }
                _ => fields.skip(key)?,
            }
        }
        Ok(())
    }

    fn into_raw(self) -> RawRequest {
        let Self { method, host, path, headers, header_map, source } = self;
        let source = source.filter(|address| !address.has_named_port).map(|address| address.address);
        let bytes = headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            + header_map.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            + source.map_or(0, str::len);
        let mut raw = RawRequest::with_room(method, host, path, headers.len() + header_map.len(), bytes);
        for (name, value) in headers {
            raw.add_header(name, value);
        }
        for (name, value) in header_map {
            raw.add_header(name, &value);
        }
        match source {
            Some(source) => raw.from_peer(source),
            None => raw,
        }
    }
}

impl<'a> Address<'a> {
    /// `SocketAddress`, over what was read of it before.
    fn read(mut self, mut fields: Fields<'a>) -> Result<Self, Malformed> {
        while let Some(key) = fields.next()? {
            match key.number {
                2 => self.address = fields.text(key)?,
                3 => {
                    fields.number(key)?;
                    self.has_named_port = false;
                }
                4 => {
                    fields.text(key)?;
                    self.has_named_port = true;
                }
                _ => fields.skip(key)?,
            }
        }
        Ok(self)
    }
}

/// An entry of `HttpRequest.headers`.
fn entry(mut fields: Fields<'_>) -> Result<Entry<'_>, Malformed> {
    let (mut name, mut value) = ("", "");
    while let Some(key) = fields.next()? {
        match key.number {
            1 => name = fields.text(key)?,
            2 => value = fields.text(key)?,
            _ => fields.skip(key)?,
        }
    }
    Ok((name, value))
}

/// `HeaderValue`. A byte of a raw value that is not UTF-8 becomes `!`, as Envoy itself writes it in the other encoding.
fn line(mut fields: Fields<'_>) -> Result<Line<'_>, Malformed> {
    let (mut name, mut value, mut raw) = ("", "", &[][..]);
    while let Some(key) = fields.next()? {
        match key.number {
            1 => name = fields.text(key)?,
            2 => value = fields.text(key)?,
            3 => raw = fields.bytes(key)?,
            _ => fields.skip(key)?,
        }
    }
    Ok((name, if raw.is_empty() { value.into() } else { with_invalid_replaced(raw) }))
}

fn with_invalid_replaced(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(std::iter::repeat_n('!', chunk.invalid().len()));
    }
    text.into()
}

fn add<T>(list: &mut Vec<T>, one: T) {
    if list.is_empty() {
        list.reserve_exact(USUAL_LINES);
    }
    list.push(one);
}

/// Of the entries of one key, the last one counts ("Maps", protobuf.dev). Envoy sends each once.
fn keep_last_of_each(entries: &mut Vec<Entry<'_>>) {
    if entries.len() <= FEW && !has_twins(entries) {
        return;
    }
    let mut seen = HashSet::with_capacity(entries.len());
    entries.reverse();
    entries.retain(|(name, _)| seen.insert(*name));
    entries.reverse();
}

/// Whether two of a few entries have one key. Those of another mark are not compared.
fn has_twins(entries: &[Entry<'_>]) -> bool {
    let mut marks = 0_u128;
    entries.iter().enumerate().any(|(at, (name, _))| {
        let mark = mark(name);
        let is_new = marks & mark == 0;
        marks |= mark;
        !is_new && entries.iter().take(at).any(|(other, _)| other == name)
    })
}

/// A bit that depends on a name's length and ends.
fn mark(name: &str) -> u128 {
    let byte = |byte: Option<&u8>| byte.copied().map_or(0, usize::from);
    let (first, last) = (byte(name.as_bytes().first()), byte(name.as_bytes().last()));
    1 << ((name.len() * 37 + first * 5 + last) % 128)
}
