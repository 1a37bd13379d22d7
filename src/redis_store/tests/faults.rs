//! What becomes of sessions when the server, or the way to it, fails.

use std::{fs, sync::LazyLock, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::{
    super::{RedisServers, RedisTls},
    Cluster, RedisServer, Sentinels, address, config, open, open_as_time_goes_by, refused, sentinel, standalone,
};
use crate::{
    clock::{SharedClock, SystemClock},
    session::{
        OpenError,
        testing::{ORIGIN, World, dex, now},
    },
    store::{
        StoreError,
        contract::{name, record},
    },
};

/// The machine's time, that never steps back.
fn monotonic() -> Duration {
    static CLOCK: LazyLock<SharedClock> = LazyLock::new(SystemClock::shared);
    CLOCK.monotonic()
}

fn elapsed(begun: Duration) -> Duration {
    monotonic().saturating_sub(begun)
}

async fn is_open(world: &World, ticket: &str) -> Result<(), OpenError> {
    world.sessions.open(ticket, ORIGIN, &dex()).await.map(drop)
}

/// Polls until something holds.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let begun = monotonic();
    while !holds().await {
        assert!(elapsed(begun) < Duration::from_mins(1), "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_server_that_may_forget_is_refused_at_the_start() {
    let server = RedisServer::start(&["--maxmemory-policy", "allkeys-lru"]);
    let problem = refused(config(standalone(&server))).await;
    assert!(problem.contains("`allkeys-lru`") && problem.contains("set `maxmemory-policy noeviction`"), "{problem}");
}

#[tokio::test]
async fn a_full_server_says_so_and_still_logs_out() {
    let server = RedisServer::start(&[]);
    let world = open(&config(standalone(&server))).await;
    let ticket = world.sign_in("user").await;
    assert!(server.cli(&["CONFIG", "SET", "maxmemory", "1mb"]).contains("OK"));
    let outcome = world.store.insert(record(1, "a")).await;
    assert!(matches!(outcome, Err(StoreError::Full(_))), "{outcome:?}");
    assert_eq!(is_open(&world, &ticket).await, Ok(()));
    assert_eq!(world.sessions.end(&ticket).await, Ok(true));
    assert_eq!(is_open(&world, &ticket).await, Err(OpenError::Ended));
}

#[tokio::test]
async fn a_user_of_its_own_and_a_password_that_rotates() {
    let server = RedisServer::start(&[]);
    let file = server.folder().join("password");
    fs::write(&file, "first-password\n").unwrap();
    let rights = ["on", ">first-password", "~{portcullis}:*", "-@all", "+@scripting", "+hget", "+hset", "+hmget"];
    let more = ["+hgetall", "+hlen", "+hdel", "+hincrby", "+get", "+set", "+del", "+exists", "+pexpire", "+zadd"];
    let last = ["+zrem", "+zrange", "+zrangebyscore", "+wait", "+role", "+info", "+client", "+hello", "+ping"];
    let command: Vec<_> = ["ACL", "SETUSER", "portcullis"].into_iter().chain(rights).chain(more).chain(last).collect();
    assert!(server.cli(&command).contains("OK"));
    let mut of_user = config(standalone(&server));
    of_user.prefix = "portcullis".to_owned();
    of_user.username = Some("portcullis".to_owned());
    of_user.password_file = Some(file.clone());
    let world = open(&of_user).await;
    let ticket = world.sign_in("user").await;
    assert_eq!(is_open(&world, &ticket).await, Ok(()));
    // The password changes, and the connections are cut.
    let change = ["ACL", "SETUSER", "portcullis", "resetpass", ">second-password"];
    assert!(server.cli(&change).contains("OK"));
    fs::write(&file, "second-password\n").unwrap();
    let _ = server.cli(&["CLIENT", "KILL", "USER", "portcullis"]);
    until("the new password to be used", async || is_open(&world, &ticket).await == Ok(())).await;
    fs::write(&file, "a wrong one").unwrap();
    let problem = refused(of_user).await;
    assert!(!problem.contains("a wrong one"), "{problem}");
}

#[tokio::test]
async fn a_logout_elsewhere_is_heard_and_what_is_remembered_is_used() {
    let server = RedisServer::start(&[]);
    let config = config(standalone(&server));
    let (here, there) = (open(&config).await, open(&config).await);
    let ticket = here.sign_in("user").await;
    assert_eq!(is_open(&here, &ticket).await, Ok(()));
    let calls =
        || server.cli(&["INFO", "commandstats"]).lines().find(|line| line.contains("evalsha")).map(str::to_owned);
    let before = calls();
    for _ in 0..100 {
        assert_eq!(is_open(&here, &ticket).await, Ok(()));
    }
    assert_eq!(calls(), before, "it is opened from memory");
    assert_eq!(there.sessions.end(&ticket).await, Ok(true));
    until("the logout to be heard", async || is_open(&here, &ticket).await == Err(OpenError::Ended)).await;
    // Whoever deletes by hand is heard too, and whoever empties the server.
    let ticket = here.sign_in("user").await;
    assert_eq!(is_open(&there, &ticket).await, Ok(()));
    assert!(server.cli(&["FLUSHALL"]).contains("OK"));
    until("the flush to be heard", async || is_open(&there, &ticket).await == Err(OpenError::Ended)).await;
}

#[tokio::test]
async fn a_lost_connection_never_serves_a_dead_session() {
    let server = RedisServer::start(&[]);
    let config = config(standalone(&server));
    let (here, there) = (open(&config).await, open(&config).await);
    for _ in 0..20 {
        let ticket = here.sign_in("user").await;
        assert_eq!(is_open(&here, &ticket).await, Ok(()));
        let _ = server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        until("a logout", async || there.sessions.end(&ticket).await.is_ok()).await;
        until("the death to be seen", async || is_open(&here, &ticket).await == Err(OpenError::Ended)).await;
        for _ in 0..50 {
            assert_ne!(is_open(&here, &ticket).await, Ok(()));
        }
    }
}

#[tokio::test]
async fn a_server_that_hangs_fails_within_the_deadline_and_needs_no_restart() {
    let server = RedisServer::start(&[]);
    let mut config = config(standalone(&server));
    config.timeout = Duration::from_secs(2);
    let world = open(&config).await;
    let ticket = world.sign_in("user").await;
    server.pause();
    let begun = monotonic();
    assert!(matches!(world.store.get(&name(1)).await, Err(StoreError::Unavailable(_))));
    assert!(world.sessions.end(&ticket).await.is_err());
    let control = monotonic();
    tokio::time::sleep(config.timeout).await;
    let late = elapsed(control).saturating_sub(config.timeout);
    assert!(elapsed(begun) < 3 * config.timeout + 3 * late + Duration::from_millis(500), "{:?}", elapsed(begun));
    // Nor is what was remembered used while nothing is heard.
    until("memory to be unused", async || is_open(&world, &ticket).await == Err(OpenError::Unavailable)).await;
    server.resume();
    until("the service to be back", async || world.store.get(&name(1)).await == Ok(None)).await;
    world.sign_in("another").await;
}

#[tokio::test]
async fn a_server_that_is_down_at_the_start_is_used_when_it_comes() {
    let mut server = RedisServer::start(&[]);
    server.kill();
    let mut config = config(standalone(&server));
    config.timeout = Duration::from_millis(300);
    let world = open(&config).await;
    assert!(matches!(world.store.get(&name(1)).await, Err(StoreError::Unavailable(_))));
    server.restart();
    until("the service to be there", async || world.store.get(&name(1)).await == Ok(None)).await;
}

#[tokio::test]
async fn a_server_that_forgot_the_script_gets_it_again() {
    let server = RedisServer::start(&[]);
    let world = open(&config(standalone(&server))).await;
    assert!(server.cli(&["SCRIPT", "FLUSH"]).contains("OK"));
    let ticket = world.sign_in("user").await;
    assert_eq!(is_open(&world, &ticket).await, Ok(()));
}

#[tokio::test]
async fn a_change_that_no_replica_has_is_not_acknowledged() {
    let server = RedisServer::start(&[]);
    let mut config = config(standalone(&server));
    config.timeout = Duration::from_secs(1);
    config.replicas = Some(1);
    let world = open(&config).await;
    let outcome = world.store.insert(record(1, "a")).await;
    assert!(matches!(&outcome, Err(StoreError::Unavailable(text)) if text.contains("0 of 1")), "{outcome:?}");
    let of = format!("127.0.0.1 {}", server.port());
    let replica = RedisServer::start(&["--replicaof", &of]);
    until("the replica", async || {
        world.store.spend(&crate::store::index::spent(&world.ring.load(), b"x"), now()).await.is_ok()
    })
    .await;
    assert!(replica.cli(&["DBSIZE"]).trim() != "0", "the replica has it");
}

#[tokio::test]
async fn tls_is_spoken_with_a_server_that_the_authority_certified_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let authority = || {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let (ours, other) = (authority(), authority());
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &ours).unwrap();
    let (ca, other) = (write("ca.pem", ours.pem()), write("other.pem", other.pem()));
    let (certificate, key) = (write("tls.pem", leaf.pem()), write("tls.key", key.serialize_pem()));
    let server = RedisServer::start_tls(&ca, &certificate, &key);
    let mut config = config(standalone(&server));
    config.tls = Some(RedisTls { ca_file: Some(ca) });
    let world = open(&config).await;
    let ticket = world.sign_in("user").await;
    assert_eq!(is_open(&world, &ticket).await, Ok(()));
    config.timeout = Duration::from_millis(500);
    for tls in [Some(RedisTls { ca_file: Some(other) }), None] {
        config.tls = tls;
        let stranger = open(&config).await;
        assert!(matches!(stranger.store.get(&name(1)).await, Err(StoreError::Unavailable(_))));
    }
    config.tls = Some(RedisTls { ca_file: Some(folder.path().join("missing.pem")) });
    assert!(refused(config).await.contains("missing.pem"));
}

#[tokio::test]
async fn a_cluster_whose_primary_died_serves_what_was_acknowledged() {
    let mut cluster = Cluster::start();
    let mut config = config(RedisServers::Cluster(cluster.nodes.iter().map(address).collect()));
    config.timeout = Duration::from_secs(3);
    config.replicas = Some(1);
    let world = open(&config).await;
    let (stays, leaves) = (world.sign_in("stays").await, world.sign_in("leaves").await);
    assert_eq!(world.sessions.end(&leaves).await, Ok(true));
    let has_keys = |node: &RedisServer| {
        let is_primary = node.cli(&["ROLE"]).starts_with("master");
        is_primary && node.cli(&["DBSIZE"]).trim() != "0"
    };
    let primary = cluster.nodes.iter().position(has_keys).unwrap();
    cluster.nodes[primary].kill();
    config.replicas = None;
    let another = async || open(&config).await;
    until("another primary", async || world.store.get(&name(1)).await == Ok(None)).await;
    for world in [&world, &another().await] {
        assert_eq!(is_open(world, &stays).await, Ok(()));
        assert_eq!(is_open(world, &leaves).await, Err(OpenError::Ended));
    }
}

/// Waits until the sentinels name such a primary. They need no vote: on a machine that has much to do that takes them long.
async fn until_failover(sentinels: &Sentinels, is_wanted: impl Fn(u16) -> bool) {
    until("a failover", async || {
        let is_done = is_wanted(sentinels.primary());
        if !is_done {
            // Refused while one is under way, or none of the replicas is good.
            let _ = sentinels.sentinels[0].cli(&["SENTINEL", "FAILOVER", Sentinels::NAME]);
        }
        is_done
    })
    .await;
}

/// Within this a primary that the sentinels left is given up.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_primary_that_was_cut_off_is_believed_for_seconds_only() {
    let sentinels = Sentinels::start(1);
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(sentinel(&sentinels));
    config.timeout = Duration::from_secs(2);
    config.username = Some("portcullis".to_owned());
    config.password_file = Some(folder.path().join("password"));
    fs::write(folder.path().join("password"), "of-portcullis").unwrap();
    for server in &sentinels.servers {
        let user = ["ACL", "SETUSER", "portcullis", "on", ">of-portcullis", "~*", "&*", "+@all"];
        assert!(server.cli(&user).contains("OK"));
    }
    let world = open_as_time_goes_by(&config).await;
    let (ticket, other) = (world.sign_in("user").await, world.sign_in("other").await);
    assert_eq!(is_open(&world, &ticket).await, Ok(()));
    // The sentinels and the replica no longer reach the primary, and we do.
    let cut_off = &sentinels.servers[0];
    let before = sentinels.primary();
    assert_eq!(before, cut_off.port());
    let _ = cut_off.cli(&["ACL", "SETUSER", "default", "off"]);
    let own = ["--user", "portcullis", "--pass", "of-portcullis", "--no-auth-warning"];
    let kill = |user| [own.as_slice(), &["CLIENT", "KILL", "USER", user]].concat();
    assert!(!cut_off.cli(&kill("default")).contains("ERR"));
    let ended = world.sessions.end(&other).await;
    until_failover(&sentinels, |primary| primary != before).await;
    let failed_over = monotonic();
    let elsewhere = open_as_time_goes_by(&config).await;
    until("a logout at the new primary", async || elsewhere.sessions.end(&ticket).await == Ok(true)).await;
    until("the logout to be heard", async || is_open(&world, &ticket).await == Err(OpenError::Ended)).await;
    let took = elapsed(failed_over);
    let control = monotonic();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let late = elapsed(control).saturating_sub(Duration::from_secs(1));
    assert!(took < GIVEN_UP_WITHIN + 10 * late, "{took:?}");
    // What the one that was cut off acknowledged would be undone.
    assert!(ended.is_err() || is_open(&world, &other).await == Err(OpenError::Ended), "{ended:?}");
}

