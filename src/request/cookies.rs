//! The `cookie` header (RFC 6265 section 4.2): ours are read and cut out, the others stay byte for byte.
//!
//! An honest header is long and holds one cookie of ours: it is searched for our names, and what holds none of them is
//! neither split nor copied.

use std::{collections::BTreeSet, fmt};

use memchr::memmem::Finder;

use super::Headers;

/// The white space that may stand around a cookie.
const SPACE: [char; 2] = [' ', '\t'];

/// The names of every cookie of ours, ready to be searched for.
#[derive(Debug)]
pub struct CookieNames {
    all: Vec<String>,
    /// Those that hold no other one. Where none of them stands, none of all does.
    shortest: Vec<Finder<'static>>,
}

impl CookieNames {
    /// These names, each once.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let all: Vec<String> = names.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let holds_another = |name: &str| all.iter().any(|other| other != name && name.contains(other.as_str()));
        let shortest = all.iter().filter(|name| !holds_another(name));
        Self { shortest: shortest.map(|name| Finder::new(name).into_owned()).collect(), all }
    }

    /// Whether any of them stands somewhere in a text.
    fn stand_in(&self, text: &str) -> bool {
        self.shortest.iter().any(|name| name.find(text.as_bytes()).is_some())
    }

    /// Whether a pair is ours. Wider than what [`CookieHeader::values`] believes: a server that forgives the space before
    /// `=` would still read it as ours.
    fn are_of(&self, pair: &str) -> bool {
        let name = pair.split('=').next().unwrap_or_default().trim_matches(SPACE);
        self.all.iter().any(|ours| ours == name)
    }
}

/// The cookies of a request. They do not print.
#[derive(Clone, Copy)]
pub struct CookieHeader<'a> {
    headers: &'a Headers,
}

impl fmt::Debug for CookieHeader<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} lines [redacted]", self.lines().count())
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
    pub(super) const fn of(headers: &'a Headers) -> Self {
        Self { headers }
    }

    /// The values of every cookie whose name's bytes equal `name`. Two of them mean that none is to be believed.
    pub fn values(self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines().filter(move |line| contains(line, name)).flat_map(|line| line.split(';')).filter_map(move |pair| {
            let (have, value) = pair.trim_matches(SPACE).split_once('=')?;
            (have == name).then_some(value)
        })
    }

    /// The header without the cookies of these names.
    ///
    /// Envoy joins two `Cookie` lines of HTTP/1 with a comma, so a cookie of ours may hide in another one's value: where
    /// a name of ours still stands in what is left, the whole header goes.
    #[must_use]
    pub fn without(self, names: &CookieNames) -> Stripped {
        if !self.lines().any(|line| names.stand_in(line)) {
            return Stripped::Unchanged;
        }
        let mut rest = Rest::of_at_most(self.lines().map(|line| line.len() + 1).sum());
        for line in self.lines() {
            if rest.add(line, names).is_err() {
                return Stripped::Removed;
            }
        }
        let rest = rest.text;
        // What would not arrive as it is: an empty value, one with spaces at its ends, or a control. (A byte that is not
        // UTF-8 came as `!` and goes on as that.)
        let plain = rest.trim().len() == rest.len() && !rest.chars().any(char::is_control);
        if rest.is_empty() || !plain { Stripped::Removed } else { Stripped::Replaced(rest) }
    }

    fn lines(self) -> impl Iterator<Item = &'a str> {
        self.headers.values("cookie")
    }
}

/// Whether a line holds a name, found without splitting it.
fn contains(line: &str, name: &str) -> bool {
    memchr::memmem::find(line.as_bytes(), name.as_bytes()).is_some()
}

/// A name of ours stands in a cookie that is not ours.
struct Hidden;

/// The pairs that are kept, joined.
struct Rest {
    text: String,
    /// Whether a pair was kept, an empty one too.
    any: bool,
}

impl Rest {
    fn of_at_most(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), any: false }
    }

    /// Keeps the pairs of a line that are not ours. Each byte is looked at as often as there are names, whatever the line
    /// repeats.
    fn add(&mut self, line: &str, names: &CookieNames) -> Result<(), Hidden> {
        for pair in line.split(';') {
            if !names.stand_in(pair) {
                self.push(pair);
            } else if !names.are_of(pair) {
                return Err(Hidden);
            }
        }
        Ok(())
    }

    fn push(&mut self, pair: &str) {
        if self.any {
            self.text.push(';');
            self.text.push_str(pair);
        } else {
            self.text.push_str(pair.trim_start_matches(SPACE));
        }
        self.any = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &[&str] = &["__Host-portcullis", "__Host-portcullis-login"];

    fn names(names: &[&str]) -> CookieNames {
        CookieNames::new(names.iter().map(|name| (*name).to_owned()))
    }

    fn headers(lines: &[&str]) -> Headers {
        Headers::new(lines.iter().map(|line| ("cookie", line)))
    }

    fn strip(lines: &[&str]) -> Stripped {
        CookieHeader::of(&headers(lines)).without(&names(OURS))
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

    #[test]
    fn a_header_without_a_name_of_ours_is_not_copied() {
        let headers = headers(&[&format!("a={}; b=2", "x".repeat(2000)), "c=3"]);
        let names = names(OURS);
        let taken = allocation_counter::measure(|| {
            assert_eq!(CookieHeader::of(&headers).without(&names), Stripped::Unchanged);
            assert_eq!(CookieHeader::of(&headers).values(OURS[0]).count(), 0);
        });
        assert_eq!(taken.count_total, 0);
    }

    /// What is stripped, said in the plainest way.
    fn plainly(lines: &[String], ours: &[&str]) -> Stripped {
        let holds_ours = |text: &str| ours.iter().any(|name| text.contains(name));
        if !lines.iter().any(|line| holds_ours(line)) {
            return Stripped::Unchanged;
        }
        let is_ours = |pair: &str| ours.contains(&pair.split('=').next().unwrap().trim_matches([' ', '\t']));
        let kept: Vec<&str> = lines.iter().flat_map(|line| line.split(';')).filter(|pair| !is_ours(pair)).collect();
        let rest = kept.join(";");
        let rest = rest.trim_start_matches([' ', '\t']);
        let plain = rest.trim() == rest && !rest.chars().any(char::is_control);
        if rest.is_empty() || holds_ours(rest) || !plain {
            return Stripped::Removed;
        }
        Stripped::Replaced(rest.to_owned())
    }

    proptest::proptest! {
        #[test]
        fn stripping_is_what_the_plainest_way_does(
            lines in proptest::collection::vec("((ours|ours-login|x|é)?[ \t]?[=;,]?[a\u{1}\u{85}]?[ \t]?;?){0,6}", 0..4),
        ) {
            let ours = ["ours", "ours-login", "é=x"];
            let headers = Headers::new(lines.iter().map(|line| ("cookie", line)));
            let stripped = CookieHeader::of(&headers).without(&names(&ours));
            proptest::prop_assert!(stripped == plainly(&lines, &ours), "{:?}", lines);
        }

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
