//! A provider's keys: fetched again for a key that is not known, but not at everybody's wish.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use openidconnect::{JsonWebKeySet, JsonWebKeySetUrl, core::CoreJsonWebKeySet};
use tokio::sync::Mutex;

use super::{http::ProviderHttp, metadata::MetadataError};
use crate::clock::SharedClock;

/// The shortest time between two fetches. Otherwise made-up key ids would turn us against the provider.
const REFETCH_AFTER: Duration = Duration::from_secs(30);

/// The key set of one provider.
#[derive(Debug)]
pub(super) struct Keys {
    url: JsonWebKeySetUrl,
    clock: SharedClock,
    current: ArcSwap<CoreJsonWebKeySet>,
    /// When the keys were last asked for (monotonic); held while they are.
    asked_at: Mutex<Duration>,
}

impl Keys {
    /// Keys that were fetched just now.
    pub(super) fn new(url: JsonWebKeySetUrl, keys: CoreJsonWebKeySet, clock: SharedClock) -> Self {
        let asked_at = Mutex::new(clock.monotonic());
        Self { url, clock, current: ArcSwap::from_pointee(keys), asked_at }
    }

    /// The keys that we have.
    pub(super) fn current(&self) -> Arc<CoreJsonWebKeySet> {
        self.current.load_full()
    }

    /// Newer keys than `known`, which did not hold the one that was asked for; `None` where there are none and it is
    /// too early to ask again. One fetch is in flight; who waits for it gets what it brought.
    ///
    /// # Errors
    /// Where the provider does not answer or its answer is no key set.
    pub(super) async fn newer_than(
        &self,
        known: &Arc<CoreJsonWebKeySet>,
        http: &ProviderHttp,
    ) -> Result<Option<Arc<CoreJsonWebKeySet>>, MetadataError> {
        let mut asked_at = self.asked_at.lock().await;
        let current = self.current();
        if !Arc::ptr_eq(&current, known) {
            return Ok(Some(current));
        }
        let now = self.clock.monotonic();
        if now.saturating_sub(*asked_at) < REFETCH_AFTER {
            return Ok(None);
        }
        *asked_at = now;
        let keys = Arc::new(JsonWebKeySet::fetch_async(&self.url, http).await?);
        self.current.store(Arc::clone(&keys));
        Ok(Some(keys))
    }
}
