//! The query: what our own endpoints read of theirs, and what a rule may believe that a service reads of its own.

use std::{borrow::Cow, fmt};

use thiserror::Error;

/// Why a parameter cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the parameter occurs more than once")]
pub struct QueryError;

/// What a parameter says to every server behind, whichever way it reads a query.
#[derive(Clone, PartialEq, Eq)]
pub enum Parameter {
    /// It does not occur, in any spelling.
    Absent,
    /// It occurs once, and this is its value to all.
    Once(String),
    /// Two servers could read two values, or one of them none.
    Ambiguous,
}

/// How often a name or a value is decoded at most.
const MOST_DECODINGS: usize = 8;
/// How many parts of a query every server reads: some read no more than these (`qs`, PHP, Tomcat).
const MOST_PARTS: usize = 1000;

/// The query of a request, without the `?`. It may hold a code or an application's token, and does not print.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Query(Option<String>);

impl fmt::Debug for Query {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "[redacted]" } else { "none" })
    }
}

impl Query {
    /// Takes a query as it came.
    #[must_use]
    pub fn new(raw: Option<&str>) -> Self {
        Self(raw.map(str::to_owned))
    }

    /// The query as it came.
    #[must_use]
    pub fn raw(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The decoded value of a parameter (`application/x-www-form-urlencoded`), where it occurs.
    ///
    /// # Errors
    /// Where it occurs more than once: two readers could take different ones.
    pub fn parameter(&self, name: &str) -> Result<Option<String>, QueryError> {
        let Some(raw) = self.raw() else { return Ok(None) };
        let mut values = url::form_urlencoded::parse(raw.as_bytes()).filter(|(have, _)| have == name);
        let first = values.next().map(|(_, value)| value.into_owned());
        if values.next().is_some() { Err(QueryError) } else { Ok(first) }
    }

    /// What a parameter says to every server behind. Some part a query at `&` alone and some at `;` too, some decode
    /// names twice, fold them, take `name[]` and `name[x]` for a list, or `[name]` for the name (`qs`, and so Express):
    /// whatever any of them could take for the parameter counts as one.
    #[must_use]
    pub fn for_every_server(&self, name: &str) -> Parameter {
        let Some(raw) = self.raw() else { return Parameter::Absent };
        let of = |separators: &[char]| {
            let mut parts = raw.split(separators).enumerate().filter(|(_, part)| may_name(part, name));
            match (parts.next(), parts.next()) {
                (None, _) => Parameter::Absent,
                (Some((place, part)), None) if place < MOST_PARTS => plainly(part, name),
                (Some(_), _) => Parameter::Ambiguous,
            }
        };
        match (of(&['&']), of(&['&', ';'])) {
            (one, other) if one == other => one,
            _ => Parameter::Ambiguous,
        }
    }
}

/// The text, decoded until nothing of it is encoded any more: what it is to whoever decodes most. `None` where it has no
/// end, or is no text.
#[must_use]
pub fn fully_decoded(text: &str) -> Option<Cow<'_, str>> {
    let mut decoded = Cow::Borrowed(text);
    for _ in 0..MOST_DECODINGS {
        let next = percent_encoding::percent_decode_str(&decoded).decode_utf8().ok()?;
        if *next == *decoded {
            return Some(decoded);
        }
        decoded = next.into_owned().into();
    }
    None
}

/// Whether any server could take this part of a query for the parameter.
fn may_name(part: &str, name: &str) -> bool {
    let written = part.split('=').next().unwrap_or_default().replace('+', " ");
    // What has no end or is no text might be anything.
    let Some(decoded) = fully_decoded(&written) else { return true };
    let is_blank = |character: char| character.is_whitespace() || character.is_control();
    let inner = decoded.trim_start_matches(|character| character == '[' || is_blank(character));
    let plain = inner.split(['[', ']']).next().unwrap_or_default();
    plain.trim_end_matches(is_blank).to_lowercase() == name.to_lowercase()
}

