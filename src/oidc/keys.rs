//! A provider's keys: fetched again for a key that is not known, but not at everybody's wish.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use openidconnect::{JsonWebKeySet, JsonWebKeySetUrl, core::CoreJsonWebKeySet};
use tokio::sync::Mutex;

use super::{http::ProviderHttp, metadata::MetadataError};
use crate::clock::SharedClock;

/// The shortest time between two fetches. Otherwise made-up key ids would turn us against the provider.
const REFETCH_AFTER: Duration = Duration::from_secs(30);
/// The shortest time from a fetch that failed to the next: keys that changed meanwhile must not lock everybody out.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The key set of one provider.
#[derive(Debug)]
pub(super) struct Keys {
    url: JsonWebKeySetUrl,
    clock: SharedClock,
    current: ArcSwap<CoreJsonWebKeySet>,
    /// Held while the keys are asked for.
    asking: Mutex<Asking>,
}

#[derive(Debug)]
struct Asking {
    /// From when on the keys may be asked for again (monotonic).
    again_from: Duration,
    /// Why the last fetch brought nothing, where it did not.
    failed: Option<MetadataError>,
}

impl Keys {
    /// Keys that were fetched just now.
    pub(super) fn new(url: JsonWebKeySetUrl, keys: CoreJsonWebKeySet, clock: SharedClock) -> Self {
        let again_from = clock.monotonic().saturating_add(REFETCH_AFTER);
        let asking = Mutex::new(Asking { again_from, failed: None });
        Self { url, clock, current: ArcSwap::from_pointee(keys), asking }
    }

    /// The keys that we have.
    pub(super) fn current(&self) -> Arc<CoreJsonWebKeySet> {
        self.current.load_full()
    }

    /// Newer keys than `known`, which did not hold the one that was asked for; `None` where there are none and it is
    /// too early to ask again. One fetch is in flight; who waits for it gets what it brought.
    ///
    /// # Errors
    /// Where the provider does not answer or its answer is no key set, or where that was so a moment ago.
    pub(super) async fn newer_than(
        &self,
        known: &Arc<CoreJsonWebKeySet>,
        http: &ProviderHttp,
    ) -> Result<Option<Arc<CoreJsonWebKeySet>>, MetadataError> {
        let mut asking = self.asking.lock().await;
        let current = self.current();
        if !Arc::ptr_eq(&current, known) {
            return Ok(Some(current));
        }
        let now = self.clock.monotonic();
        if now < asking.again_from {
            return asking.failed.clone().map_or(Ok(None), Err);
        }
        // Before the call, which may be given up.
        asking.again_from = now.saturating_add(RETRY_AFTER);
        match JsonWebKeySet::fetch_async(&self.url, http).await {
            Ok(keys) => {
                let keys = Arc::new(keys);
                self.current.store(Arc::clone(&keys));
                *asking = Asking { again_from: now.saturating_add(REFETCH_AFTER), failed: None };
                Ok(Some(keys))
            }
            Err(error) => {
                let error = MetadataError::from(error);
                // From now on: whoever waited meanwhile is told the same, and does not ask once more.
                let again_from = self.clock.monotonic().saturating_add(RETRY_AFTER);
                *asking = Asking { again_from, failed: Some(error.clone()) };
                Err(error)
            }
        }
    }
}
