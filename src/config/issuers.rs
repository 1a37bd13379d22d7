//! The issuers that the configuration names, of which each must stand for one thing.

use crate::config_file::forms;

/// The issuers that the configuration names.
pub(super) struct Issuers {
    pub(super) assertion: String,
    pub(super) providers: Vec<String>,
    pub(super) clusters: Vec<String>,
}

impl Issuers {
    pub(super) fn of(file: &forms::File) -> Self {
        Self {
            assertion: file.assertion.issuer.clone(),
            providers: file.providers.iter().map(|provider| provider.issuer.clone()).collect(),
            clusters: file.service_accounts.iter().flat_map(|accounts| accounts.issuers.clone()).collect(),
        }
    }
}
