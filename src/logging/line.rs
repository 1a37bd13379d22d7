//! One record, written field by field as bytes.
//!
//! `tracing` would do the same by way of its visitors, at ten times the price; a property compares the two.

use std::{fmt, io::Write as _};

use serde::Serializer as _;

use super::{config::Format, stamp::Stamp};

/// A record that is being written. It lies in memory whole before anybody else sees it.
#[derive(Debug)]
pub struct Line<'a> {
    format: Format,
    target: &'static str,
    bytes: &'a mut Vec<u8>,
}

// Nothing fails that is written to a vector.
impl<'a> Line<'a> {
    /// A new record behind what `bytes` holds. `level` is in capitals, `message` needs no escape.
    pub(super) fn begin(
        format: Format,
        level: &'static str,
        target: &'static str,
        message: &'static str,
        bytes: &'a mut Vec<u8>,
    ) -> Self {
        let stamp = Stamp::now();
        let stamp = stamp.as_str();
        match format {
            Format::Json => {
                let parts = [r#"{"timestamp":""#, stamp, r#"","level":""#, level, r#"","message":""#, message, "\""];
                for part in parts {
                    bytes.extend_from_slice(part.as_bytes());
                }
            }
            Format::Text => {
                let _ = write!(bytes, "{stamp} {level:>5} {target}: {message}");
            }
        }
        Self { format, target, bytes }
    }

    /// A text, escaped as the format needs it.
    pub fn text(&mut self, name: &'static str, value: &str) {
        self.name(name);
        let _ = match self.format {
            Format::Json => serde_json::to_writer(&mut *self.bytes, value).map_err(Into::into),
            Format::Text => write!(self.bytes, "{value:?}"),
        };
    }

    /// What a value shows, as a text.
    pub fn shown(&mut self, name: &'static str, value: &dyn fmt::Display) {
        match self.format {
            Format::Json => {
                self.name(name);
                let _ = serde_json::Serializer::new(&mut *self.bytes).collect_str(value);
            }
            Format::Text => self.text(name, &value.to_string()),
        }
    }

    /// A number.
    pub fn number(&mut self, name: &'static str, value: u64) {
        self.name(name);
        let _ = write!(self.bytes, "{value}");
    }

    pub(super) fn end(self) {
        match self.format {
            Format::Json => {
                self.bytes.extend_from_slice(br#","target":""#);
                self.bytes.extend_from_slice(self.target.as_bytes());
                self.bytes.extend_from_slice(b"\"}\n");
            }
            Format::Text => self.bytes.push(b'\n'),
        }
    }

    fn name(&mut self, name: &'static str) {
        let (before, after): (&[u8], &[u8]) = match self.format {
            Format::Json => (b",\"", b"\":"),
            Format::Text => (b" ", b"="),
        };
        self.bytes.extend_from_slice(before);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(after);
    }
}
