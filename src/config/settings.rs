//! A configuration that was found good: values that were read, parsed and checked against each other.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use super::listener::Listeners;
use crate::{
    authz,
    config_file::FieldError,
    endpoints, identity, kubernetes, logging,
    principal::ProviderName,
    providers,
    secret::{RootKeyRing, SecretBytes, SecretString},
    session,
    stores::StoreConfig,
};

/// Everything that the configuration says, checked. Secrets do not print.
#[derive(Debug)]
pub struct Settings {
    /// The listeners.
    pub listeners: Listeners,
    /// How the process ends.
    pub drain: Drain,
    /// Where keys come from.
    pub keys: Keys,
    /// For how long sessions live.
    pub sessions: session::Config,
    /// Where sessions are kept.
    pub store: StoreConfig,
    /// Identity providers; names are unique.
    pub providers: Vec<Provider>,
    /// Where browsers sign in: one for a host, and every one names a provider of the list.
    pub origins: Vec<endpoints::Origin>,
    /// ServiceAccount tokens, where they are accepted.
    pub service_accounts: Option<kubernetes::Config>,
    /// The trusted headers.
    pub headers: identity::HeaderConfig,
    /// The signed assertion.
    pub assertion: identity::AssertionConfig,
    /// The hosts that are served, the rules in their order, and what holds where none matches: never `Public` or
    /// `Optional`.
    pub rules: authz::Config,
    /// The log.
    pub logging: logging::Config,
    /// What is no error, and may be a mistake.
    pub warnings: Vec<FieldError>,
}

impl Settings {
    /// Tells the log what may be a mistake.
    pub fn log_warnings(&self) {
        for warning in &self.warnings {
            tracing::warn!(%warning, "the configuration may not say what is meant");
        }
    }
}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long checks are taken after SIGTERM.
    pub delay: Duration,
    /// How long running checks may take after that.
    pub timeout: Duration,
}

/// Where keys come from.
#[derive(Debug)]
pub struct Keys {
    /// Files, or a folder of our own.
    pub source: KeySource,
    /// How long a key is published before it signs.
    pub publish_ahead: Duration,
}

/// Files, or a folder of our own.
#[derive(Debug)]
pub enum KeySource {
    /// Portcullis makes its own keys in this folder.
    Directory(PathBuf),
    /// Keys from files.
    Files {
        /// The root keys; the first seals.
        root: Arc<RootKeyRing>,
        /// EC P-256 private keys, PKCS#8 PEM; the first signs.
        assertion: Vec<SecretBytes>,
    },
}

/// An identity provider.
#[derive(Debug)]
pub struct Provider {
    /// Its name.
    pub name: ProviderName,
    /// Its issuer identifier, byte for byte.
    pub issuer: String,
    /// Our client identifier there.
    pub client_id: String,
    /// Our client secret there; a public client has none.
    pub client_secret: Option<SecretString>,
    /// The scopes to ask for, `openid` among them, none twice.
    pub scopes: Vec<String>,
    /// Further authorities, PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Whether `http://` is allowed for it.
    pub allow_http: bool,
    /// How long one call may take.
    pub timeout: Duration,
    /// The claim that holds the user id.
    pub userid_claim: String,
    /// What is put in front of user ids.
    pub userid_prefix: String,
    /// The claim that holds the groups.
    pub groups_claim: String,
    /// Whether an unverified e-mail address is taken; only with `email_domains`.
    pub trust_unverified_email: bool,
    /// The only domains that may sign in, in lower case; empty for all.
    pub email_domains: BTreeSet<String>,
    /// Whether sessions follow the provider.
    pub refresh: Option<providers::RefreshConfig>,
    /// Whether the provider is asked again and again whether a session still counts.
    pub strict: Option<providers::StrictConfig>,
    /// What sign-out does at the provider, and the other way round.
    pub logout: providers::LogoutConfig,
}
