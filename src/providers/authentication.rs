//! How we say at a provider's endpoints who we are (OpenID Connect Core section 9, RFC 7523).

use std::{path::PathBuf, sync::Arc};

use crate::{jose::ClientKey, secret::SecretString};

/// How we say who we are.
#[derive(Clone, Debug)]
pub enum ClientAuthentication {
    /// Not at all: a public client, PKCE alone.
    None,
    /// By a shared secret.
    Secret {
        /// The secret.
        secret: SecretString,
        /// Where it stands; nothing: as the provider's metadata say.
        method: Option<SecretMethod>,
    },
    /// By a token that we sign (`private_key_jwt`).
    PrivateKey(Arc<ClientKey>),
    /// By a token that somebody else issues to us, in a file that is read at each call: a projected ServiceAccount token
    /// for example, where the provider knows its issuer (federated credentials).
    AssertionFile(PathBuf),
}

/// Where a client's secret stands (OpenID Connect Core section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretMethod {
    /// `client_secret_basic`.
    Basic,
    /// `client_secret_post`.
    Post,
}

impl ClientAuthentication {
    /// By a secret, as the provider's metadata say.
    #[must_use]
    pub const fn secret(secret: SecretString) -> Self {
        Self::Secret { secret, method: None }
    }

    /// The shared secret, where there is one.
    #[must_use]
    pub const fn shared_secret(&self) -> Option<&SecretString> {
        match self {
            Self::Secret { secret, .. } => Some(secret),
            _ => None,
        }
    }

    /// Whether what was found out of the provider for the one holds for the other.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Secret { method: one, .. }, Self::Secret { method: other, .. }) => one == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// What is known of a provider for requests in which we say who we are.
#[derive(Clone, Debug)]
pub(crate) struct KnownMethod {
    /// Where a secret stands.
    pub(super) secret: SecretMethod,
    /// Whom an assertion of ours is for: its token endpoint, by the name that it gives it itself.
    pub(super) audience: String,
}
