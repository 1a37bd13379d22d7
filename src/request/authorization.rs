//! The `authorization` header, read once and strictly.

use std::fmt;

use super::Headers;

/// What the `authorization` header holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization<'a> {
    /// It is not there.
    Absent,
    /// One bearer token (RFC 6750 section 2.1).
    Bearer(BearerToken<'a>),
    /// Several values, a bearer among them: nobody can say which one counts.
    Ambiguous,
    /// Something else, which is the application's own.
    Other,
}

/// A bearer token, not judged yet. It does not print.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BearerToken<'a>(&'a str);

impl<'a> BearerToken<'a> {
    /// The token. Whoever calls this answers for where it goes.
    #[must_use]
    pub const fn expose(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

impl<'a> Authorization<'a> {
    pub(super) fn of(headers: &'a Headers) -> Self {
        // Envoy joins several lines with a comma, which no bearer token holds.
        let mut values = headers.values("authorization").flat_map(|line| line.split(',')).map(str::trim);
        let Some(first) = values.next() else { return Self::Absent };
        let rest: Vec<&str> = values.collect();
        match bearer(first) {
            Some(token) if rest.is_empty() => Self::Bearer(token),
            Some(_) => Self::Ambiguous,
            None if rest.iter().any(|value| bearer(value).is_some()) => Self::Ambiguous,
            None => Self::Other,
        }
    }
}

/// The token of one value, where its scheme is `bearer` in any case.
fn bearer(value: &str) -> Option<BearerToken<'_>> {
    let (scheme, token) = value.split_at_checked("bearer".len())?;
    let ends = token.chars().next().is_none_or(|next| matches!(next, ' ' | '\t'));
    (scheme.eq_ignore_ascii_case("bearer") && ends).then(|| BearerToken(token.trim_start_matches([' ', '\t'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> String {
        let lines = lines.iter().map(|value| ("authorization", value));
        match Authorization::of(&Headers::new(lines)) {
            Authorization::Bearer(token) => format!("bearer {}", token.expose()),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn one_bearer_or_none() {
        assert_eq!(read(&[]), "Absent");
        assert_eq!(read(&["Bearer abc"]), "bearer abc");
        assert_eq!(read(&["bEARER   abc"]), "bearer abc");
        assert_eq!(read(&["Bearer"]), "bearer ");
        assert_eq!(read(&["Bearerabc"]), "Other");
        assert_eq!(read(&["token abc"]), "Other");
        assert_eq!(read(&["Digest a=b, c=d"]), "Other");
        assert_eq!(read(&["Basic a,Bearer b"]), "Ambiguous");
        assert_eq!(read(&["Bearer a", "Bearer b"]), "Ambiguous");
        assert_eq!(read(&["Basic a", "bearer b"]), "Ambiguous");
        assert_eq!(read(&["Bearer a,b"]), "Ambiguous");
    }
}
