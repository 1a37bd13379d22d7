//! The process with each deployment of Redis, as an operator sees it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use portcullis_integration::check_visitor::CheckVisitor;
use portcullis_integration::pki::Authority;
use portcullis_integration::portcullis::{Portcullis, binary};
use portcullis_integration::process::Launch;
use portcullis_integration::provider::Provider;
use portcullis_integration::provider::Settings;
use portcullis_integration::redis::{Cluster, RedisServer, Sentinels};
use serde_json::json;
use tokio::time::Instant;

use super::replicas::{Keys, Replicas, Visit};
use super::{standalone, url};

/// For what takes a moment, on a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Somebody signs in at one replica, is known at both, and signs out at the other.
async fn people_sign_in_and_out(replicas: &Replicas) {
    let visitor = replicas.sign_in(0).await.unwrap();
    for replica in 0..2 {
        assert_eq!(replicas.visit(replica, &visitor).await.unwrap(), Visit::Allowed);
    }
    replicas.log_out(1, &visitor).await.unwrap();
    for replica in 0..2 {
        replicas.until_refused(replica, &visitor, Instant::now()).await;
    }
}

#[tokio::test]
async fn a_redis_that_may_evict_is_refused_at_the_start() {
    let redis = RedisServer::start(&["--maxmemory-policy", "allkeys-lru"]);
    let keys = Keys::new().unwrap();
    let provider = Provider::start(Settings::default()).await.unwrap();
    let config = keys.shared_with(&standalone(&redis)).unwrap().provider(&provider).unwrap();
    let file = config.write().unwrap();
    let launch = Launch::new("portcullis", binary().unwrap()).args(["serve", "--config"]).arg(&file);
    let mut process = launch.start().unwrap();
    let status = process.wait_exit(PATIENCE).await.unwrap();
    let log = process.log();
    assert_eq!(status.code(), Some(70), "{log}");
    assert!(
        log.contains("maxmemory-policy is `allkeys-lru`") && log.contains("set `maxmemory-policy noeviction`"),
        "{log}"
    );
    // Once that is set it starts.
    assert_eq!(redis.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).trim(), "OK");
    config.start().await.unwrap();
}

#[tokio::test]
async fn people_sign_in_and_out_with_sentinels() {
    let sentinels = Sentinels::start(1);
    let urls: Vec<_> = sentinels.sentinels.iter().map(url).collect();
    let store = json!({ "mode": "sentinel", "urls": urls, "master_name": Sentinels::NAME, "replicas": 1 });
    people_sign_in_and_out(&Replicas::start(2, &store).await.unwrap()).await;
}

#[tokio::test]
async fn people_sign_in_and_out_with_a_cluster() {
    let cluster = Cluster::start();
    let urls: Vec<_> = cluster.nodes.iter().map(url).collect();
    let store = json!({ "mode": "cluster", "urls": urls, "replicas": 1 });
    people_sign_in_and_out(&Replicas::start(2, &store).await.unwrap()).await;
}

