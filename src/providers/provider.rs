//! One provider: what is configured and what is known of it.

use std::sync::Arc;

use openidconnect::IssuerUrl;

use super::{
    config::{ConfigError, ProviderConfig},
    discovery::{Discovery, Known},
    http::ProviderHttp,
    metrics::Metrics,
    oddities::Oddities,
};
use crate::{calls::Breaker, clock::SharedClock, principal::ProviderName, session::Registration};

/// An OpenID provider.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) config: ProviderConfig,
    pub(crate) issuer: IssuerUrl,
    pub(crate) discovery: Discovery,
    /// What its sessions belong to.
    pub(crate) registration: Registration,
    /// Of its token endpoint, for every kind of call that goes there.
    pub(crate) token_endpoint: Arc<Breaker>,
    /// What of its answers is passed over.
    pub(crate) oddities: Arc<Oddities>,
}

impl Provider {
    /// Begins to discover the provider. `previous` is the provider of the same name before a reload.
    pub(super) fn start(
        config: ProviderConfig,
        clock: &SharedClock,
        metrics: &Metrics,
        previous: Option<&Self>,
    ) -> Result<Self, ConfigError> {
        let issuer = config.validate()?;
        let http = ProviderHttp::new(&config)?;
        let registration = Registration {
            provider: config.name.clone(),
            issuer: config.issuer.clone(),
            client_id: config.client_id.clone(),
        };
        if previous.is_some_and(|previous| previous.registration != registration) {
            tracing::warn!(
                provider = config.name.as_str(),
                "the issuer or the client id changed: all sessions of this provider end; after another issuer, services \
                 that know people by the assertion's `sub` cannot tell its people from the old one's, unless the \
                 provider gets another name"
            );
        }
        let known = previous.filter(|previous| previous.serves(&config)).and_then(Self::known_now);
        let oddities = Arc::new(Oddities::new(&config.name, metrics));
        let told = Arc::clone(&oddities);
        let discovery =
            Discovery::start(config.clone(), issuer.clone(), http, clock.clone(), metrics.clone(), told, known);
        Ok(Self { config, issuer, discovery, registration, token_endpoint: Arc::new(Breaker::new()), oddities })
    }

    /// Its name with us.
    pub(crate) const fn name(&self) -> &ProviderName {
        &self.config.name
    }

    /// What is known of it, without waiting.
    pub(crate) fn known_now(&self) -> Option<Arc<Known>> {
        self.discovery.known_now()
    }

    /// Whether what is known of this provider holds for another configuration.
    fn serves(&self, config: &ProviderConfig) -> bool {
        self.config.issuer == config.issuer
            && self.config.discovery_url == config.discovery_url
            && self.config.endpoints == config.endpoints
            && self.config.client_id == config.client_id
            && self.config.authentication.is_like(&config.authentication)
            && self.config.signing_algorithms == config.signing_algorithms
            && self.config.allow_http == config.allow_http
    }
}
