//! Header lines as the client sent them, and the names that a server behind may fold into one another.

use std::fmt;

use super::text::{Span, Text};

/// The header lines of a request, names in lower case, in the order in which they came.
///
/// Where Envoy joined several lines of one name with a comma, they are one line here. Only the names print.
#[derive(Clone, Default)]
pub struct Headers {
    /// Every name and value, and what else came of the request.
    text: Text,
    lines: Vec<Line>,
}

#[derive(Clone, Copy)]
struct Line {
    name: Span,
    value: Span,
}

impl fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.names()).finish()
    }
}

impl Headers {
    /// Takes lines; folds the names to lower case and leaves pseudo-headers out.
    #[must_use]
    pub fn new<N: AsRef<str>, V: AsRef<str>>(lines: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut headers = Self::default();
        for (name, value) in lines {
            headers.add(name.as_ref(), value.as_ref());
        }
        headers
    }

    /// No line yet, and room for so many, beside what `text` holds.
    pub(super) fn with_room(text: Text, lines: usize) -> Self {
        Self { text, lines: Vec::with_capacity(lines) }
    }

    pub(super) fn add(&mut self, name: &str, value: &str) {
        if !name.starts_with(':') {
            let line = Line { name: self.text.push_lower(name), value: self.text.push(value) };
            self.lines.push(line);
        }
    }

    /// Keeps a text that is no header.
    pub(super) fn keep(&mut self, text: &str) -> Span {
        self.text.push(text)
    }

    /// The text that was kept there.
    pub(super) fn kept(&self, span: Span) -> &str {
        self.text.at(span)
    }

    /// The name and the value of every line, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().map(|line| (self.text.at(line.name), self.text.at(line.value)))
    }

    /// The values of every line of this name (in lower case).
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter(move |line| self.text.is(line.name, name)).map(|line| self.text.at(line.value))
    }

    /// The value of this name, where exactly one line has it.
    #[must_use]
    pub fn single<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.values(name);
        let first = values.next()?;
        if values.next().is_some() { None } else { Some(first) }
    }

    /// Whether any line has this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.lines.iter().any(|line| self.text.is(line.name, name))
    }

    /// The names of all lines, as often as they came.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|line| self.text.at(line.name))
    }

    /// The names that the `Connection` header lists (RFC 9110 section 7.6.1), in the case in which they came.
    pub fn connection_options(&self) -> impl Iterator<Item = &str> {
        self.values("connection").flat_map(|value| value.split(',')).map(str::trim)
    }
}

/// The form that CGI-like servers fold a header's name into: lower case, with every byte that is no letter or digit
/// turned into `-`. Two names of one form may be one header to a server behind.
#[must_use]
pub fn variant_form(name: &str) -> String {
    name.bytes().map(|byte| char::from(folded(byte))).collect()
}

/// Whether `form` is the [`variant_form`] of a name.
#[must_use]
pub fn is_variant_of(name: &str, form: &str) -> bool {
    name.len() == form.len() && is_variant_below(name, form)
}

/// Whether the [`variant_form`] of a name begins with `form`.
#[must_use]
pub fn is_variant_below(name: &str, form: &str) -> bool {
    name.len() >= form.len() && name.bytes().map(folded).zip(form.bytes()).all(|(own, other)| own == other)
}

const fn folded(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_as_servers_behind_fold_them() {
        for name in ["Kubeflow-UserID", "kubeflow_userid", "kubeflow.userid", "KUBEFLOW~USERID"] {
            assert_eq!(variant_form(name), "kubeflow-userid");
            assert!(is_variant_of(name, "kubeflow-userid") && is_variant_below(name, "kubeflow-"), "{name}");
            assert!(!is_variant_of(name, "kubeflow-user") && !is_variant_below(name, "kubeflow-userid-"), "{name}");
        }
        assert_ne!(variant_form("kubeflowuserid"), "kubeflow-userid");
    }

    #[test]
    fn a_name_on_two_lines_has_no_single_value() {
        let headers = Headers::new([("Origin", "a"), ("origin", "b")]);
        assert_eq!(headers.single("origin"), None);
        assert_eq!(headers.values("origin").collect::<Vec<_>>(), ["a", "b"]);
        assert!(headers.contains("origin"));
    }

    #[test]
    fn pseudo_headers_are_no_headers() {
        assert_eq!(Headers::new([(":path", "/")]).names().count(), 0);
    }

    #[test]
    fn connection_options_are_listed_one_by_one() {
        let headers = Headers::new([("connection", "Upgrade, Kubeflow-UserID")]);
        assert_eq!(headers.connection_options().collect::<Vec<_>>(), ["Upgrade", "Kubeflow-UserID"]);
    }
}
