//! Several replicas that share their sessions in a real Redis.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

#[path = "redis/deployments.rs"]
mod deployments;
#[path = "redis/repeated.rs"]
mod repeated;
#[path = "redis/replicas.rs"]
mod replicas;

use std::time::Duration;

use futures::future::join_all;
use portcullis_integration::evidence;
use portcullis_integration::faults::Fault;
use portcullis_integration::portcullis::Config;
use portcullis_integration::provider::Settings;
use portcullis_integration::redis::{Cluster, RedisServer, Sentinels};
use serde_json::json;
use tokio::time::Instant;

use self::replicas::{Control, Replicas, Visit};

/// How long a logout may take to be known elsewhere.
const KNOWN_WITHIN: Duration = Duration::from_millis(100);
/// How long a failover may take until a change is on two servers again. A sentinel that lost its word to a Redis replica
/// (which primary to follow) says it again after 10 s (`sentinel_slave_reconf_timeout`).
const SENTINEL_SETTLES: Duration = Duration::from_secs(25);
/// The same in a Cluster, where the nodes agree among themselves.
const CLUSTER_SETTLES: Duration = Duration::from_secs(15);
const LOGOUTS: usize = 1000;
/// How many people sign in and out at once.
const PEOPLE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_at_one_of_two_replicas_holds_at_the_other() {
    a_logout_holds_everywhere(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_at_one_of_five_replicas_holds_at_all() {
    a_logout_holds_everywhere(5).await;
}

#[expect(clippy::print_stdout, reason = "the figures, beside the verdict")]
async fn a_logout_holds_everywhere(count: usize) {
    let redis = RedisServer::start(&[]);
    let replicas = Replicas::start(count, &standalone(&redis)).await.unwrap();
    let control = Control::start();
    let people = (0..PEOPLE).map(|person| {
        let replicas = &replicas;
        async move {
            let (mut visits, mut delays) = (Vec::new(), Vec::new());
            for round in 0..LOGOUTS / PEOPLE {
                let here = (person + round) % count;
                let visitor = replicas.sign_in(here).await.unwrap();
                let everywhere = (0..count).map(async |replica| {
                    let begun = Instant::now();
                    assert_eq!(replicas.visit(replica, &visitor).await.unwrap(), Visit::Allowed);
                    begun.elapsed()
                });
                visits.extend(join_all(everywhere).await);
                replicas.log_out((here + 1) % count, &visitor).await.unwrap();
                let begun = Instant::now();
                let others = (0..count).map(|replica| replicas.until_refused(replica, &visitor, begun));
                delays.extend(join_all(others).await);
            }
            (visits, delays)
        }
    });
    let (visits, delays): (Vec<_>, Vec<_>) = join_all(people).await.into_iter().unzip();
    let (mut visits, mut delays) = (visits.concat(), delays.concat());
    assert_eq!((visits.len(), delays.len()), (LOGOUTS / PEOPLE * PEOPLE * count, LOGOUTS / PEOPLE * PEOPLE * count));
    visits.sort_unstable();
    delays.sort_unstable();
    let p99 = |times: &[Duration]| times[times.len() * 99 / 100];
    // What this machine adds: a logout is seen by a visit, while an earlier one may be under way, and each asks another
    // process for an answer, as the news of the logout does.
    let late = control.p99().await + p99(&visits) * 3;
    let (median, p99) = (delays[delays.len() / 2], p99(&delays));
    println!("{count} replicas: a logout was known after {median:?} (p50), {p99:?} (p99); the machine adds {late:?}");
    assert!(p99 <= KNOWN_WITHIN + late, "{p99:?}, and the machine adds {late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_checks_at_five_replicas_after_the_access_token_are_one_call_of_the_provider() {
    const REPLICAS: usize = 5;
    let redis = RedisServer::start(&[]);
    let settings = Settings { access_token_lifetime: 1, refresh_tokens: true, ..Settings::default() };
    let refreshed =
        |config: Config| config.set("/providers/0/refresh", json!({ "ahead": "1s" })).set("/logging/level", "trace");
    let replicas = Replicas::start_with(REPLICAS, &standalone(&redis), settings, refreshed).await.unwrap();
    let alice = replicas.sign_in(0).await.unwrap();
    replicas.provider.change(|settings| settings.access_token_lifetime = 300);
    replicas.provider.lie(|faults| faults.refresh = Fault::Delay(Duration::from_millis(500)));
    // Nobody uses the session while its access token ends: after 5 s, whatever less the provider says.
    tokio::time::sleep(Duration::from_millis(5100)).await;
    let visits = join_all((0..50).map(|number| replicas.visit(number % REPLICAS, &alice))).await;
    assert!(visits.iter().all(|visit| matches!(visit, Ok(Visit::Allowed))), "{visits:?}");
    assert_eq!(replicas.provider.calls().refresh, 1);
    keep_for_the_search(&redis);
}

/// Keeps a copy of all that Redis holds, to be searched for secrets with the other stores.
fn keep_for_the_search(redis: &RedisServer) {
    for command in [["config", "set", "rdbcompression", "no"].as_slice(), &["save"]] {
        assert_eq!(redis.cli(command).trim(), "OK", "{command:?}");
    }
    let dump = std::fs::read(redis.folder().join("dump.rdb")).unwrap();
    assert!(dump.windows(11).any(|part| part == b"{portcullis"), "the copy holds no session");
    evidence::store(&dump);
}

#[tokio::test]
async fn a_replica_that_no_longer_hears_serves_no_dead_session() {
    let redis = RedisServer::start(&[]);
    let replicas = Replicas::start(2, &standalone(&redis)).await.unwrap();
    for _ in 0..20 {
        let visitor = replicas.sign_in(0).await.unwrap();
        assert_eq!(replicas.visit(1, &visitor).await.unwrap(), Visit::Allowed);
        let killed = redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert!(killed.trim().parse::<u32>().unwrap() >= 2, "{killed}");
        while replicas.log_out(0, &visitor).await.is_err() {}
        replicas.until_refused(1, &visitor, Instant::now()).await;
        for _ in 0..20 {
            assert_ne!(replicas.visit(1, &visitor).await.unwrap(), Visit::Allowed);
        }
    }
}

#[tokio::test]
async fn a_redis_that_hangs_is_503_within_the_deadline_and_then_serves_again() {
    let redis = RedisServer::start(&[]);
    let replicas = Replicas::start(2, &standalone(&redis)).await.unwrap();
    let (visitor, other) = (replicas.sign_in(0).await.unwrap(), replicas.sign_in(0).await.unwrap());
    // The second replica has not seen the session, and must ask.
    let visit_at_once = async |visitor: &_, wanted| {
        let begun = Instant::now();
        for visit in join_all((0..20).map(|_| replicas.visit(1, visitor))).await {
            assert_eq!(visit.unwrap(), wanted);
        }
        begun.elapsed()
    };
    let control = Control::start();
    let before = visit_at_once(&replicas.sign_in(0).await.unwrap(), Visit::Allowed).await;
    redis.pause();
    let begun = Instant::now();
    let took = visit_at_once(&visitor, Visit::Unavailable).await;
    assert!(replicas.log_out(0, &other).await.is_err(), "a logout that nobody keeps");
    // The first one has it in memory, and may not use it for long.
    while replicas.visit(0, &visitor).await.unwrap() == Visit::Allowed {
        assert!(begun.elapsed() < Duration::from_mins(1), "a session is served from memory while nothing is heard");
    }
    redis.resume();
    for replica in 0..2 {
        while replicas.visit(replica, &visitor).await.unwrap() != Visit::Allowed {
            assert!(begun.elapsed() < Duration::from_mins(1), "replica {replica} is not back");
        }
    }
    assert_eq!(replicas.visit(0, &replicas.sign_in(1).await.unwrap()).await.unwrap(), Visit::Allowed);
    let after = visit_at_once(&replicas.sign_in(0).await.unwrap(), Visit::Allowed).await;
    // What this machine adds: another process answers, to as many as were asked when all was well.
    let late = control.p99().await + before.max(after) * 3;
    assert!(took <= Replicas::TIMEOUT + KNOWN_WITHIN * 5 + late, "{took:?}, and the machine adds {late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_loses_nothing_that_was_acknowledged() {
    let mut sentinels = Sentinels::start(2);
    let urls: Vec<_> = sentinels.sentinels.iter().map(url).collect();
    let store = json!({ "mode": "sentinel", "urls": urls, "master_name": Sentinels::NAME, "replicas": 1 });
    let replicas = Replicas::start(2, &store).await.unwrap();
    let primary = sentinels.primary();
    let position = sentinels.servers.iter().position(|server| server.port() == primary).unwrap();
    let kill = || sentinels.servers[position].kill();
    nothing_acknowledged_is_lost(&replicas, kill, SENTINEL_SETTLES).await;
    assert_ne!(sentinels.primary(), primary, "there was no failover");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_in_a_cluster_loses_nothing_that_was_acknowledged() {
    let mut cluster = Cluster::start();
    let urls: Vec<_> = cluster.nodes.iter().map(url).collect();
    let replicas = Replicas::start(2, &json!({ "mode": "cluster", "urls": urls })).await.unwrap();
    // All our keys lie on one primary.
    replicas.sign_in(0).await.unwrap();
    let primary = cluster.nodes.iter().position(has_keys).unwrap();
    let kill = || cluster.nodes[primary].kill();
    nothing_acknowledged_is_lost(&replicas, kill, CLUSTER_SETTLES).await;
    let alive = cluster.nodes.iter().enumerate().filter(|(node, _)| *node != primary);
    assert!(alive.map(|(_, node)| node).any(has_keys), "there was no failover");
}

fn has_keys(node: &RedisServer) -> bool {
    node.cli(&["ROLE"]).starts_with("master") && node.cli(&["DBSIZE"]).trim() != "0"
}

/// People sign in and out all the time while `kill` ends the primary; within `settled` it is over.
async fn nothing_acknowledged_is_lost(replicas: &Replicas, kill: impl FnOnce(), settled: Duration) {
    let begun = Instant::now();
    let control = Control::start();
    let load = replicas.sign_in_and_out_for(settled + Duration::from_secs(5));
    let failover = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let killed_at = begun.elapsed();
        tokio::task::block_in_place(kill);
        killed_at
    };
    let (load, killed_at) = tokio::join!(load, failover);
    let late = control.p99().await;
    assert!(load.acknowledged_sign_ins > 20 && load.acknowledged_logouts > 10, "{load:?}");
    let window = load.failures.iter().map(|(at, _)| at.duration_since(begun));
    let (first, last) = (window.clone().min(), window.max());
    assert!(first.is_none_or(|first| first + KNOWN_WITHIN >= killed_at), "{first:?} before {killed_at:?}");
    assert!(last.is_none_or(|last| last < killed_at + settled + late), "{last:?} after {killed_at:?}");
    for (_, failure) in &load.failures {
        assert_eq!(failure, "503", "another failure than a 503 with Retry-After");
    }
    for visitor in &load.signed_in {
        assert_eq!(replicas.visit(0, visitor).await.unwrap(), Visit::Allowed, "a session is lost");
        assert_eq!(replicas.visit(1, visitor).await.unwrap(), Visit::Allowed, "a session is lost");
    }
    for visitor in &load.signed_out {
        assert_eq!(replicas.visit(0, visitor).await.unwrap(), Visit::Refused, "a logout is undone");
        assert_eq!(replicas.visit(1, visitor).await.unwrap(), Visit::Refused, "a logout is undone");
    }
}

fn url(server: &RedisServer) -> String {
    format!("redis://127.0.0.1:{}", server.port())
}

fn standalone(server: &RedisServer) -> serde_json::Value {
    json!({ "urls": [url(server)] })
}
