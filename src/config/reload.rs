//! The configuration while it may change: the file and everything that it refers to are read again and compared by
//! content, which holds for editors' renames and for the symbolic links of Kubernetes' mounted volumes alike.

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicU64,
};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::{resolve::resolve, settings::Settings};
use crate::{
    clock::Timestamp,
    config_file::{ConfigError, Look, look},
};

/// Reads a configuration file and everything that it refers to.
///
/// # Errors
/// Where the file cannot be read, is no YAML, or says something that cannot be.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    look(path).outcome.and_then(|written| resolve(&written))
}

/// The settings that a text says.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn of_text(text: &str) -> Result<Settings, ConfigError> {
    crate::config_file::written(text).and_then(|written| resolve(&written))
}

/// Where the configuration comes from, and what it was when it was last looked at.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    seen: [u8; 32],
}

impl Source {
    /// Reads the configuration for the first time.
    ///
    /// # Errors
    /// As [`load`].
    pub fn open(path: &Path) -> Result<(Self, Settings), ConfigError> {
        let Look { digest, outcome } = look(path);
        Ok((Self { path: path.to_path_buf(), seen: digest }, resolve(&outcome?)?))
    }

    /// Looks again. Nothing where nothing changed since the last look, whatever came of it then.
    ///
    /// # Errors
    /// Inside, as [`load`]: what was there before stays in force.
    pub fn poll(&mut self) -> Option<Result<Settings, ConfigError>> {
        let Look { digest, outcome } = look(&self.path);
        if digest == self.seen {
            return None;
        }
        self.seen = digest;
        Some(outcome.and_then(|written| resolve(&written)))
    }

    /// The configuration file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What became of changes of the configuration.
#[derive(Clone, Debug)]
pub struct Metrics {
    failed: Gauge,
    last_success: Gauge<u64, AtomicU64>,
    reloads: Counter,
}

impl Metrics {
    /// Registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self { failed: Gauge::default(), last_success: Gauge::default(), reloads: Counter::default() };
        registry.register(
            "config_reload_failed",
            "1 while the configuration on disk is not in force because it is wrong or needs a restart",
            metrics.failed.clone(),
        );
        registry.register_with_unit(
            "config_last_success_timestamp",
            "When the configuration in force was read, in seconds since the Unix epoch",
            Unit::Seconds,
            metrics.last_success.clone(),
        );
        registry.register(
            "config_reloads",
            "Changes of the configuration that took effect since the start",
            metrics.reloads.clone(),
        );
        metrics
    }

    /// The configuration on disk is in force since `now`, for the first time.
    pub fn started(&self, now: Timestamp) {
        self.failed.set(0);
        self.last_success.set(now.as_unix_seconds());
    }

    /// A changed configuration took effect.
    pub fn reloaded(&self, now: Timestamp) {
        self.started(now);
        self.reloads.inc();
    }

    /// A changed configuration did not take effect.
    pub fn failed(&self) {
        self.failed.set(1);
    }
}
