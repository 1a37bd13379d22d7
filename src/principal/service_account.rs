//! The names of Kubernetes' service accounts and namespaces.

use std::fmt;

use thiserror::Error;

/// What precedes a service account's namespace and name in its user name.
const USERNAME_PREFIX: &str = "system:serviceaccount:";

/// Why a name is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KubernetesNameError {
    /// It is no namespace.
    #[error("a namespace is a DNS label: 1 to 63 of `a-z`, `0-9` and `-`")]
    Namespace,
    /// It is no service account.
    #[error("a service account is written NAMESPACE/NAME, for example `team-a/default-editor`")]
    ServiceAccount,
}

/// The name of a namespace: a DNS label (RFC 1123 section 2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace(String);

impl Namespace {
    /// Reads a name.
    ///
    /// # Errors
    /// Where it is no DNS label.
    pub fn parse(text: &str) -> Result<Self, KubernetesNameError> {
        if is_label(text) { Ok(Self(text.to_owned())) } else { Err(KubernetesNameError::Namespace) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The name of a service account, with its namespace: a DNS subdomain as Kubernetes means it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceAccountName {
    namespace: Namespace,
    name: String,
}

impl ServiceAccountName {
    /// The account `name` in `namespace`.
    ///
    /// # Errors
    /// Where either is no name.
    pub fn new(namespace: &str, name: &str) -> Result<Self, KubernetesNameError> {
        let namespace = Namespace::parse(namespace)?;
        if !is_subdomain(name) {
            return Err(KubernetesNameError::ServiceAccount);
        }
        Ok(Self { namespace, name: name.to_owned() })
    }

    /// Reads `NAMESPACE/NAME`, as people write it.
    ///
    /// # Errors
    /// Where it is anything else.
    pub fn parse(text: &str) -> Result<Self, KubernetesNameError> {
        let (namespace, name) = text.split_once('/').ok_or(KubernetesNameError::ServiceAccount)?;
        Self::new(namespace, name)
    }

    /// Reads the user name `system:serviceaccount:<namespace>:<name>`. It has one spelling.
    #[must_use]
    pub fn from_username(username: &str) -> Option<Self> {
        let (namespace, name) = username.strip_prefix(USERNAME_PREFIX)?.split_once(':')?;
        Self::new(namespace, name).ok()
    }

    /// The namespace.
    #[must_use]
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The name within the namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for ServiceAccountName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// Whether this is a DNS label (RFC 1123), as a namespace's name is.
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len()) && is_plain(text)
}

/// Whether this is a DNS subdomain as Kubernetes means it (labels of any length, 253 bytes in all), as a service
/// account's name is.
fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_plain)
}

fn is_plain(label: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !label.is_empty() && label.bytes().all(plain) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_have_one_spelling() {
        let name = ServiceAccountName::from_username("system:serviceaccount:team-a:ci.bot").unwrap();
        assert_eq!((name.namespace().as_str(), name.name()), ("team-a", "ci.bot"));
        assert_eq!(name.to_string(), "team-a/ci.bot");
        for wrong in [
            "",
            "system:serviceaccount:",
            "system:serviceaccount:a",
            "system:serviceaccount:a:",
            "system:serviceaccount::b",
            "system:serviceaccount:a:b:c",
            "system:serviceaccount:a.b:c",
            "system:serviceaccount:A:b",
            "system:serviceaccount:a:B",
            "system:serviceaccount:-a:b",
            "system:serviceaccount:a:b-",
            "system:serviceaccount:a:b..c",
            "system:serviceaccount:a:b\n",
            "system:serviceaccount:a:b ",
            " system:serviceaccount:a:b",
            "System:serviceaccount:a:b",
            "system:node:a:b",
        ] {
            assert_eq!(ServiceAccountName::from_username(wrong), None, "{wrong:?}");
        }
        let long = |namespace: usize, name: usize| {
            let (namespace, name) = ("a".repeat(namespace), "b".repeat(name));
            ServiceAccountName::from_username(&format!("system:serviceaccount:{namespace}:{name}")).is_some()
        };
        assert!(long(63, 253) && !long(64, 1) && !long(1, 254));
    }

    #[test]
    fn people_write_the_namespace_before_the_name() {
        assert_eq!(ServiceAccountName::parse("team-a/ci"), ServiceAccountName::new("team-a", "ci"));
        for wrong in ["", "team-a", "/ci", "team-a/", "team-a/ci/x", "team_a/ci", "Team/ci", "team-a:ci"] {
            assert!(ServiceAccountName::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
