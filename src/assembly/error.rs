//! Why the product cannot be built.

use thiserror::Error;

use crate::{kubernetes, providers, stores};

/// What cannot be built.
#[derive(Debug, Error)]
pub enum AssembleError {
    /// The session store.
    #[error("sessions.store: {0}")]
    Store(#[from] stores::OpenError),
    /// Sign-in.
    #[error("providers: {0}")]
    Providers(#[from] providers::ConfigError),
    /// The client of the API server.
    #[error("service_accounts.kubeconfig: {0}")]
    Kubernetes(#[from] kubernetes::ClientError),
    /// The judge of ServiceAccount tokens.
    #[error("service_accounts.{0}")]
    ServiceAccounts(#[from] kubernetes::ConfigError),
}

impl AssembleError {
    /// Whether the configuration is to be changed, or what it names.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        !matches!(self, Self::Store(_))
    }
}
