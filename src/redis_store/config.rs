//! Where the servers are, and how they are spoken to.

use std::{fmt, path::PathBuf, time::Duration};

/// How the sessions in Redis are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisConfig {
    /// The servers.
    pub servers: RedisServers,
    /// What every key begins with, as a hash tag: `{prefix}:`. Letters, digits, `-`, `_` and `.`.
    pub prefix: String,
    /// The ACL user; the default user where there is none.
    pub username: Option<String>,
    /// A file that holds the password, read at each connection.
    pub password_file: Option<PathBuf>,
    /// TLS, where it is spoken; in clear text where there is none.
    pub tls: Option<RedisTls>,
    /// How long one call may take, with all that it waits for.
    pub timeout: Duration,
    /// How many Redis replicas must have an acknowledged change; where it is not said, all that the primary has.
    pub replicas: Option<u32>,
    /// How long an opened session is used from memory at most before it is read again.
    pub cache_lifetime: Duration,
}

/// How TLS is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisTls {
    /// A file of PEM certificates that are trusted, read at each connection; the system's where there is none.
    pub ca_file: Option<PathBuf>,
}

/// The kind of deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisServers {
    /// One primary, at a fixed address.
    Standalone(RedisAddress),
    /// Sentinels know the primary.
    Sentinel {
        /// The name by which they know it.
        name: String,
        /// Some of them.
        sentinels: Vec<RedisAddress>,
        /// A file that holds their password, where they want one.
        password_file: Option<PathBuf>,
    },
    /// A Cluster; one primary of it has all our keys.
    Cluster(Vec<RedisAddress>),
}

/// One server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    /// A host name or an IP address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}
