//! The API server hangs, or is gone.

use std::time::{Duration, Instant};

use portcullis_integration::envoy::Variant;
use portcullis_integration::lateness::Lateness;
use portcullis_integration::portcullis::TOKEN_AUDIENCE;
use portcullis_integration::raw_client::Response;
use serde_json::{Value, json};

use super::ground::{Door, own_cluster};

const TTL: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(30);

fn expect_unavailable(answer: &Response) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.json::<Value>().unwrap()["reason"], "api_server_unavailable");
    let seconds: u32 = answer.headers.only("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
}

/// Accepted until the cached answer's time is over, then 503, and never anything else.
async fn accepted_to_the_ttl_then_unavailable(door: &Door, token: &str, accepted: Instant) {
    assert_eq!(door.present(token).await.status, 200);
    let asked = Instant::now();
    assert!(asked < accepted + TTL, "this machine is too slow for the test");
    loop {
        let asked = Instant::now();
        let answer = door.present(token).await;
        if answer.status != 200 {
            expect_unavailable(&answer);
            return;
        }
        assert!(asked < accepted + TTL, "accepted after the cached answer's time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Presents the token until it is accepted, and tells when the API server was asked at the latest.
async fn accepted_again(door: &Door, token: &str) -> Instant {
    let begin = Instant::now();
    while door.present(token).await.status != 200 {
        assert!(begin.elapsed() < SOON, "not accepted again after {:?}", begin.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Instant::now()
}

#[tokio::test]
async fn cached_answers_hold_to_their_ttl_and_then_it_is_503() {
    let mut cluster = own_cluster().await;
    cluster.create_namespace("team-a").await.unwrap();
    for name in ["robot", "other"] {
        cluster.create_service_account("team-a", name).await.unwrap();
    }
    let token = cluster.token("team-a", "robot").audience(TOKEN_AUDIENCE).issue().await.unwrap();
    let other = cluster.token("team-a", "other").audience(TOKEN_AUDIENCE).issue().await.unwrap();
    let door = Door::open(Variant::NEWEST, &cluster, |config| {
        config
            .set("/service_accounts/cache_ttl", format!("{}s", TTL.as_secs()))
            .set("/service_accounts/timeout", format!("{}s", TIMEOUT.as_secs()))
            .rules(json!([{ "name": "public", "paths": [{ "exact": "/public" }], "access": "public" }]))
    })
    .await;

    // It hangs: the deadline is ours.
    let accepted = accepted_again(&door, &token).await;
    cluster.pause().unwrap();
    accepted_to_the_ttl_then_unavailable(&door, &token, accepted).await;
    let (lateness, begin) = (Lateness::watch(), Instant::now());
    expect_unavailable(&door.present(&other).await);
    let (took, bound) = (begin.elapsed(), TIMEOUT * 2 + lateness.p99());
    assert!(took <= bound, "answered after {took:?}, and not within {bound:?}");
    assert_eq!(door.get("/public", &[]).await.status, 200);
    cluster.resume().unwrap();

    // It is gone: connections are refused.
    let accepted = accepted_again(&door, &token).await;
    cluster.kill().unwrap();
    accepted_to_the_ttl_then_unavailable(&door, &token, accepted).await;
    expect_unavailable(&door.present(&other).await);

    cluster.restart().await.unwrap();
    accepted_again(&door, &token).await;
    accepted_again(&door, &other).await;
}
