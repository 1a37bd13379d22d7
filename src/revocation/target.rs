//! What a revocation is about.

use std::fmt;

use thiserror::Error;

use crate::principal::{Namespace, ServiceAccountName};

/// The longest uid or token id.
const MAX_BYTES: usize = 128;
/// What stands before a token's `jti` in its id (`authentication.kubernetes.io/credential-id`).
const JTI_PREFIX: &str = "JTI=";

/// Why a text is no uid or token id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// It is no uid.
    #[error("a pod's uid is 1 to 128 of `a-z`, `A-Z`, `0-9`, `-` (kubectl get pod NAME -o jsonpath={{.metadata.uid}})")]
    PodUid,
    /// It is no token id.
    #[error("a token's id is its `jti`, or `JTI=` and its `jti`, in visible ASCII")]
    TokenId,
}

/// The uid of a pod. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodUid(String);

impl PodUid {
    /// Reads a uid.
    ///
    /// # Errors
    /// Where it cannot be one.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_uid = (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(plain);
        if is_uid { Ok(Self(text.to_owned())) } else { Err(TargetError::PodUid) }
    }

    /// The uid.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id of a token, as the API server tells it (`authentication.kubernetes.io/credential-id`). Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(String);

impl TokenId {
    /// Reads an id; a bare `jti` gets its `JTI=`.
    ///
    /// # Errors
    /// Where it cannot be one.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let id = if text.contains('=') { text.to_owned() } else { format!("{JTI_PREFIX}{text}") };
        let named = id.split_once('=').is_some_and(|(kind, value)| !kind.is_empty() && !value.is_empty());
        let is_id = named && id.len() <= MAX_BYTES && id.bytes().all(|byte| byte.is_ascii_graphic());
        if is_id { Ok(Self(id)) } else { Err(TargetError::TokenId) }
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a revocation is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// Every service account of a namespace.
    Namespace(Namespace),
    /// One service account.
    ServiceAccount(ServiceAccountName),
    /// The tokens that are bound to one pod.
    Pod(PodUid),
    /// One token.
    Token(TokenId),
}

impl Target {
    /// What kind of thing it is, as the commands name it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Namespace(_) => "namespace",
            Self::ServiceAccount(_) => "service-account",
            Self::Pod(_) => "pod",
            Self::Token(_) => "token",
        }
    }

    /// Whether it has no other tokens than those that are denied with it.
    #[must_use]
    pub const fn is_denied_whole(&self) -> bool {
        matches!(self, Self::Pod(_) | Self::Token(_))
    }

    /// Which one of its kind.
    #[must_use]
    pub fn value(&self) -> String {
        match self {
            Self::Namespace(namespace) => namespace.to_string(),
            Self::ServiceAccount(account) => account.to_string(),
            Self::Pod(uid) => uid.as_str().to_owned(),
            Self::Token(id) => id.as_str().to_owned(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind(), self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_empty_names_anything() {
        for wrong in ["", " ", "a b", "a\n", "ä", "a/b", &"a".repeat(129)] {
            assert_eq!(PodUid::parse(wrong), Err(TargetError::PodUid), "{wrong:?}");
        }
        for wrong in ["", "JTI=", "=x", "=", "a b", "JTI=a\tb", "ä", &"a".repeat(125)] {
            assert_eq!(TokenId::parse(wrong), Err(TargetError::TokenId), "{wrong:?}");
        }
    }

    #[test]
    fn a_token_is_named_by_its_id_or_its_bare_jti() {
        let whole = TokenId::parse("JTI=4c6d53bb-6fa3-4db1-a5cd-4f0f9eda2ba2").unwrap();
        assert_eq!(TokenId::parse("4c6d53bb-6fa3-4db1-a5cd-4f0f9eda2ba2").unwrap(), whole);
        assert_eq!(TokenId::parse("X509SHA256=abc").unwrap().as_str(), "X509SHA256=abc");
    }
}
