//! One provider: what is configured and what is known of it.

use std::sync::Arc;

use openidconnect::IssuerUrl;

use super::{
    config::{ConfigError, ProviderConfig},
    discovery::{Discovery, Known, Telling},
    http::ProviderHttp,
    metrics::Metrics,
    oddities::Oddities,
    outside_text::for_log,
    troubles::{ProviderFailure, Troubles},
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
    /// What goes wrong with it.
    pub(crate) troubles: Arc<Troubles>,
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
        let same = previous.filter(|previous| previous.serves(&config));
        let known = same.and_then(Self::known_now).filter(|known| known.can_be_asked(&config));
        let troubles = match same {
            Some(previous) => Arc::clone(&previous.troubles),
            None => Arc::new(Troubles::new(&config.name, clock)),
        };
        troubles.tell_again();
        let oddities = Arc::new(Oddities::new(&config.name, metrics));
        let telling =
            Telling { metrics: metrics.clone(), oddities: Arc::clone(&oddities), troubles: Arc::clone(&troubles) };
        let discovery = Discovery::start(config.clone(), issuer.clone(), http, clock.clone(), telling, known);
        let token_endpoint = Arc::new(Breaker::new());
        Ok(Self { config, issuer, discovery, registration, token_endpoint, oddities, troubles })
    }

    /// Its name with us.
    pub(crate) const fn name(&self) -> &ProviderName {
        &self.config.name
    }

    /// What is known of it, without waiting.
    pub(crate) fn known_now(&self) -> Option<Arc<Known>> {
        self.discovery.known_now()
    }

    /// What fails of it, as it was when it was needed last.
    pub(super) fn failure(&self) -> Option<ProviderFailure> {
        let by_calls = self.troubles.failure();
        let by_keys = self.known_now().and_then(|known| {
            let (since, error) = (known.keys.failing_since()?, known.keys.last_failure()?);
            let problem = format!("keys: {}", for_log(&error));
            Some(ProviderFailure { since: self.troubles.moment(since), problem })
        });
        [by_calls, by_keys].into_iter().flatten().min_by_key(|failure| failure.since)
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
