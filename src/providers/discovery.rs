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
    config::ProviderConfig,
    endpoint::Endpoint,
    http::{CallError, ProviderHttp},
    keys,
    metadata::{self, Client, Discovered, MetadataError, OptionalEndpoints},
    metrics::Metrics,
    oddities::Oddities,
    troubles::{ProviderCall, Trouble, Troubles},
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

impl Known {
    /// What was discovered, with keys that are asked for anew where they must be.
    pub(crate) fn new(config: &ProviderConfig, discovered: Discovered, http: ProviderHttp, clock: SharedClock) -> Self {
        Self {
            keys: keys::cache(config, discovered.jwks_uri, discovered.keys, http, clock),
            client: discovered.client,
            method: discovered.method,
            token: discovered.token,
            endpoints: discovered.endpoints,
            names_issuer_in_answers: discovered.names_issuer_in_answers,
            algorithms: discovered.algorithms,
            scopes: discovered.scopes,
            userinfo: discovered.userinfo,
        }
    }

    /// Whether `strict` has whom to ask, where it is configured.
    pub(super) fn can_be_asked(&self, config: &ProviderConfig) -> bool {
        metadata::nobody_to_ask(config, &self.endpoints, self.userinfo.as_ref()).is_none()
    }
}

/// Where it is told what becomes of discovery.
#[derive(Debug)]
pub(crate) struct Telling {
    pub(super) metrics: Metrics,
    pub(super) oddities: Arc<Oddities>,
    pub(super) troubles: Arc<Troubles>,
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
    telling: Telling,
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
        telling: Telling,
        known: Option<Arc<Known>>,
    ) -> Self {
        let shared = Arc::new(Shared {
            config,
            issuer,
            http,
            clock,
            telling,
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
            match caught(Discovered::fetch(&self.config, &self.issuer, &self.http, &self.telling.oddities)).await {
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
        let known = Known::new(&self.config, discovered, self.http.clone(), self.clock.clone());
        if self.known.swap(Some(Arc::new(known))).is_none() {
            tracing::info!(provider = self.config.name.as_str(), "discovered the identity provider");
        }
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.not_set_up.store(false, Ordering::Relaxed);
        self.telling.troubles.succeeded(ProviderCall::Discovery);
        self.finished(true);
    }

    fn failed(&self, error: &MetadataError) {
        self.not_set_up.store(error.is_of_the_set_up(), Ordering::Relaxed);
        let url = metadata::document_url(&self.config);
        self.telling.troubles.failed(ProviderCall::Discovery, &url, &self.trouble(error));
        self.failed_now();
    }

    fn trouble(&self, error: &MetadataError) -> Trouble {
        // What was known before stays in use.
        let known = if self.known.load().is_some() { "; what was known before stays in use" } else { "" };
        match error {
            MetadataError::Call(CallError::Unavailable(text)) => Trouble::Unanswered(format!("{text}{known}")),
            error => Trouble::NotSetUp(format!("{error}{known}")),
        }
    }

    fn failed_now(&self) {
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.monotonic());
        self.finished(false);
    }

    fn finished(&self, success: bool) {
        self.telling.metrics.discovered(&self.config.name, success, self.known.load().is_some());
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
