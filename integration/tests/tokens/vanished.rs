//! Revocations that somebody takes out of the store.

use std::time::{Duration, Instant};

use portcullis_integration::check_client::CheckClient;
use portcullis_integration::lateness::Lateness;
use portcullis_integration::redis::RedisServer;
use serde_json::Value;

use super::ground::shared_cluster;
use super::revocation::{Gate, issue, replicas, robots, standalone};

/// Within this every replica sees that an entry is gone, and it is back.
const BACK_WITHIN: Duration = Duration::from_secs(3);
/// What a test waits for at most.
const PATIENCE: Duration = Duration::from_mins(1);

/// Deletes one entry of the list of revocations, and nothing else.
const DELETE_ONE: &str = "for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do \
    if #name == 32 then return redis.call('HDEL', KEYS[1], name) end end return 0";
const LIST: &str = "{portcullis}:revoked";

fn delete_one(redis: &RedisServer) {
    assert_eq!(redis.cli(&["EVAL", DELETE_ONE, "1", LIST]).trim(), "1");
}

fn generation(redis: &RedisServer) -> String {
    redis.cli(&["HGET", LIST, "generation"])
}

async fn restart(gate: &mut Gate) {
    gate.portcullis.restart().await.unwrap();
    gate.client = CheckClient::connect(&gate.portcullis.check_address()).await.unwrap();
}

async fn is_told(gate: &Gate, message: &str) -> bool {
    let told = |record: &Value| record["message"].as_str().is_some_and(|told| told.contains(message));
    gate.portcullis.records().await.unwrap().iter().any(told)
}

/// The entries of the list, with its generation and its digest.
fn fields(redis: &RedisServer) -> String {
    redis.cli(&["HLEN", LIST]).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_vanishes_from_redis_is_back_within_seconds_and_holds_over_a_rolling_restart() {
    const ROUNDS: usize = 4;
    let cluster = shared_cluster().await;
    let redis = RedisServer::start(&[]);
    let mut gates = replicas(&cluster, &standalone(&redis)).await;
    let namespace = robots(&cluster, &["robot"]).await;
    let token = issue(&cluster, &namespace, "robot").await;
    gates[0].administrator.told(&["revoke", "service-account", &format!("{namespace}/robot"), "--deny"]).await.unwrap();
    let (whole, before) = (fields(&redis), generation(&redis));
    let lateness = Lateness::watch();
    for round in 0..ROUNDS {
        let unchanged = generation(&redis);
        delete_one(&redis);
        let deleted = Instant::now();
        assert_eq!(generation(&redis), unchanged, "the deletion alone changes no generation");
        while fields(&redis) != whole {
            assert!(deleted.elapsed() < PATIENCE, "nobody writes it back");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (took, late) = (deleted.elapsed(), lateness.p99());
        assert!(took <= BACK_WITHIN + late, "{took:?}, and a timer woke {late:?} late");
        // Whoever saw it first told it; one after the other starts anew.
        let mut told = false;
        for gate in &gates {
            told |= is_told(gate, "revocations vanished from the store").await;
        }
        assert!(told, "round {round}");
        let gate = &mut gates[round % 2];
        restart(gate).await;
        assert_eq!(gate.check(&token).await.as_deref(), Some("token_revoked"));
    }
    assert_ne!(generation(&redis), before);

    // A replica that starts before the other one saw it waits for that.
    gates[0].portcullis.sigkill().unwrap();
    delete_one(&redis);
    restart(&mut gates[0]).await;
    let begun = Instant::now();
    loop {
        match gates[0].check(&token).await.as_deref() {
            Some("token_revoked") => break,
            Some("revocations_unknown") => assert!(begun.elapsed() < PATIENCE, "it is not written back"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(gates[1].portcullis.metric("portcullis_revocations_restored_total", &[]).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_vanished_while_no_replica_ran_stops_every_token_until_an_administrator_says_so() {
    let cluster = shared_cluster().await;
    let redis = RedisServer::start(&[]);
    let mut gates = replicas(&cluster, &standalone(&redis)).await;
    let namespace = robots(&cluster, &["robot"]).await;
    let token = issue(&cluster, &namespace, "robot").await;
    let account = format!("{namespace}/robot");
    gates[0].administrator.told(&["revoke", "service-account", &account, "--deny"]).await.unwrap();
    for gate in &mut gates {
        gate.portcullis.sigkill().unwrap();
    }
    delete_one(&redis);
    for gate in &mut gates {
        restart(gate).await;
        assert_eq!(gate.check(&token).await.as_deref(), Some("revocations_unknown"));
        assert!(is_told(gate, "`portcullis revocations accept`").await, "what to do is told");
        assert_eq!(gate.portcullis.metric("portcullis_revocations_incomplete", &[]).await.unwrap(), 1);
    }
    // Nothing is revoked on top of a part.
    let output = gates[0].administrator.run(&["revoke", "namespace", &namespace], "").await.unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(70) && message.contains("is not whole"), "{:?}: {message}", output.status);

    let accepted = gates[0].administrator.told_json(&["revocations", "accept"]).await.unwrap();
    assert_eq!(accepted["in_force"], 0, "{accepted}");
    assert_eq!(gates[0].check(&token).await, None, "it is lost, and the administrator said so");
    let begun = Instant::now();
    while gates[1].check(&token).await.is_some() {
        assert!(begun.elapsed() < PATIENCE, "the other replica does not hear of it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It is made again.
    gates[1].administrator.told(&["revoke", "service-account", &account, "--deny"]).await.unwrap();
    assert_eq!(gates[1].check(&token).await.as_deref(), Some("token_revoked"));
    let audited = gates[0].portcullis.records().await.unwrap();
    assert!(audited.iter().any(|record| record["act"] == "accept_revocations" && record["outcome"] == "done"));
}
