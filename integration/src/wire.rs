//! Header lines as they stood on the wire.
//!
//! A header's value is bytes, and JSON and assertion messages want text. [`text`] is lossless: what
//! is printable UTF-8 stays as it is, every other byte and the backslash become `\xNN`.

pub mod http1;

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// Header or trailer lines in the order in which they came, duplicates kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HeaderLines(pub Vec<(String, String)>);

impl HeaderLines {
    /// The values of all lines whose name is `name`, ignoring case, in order.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of the only line of that name; none where there is no line, or more than one.
    #[must_use]
    pub fn only(&self, name: &str) -> Option<&str> {
        match self.all(name)[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// Whether a line of that name exists.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    /// All lines whose name, folded as gateways of applications fold names (every byte that is no
    /// letter or digit counts as `-`), is `name`.
    #[must_use]
    pub fn folded(&self, name: &str) -> Vec<(&str, &str)> {
        let wanted = fold(name);
        self.0
            .iter()
            .filter(|(found, _)| fold(found) == wanted)
            .map(|(found, value)| (found.as_str(), value.as_str()))
            .collect()
    }
}

fn fold(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// Bytes as lossless, readable text.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || c == '\\' {
                let mut buffer = [0; 4];
                escape(&mut out, c.encode_utf8(&mut buffer).as_bytes());
            } else {
                out.push(c);
            }
        }
        escape(&mut out, chunk.invalid());
    }
    out
}

fn escape(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(out, "\\x{byte:02x}").expect("writing to a string cannot fail");
    }
}

/// The first line of an HTTP/1 message, and its header lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The request line or the status line.
    pub start_line: String,
    /// The header lines.
    pub headers: HeaderLines,
}

impl Head {
    /// Reads what stands before the empty line. `bytes` ends with the empty line.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.strip_suffix(b"\r\n\r\n").context("a message's head ends with an empty line")?;
        let mut lines = split_lines(bytes).into_iter();
        let start_line = text(lines.next().context("a message has a first line")?);
        let headers = lines.map(header_line).collect::<Result<_>>()?;
        Ok(Self { start_line, headers: HeaderLines(headers) })
    }
}

fn header_line(line: &[u8]) -> Result<(String, String)> {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        bail!("a header line without a colon: {:?}", text(line));
    };
    let value = line[colon + 1..].trim_ascii();
    Ok((text(&line[..colon]), text(value)))
}

/// Splits at CR LF only: a lone LF is part of what the sender wrote.
fn split_lines(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") {
        lines.push(&bytes[..end]);
        bytes = &bytes[end + 2..];
    }
    lines.push(bytes);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_lossless() {
        assert_eq!(text(b"plain \"text\""), "plain \"text\"");
        assert_eq!(text("grüße".as_bytes()), "grüße");
        assert_eq!(text(b"a\xffb\\x00\r\n"), r"a\xffb\x5cx00\x0d\x0a");
    }

    #[test]
    fn heads_keep_order_case_and_duplicates() {
        let head = Head::parse(b"GET / HTTP/1.1\r\nB: 1\r\na:  2 \r\nb: 3\r\n\r\n").unwrap();
        assert_eq!(head.start_line, "GET / HTTP/1.1");
        let expected = [("B", "1"), ("a", "2"), ("b", "3")];
        let expected = expected.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
        assert_eq!(head.headers.0, expected);
        assert_eq!(head.headers.all("b"), ["1", "3"]);
        assert_eq!(head.headers.only("b"), None);
    }

    #[test]
    fn folding_finds_every_spelling() {
        let lines = [("Kubeflow-UserID", "1"), ("kubeflow_userid", "2"), ("kubeflow", "3")];
        let lines = HeaderLines(lines.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec());
        assert_eq!(lines.folded("kubeflow-userid").len(), 2);
    }
}
