//! The issuers that a cluster's must not be: each stands for one thing.

use crate::config_file::forms;

/// Our own issuer, and the identity providers'.
pub(super) struct Issuers {
    pub(super) assertion: String,
    pub(super) providers: Vec<String>,
}

impl Issuers {
    pub(super) fn of(file: &forms::File) -> Self {
        Self {
            assertion: file.assertion.issuer.clone(),
            providers: file.providers.iter().map(|provider| provider.issuer.clone()).collect(),
        }
    }
}
