//! Header lines as the client sent them, and the names that a server behind may fold into one another.

use std::fmt;

/// The header lines of a request, names in lower case, in the order in which they came.
///
/// Where Envoy joined several lines of one name with a comma, they are one line here. Only the names print.
#[derive(Clone, Default)]
pub struct Headers(Vec<(String, String)>);

impl fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.names()).finish()
    }
}

impl Headers {
    /// Takes lines; folds the names to lower case and leaves pseudo-headers out.
    #[must_use]
    pub fn new(lines: Vec<(String, String)>) -> Self {
        let mut lines = lines;
        lines.retain(|(name, _)| !name.starts_with(':'));
        for (name, _) in &mut lines {
            name.make_ascii_lowercase();
        }
        Self(lines)
    }

    /// The values of every line of this name (in lower case).
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(have, _)| have == name).map(|(_, value)| value.as_str())
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
        self.0.iter().any(|(have, _)| have == name)
    }

    /// The names of all lines, as often as they came.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
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
        let headers = Headers::new(vec![("Origin".into(), "a".into()), ("origin".into(), "b".into())]);
        assert_eq!(headers.single("origin"), None);
        assert_eq!(headers.values("origin").collect::<Vec<_>>(), ["a", "b"]);
        assert!(headers.contains("origin"));
    }

    #[test]
    fn pseudo_headers_are_no_headers() {
        assert_eq!(Headers::new(vec![(":path".into(), "/".into())]).names().count(), 0);
    }

    #[test]
    fn connection_options_are_listed_one_by_one() {
        let headers = Headers::new(vec![("connection".into(), "Upgrade, Kubeflow-UserID".into())]);
        assert_eq!(headers.connection_options().collect::<Vec<_>>(), ["Upgrade", "Kubeflow-UserID"]);
    }
}