/// What the document says that an ACL user needs.
fn documented_rights() -> Vec<String> {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let text = fs::read_to_string(document).unwrap();
    let (_, rights) = text.split_once("- **An ACL user** needs ").unwrap();
    let codes = rights.split('`').skip(1).step_by(2).take(2);
    codes.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

#[tokio::test]
async fn over_tls_with_a_user_whose_password_is_replaced_while_the_process_runs() {
    const PASSWORDS: [&str; 2] = ["the-password-of-before", "the-password-of-after"];
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("redis").unwrap();
    let (certificate, key) = authority.server(&["127.0.0.1"]).unwrap().write(folder.path(), "redis").unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let redis = RedisServer::start_tls(&ca, &certificate, &key);
    let user = |change: &[&str]| {
        let command = ["ACL", "SETUSER", "portcullis"].iter().chain(change).copied().collect::<Vec<_>>();
        assert_eq!(redis.cli(&command).trim(), "OK", "{command:?}");
    };
    let rights = documented_rights();
    assert!(rights.len() > 20, "{rights:?}");
    user(&["on", "-@all"]);
    user(&rights.iter().map(String::as_str).collect::<Vec<_>>());
    user(&[&format!(">{}", PASSWORDS[0])]);
    let password = folder.path().join("password");
    fs::write(&password, format!("{}\n", PASSWORDS[0])).unwrap();
    let store = json!({
        "urls": [format!("rediss://127.0.0.1:{}", redis.port())],
        "username": "portcullis", "password_file": password, "ca_file": ca,
    });
    let replicas = Replicas::start(2, &store).await.unwrap();
    people_sign_in_and_out(&replicas).await;
    let visitor = replicas.sign_in(0).await.unwrap();

    // Both are good, then the new one alone; the old connections are cut.
    user(&[&format!(">{}", PASSWORDS[1])]);
    fs::write(&password, PASSWORDS[1]).unwrap();
    user(&[&format!("<{}", PASSWORDS[0])]);
    assert!(redis.cli(&["CLIENT", "KILL", "USER", "portcullis"]).trim().parse::<u32>().unwrap() >= 4);
    for replica in 0..2 {
        until_allowed(&replicas, replica, &visitor).await;
    }
    people_sign_in_and_out(&replicas).await;
    for replica in 0..2 {
        let records = replicas.process(replica).records().await.unwrap();
        let told = records.iter().any(|record| PASSWORDS.iter().any(|password| record.to_string().contains(password)));
        assert!(!told, "a password is in the log");
    }
}

async fn until_allowed(replicas: &Replicas, replica: usize, visitor: &CheckVisitor) {
    let begun = Instant::now();
    while replicas.visit(replica, visitor).await.unwrap() != Visit::Allowed {
        assert!(begun.elapsed() < PATIENCE, "replica {replica} does not come back");
    }
}

/// What `/readyz?verbose` says of the session store, and the gauge. The process is ready all the time.
async fn told_of_the_store(portcullis: &Portcullis) -> (String, u64) {
    let url = format!("http://{}/readyz?verbose", portcullis.operations_address());
    let client = portcullis_integration::http::plain_client().unwrap();
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200, "readiness speaks of this process alone");
    let text = answer.text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("session store: ")).unwrap().to_owned();
    (line, portcullis.metric("portcullis_session_store_up", &[]).await.unwrap())
}

async fn until_told(portcullis: &Portcullis, wanted: impl Fn(&str) -> bool, up: u64) {
    let begun = Instant::now();
    loop {
        let (line, gauge) = told_of_the_store(portcullis).await;
        if wanted(&line) && gauge == up {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{line}, {gauge}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_redis_that_hangs_dies_or_turns_us_away_is_told_and_the_process_stays_ready() {
    let mut redis = RedisServer::start(&[]);
    let replicas = Replicas::start(1, &standalone(&redis)).await.unwrap();
    let portcullis = replicas.process(0);
    let answering = |line: &str| line == "answering";
    let failing = |line: &str, problem: &str| line.starts_with("failing since 20") && line.ends_with(problem);
    until_told(portcullis, answering, 1).await;

    redis.pause();
    until_told(portcullis, |line| failing(line, "Z (unreachable)"), 0).await;
    redis.resume();
    until_told(portcullis, answering, 1).await;

    redis.kill();
    until_told(portcullis, |line| failing(line, "Z (unreachable)"), 0).await;
    redis.restart();
    until_told(portcullis, answering, 1).await;

    // Somebody sets what a start would refuse, and the connections are cut.
    assert_eq!(redis.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).trim(), "OK");
    let _ = redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    until_told(portcullis, |line| failing(line, "Z (refused)"), 0).await;
    assert_eq!(redis.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).trim(), "OK");
    until_told(portcullis, answering, 1).await;
    replicas.sign_in(0).await.unwrap();
}
