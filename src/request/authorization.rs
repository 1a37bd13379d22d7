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
        let has_bearer = std::iter::once(&first).chain(&rest).any(|value| is_bearer(value));
        match (has_bearer, rest.is_empty()) {
            (true, false) => Self::Ambiguous,
            (true, true) => Self::Bearer(BearerToken(first["bearer".len()..].trim_start_matches([' ', '\t']))),
            (false, _) => Self::Other,
        }
    }
}

fn is_bearer(value: &str) -> bool {
    value.as_bytes().get(.."bearer".len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"))
        && value["bearer".len()..].chars().next().is_none_or(|next| matches!(next, ' ' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> String {
        let lines = lines.iter().map(|value| ("authorization".to_owned(), (*value).to_owned())).collect();
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
