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

use super::{ConfigError, Settings, material::Material, parse, read, resolve};
use crate::{clock::Timestamp, secret::sha256};

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
    /// As [`super::load`].
    pub fn open(path: &Path) -> Result<(Self, Settings), ConfigError> {
        let (seen, outcome) = look(path);
        Ok((Self { path: path.to_path_buf(), seen }, outcome.resolve()?))
    }

    /// Looks again. Nothing where nothing changed since the last look, whatever came of it then.
    ///
    /// # Errors
    /// Inside, as [`super::load`]: what was there before stays in force.
    pub fn poll(&mut self) -> Option<Result<Settings, ConfigError>> {
        let (seen, outcome) = look(&self.path);
        if seen == self.seen {
            return None;
        }
        self.seen = seen;
        Some(outcome.resolve())
    }

    /// The configuration file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What was found at one look.
enum Look {
    Read(Box<super::raw::File>, Material),
    Failed(ConfigError),
}

impl Look {
    fn resolve(self) -> Result<Settings, ConfigError> {
        match self {
            Self::Read(file, material) => resolve::resolve(&file, &material).map_err(ConfigError::Fields),
            Self::Failed(error) => Err(error),
        }
    }
}

/// Everything as it is now, with a hash of it.
fn look(path: &Path) -> ([u8; 32], Look) {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) => return (sha256(error.to_string().as_bytes()), Look::Failed(error)),
    };
    let written = sha256(text.as_bytes());
    match parse::parse(&text) {
        Ok(file) => {
            let material = Material::read(&file);
            let both = [written, material.digest()].concat();
            (sha256(&both), Look::Read(Box::new(file), material))
        }
        Err(error) => (written, Look::Failed(error)),
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
