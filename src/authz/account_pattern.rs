//! Patterns for service accounts.

use thiserror::Error;

use crate::principal::ServiceAccount;

/// Why a text is no pattern for service accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a service account is written `namespace/name` or `namespace/*`")]
pub struct ServiceAccountPatternError;

/// A pattern for service accounts: `namespace/name`, or `namespace/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccountPattern {
    namespace: String,
    name: Option<String>,
}

impl ServiceAccountPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Where it is not `namespace/name` or `namespace/*`.
    pub fn parse(text: &str) -> Result<Self, ServiceAccountPatternError> {
        let (namespace, name) = text.split_once('/').ok_or(ServiceAccountPatternError)?;
        let dns = |text: &str, also: &[u8]| {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || also.contains(&byte);
            !text.is_empty() && text.bytes().all(plain)
        };
        if !dns(namespace, b"-") || (name != "*" && !dns(name, b"-.")) {
            return Err(ServiceAccountPatternError);
        }
        Ok(Self { namespace: namespace.to_owned(), name: (name != "*").then(|| name.to_owned()) })
    }

    pub(super) fn matches(&self, account: &ServiceAccount) -> bool {
        self.namespace == account.namespace && self.name.as_ref().is_none_or(|name| *name == account.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_account_patterns_are_strict() {
        assert!(ServiceAccountPattern::parse("ns/a.b-c").is_ok());
        for bad in ["", "ns", "/a", "ns/", "*/a", "ns/a*", "ns/a/b", "Ns/a"] {
            assert_eq!(ServiceAccountPattern::parse(bad), Err(ServiceAccountPatternError), "{bad}");
        }
    }
}
