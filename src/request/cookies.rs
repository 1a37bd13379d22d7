//! The `cookie` header (RFC 6265 section 4.2): ours are read and cut out, the others stay byte for byte.

use std::fmt;

use super::Headers;

/// The cookies of a request. They do not print.
#[derive(Clone)]
pub struct CookieHeader<'a> {
    lines: Vec<&'a str>,
}

impl fmt::Debug for CookieHeader<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} lines [redacted]", self.lines.len())
    }
}

/// What is left of the `cookie` header without our cookies. An application's cookies do not print either.
#[derive(Clone, PartialEq, Eq)]
pub enum Stripped {
    /// None of ours was there: the header stays as it is.
    Unchanged,
    /// The header is replaced by this one.
    Replaced(String),
    /// The header goes: nothing is left, or a name of ours still stands somewhere in it.
    Removed,
}

impl fmt::Debug for Stripped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unchanged => "Unchanged",
            Self::Replaced(_) => "Replaced [redacted]",
            Self::Removed => "Removed",
        })
    }
}

impl<'a> CookieHeader<'a> {
    pub(super) fn of(headers: &'a Headers) -> Self {
        Self { lines: headers.values("cookie").collect() }
    }

    /// The values of every cookie whose name's bytes equal `name`. Two of them mean that none is to be believed.
    pub fn values(&self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs().filter_map(move |pair| {
            let (have, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
            (have == name).then_some(value)
        })
    }

    /// The header without the cookies of these names.
    ///
    /// Envoy joins two `Cookie` lines of HTTP/1 with a comma, so a cookie of ours may hide in another one's value: where
    /// a name of ours still stands in what is left, the whole header goes.
    #[must_use]
    pub fn without<N: AsRef<str>>(&self, names: &[N]) -> Stripped {
        let holds_ours = |text: &str| names.iter().any(|name| text.contains(name.as_ref()));
        if !self.lines.iter().any(|line| holds_ours(line)) {
            return Stripped::Unchanged;
        }
        // Wider than what `values` believes: a server that forgives the space before `=` would still read it as ours.
        let is_ours = |pair: &str| {
            let name = pair.split('=').next().unwrap_or_default().trim_matches([' ', '\t']);
            names.iter().any(|ours| ours.as_ref() == name)
        };
        let kept: Vec<&str> = self.pairs().filter(|pair| !is_ours(pair)).collect();
        let rest = kept.join(";");
        let rest = rest.trim_start_matches([' ', '\t']);
        // What would not arrive as it is: an empty value, one with spaces at its ends, or a control. (A byte that is not
        // UTF-8 came as `!` and goes on as that.)
        let plain = rest.trim() == rest && !rest.chars().any(char::is_control);
        if rest.is_empty() || holds_ours(rest) || !plain {
            return Stripped::Removed;
        }
        Stripped::Replaced(rest.to_owned())
    }

    fn pairs(&self) -> impl Iterator<Item = &'a str> {
        self.lines.clone().into_iter().flat_map(|line| line.split(';'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &[&str] = &["__Host-portcullis", "__Host-portcullis-login"];

    fn headers(lines: &[&str]) -> Headers {
        Headers::new(lines.iter().map(|line| ("cookie".to_owned(), (*line).to_owned())).collect())
    }

    fn strip(lines: &[&str]) -> Stripped {
        CookieHeader::of(&headers(lines)).without(OURS)
    }

    #[test]
    fn the_other_cookies_stay_byte_for_byte() {
        assert_eq!(strip(&["a=1; b=\"x y\""]), Stripped::Unchanged);
        assert_eq!(strip(&["a=1; __Host-portcullis=t; b=\"x y\" ;c"]), Stripped::Replaced("a=1; b=\"x y\" ;c".into()));
        assert_eq!(strip(&["__Host-portcullis=t; a=1"]), Stripped::Replaced("a=1".into()));
        assert_eq!(strip(&["__Host-portcullis=t"]), Stripped::Removed);
        assert_eq!(strip(&["__Host-portcullis =t; a=1"]), Stripped::Replaced("a=1".into()), "a space before `=`");
        assert_eq!(strip(&["__host-portcullis=t"]), Stripped::Unchanged, "a cookie is ours by its bytes only");
    }

    #[test]
    fn where_a_name_of_ours_still_stands_the_header_goes() {
        for line in [
            "a=1,__Host-portcullis=t",
            "=__Host-portcullis=t",
            "a=__Host-portcullis",
            "__Host-portcullis2=x",
            "a=1; __Host-portcullis-login=x,__Host-portcullis=t; b=2,__Host-portcullis=u",
        ] {
            assert_eq!(strip(&[line]), Stripped::Removed, "{line}");
        }
    }

    #[test]
    fn two_cookies_of_our_name_are_seen_as_two() {
        let headers = headers(&["__Host-portcullis=a; x=1", "__Host-portcullis=b"]);
        let cookies = CookieHeader::of(&headers);
        assert_eq!(cookies.values("__Host-portcullis").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(cookies.values("__host-portcullis").count(), 0);
    }

    proptest::proptest! {
        #[test]
        fn nothing_of_ours_is_left_and_nothing_else_is_lost(
            others in proptest::collection::vec("[a-z]{1,5}=[ -:<-~]{0,8}[!-:<-~]", 0..6),
            at in 0usize..6,
        ) {
            let mut pairs = others.clone();
            pairs.insert(at.min(pairs.len()), "__Host-portcullis=secret".into());
            let line = pairs.join("; ");
            match strip(&[&line]) {
                Stripped::Replaced(rest) => proptest::prop_assert_eq!(rest, others.join("; ")),
                Stripped::Removed => proptest::prop_assert!(others.is_empty()),
                Stripped::Unchanged => proptest::prop_assert!(false, "ours was there"),
            }
        }
    }
}
