//! Why no configuration comes out.

use thiserror::Error;

use crate::gatekeepers::{InputError, SeveralContainers};

/// Why no configuration comes out. What the files hold is never told.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct MigrateError(#[from] Cause);

#[derive(Debug, Error)]
pub(super) enum Cause {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("none of the files holds a setting of {0}")]
    Nothing(&'static str),
    #[error(transparent)]
    Several(#[from] SeveralContainers),
    #[error("--origin {0}: write scheme and host alone, such as `https://kubeflow.example.com`")]
    Origin(String),
    #[error("no issuer is told (`{0}`), by which Portcullis asks a provider for all else")]
    NoIssuer(&'static str),
    #[error(
        "{told}: `{provider}` speaks no OpenID Connect, and Portcullis nothing else; put a provider that brokers it in \
         between (Dex, Keycloak), and migrate once oauth2-proxy signs in there"
    )]
    NotOpenId { told: String, provider: String },
}
