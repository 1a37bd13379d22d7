//! What a secret is for, and where none may stand.

use serde::{Deserialize, Serialize};

/// The folder of the ledgers.
pub(super) const SECRETS: &str = "secrets";

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The value of a session cookie.
    Ticket,
    /// The value of a login cookie.
    LoginCookie,
    /// The sealed `state` of a login.
    State,
    /// An authorization code.
    Code,
    /// A PKCE code verifier.
    Verifier,
    /// An access token of the provider.
    AccessToken,
    /// A refresh token of the provider.
    RefreshToken,
    /// An ID token.
    IdToken,
    /// A client's secret at the provider.
    ClientSecret,
    /// A token of the API server, a caller's or the product's own.
    ServiceAccountToken,
    /// What a service behind the gateway is told about a principal, signed.
    Assertion,
    /// What came as `authorization`, from whomever: it may be an application's.
    Bearer,
    /// A root key.
    RootKey,
    /// A private key, of assertions or of TLS.
    PrivateKey,
}

/// Where no secret may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// All that the product wrote, panic messages too.
    Logs,
    /// Answers of `/metrics`.
    Metrics,
    /// Bodies of the product's own answers, and what its HTTP listener publishes.
    Pages,
    /// Copies of session stores.
    Stores,
}

impl Place {
    pub(super) const ALL: [Self; 4] = [Self::Logs, Self::Metrics, Self::Pages, Self::Stores];

    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Metrics => "metrics",
            Self::Pages => "pages",
            Self::Stores => "stores",
        }
    }
}

/// A secret, as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Secret {
    pub(super) kind: Kind,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Value {
    Text(String),
    Bytes(Vec<u8>),
}
