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
use super::{RedisAddress, RedisConfig, RedisServers, RedisStore, Refused};
use crate::{
    clock::{Clock, ManualClock, SharedClock, SystemClock, Timestamp},
    session::testing::{World, now},
    store::contract,
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

/// The connection is young for ever: [`open_as_time_goes_by`] where its age is what matters.
async fn open(config: &RedisConfig) -> World {
    let clock = ManualClock::at(now());
    open_with(config, &clock, clock.clone()).await
}

/// The connection, and what is heard over it, grow older as in life.
async fn open_as_time_goes_by(config: &RedisConfig) -> World {
    let clock = ManualClock::at(now());
    let running = RunningClock { wall: clock.clone(), machine: SystemClock::shared() };
    open_with(config, &clock, Arc::new(running)).await
}

async fn open_with(config: &RedisConfig, clock: &Arc<ManualClock>, of_store: SharedClock) -> World {
    let store = RedisStore::open(config.clone(), of_store, Gauge::default()).await.unwrap();
    World::over_with(clock, Arc::new(store))
}

/// A wall clock that a test moves, beside the machine's monotonic time.
#[derive(Debug)]
struct RunningClock {
    wall: Arc<ManualClock>,
    machine: SharedClock,
}

impl Clock for RunningClock {
    fn now(&self) -> Timestamp {
        self.wall.now()
    }

    fn monotonic(&self) -> Duration {
        self.machine.monotonic()
    }
}

async fn refused(config: RedisConfig) -> String {
    match RedisStore::open(config, ManualClock::at(now()), Gauge::default()).await {
        Err(Refused { problem }) => problem,
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
