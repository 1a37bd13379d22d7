//! Patterns for service accounts.

use std::fmt;

use thiserror::Error;

use crate::principal::{Namespace, ServiceAccount, ServiceAccountName};

/// Why a text is no pattern for service accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a service account is written `namespace/name` or `namespace/*`")]
pub struct ServiceAccountPatternError;

/// A pattern for service accounts: `namespace/name`, or `namespace/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccountPattern {
    namespace: Namespace,
    /// Any account of the namespace where there is none.
    account: Option<ServiceAccountName>,
}

impl ServiceAccountPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Where it is not `namespace/name` or `namespace/*`.
    pub fn parse(text: &str) -> Result<Self, ServiceAccountPatternError> {
        if let Some(namespace) = text.strip_suffix("/*") {
            let namespace = Namespace::parse(namespace).map_err(|_| ServiceAccountPatternError)?;
            return Ok(Self { namespace, account: None });
        }
        let account = ServiceAccountName::parse(text).map_err(|_| ServiceAccountPatternError)?;
        Ok(Self { namespace: account.namespace().clone(), account: Some(account) })
    }

    pub(super) fn matches(&self, account: &ServiceAccount) -> bool {
        self.namespace.as_str() == account.namespace
            && self.account.as_ref().is_none_or(|named| named.name() == account.name)
    }
}

impl fmt::Display for ServiceAccountPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.account {
            Some(account) => write!(formatter, "{account}"),
            None => write!(formatter, "{}/*", self.namespace),
        }
    }
}
