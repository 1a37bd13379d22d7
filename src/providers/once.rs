//! A provider asked once, by a command: nothing asks again, and nothing is kept.

use super::{
    config::{ConfigError, ProviderConfig},
    http::ProviderHttp,
    metadata::{self, MetadataError, Published},
};

/// What came of it.
#[derive(Debug)]
pub(crate) struct AskedOnce {
    /// How its endpoints are called.
    pub(crate) http: ProviderHttp,
    /// Where its document lies.
    pub(crate) url: String,
    /// What it publishes.
    pub(crate) published: Result<Published, MetadataError>,
}

impl AskedOnce {
    /// Asks for the document and the keys.
    ///
    /// # Errors
    /// Where the configuration cannot be used.
    pub(crate) async fn ask(config: &ProviderConfig) -> Result<Self, ConfigError> {
        let issuer = config.validate()?;
        let http = ProviderHttp::new(config)?;
        let published = Published::fetch(config, &issuer, &http).await;
        Ok(Self { http, url: metadata::document_url(config), published })
    }
}
