//! Sessions: who is signed in at which browser, kept so that a copy of the store reveals nobody and a writer of the
//! store forges nobody.
//!
//! A browser holds a **ticket** (an id, a secret and our tag over both) in its cookie. The store holds a **record** under
//! a keyed hash of the id, sealed under the server's key and the ticket's secret together, for one name, one origin and
//! one provider. It names the issuer and the client that it came of, and counts while the provider's name stands for
//! them. What lists of sessions need stands beside it as the **listing**, sealed under the server's key alone.
//!
//! [`SessionStore`] is the seam to the backends and tells their contract. A further backend implements it, is opened by
//! [`open_store`] and runs the suite in `session/contract.rs`.

mod cache;
#[cfg(test)]
mod contract;
mod embedded;
mod index;
mod leases;
mod memory;
mod metrics;
#[cfg(test)]
mod model;
mod observers;
mod provider_logout;
mod record;
mod redis;
mod registration;
mod revocation;
mod selection;
mod service;
mod store;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod ticket;
mod wire;

use std::{path::PathBuf, sync::Arc, time::Duration};

pub use self::redis::{RedisAddress, RedisConfig, RedisServers, RedisStore, RedisTls};
pub use embedded::EmbeddedStore;
pub use memory::MemoryStore;
pub use metrics::Metrics;
pub use provider_logout::{LogoutOf, ProviderLogout};
pub use record::{AccessTokenLife, NewSession, Renewal, Session, SessionListing, Tokens};
pub use registration::Registration;
pub use revocation::{
    ISSUE_MARGIN, MARK_LIFE, Measure, NotRevoked, PodUid, Reopening, Revocation, RevocationMetrics, RevocationTarget,
    RevocationTargetError, Revocations, RevokeError, STALE_AFTER, TokenId, TokenRefusal,
};
pub use service::{CreateError, Current, OpenError, Renewed, Sessions};
pub use store::{
    CLOCK_TOLERANCE, Generation, IndexKey, IndexKeys, Inserted, LeaseHolder, LeaseKey, MARK_GRACE, MAX_REVOCATIONS,
    MAX_SESSIONS_PER_SUBJECT, MarkKey, MarkKeys, NewRecord, RecordName, Replaced, Replacement, RevocationChange,
    RevocationEntry, RevocationId, RevocationList, SWEEP_BATCH, SessionStore, StoreError, StoreObserver,
    StoreOpenError, StoreReach, StoredListing, StoredRecord,
};
pub use ticket::Handle;

use crate::clock::SharedClock;

/// How sessions are kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where they are kept.
    pub store: StoreConfig,
    /// How long a session lives at most.
    pub absolute_lifetime: Duration,
    /// How long it lives without being used; to the minute.
    pub idle_lifetime: Duration,
}

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

/// Opens the store that the configuration names. Blocks while a file is opened and checked, and waits for a server.
///
/// # Errors
/// Where it cannot be opened as it stands; never is an empty store put in the place of one that was found.
pub async fn open_store(
    config: &Config,
    clock: &SharedClock,
    metrics: &Metrics,
) -> Result<Arc<dyn SessionStore>, StoreOpenError> {
    let (clock, up) = (Arc::clone(clock), metrics.store_up.clone());
    // What is within this process is reached.
    up.set(1);
    Ok(match &config.store {
        StoreConfig::Memory => Arc::new(MemoryStore::new(clock)),
        StoreConfig::Embedded { path } => Arc::new(EmbeddedStore::open(path, clock)?),
        StoreConfig::Redis(redis) => Arc::new(RedisStore::open(redis.clone(), clock, up).await?),
    })
}
