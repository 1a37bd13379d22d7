//! A configuration that was found good: values that were read, parsed and checked against each other.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::listener::Listeners;
use crate::{
    authz,
    config_file::FieldError,
    identity, kubernetes, logging, origin,
    providers::ProviderConfig,
    secret::{RootKeyRing, SecretBytes},
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
    pub providers: Vec<ProviderConfig>,
    /// Where browsers sign in: one for a host, and every one names a provider of the list.
    pub origins: Vec<origin::Origin>,
    /// ServiceAccount tokens, where they are accepted.
    pub service_accounts: Option<kubernetes::Config>,
    /// How Kubernetes is asked what somebody may do, where any rule wants to know.
    pub access_reviews: Option<kubernetes::AccessConfig>,
    /// The trusted headers.
    pub headers: identity::HeaderConfig,
    /// The signed assertion.
    pub assertion: identity::AssertionConfig,
    /// The hosts that are served, the rules in their order, and what holds where none matches: never `Public` or
    /// `Optional`.
    pub rules: authz::Config,
    /// Whether gateways may ask in shadow.
    pub gateways_in_shadow: bool,
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
