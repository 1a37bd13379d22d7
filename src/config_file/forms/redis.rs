//! The servers of a `redis` store as they are written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::DurationText;

/// The servers of a `redis` store.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redis {
    /// How the servers stand together.
    #[serde(default)]
    pub(crate) mode: RedisMode,
    /// The server, some sentinels, or some nodes of the cluster: all `redis://host:port`, or all `rediss://host:port` for
    /// TLS. No user, no password.
    pub(crate) urls: Vec<String>,
    /// The name by which the sentinels know the primary; with `mode: sentinel` only.
    #[serde(default)]
    pub(crate) master_name: Option<String>,
    /// The ACL user. Absent: the default user.
    #[serde(default)]
    pub(crate) username: Option<String>,
    /// A file with the password, read at each connection, so that it may rotate.
    #[serde(default)]
    pub(crate) password_file: Option<PathBuf>,
    /// A file with the password of the sentinels; with `mode: sentinel` only.
    #[serde(default)]
    pub(crate) sentinel_password_file: Option<PathBuf>,
    /// A file of PEM certificates that are trusted instead of the system's; with `rediss://` only.
    #[serde(default)]
    pub(crate) ca_file: Option<PathBuf>,
    /// What every key begins with: letters, digits, `-`, `_` and `.`.
    #[serde(default = "prefix")]
    pub(crate) prefix: String,
    /// How long one call may take, with all that it waits for.
    #[serde(default = "two_seconds")]
    pub(crate) timeout: DurationText,
    /// How many Redis replicas must have a sign-in or a logout before it is acknowledged. Absent: all that the
    /// primary has.
    #[serde(default)]
    pub(crate) replicas: Option<u32>,
    /// How long a session that is in use is not read again, where nobody tells of a change.
    #[serde(default = "half_a_minute")]
    pub(crate) cache_lifetime: DurationText,
}

/// How the servers stand together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RedisMode {
    /// One server at a fixed address.
    #[default]
    Standalone,
    /// Sentinels know which server is the primary.
    Sentinel,
    /// A Redis Cluster, for its failover: all keys lie on one of its primaries.
    Cluster,
}

fn prefix() -> String {
    "portcullis".to_owned()
}

fn two_seconds() -> DurationText {
    "2s".into()
}

fn half_a_minute() -> DurationText {
    "30s".into()
}
