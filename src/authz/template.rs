//! Templates for paths, keys and hosts: segments, of which some stand for any, and some are captured.

use std::fmt;

use thiserror::Error;

use super::captured::Captured;

/// Why a text is no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// A segment is empty, a dot segment, or holds what no plain name does.
    #[error(
        "a segment is empty, is `.` or `..`, or holds something other than visible ASCII without `%`, `\\`, `;`, `#` and `?`"
    )]
    Segment,
    /// `**` stands elsewhere than at the end.
    #[error("`**` stands at the end only")]
    Tail,
    /// A `*` stands elsewhere than at a segment's end.
    #[error("`*` stands for a segment, or for a segment's end (`Get*`)")]
    Star,
    /// A variable is not alone in its segment, or has no plain name.
    #[error("a variable is a whole segment, `{{name}}`, of `a-z`, `0-9` and `_`")]
    Variable,
    /// A variable occurs twice.
    #[error("a variable occurs twice")]
    Twice,
}

/// What separates the segments of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// Of a path, which begins with one.
    Path,
    /// Of a key, which does not.
    Key,
    /// Of a host.
    Host,
}

/// A template: `/notebook/{namespace}/{name}/**`.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    separator: Separator,
    segments: Vec<Segment>,
    /// Whether anything may follow.
    is_open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// This.
    Literal(String),
    /// What begins so, and anything where that is empty; never nothing.
    Beginning(String),
    /// Anything, under this name.
    Variable(String),
}

impl Separator {
    const fn character(self) -> char {
        match self {
            Self::Path | Self::Key => '/',
            Self::Host => '.',
        }
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &str, separator: Separator) -> Result<Self, TemplateError> {
        let text = match separator {
            Separator::Path => text.strip_prefix('/').ok_or(TemplateError::Segment)?,
            Separator::Key | Separator::Host => text,
        };
        let (inner, is_open) = match (text, separator) {
            (_, Separator::Host) => (text, false),
            ("**", _) => ("", true),
            (text, _) => text.strip_suffix("/**").map_or((text, false), |inner| (inner, true)),
        };
        let mut segments = Vec::new();
        // `//**` has an empty segment, and is not everything.
        if text != "**" || separator == Separator::Host {
            for part in inner.split(separator.character()) {
                segments.push(Segment::parse(part)?);
            }
        }
        let mut names: Vec<_> = segments.iter().filter_map(Segment::variable).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(TemplateError::Twice);
        }
        Ok(Self { separator, segments, is_open })
    }

    /// The names of its variables.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::variable)
    }

    /// Whether it stands for the text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.walk(text, |_, _| ())
    }

    /// What it captures of the text; `None` where it does not stand for it.
    pub(super) fn capture(&self, text: &str) -> Option<Captured> {
        let mut captured = Captured::default();
        self.walk(text, |name, value| captured.add(name, value)).then_some(captured)
    }

    fn walk<'a>(&'a self, text: &'a str, mut capture: impl FnMut(&'a str, &'a str)) -> bool {
        let text = match self.separator {
            Separator::Path => match text.strip_prefix('/') {
                Some(text) => text,
                None => return false,
            },
            Separator::Key | Separator::Host => text,
        };
        let mut parts = text.split(self.separator.character());
        for segment in &self.segments {
            let Some(part) = parts.next().filter(|part| segment.takes(part)) else { return false };
            if let Segment::Variable(name) = segment {
                capture(name, part);
            }
        }
        self.is_open || parts.next().is_none()
    }

    /// Whether it stands for every text that `other` stands for, where that can be told segment by segment.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let (own, others) = (&self.segments, &other.segments);
        let ends_alike = self.is_open || (!other.is_open && own.len() == others.len());
        self.separator == other.separator
            && ends_alike
            && own.len() <= others.len()
            && own.iter().zip(others).all(|(own, other)| own.covers(other))
    }

    /// Whether it stands for a path and for everything below it.
    pub(super) fn covers_below(&self, path: &str) -> bool {
        self.is_open && (self.segments.is_empty() || self.matches(path))
    }

    /// Whether all paths that it stands for begin with these whole segments, of which the first is empty (`/a/b`).
    pub(super) fn is_below(&self, path: &str) -> bool {
        let mut segments = self.segments.iter();
        let is_next = |part| matches!(segments.next(), Some(Segment::Literal(text)) if text == part);
        self.separator == Separator::Path && path.split('/').skip(1).all(is_next)
    }

    /// The same for texts that are folded to lower case.
    pub(super) fn folded(&self) -> Self {
        let fold = |segment: &Segment| match segment {
            Segment::Literal(text) => Segment::Literal(text.to_ascii_lowercase()),
            Segment::Beginning(text) => Segment::Beginning(text.to_ascii_lowercase()),
            Segment::Variable(name) => Segment::Variable(name.clone()),
        };
        Self { segments: self.segments.iter().map(fold).collect(), ..self.clone() }
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, TemplateError> {
        if let Some(inner) = text.strip_prefix('{') {
            let name = inner.strip_suffix('}').ok_or(TemplateError::Variable)?;
            return if is_variable(name) { Ok(Self::Variable(name.to_owned())) } else { Err(TemplateError::Variable) };
        }
        if text == "**" {
            return Err(TemplateError::Tail);
        }
        let (plain, is_beginning) = text.strip_suffix('*').map_or((text, false), |plain| (plain, true));
        if plain.contains('*') {
            return Err(TemplateError::Star);
        }
        if plain.contains(['{', '}']) {
            return Err(TemplateError::Variable);
        }
        let is_plain =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'\\' | b';' | b'#' | b'?' | b'!' | b'/');
        if !plain.bytes().all(is_plain) || matches!(plain, "." | "..") || (plain.is_empty() && !is_beginning) {
            return Err(TemplateError::Segment);
        }
        Ok(if is_beginning { Self::Beginning(plain.to_owned()) } else { Self::Literal(plain.to_owned()) })
    }

    fn takes(&self, part: &str) -> bool {
        match self {
            Self::Literal(text) => part == text,
            Self::Beginning(text) => !part.is_empty() && part.starts_with(text.as_str()),
            Self::Variable(_) => !part.is_empty(),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Variable(_), _) => true,
            (Self::Beginning(own), Self::Literal(text) | Self::Beginning(text)) => text.starts_with(own.as_str()),
            (Self::Beginning(own), Self::Variable(_)) => own.is_empty(),
            (Self::Literal(own), Self::Literal(text)) => own == text,
            (Self::Literal(_), Self::Beginning(_) | Self::Variable(_)) => false,
        }
    }

    const fn variable(&self) -> Option<&str> {
        match self {
            Self::Variable(name) => Some(name.as_str()),
            Self::Literal(_) | Self::Beginning(_) => None,
        }
    }
}

