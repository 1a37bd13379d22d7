//! One request is a few calls of Redis, whatever it repeats.

use portcullis_integration::envoy::Variant;
use portcullis_integration::gateway::Gateway;
use portcullis_integration::portcullis::SESSION_COOKIE;
use portcullis_integration::redis::RedisServer;

/// How often the script was called since the last `CONFIG RESETSTAT`: each call of the store is one.
fn calls(redis: &RedisServer) -> u64 {
    let told = redis.cli(&["INFO", "commandstats"]);
    let line = told.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    line.and_then(|figures| figures.split(',').next()).map_or(0, |calls| calls.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_out_with_one_dead_ticket_390_times_is_a_few_calls() {
    let redis = RedisServer::start(&[]);
    let gateway = Gateway::start(Variant::NEWEST, |config| config.redis_store(&redis).unwrap()).await.unwrap();
    let mut alice = gateway.visitor().unwrap();
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    let ticket = alice.cookies[SESSION_COOKIE].clone();
    assert_eq!(alice.fetch("POST", "/portcullis/logout").await.unwrap().status, 201);

    let times = (58 * 1024) / (SESSION_COOKIE.len() + ticket.len() + 3);
    assert!(times > 350, "{times}");
    let pair = format!("; {SESSION_COOKIE}={ticket}");
    alice.cookies.insert(SESSION_COOKIE.to_owned(), format!("{ticket}{}", pair.repeat(times - 1)));
    assert_eq!(redis.cli(&["CONFIG", "RESETSTAT"]).trim(), "OK");
    assert_eq!(alice.fetch("POST", "/portcullis/logout").await.unwrap().status, 201);
    // The list of revocations is asked for meanwhile too, once or twice a second.
    let calls = calls(&redis);
    assert!((1..=20).contains(&calls), "{calls} calls for {times} cookies");
}
