//! Opens the session store that the configuration names: the one room that knows every backend.
//!
//! # A new backend
//! 1. A room of its own, named for what keeps it, beside `embedded_store` and `redis_store`, with its own `Config`. It
//!    implements the four contracts of `store`, and runs the suite: `contract::run!(factory)` in its tests.
//! 2. A variant of [`StoreConfig`], and its line in [`open`]. Errors of its own stay its own: [`OpenError`] carries them.
//! 3. Its form in the configuration, and `docs/configuration.md`.

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;

use crate::{
    clock::SharedClock,
    embedded_store::{self, EmbeddedStore},
    redis_store::{self, RedisConfig, RedisStore},
    store::{MemoryStore, Metrics, Stores},
};

/// Where sessions are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreConfig {
    /// In this process's memory; a restart signs everybody out.
    Memory,
    /// In one file, by one process.
    Embedded {
        /// The file, in a folder of its own. Both are made where they are missing.
        path: PathBuf,
    },
    /// In Redis, by several processes that share their root keys.
    Redis(RedisConfig),
}

impl StoreConfig {
    /// Whether several processes share the store, and so must share what they seal with.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        match self {
            Self::Memory | Self::Embedded { .. } => false,
            Self::Redis(_) => true,
        }
    }

    /// The folder on this machine in which it lies, which a copy of it takes along.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Embedded { path } => path.parent(),
            Self::Memory | Self::Redis(_) => None,
        }
    }
}

/// Why a store was not opened. Never followed by an empty one in its place.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file.
    #[error(transparent)]
    Embedded(#[from] embedded_store::OpenError),
    /// The server.
    #[error(transparent)]
    Redis(#[from] redis_store::Refused),
}

/// Opens the store that the configuration names. Blocks while a file is opened and checked, and waits for a server.
///
/// # Errors
/// Where it cannot be opened as it stands; never is an empty store put in the place of one that was found.
pub async fn open(config: &StoreConfig, clock: &SharedClock, metrics: &Metrics) -> Result<Stores, OpenError> {
    let (clock, up) = (Arc::clone(clock), metrics.up.clone());
    // What is within this process is reached.
    up.set(1);
    Ok(Stores::of(match config {
        StoreConfig::Memory => Arc::new(MemoryStore::new(clock)),
        StoreConfig::Embedded { path } => Arc::new(EmbeddedStore::open(path, clock)?),
        StoreConfig::Redis(redis) => Arc::new(RedisStore::open(redis.clone(), clock, up).await?),
    }))
}