/// Whether a variable may be called so.
pub(super) fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// As it is written.
impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = self.separator.character();
        for (index, segment) in self.segments.iter().enumerate() {
            if index > 0 || self.separator == Separator::Path {
                write!(formatter, "{separator}")?;
            }
            match segment {
                Segment::Literal(text) => formatter.write_str(text)?,
                Segment::Beginning(text) => write!(formatter, "{text}*")?,
                Segment::Variable(name) => write!(formatter, "{{{name}}}")?,
            }
        }
        match (self.is_open, self.segments.is_empty() && self.separator == Separator::Key) {
            (false, _) => Ok(()),
            (true, true) => formatter.write_str("**"),
            (true, false) => formatter.write_str("/**"),
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::parse(text, Separator::Path).unwrap()
    }

    #[test]
    fn segments_are_taken_whole() {
        for (pattern, takes, refuses) in [
            (
                "/notebook/{namespace}/{name}/**",
                &["/notebook/a/b", "/notebook/a/b/", "/notebook/a/b/c/d"][..],
                &["/notebook/a", "/notebook/a/", "/notebooks/a/b", "/notebook//b", "notebook/a/b"][..],
            ),
            ("/apis/*/_proxy/**", &["/apis/v1/_proxy", "/apis/v2/_proxy/x"], &["/apis/_proxy", "/apis/a/b/_proxy"]),
            ("/s/Get*", &["/s/Get", "/s/GetX"], &["/s/PutX", "/s/GetX/", "/s/getx", "/s/"]),
            ("/**", &["/", "/a", "/a/b"], &[""]),
            ("/a", &["/a"], &["/a/", "/a/b", "/"]),
        ] {
            let template = template(pattern);
            assert_eq!(template.to_string(), pattern);
            for path in takes {
                assert!(template.matches(path), "{pattern} {path}");
            }
            for path in refuses {
                assert!(!template.matches(path), "{pattern} {path}");
            }
        }
        assert!(template("/S/Get*").folded().matches("/s/getx"));
    }

    #[test]
    fn variables_are_captured() {
        let captured = template("/n/{namespace}/{name}/**").capture("/n/team-a/nb/lab").unwrap();
        assert_eq!((captured.get("namespace"), captured.get("name")), (Some("team-a"), Some("nb")));
        let host = Template::parse("{name}.{namespace}.example.com", Separator::Host).unwrap();
        assert_eq!(host.capture("iris.team-a.example.com").unwrap().get("namespace"), Some("team-a"));
        assert!(host.capture("x.iris.team-a.example.com").is_none());
        let key = Template::parse("private/{namespace}/**", Separator::Key).unwrap();
        assert_eq!(key.capture("private/team-a/x").unwrap().get("namespace"), Some("team-a"));
        assert!(key.capture("/private/team-a/x").is_none());
        assert_eq!(key.to_string(), "private/{namespace}/**");
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for (text, error) in [
            ("", TemplateError::Segment),
            ("a", TemplateError::Segment),
            ("/a//b", TemplateError::Segment),
            ("/a/", TemplateError::Segment),
            ("//**", TemplateError::Segment),
            ("/a/../b", TemplateError::Segment),
            ("/a%20b", TemplateError::Segment),
            ("/a;b", TemplateError::Segment),
            ("/a b", TemplateError::Segment),
            ("/**/a", TemplateError::Tail),
            ("/a*b", TemplateError::Star),
            ("/a**", TemplateError::Star),
            ("/{a}-0", TemplateError::Variable),
            ("/x{a}", TemplateError::Variable),
            ("/{}", TemplateError::Variable),
            ("/{A}", TemplateError::Variable),
            ("/{a}/{a}", TemplateError::Twice),
        ] {
            assert_eq!(Template::parse(text, Separator::Path), Err(error), "{text}");
        }
        assert_eq!(Template::parse("/**", Separator::Key), Err(TemplateError::Segment));
    }
}
