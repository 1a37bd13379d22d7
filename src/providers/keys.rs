//! A provider's keys: fetched again for a key that is not known, but not at everybody's wish.
//!
//! Whoever wants newer keys shares one fetch, which runs in a task of its own: who began it may give up, and decides
//! nothing for those who wait.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use openidconnect::{JsonWebKeySet, JsonWebKeySetUrl, core::CoreJsonWebKeySet};
use tokio::sync::oneshot;

use super::{
    http::{CallError, ProviderHttp},
    metadata::MetadataError,
};
use crate::{clock::SharedClock, jose::Jwks};

/// The shortest time from one fetch to the next for a token that anybody may have made. Otherwise made-up key ids would
/// turn us against the provider.
const REFETCH_AFTER: Duration = Duration::from_secs(30);
/// The same for a token that came from the provider itself: no stranger's fetch shuts out those who sign in meanwhile.
const REFETCH_FOR_PROVIDER_AFTER: Duration = Duration::from_secs(5);
/// The shortest time from a fetch that failed to the next: keys that changed meanwhile must not lock everybody out.
const REFETCH_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// The largest key set, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// Keys as they were at some moment, read once for all tokens that they verify.
#[derive(Debug)]
pub(crate) struct KeySet {
    /// For ID tokens, as `openidconnect` verifies them.
    pub(crate) for_id_tokens: CoreJsonWebKeySet,
    /// For logout tokens; nothing where the set is none that we read.
    pub(crate) for_logout_tokens: Option<Jwks>,
}

impl KeySet {
    fn new(keys: CoreJsonWebKeySet) -> Self {
        let document = serde_json::to_vec(&keys).ok();
        let for_logout_tokens = document.and_then(|document| Jwks::parse(&document, MAX_BYTES).ok());
        Self { for_id_tokens: keys, for_logout_tokens }
    }
}

/// Who has a token that the known keys do not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The provider gave it to us, over TLS.
    Provider,
    /// It may be anybody's.
    Anybody,
}

impl Origin {
    const fn refetch_after(self) -> Duration {
        match self {
            Self::Provider => REFETCH_FOR_PROVIDER_AFTER,
            Self::Anybody => REFETCH_AFTER,
        }
    }
}

/// The key set of one provider. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    url: JsonWebKeySetUrl,
    http: ProviderHttp,
    clock: SharedClock,
    current: ArcSwap<KeySet>,
    fetching: Mutex<Fetching>,
}

/// The fetches: the one that runs, and the last one that ended.
#[derive(Debug)]
struct Fetching {
    running: Option<Fetch>,
    /// Monotonic.
    ended_at: Duration,
    /// Why it brought nothing, where it did not.
    failed: Option<MetadataError>,
}

type Fetched = Result<Arc<KeySet>, MetadataError>;
type Fetch = Shared<BoxFuture<'static, Fetched>>;

enum Newer {
    Here(Arc<KeySet>),
    Awaited(Fetch),
    /// It is too early to ask again, and the last fetch brought what is known.
    None,
    Failed(MetadataError),
}

impl Keys {
    /// Keys that were fetched just now.
    pub(crate) fn new(url: JsonWebKeySetUrl, keys: CoreJsonWebKeySet, http: ProviderHttp, clock: SharedClock) -> Self {
        let fetching = Mutex::new(Fetching { running: None, ended_at: clock.monotonic(), failed: None });
        Self(Arc::new(Inner { url, http, clock, current: ArcSwap::from_pointee(KeySet::new(keys)), fetching }))
    }

    /// The keys that we have.
    pub(crate) fn current(&self) -> Arc<KeySet> {
        self.0.current.load_full()
    }

    /// Newer keys than `seen`, which did not verify a token of this origin; `None` where there are none and it is too
    /// early to ask again. Whoever waits may give up; the fetch goes on for the others.
    ///
    /// # Errors
    /// Where the provider does not answer or its answer is no key set, or where that was so a moment ago: nothing is
    /// known about the token then.
    pub(crate) async fn newer_than(
        &self,
        seen: Option<&Arc<KeySet>>,
        origin: Origin,
    ) -> Result<Option<Arc<KeySet>>, MetadataError> {
        match self.next(seen, origin) {
            Newer::Here(keys) => Ok(Some(keys)),
            Newer::Awaited(fetch) => fetch.await.map(Some),
            Newer::None => Ok(None),
            Newer::Failed(error) => Err(error),
        }
    }

    fn next(&self, seen: Option<&Arc<KeySet>>, origin: Origin) -> Newer {
        let mut fetching = self.0.fetching();
        let current = self.current();
        if !seen.is_some_and(|seen| Arc::ptr_eq(seen, &current)) {
            return Newer::Here(current);
        }
        if let Some(fetch) = &fetching.running {
            return Newer::Awaited(fetch.clone());
        }
        let since = self.0.clock.monotonic().saturating_sub(fetching.ended_at);
        match &fetching.failed {
            Some(error) if since < REFETCH_AFTER_FAILURE => return Newer::Failed(error.clone()),
            None if since < origin.refetch_after() => return Newer::None,
            _ => {}
        }
        let fetch = self.begin();
        fetching.running = Some(fetch.clone());
        Newer::Awaited(fetch)
    }

    /// A fetch in a task of its own. It ends within the provider's timeout.
    fn begin(&self) -> Fetch {
        let (tell, outcome) = oneshot::channel();
        let (fetching, shared) = (Arc::clone(&self.0), Arc::clone(&self.0));
        let fetch = tokio::spawn(async move {
            let keys = JsonWebKeySet::fetch_async(&fetching.url, &fetching.http).await?;
            Ok::<_, MetadataError>(Arc::new(KeySet::new(keys)))
        });
        tokio::spawn(async move {
            let fetched = fetch.await.unwrap_or_else(|_| Err(broken_off()));
            // Nobody may be waiting any more.
            let _ = tell.send(shared.settle(fetched));
        });
        outcome.map(|outcome| outcome.unwrap_or_else(|_| Err(broken_off()))).boxed().shared()
    }
}

impl Inner {
    fn settle(&self, fetched: Fetched) -> Fetched {
        let mut fetching = self.fetching();
        if let Ok(keys) = &fetched {
            self.current.store(Arc::clone(keys));
        }
        *fetching =
            Fetching { running: None, ended_at: self.clock.monotonic(), failed: fetched.as_ref().err().cloned() };
        fetched
    }

    fn fetching(&self) -> MutexGuard<'_, Fetching> {
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Our own fault is no word about a key.
fn broken_off() -> MetadataError {
    CallError::Unavailable("the fetch of its keys broke off".to_owned()).into()
}
