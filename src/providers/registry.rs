//! All providers, by their names.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;

use super::{
    config::{ConfigError, ProviderConfig},
    metrics::Metrics,
    provider::Provider,
    troubles::ProviderFailure,
};
use crate::{clock::SharedClock, principal::ProviderName, session::Registration};

/// The configured providers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Providers(Arc<PerProvider<Arc<Provider>>>);

/// Providers that a reload may replace while they are in use.
pub type SharedProviders = Arc<ArcSwap<Providers>>;

/// One of something for each provider that has it.
pub(crate) type PerProvider<T> = BTreeMap<ProviderName, T>;

impl Providers {
    /// Begins to discover these providers in the background; what `previous` knew of an unchanged one stays in use, so
    /// that a reload does no harm while the provider is down.
    ///
    /// # Errors
    /// Where a provider's configuration cannot be used.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(crate) fn start(
        configs: Vec<ProviderConfig>,
        clock: &SharedClock,
        metrics: &Metrics,
        previous: Option<&Self>,
    ) -> Result<Self, ConfigError> {
        let mut providers = PerProvider::new();
        for config in configs {
            let name = config.name.clone();
            let previous = previous.and_then(|previous| previous.get(&name)).map(Arc::as_ref);
            let provider = Provider::start(config, clock, metrics, previous)?;
            if providers.insert(name.clone(), Arc::new(provider)).is_some() {
                return Err(ConfigError::Repeated { provider: name.as_str().to_owned() });
            }
        }
        Ok(Self(Arc::new(providers)))
    }

    pub(crate) fn get(&self, name: &ProviderName) -> Option<&Arc<Provider>> {
        self.0.get(name)
    }

    /// What `make` makes of each provider for which it makes something.
    pub(crate) fn each<T>(&self, make: impl Fn(&Arc<Provider>) -> Option<T>) -> PerProvider<T> {
        self.0.iter().filter_map(|(name, provider)| Some((name.clone(), make(provider)?))).collect()
    }

    /// What sessions of the provider of this name belong to.
    #[must_use]
    pub fn registration(&self, name: &ProviderName) -> Option<&Registration> {
        self.get(name).map(|provider| &provider.registration)
    }

    /// The issuers of all providers: bearer tokens of theirs are ours to judge.
    pub fn issuers(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(|provider| provider.issuer.as_str())
    }

    /// Every provider, and whether people can sign in there: whether its metadata is known.
    pub fn known(&self) -> impl Iterator<Item = (&ProviderName, bool)> {
        self.0.iter().map(|(name, provider)| (name, provider.known_now().is_some()))
    }

    /// What fails of a provider, as it was when it was needed last.
    #[must_use]
    pub fn failure(&self, name: &ProviderName) -> Option<ProviderFailure> {
        self.get(name).and_then(|provider| provider.failure())
    }
}
