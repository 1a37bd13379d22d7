//! Changes of the configuration while the process runs: all of a change takes effect, or none of it.

use std::{path::Path, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use thiserror::Error;

use super::tls::{self, SharedTls};
use crate::{
    assembly::{AssembleError, Assembly, Keyrings},
    clock::SharedClock,
    config::{self, Drain, KeySource, Settings, Source},
    config_file::ConfigError,
    key_directory::KeyDirectoryError,
    logging::Logging,
    panics::{Panicked, caught, caught_call, passed_on},
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

/// Puts changes of the configuration in force.
pub(super) struct Reloader {
    pub(super) in_force: Settings,
    pub(super) logging: Logging,
    pub(super) keyrings: Keyrings,
    pub(super) assembly: Assembly,
    pub(super) issuer: Arc<ArcSwap<String>>,
    pub(super) check_tls: Option<SharedTls>,
    pub(super) http_tls: Option<SharedTls>,
    pub(super) admin_tls: Option<SharedTls>,
    pub(super) drain: Arc<ArcSwap<Drain>>,
    pub(super) metrics: config::Metrics,
    pub(super) clock: SharedClock,
    pub(super) failures: Failures,
}

/// What is on disk and not in force, each until it is mended.
#[derive(Debug, Default)]
pub(super) struct Failures {
    configuration: bool,
    /// Told once for each problem.
    own_keys: Option<String>,
}

impl Reloader {
    /// Looks at the configuration again and again. Never ends.
    #[expect(
        clippy::expect_used,
        reason = "what reads files is held to the lints that refuse to panic on their contents"
    )]
    pub(super) async fn run(mut self, mut source: Source) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // Files may lie on a disk that hangs: checks must not wait for it.
            let look = move || {
                let outcome = caught_call(|| source.poll());
                (source, outcome)
            };
            let outcome;
            (source, outcome) = tokio::task::spawn_blocking(look).await.expect("a panic is caught within");
            let round = match outcome {
                Ok(outcome) => caught(Box::pin(self.round(outcome, source.path()))).await,
                Err(Panicked) => Err(Panicked),
            };
            if let Err(Panicked) = round {
                self.failures.configuration = true;
                self.metrics.failed();
                tracing::error!("a look at the configuration failed inside; it is looked at again");
            }
        }
    }

    async fn round(&mut self, outcome: Option<Result<Settings, ConfigError>>, path: &Path) {
        if let Some(outcome) = outcome {
            self.configuration_changed(outcome, path).await;
        }
        let watched = self.keyrings.watched();
        let changed = tokio::task::spawn_blocking(move || watched.changed()).await;
        if let Ok(changed) = passed_on(changed) {
            self.own_keys_looked_at(changed);
        }
    }

    // The metric comes before the record, so that whoever reads the record finds it.
    pub(super) async fn configuration_changed(&mut self, outcome: Result<Settings, ConfigError>, path: &Path) {
        let outcome = match outcome {
            Ok(settings) => self.put_in_force(settings).await,
            Err(error) => Err(error.into()),
        };
        self.failures.configuration = outcome.is_err();
        match outcome {
            Ok(()) => {
                self.took_effect();
                tracing::info!(config = %path.display(), "the changed configuration is in force");
            }
            Err(error) => {
                self.metrics.failed();
                tracing::error!(
                    config = %path.display(),
                    %error,
                    "the changed configuration is not in force; what was there before stays"
                );
            }
        }
    }

    /// Keys that were added to our own folder, or taken from it.
    pub(super) fn own_keys_looked_at(&mut self, changed: Result<bool, KeyDirectoryError>) {
        let outcome = match changed {
            Ok(true) => self.keyrings.read(&self.in_force).map(|keys| {
                self.keyrings.replace(keys);
                true
            }),
            other => other,
        };
        match outcome {
            Ok(changed) => {
                if self.failures.own_keys.take().is_some() || changed {
                    self.took_effect();
                    tracing::info!("the keys of the folder are in force");
                }
            }
            Err(error) => {
                let error = error.to_string();
                if self.failures.own_keys.as_ref() != Some(&error) {
                    self.metrics.failed();
                    tracing::error!(error, "the keys of the folder are not in force; those from before stay");
                    self.failures.own_keys = Some(error);
                }
            }
        }
    }

    fn took_effect(&self) {
        if !self.failures.configuration && self.failures.own_keys.is_none() {
            self.metrics.reloaded(self.clock.now());
        }
    }

    async fn put_in_force(&mut self, settings: Settings) -> Result<(), ReloadError> {
        let fixed = needs_restart(&self.in_force, &settings);
        if !fixed.is_empty() {
            return Err(ReloadError::NeedsRestart(fixed));
        }
        // All that can fail comes first.
        let keys = self.keyrings.read(&settings)?;
        self.assembly.rebuild(&settings, &self.in_force, &self.keyrings).await?;
        self.keyrings.replace(keys);
        if let (Some(shared), Some(changed)) = (&self.check_tls, &settings.listeners.check.tls)
            && tls::replace(shared, &tls::grpc(changed))
        {
            tracing::info!(listener = "check", "the certificate or the callers changed; old connections will close");
        }
        if let (Some(shared), Some(changed)) = (&self.http_tls, &settings.listeners.http.tls)
            && tls::replace(shared, &tls::http(changed))
        {
            tracing::info!(listener = "http", "the certificate changed; old connections will close");
        }
        let admin_tls = settings.listeners.admin.as_ref().and_then(|admin| admin.tls.as_ref());
        if let (Some(shared), Some(changed)) = (&self.admin_tls, admin_tls)
            && tls::replace(shared, &tls::grpc(changed))
        {
            tracing::info!(listener = "admin", "the certificate or the callers changed; old connections count no more");
        }
        self.issuer.store(Arc::new(settings.assertion.issuer.clone()));
        self.drain.store(Arc::new(settings.drain));
        self.logging.reconfigure(settings.logging);
        settings.log_warnings();
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
        (old.operations.bind != new.operations.bind, "listeners.operations.bind"),
        (
            old.admin.as_ref().map(|admin| &admin.bind) != new.admin.as_ref().map(|admin| &admin.bind),
            "listeners.admin.bind",
        ),
        (before.store != after.store, "sessions.store"),
        (directory(before) != directory(after), "keys.directory"),
    ];
    changes.into_iter().filter_map(|(changed, field)| changed.then_some(field)).collect()
}
