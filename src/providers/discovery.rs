//! Discovery in the background: it starts while the provider is down, keeps what it knows, and asks again by and by.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use openidconnect::IssuerUrl;
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
};

use super::{
    authentication::KnownMethod,
    config::{ProviderConfig, StrictAsk},
    endpoint::Endpoint,
    http::ProviderHttp,
    keys,
    metadata::{self, Client, Discovered, MetadataError, OptionalEndpoints},
    metrics::Metrics,
    oddities::{Oddities, Oddity},
    outside_text::for_log,
};
use crate::{
    calls::Pauses,
    clock::SharedClock,
    jose::{Algorithm, JwksCache},
    panics::{Panicked, caught},
};

/// How long a discovery document is believed before it is asked for again.
const REFRESH_AFTER: Duration = Duration::from_hours(1);
/// The first and the longest pause after failures.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_mins(1);
/// How long somebody waits for an attempt after one that failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of a provider.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) client: Client,
    pub(crate) method: KnownMethod,
    pub(crate) token: Endpoint,
    pub(crate) endpoints: OptionalEndpoints,
    pub(crate) names_issuer_in_answers: bool,
    /// What it signs tokens with.
    pub(crate) algorithms: Vec<Algorithm>,
    /// The scopes that it says it knows.
    pub(crate) scopes: Vec<String>,
    /// Where people are asked about, where it tells that.
    pub(crate) userinfo: Option<Endpoint>,
    pub(crate) keys: JwksCache,
}

/// One provider's discovery: one task asks, everybody reads.
#[derive(Debug)]
pub(crate) struct Discovery {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    config: ProviderConfig,
    issuer: IssuerUrl,
    http: ProviderHttp,
    clock: SharedClock,
    metrics: Metrics,
    oddities: Arc<Oddities>,
    known: ArcSwapOption<Known>,
    /// When the last attempt failed (monotonic), if it did.
    failed_at: Mutex<Option<Duration>>,
    /// Whether the last attempt failed so that asking again will not help.
    not_set_up: AtomicBool,
    /// Counts finished attempts.
    attempts: watch::Sender<u64>,
    /// Somebody waits at the door.
    wanted: Notify,
}

impl Discovery {
    /// Begins to ask. `known` is what was known of the very same provider before a reload.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(crate) fn start(
        config: ProviderConfig,
        issuer: IssuerUrl,
        http: ProviderHttp,
        clock: SharedClock,
        metrics: Metrics,
        oddities: Arc<Oddities>,
        known: Option<Arc<Known>>,
    ) -> Self {
        let shared = Arc::new(Shared {
            config,
            issuer,
            http,
            clock,
            metrics,
            oddities,
            known: ArcSwapOption::new(known),
            failed_at: Mutex::default(),
            not_set_up: AtomicBool::new(false),
            attempts: watch::Sender::new(0),
            wanted: Notify::new(),
        });
        let task = tokio::spawn(Arc::clone(&shared).run()).abort_handle();
        Self { shared, task }
    }

    /// What is known of the provider; where nothing is known yet, the outcome of the attempt that is under way, or
    /// that is begun now. `None` where that fails, or where one failed within the last second: nobody queues before a
    /// provider that is down.
    pub(crate) async fn known(&self) -> Option<Arc<Known>> {
        // Before looking: an attempt that ends in between must not be missed.
        let mut attempts = self.shared.attempts.subscribe();
        if let Some(known) = self.known_now() {
            return Some(known);
        }
        if self.shared.failed_just_now() {
            return None;
        }
        self.shared.wanted.notify_one();
        let finished = tokio::time::timeout(self.shared.patience(), attempts.changed()).await;
        finished.ok()?.ok()?;
        self.known_now()
    }

    /// What is known of the provider, without waiting.
    pub(crate) fn known_now(&self) -> Option<Arc<Known>> {
        self.shared.known.load_full()
    }

    /// Whether nothing is known because the provider and its configuration do not fit together.
    pub(crate) fn is_not_set_up(&self) -> bool {
        self.shared.not_set_up.load(Ordering::Relaxed) && self.known_now().is_none()
    }

    /// How the provider's endpoints are called.
    pub(crate) fn http(&self) -> &ProviderHttp {
        &self.shared.http
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn run(self: Arc<Self>) {
        let mut pauses = Pauses::new(RETRY_FIRST, RETRY_LONGEST);
        loop {
            match caught(Discovered::fetch(&self.config, &self.issuer, &self.http, &self.oddities)).await {
                Ok(Ok(discovered)) => {
                    self.learned(discovered);
                    pauses.succeeded();
                    tokio::time::sleep(REFRESH_AFTER).await;
                    continue;
                }
                Ok(Err(error)) => self.failed(&error),
                // It is asked again, and told by itself.
                Err(Panicked) => self.failed_now(),
            }
            self.wait_after_failure(pauses.failed()).await;
        }
    }

    fn learned(&self, discovered: Discovered) {
        let has_whom_to_ask = self.config.strict.is_none_or(|strict| match strict.ask {
            StrictAsk::Introspection => discovered.endpoints.introspection.is_some(),
            StrictAsk::Userinfo => discovered.userinfo.is_some(),
        });
        if !has_whom_to_ask {
            self.oddities.note(Oddity::NobodyToAsk);
        }
        let (http, clock) = (self.http.clone(), self.clock.clone());
        let keys = keys::cache(&self.config, discovered.jwks_uri, discovered.keys, http, clock);
        let known = Known {
            client: discovered.client,
            method: discovered.method,
            token: discovered.token,
            endpoints: discovered.endpoints,
            names_issuer_in_answers: discovered.names_issuer_in_answers,
            algorithms: discovered.algorithms,
            scopes: discovered.scopes,
            userinfo: discovered.userinfo,
            keys,
        };
        if self.known.swap(Some(Arc::new(known))).is_none() {
            tracing::info!(provider = self.config.name.as_str(), "discovered the identity provider");
        }
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.not_set_up.store(false, Ordering::Relaxed);
        self.finished(true);
    }

    fn failed(&self, error: &MetadataError) {
        // What was known before stays in use.
        let known = self.known.load().is_some();
        let (provider, url) = (self.config.name.as_str(), metadata::document_url(&self.config));
        self.not_set_up.store(error.is_of_the_set_up(), Ordering::Relaxed);
        if error.is_of_the_set_up() {
            tracing::error!(provider, url, known, error = for_log(error), "discovery failed: sign-in is not set up");
        } else {
            tracing::warn!(provider, url, known, error = for_log(error), "discovery failed");
        }
        self.failed_now();
    }

    fn failed_now(&self) {
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.monotonic());
        self.finished(false);
    }

    fn finished(&self, success: bool) {
        self.metrics.discovered(&self.config.name, success, self.known.load().is_some());
        self.attempts.send_modify(|attempts| *attempts += 1);
    }

    /// Waits for `pause`, or until somebody wants to sign in, but never for less than the shortest pause.
    async fn wait_after_failure(&self, pause: Duration) {
        let wanted = async {
            tokio::time::sleep(RETRY_FIRST).await;
            self.wanted.notified().await;
        };
        let _ = tokio::time::timeout(pause, wanted).await;
    }

    fn failed_at(&self) -> Option<Duration> {
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed_just_now(&self) -> bool {
        self.failed_at().is_some_and(|at| self.clock.monotonic().saturating_sub(at) < RETRY_FIRST)
    }

    /// How long somebody waits for an attempt: not for long where the last one failed.
    fn patience(&self) -> Duration {
        if self.failed_at().is_some() { PATIENCE.min(self.config.timeout) } else { self.config.timeout }
    }
}