/// The value of a part that names the parameter, where every server takes it for the name. A name ends at the first `=`,
/// and to `qs` at the first `]=`.
fn plainly(part: &str, name: &str) -> Parameter {
    if part.contains("]=") || part.to_ascii_lowercase().contains("%5d=") {
        return Parameter::Ambiguous;
    }
    let mut pairs = url::form_urlencoded::parse(part.as_bytes());
    match (pairs.next(), pairs.next()) {
        (Some((have, value)), None) if have == name => Parameter::Once(value.into_owned()),
        _ => Parameter::Ambiguous,
    }
}

/// Neither the value nor whether there is one prints.
impl fmt::Debug for Parameter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Absent => "Absent",
            Self::Once(_) => "Once([redacted])",
            Self::Ambiguous => "Ambiguous",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_counts_only_once() {
        let query = Query::new(Some("a=1&b=x%20y&c=1&%63=2"));
        assert_eq!(query.parameter("a"), Ok(Some("1".into())));
        assert_eq!(query.parameter("b"), Ok(Some("x y".into())));
        assert_eq!(query.parameter("c"), Err(QueryError));
        assert_eq!(query.parameter("d"), Ok(None));
        assert_eq!(Query::new(None).parameter("a"), Ok(None));
    }

    #[test]
    fn a_parameter_is_what_every_server_reads() {
        let said = |raw: &str| Query::new(Some(raw)).for_every_server("namespace");
        let once = |value: &str| Parameter::Once(value.to_owned());
        for raw in ["namespace=team-a", "a=1&namespace=team-a&b", "%6eamespace=team%2Da", "a;b&namespace=team-a"] {
            assert!(said(raw) == once("team-a"), "{raw}");
        }
        assert!(said("namespace=") == once("") && said("namespace") == once(""));
        for raw in ["", "a=namespace", "namespaces=x", "ns=x", "xnamespace=x", "x[namespace]=x", "a=%26namespace%3Dx"] {
            assert!(said(raw) == Parameter::Absent, "{raw}");
        }
        for raw in [
            "namespace=team-a&namespace=team-b",
            "namespace=team-a&namespace=team-a",
            "namespace=team-a&%6eamespace=team-b",
            "namespace=team-a&%256eamespace=team-b",
            "%256eamespace=team-b",
            "namespace=team-a;namespace=team-b",
            "a=1;namespace=team-b",
            "namespace=team-a;x",
            "namespace[]=team-b",
            "namespace=team-a&namespace[0]=team-b",
            "namespace%5B%5D=team-b",
            "[namespace]=team-b",
            "namespace=team-a&[namespace]=team-b",
            "namespace=team-a&%5Bnamespace%5D=team-b",
            "namespace=team-a&%255bnamespace%255d[]=team-b",
            "namespace=team-a&[namespace]x=team-b",
            "namespace=team-a&namespace]=team-b",
            "namespace=x]=y",
            "namespace=x%5D=y",
            "Namespace=team-b",
            "namespace=team-a&NAMESPACE=team-b",
            "+namespace=team-b",
            "namespace%00=team-b",
            "namespace=team-a&%ff=x",
        ] {
            assert!(said(raw) == Parameter::Ambiguous, "{raw}");
        }
        assert!(Query::new(None).for_every_server("namespace") == Parameter::Absent);
        let behind = |parts: usize| said(&format!("{}namespace=team-a", "a&".repeat(parts)));
        assert!(behind(999) == once("team-a") && behind(1000) == Parameter::Ambiguous, "some servers read 1000 parts");
        assert!(!format!("{:?}", once("hunter2")).contains("hunter2"));
    }

    #[test]
    fn a_text_is_decoded_to_its_end() {
        assert_eq!(fully_decoded("a%252525%2Fb").as_deref(), Some("a%/b"));
        assert_eq!(fully_decoded("100%").as_deref(), Some("100%"));
        assert_eq!(fully_decoded("%ff"), None);
        assert_eq!(fully_decoded(&format!("%{}2f", "25".repeat(20))), None);
    }
}
