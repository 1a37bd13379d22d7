//! Health and metrics, for the kubelet and for Prometheus.

use std::{
    borrow::Cow,
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::{RawQuery, State},
    response::IntoResponse,
    routing::get,
};
use http::{HeaderValue, StatusCode, header};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tower_http::set_header::SetResponseHeaderLayer;

use super::bounds::guarded;
use crate::clock::Timestamp;

/// Whether this process wants to be asked: it has its configuration, keys and store, and is not draining. What it
/// depends on elsewhere never changes this, else one outage would take down every replica.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says whether this process wants to be asked.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::SeqCst);
    }

    /// Whether this process wants to be asked.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// How something that this process needs elsewhere was, when it was needed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DependencyState {
    /// It answered.
    Answering,
    /// It did not.
    Failing,
    /// It has failed for a while.
    FailingSince {
        /// Since when.
        since: Timestamp,
        /// Why, in a few words that are fit for a log.
        problem: Cow<'static, str>,
    },
}

/// Something that this process needs elsewhere, such as a provider.
#[derive(Clone)]
pub struct Dependency {
    /// Its name in the configuration.
    pub name: String,
    /// Tells how it was when it was needed last; asks nobody.
    pub state: Arc<dyn Fn() -> DependencyState + Send + Sync>,
}

#[derive(Clone)]
struct Operations {
    readiness: Readiness,
    dependencies: Arc<ArcSwap<Vec<Dependency>>>,
    metrics: Arc<Registry>,
}

/// The operations listener.
pub fn operations(readiness: Readiness, dependencies: Arc<ArcSwap<Vec<Dependency>>>, metrics: Arc<Registry>) -> Router {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(exposition))
        .with_state(Operations { readiness, dependencies, metrics });
    let never = HeaderValue::from_static("no-store");
    guarded(router.layer(SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, never)))
}

/// `/readyz`; `/readyz?verbose` also tells of dependencies, which do not change the answer.
async fn ready(State(operations): State<Operations>, RawQuery(query): RawQuery) -> impl IntoResponse {
    let (status, word) = if operations.readiness.is_ready() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    let mut text = format!("{word}\n");
    if query.is_some_and(|query| query.split('&').any(|word| word == "verbose" || word.starts_with("verbose="))) {
        for dependency in operations.dependencies.load().iter() {
            let _ = match (dependency.state)() {
                DependencyState::Answering => writeln!(text, "{}: answering", dependency.name),
                DependencyState::Failing => writeln!(text, "{}: failing", dependency.name),
                DependencyState::FailingSince { since, problem } => {
                    let since = humantime::format_rfc3339_seconds(since.to_system_time());
                    writeln!(text, "{}: failing since {since} ({problem})", dependency.name)
                }
            };
        }
    }
    (status, text)
}

async fn exposition(State(operations): State<Operations>) -> impl IntoResponse {
    let mut text = String::new();
    match encode(&mut text, &operations.metrics) {
        Ok(()) => {
            let open_metrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (StatusCode::OK, [(header::CONTENT_TYPE, open_metrics)], text)
        }
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], String::new()),
    }
}