#[tokio::test]
async fn a_failover_to_the_replica_that_lagged_undoes_no_acknowledged_logout() {
    let mut sentinels = Sentinels::start_with(2, &["--appendonly", "yes", "--appendfsync", "always"]);
    let mut config = config(sentinel(&sentinels));
    config.timeout = Duration::from_secs(2);
    let world = open_as_time_goes_by(&config).await;
    let ticket = world.sign_in("user").await;
    assert_eq!(sentinels.primary(), sentinels.servers[0].port());
    sentinels.servers[1].pause();
    let ended = world.sessions.end(&ticket).await;
    // What was on its way to it is lost, and of the three it is the only one that comes back.
    for server in &mut sentinels.servers {
        server.kill();
    }
    sentinels.servers[1].restart();
    let lagged = sentinels.servers[1].port();
    until_failover(&sentinels, |primary| primary == lagged).await;
    until("an answer", async || is_open(&world, &ticket).await != Err(OpenError::Unavailable)).await;
    let is_undone = is_open(&world, &ticket).await == Ok(());
    assert!(is_undone, "the replica had the logout: nothing is shown");
    let problem = ended.unwrap_err();
    assert!(problem.to_string().contains("1 of 2 Redis replicas have the change"), "{problem}");
}

#[tokio::test]
async fn a_primary_that_is_cut_off_from_its_cluster_answers_no_longer() {
    let cluster = Cluster::start();
    let mut config = config(RedisServers::Cluster(cluster.nodes.iter().map(address).collect()));
    config.timeout = Duration::from_secs(2);
    let world = open_as_time_goes_by(&config).await;
    let ticket = world.sign_in("user").await;
    assert_eq!(is_open(&world, &ticket).await, Ok(()));
    let has_keys =
        |node: &&RedisServer| node.cli(&["ROLE"]).starts_with("master") && node.cli(&["DBSIZE"]).trim() != "0";
    let primary = cluster.nodes.iter().find(has_keys).unwrap().port();
    for node in cluster.nodes.iter().filter(|node| node.port() != primary) {
        node.pause();
    }
    // Some of it is read again all the time: `Revocations` does so several times a second.
    until("it to be given up", async || {
        let read = world.store.revocations(None).await;
        read.is_err() && is_open(&world, &ticket).await == Err(OpenError::Unavailable)
    })
    .await;
}

#[tokio::test]
async fn without_the_word_of_half_of_the_sentinels_a_primary_is_believed_for_half_a_minute() {
    let sentinels = Sentinels::start(0);
    let mut config = config(sentinel(&sentinels));
    // A primary that is slower than this is given up sooner.
    config.timeout = Duration::from_secs(5);
    let world = open_as_time_goes_by(&config).await;
    let ticket = world.sign_in("user").await;
    sentinels.sentinels[1].pause();
    sentinels.sentinels[2].pause();
    let paused = monotonic();
    until("the primary to be given up", async || is_open(&world, &ticket).await == Err(OpenError::Unavailable)).await;
    assert!(elapsed(paused) > Duration::from_secs(25), "a short outage of the sentinels is nobody's matter");
    // Two of three are enough.
    sentinels.sentinels[1].resume();
    until("the primary to be believed again", async || is_open(&world, &ticket).await == Ok(())).await;
}
