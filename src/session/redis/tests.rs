//! What Redis promises beyond the contract that all stores keep, on real servers.

mod faults;
mod model;
#[expect(unreachable_pub, reason = "the suites of `integration` use it too")]
mod ports;
#[expect(unreachable_pub, reason = "the suites of `integration` use it too")]
mod server;

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use prometheus_client::metrics::gauge::Gauge;

use self::server::{Cluster, RedisServer, Sentinels};
use super::{RedisAddress, RedisConfig, RedisServers, RedisStore};
use crate::{
    clock::ManualClock,
    session::{
        StoreOpenError, contract,
        testing::{World, now},
    },
};

static STANDALONE: LazyLock<RedisServer> = LazyLock::new(|| RedisServer::start(&[]));
static SENTINELS: LazyLock<Sentinels> = LazyLock::new(|| Sentinels::start(1));
static CLUSTER: LazyLock<Cluster> = LazyLock::new(Cluster::start);

fn address(server: &RedisServer) -> RedisAddress {
    RedisAddress { host: "127.0.0.1".to_owned(), port: server.port() }
}

fn standalone(server: &RedisServer) -> RedisServers {
    RedisServers::Standalone(address(server))
}

fn sentinel(sentinels: &Sentinels) -> RedisServers {
    RedisServers::Sentinel {
        name: Sentinels::NAME.to_owned(),
        sentinels: sentinels.sentinels.iter().map(address).collect(),
        password_file: None,
    }
}

/// A configuration with keys that no other test has.
fn config(servers: RedisServers) -> RedisConfig {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    RedisConfig {
        servers,
        prefix: format!("test-{}", NUMBER.fetch_add(1, Ordering::Relaxed)),
        username: None,
        password_file: None,
        tls: None,
        timeout: Duration::from_secs(20),
        replicas: None,
        cache_lifetime: Duration::from_mins(1),
    }
}

async fn open(config: &RedisConfig) -> World {
    let clock = ManualClock::at(now());
    let store = RedisStore::open(config.clone(), clock.clone(), Gauge::default()).await.unwrap();
    World::over_with(&clock, Arc::new(store))
}

async fn refused(config: RedisConfig) -> String {
    match RedisStore::open(config, ManualClock::at(now()), Gauge::default()).await {
        Err(StoreOpenError::Refused { problem }) => problem,
        other => panic!("{other:?}"),
    }
}

mod standalone_keeps_the_contract {
    use super::{STANDALONE, World, config, contract, open, standalone};

    async fn world() -> (World, ()) {
        (open(&config(standalone(&STANDALONE))).await, ())
    }

    contract::run!(world);
}

mod sentinel_keeps_the_contract {
    use super::{SENTINELS, World, config, contract, open, sentinel};

    async fn world() -> (World, ()) {
        (open(&config(sentinel(&SENTINELS))).await, ())
    }

    contract::run!(world);
}

mod cluster_keeps_the_contract {
    use super::{CLUSTER, RedisServers, World, address, config, contract, open};

    async fn world() -> (World, ()) {
        (open(&config(RedisServers::Cluster(CLUSTER.nodes.iter().map(address).collect()))).await, ())
    }

    contract::run!(world);
}

#[test]
fn keys_are_counted_whatever_their_names_hold() {
    let server = RedisServer::start(&[]);
    for (number, name) in ["r:a", "r:a\nb", "r:\n\n\r\n", "r: a \"b\"", "other"].into_iter().enumerate() {
        assert_eq!(server.count("*"), number);
        assert_eq!(server.cli(&["SET", name, "1"]).trim(), "OK");
    }
    assert_eq!(server.count("r:*"), 4);
}
