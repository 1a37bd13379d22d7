//! Changes of the configuration while the process runs: all of a change takes effect, or none of it.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use thiserror::Error;

use super::{
    assemble::{AssembleError, Assembly, Metrics},
    keys::Keyrings,
    tls::{self, SharedTls},
};
use crate::{
    clock::SharedClock,
    config::{ConfigError, Drain, KeyDirectoryError, KeySource, Settings, Source},
    logging::Logging,
};

/// How often the configuration is looked at.
const INTERVAL: Duration = Duration::from_secs(2);

/// Why a change did not take effect.
#[derive(Debug, Error)]
enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    #[error("keys.directory: {0}")]
    Keys(#[from] KeyDirectoryError),
    #[error("a change of {} needs a restart", .0.join(", "))]
    NeedsRestart(Vec<&'static str>),
}

/// Watches the configuration and puts changes in force.
pub(super) struct Reloader {
    pub(super) source: Source,
    pub(super) in_force: Settings,
    pub(super) logging: Logging,
    pub(super) keyrings: Keyrings,
    pub(super) assembly: Assembly,
    pub(super) issuer: Arc<ArcSwap<String>>,
    pub(super) check_tls: Option<SharedTls>,
    pub(super) http_tls: Option<SharedTls>,
    pub(super) drain: Arc<ArcSwap<Drain>>,
    pub(super) metrics: Metrics,
    pub(super) clock: SharedClock,
}

impl Reloader {
    /// Never ends.
    pub(super) async fn run(mut self) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut keys_failed = None;
        loop {
            ticks.tick().await;
            self.look().await;
            self.look_at_own_keys(&mut keys_failed);
        }
    }

    async fn look(&mut self) {
        let outcome = match self.source.poll() {
            None => return,
            Some(Ok(settings)) => self.put_in_force(settings).await,
            Some(Err(error)) => Err(error.into()),
        };
        match outcome {
            Ok(()) => {
                self.metrics.config.reloaded(self.clock.now());
                tracing::info!(config = %self.source.path().display(), "the changed configuration is in force");
            }
            Err(error) => {
                self.metrics.config.failed();
                tracing::error!(
                    config = %self.source.path().display(),
                    %error,
                    "the changed configuration is not in force; what was there before stays"
                );
            }
        }
    }

    /// Keys that were added to our own folder, or taken from it. The same failure is told once.
    fn look_at_own_keys(&mut self, failed: &mut Option<String>) {
        let outcome = match self.keyrings.directory_changed() {
            Ok(false) => Ok(false),
            Ok(true) => self.keyrings.replace(&self.in_force).map(|()| true),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(changed) => {
                if changed || failed.take().is_some() {
                    self.metrics.config.reloaded(self.clock.now());
                    tracing::info!("the changed keys are in force");
                }
            }
            Err(error) => {
                let error = error.to_string();
                if failed.as_ref() != Some(&error) {
                    self.metrics.config.failed();
                    tracing::error!(error, "the changed keys are not in force; those from before stay");
                    *failed = Some(error);
                }
            }
        }
    }

    async fn put_in_force(&mut self, settings: Settings) -> Result<(), ReloadError> {
        let fixed = needs_restart(&self.in_force, &settings);
        if !fixed.is_empty() {
            return Err(ReloadError::NeedsRestart(fixed));
        }
        self.assembly.rebuild(&settings, &self.in_force, &self.keyrings, &self.metrics, &self.clock).await?;
        self.keyrings.replace(&settings)?;
        if let (Some(shared), Some(changed)) = (&self.check_tls, &settings.listeners.check.tls)
            && tls::replace(shared, &tls::check(changed, &settings.listeners.check))
        {
            tracing::info!(listener = "check", "the certificate or the callers changed; old connections will close");
        }
        if let (Some(shared), Some(changed)) = (&self.http_tls, &settings.listeners.http.tls)
            && tls::replace(shared, &tls::http(changed))
        {
            tracing::info!(listener = "http", "the certificate changed; old connections will close");
        }
        self.issuer.store(Arc::new(settings.assertion.issuer.clone()));
        self.drain.store(Arc::new(settings.drain));
        self.logging.reconfigure(settings.logging);
        self.in_force = settings;
        Ok(())
    }
}

/// The changed fields that a running process cannot follow.
fn needs_restart(before: &Settings, after: &Settings) -> Vec<&'static str> {
    let (old, new) = (&before.listeners, &after.listeners);
    let directory = |settings: &Settings| match &settings.keys.source {
        KeySource::Directory(path) => Some(path.clone()),
        KeySource::Files { .. } => None,
    };
    let changes = [
        (old.check.bind != new.check.bind, "listeners.check.bind"),
        (old.check.tls.is_some() != new.check.tls.is_some(), "listeners.check.tls"),
        (old.http.bind != new.http.bind, "listeners.http.bind"),
        (old.http.tls.is_some() != new.http.tls.is_some(), "listeners.http.tls"),
        (old.operations != new.operations, "listeners.operations.bind"),
        (before.sessions.store != after.sessions.store, "sessions.store"),
        (directory(before) != directory(after), "keys.directory"),
    ];
    changes.into_iter().filter_map(|(changed, field)| changed.then_some(field)).collect()
}
