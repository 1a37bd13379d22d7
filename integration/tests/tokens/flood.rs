//! Strangers make no work for the API server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis_integration::cluster::Cluster;
use portcullis_integration::envoy::Variant;
use portcullis_integration::faults::Fault;
use portcullis_integration::gateway::Gateway;
use portcullis_integration::jwt::{self, Algorithm, SigningKey};
use portcullis_integration::portcullis::{HOST, TOKEN_AUDIENCE};
use portcullis_integration::raw_client::{Target, http1};
use serde_json::{Value, json};

use super::ground::{Door, bearer, own_cluster};

const FLOOD: usize = 10_000;
/// How many strangers come at once.
const AT_ONCE: usize = 50;

/// Presents every token once, and counts the answers by status.
async fn flood(target: &Target, tokens: Vec<String>) -> BTreeMap<u16, usize> {
    let tokens = Arc::new(tokens);
    let mut strangers = tokio::task::JoinSet::new();
    for stranger in 0..AT_ONCE {
        let (target, tokens) = (target.clone(), Arc::clone(&tokens));
        strangers.spawn(async move {
            let mut statuses = Vec::new();
            let mut connection = http1::Connection::open(&target).await.unwrap();
            for token in tokens.iter().skip(stranger).step_by(AT_ONCE) {
                let request = http1::request("GET", HOST, "/", &[("authorization", &bearer(token))]);
                connection.send(&request).await.unwrap();
                statuses.push(connection.receive("GET").await.unwrap().status);
            }
            statuses
        });
    }
    let mut counts = BTreeMap::new();
    for status in strangers.join_all().await.into_iter().flatten() {
        *counts.entry(status).or_default() += 1;
    }
    counts
}

/// Tokens that have all but the signature: issuer, audience, expiry, a known `kid`; each of another account.
fn forgeries(genuine: &str, count: usize) -> Vec<String> {
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let header = jwt::header(genuine).unwrap().to_string();
    let claims = jwt::claims(genuine).unwrap();
    let namespace = claims["kubernetes.io"]["namespace"].as_str().unwrap().to_owned();
    (0..count)
        .map(|number| {
            let mut claims: Value = claims.clone();
            claims["kubernetes.io"]["serviceaccount"]["name"] = json!(format!("robot-{number}"));
            claims["sub"] = json!(format!("system:serviceaccount:{namespace}:robot-{number}"));
            stranger.sign_bytes(header.as_bytes(), claims.to_string().as_bytes()).unwrap()
        })
        .collect()
}

async fn cluster_with_a_robot() -> (Cluster, String) {
    let cluster = own_cluster().await;
    cluster.create_namespace("team-a").await.unwrap();
    cluster.create_service_account("team-a", "robot").await.unwrap();
    let token = cluster.token("team-a", "robot").audience(TOKEN_AUDIENCE).issue().await.unwrap();
    (cluster, token)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_strings_and_forgeries_cost_the_api_server_a_few_reviews_at_most() {
    let (cluster, token) = cluster_with_a_robot().await;
    for variant in Variant::DEFAULTS {
        strangers_make_few_calls(&cluster, &token, variant).await;
    }
}

async fn strangers_make_few_calls(cluster: &Cluster, token: &str, variant: Variant) {
    let door = Door::open(variant, cluster, |config| config).await;
    let target = door.envoy.to_http1();
    let before = (cluster.requests_for("tokenreviews").await.unwrap(), door.reviews().await);
    let count = async || {
        let now = (cluster.requests_for("tokenreviews").await.unwrap(), door.reviews().await);
        (now.0 - before.0, now.1 - before.1)
    };

    let random = (0..FLOOD).map(|_| jwt::random_id()).collect();
    assert_eq!(flood(&target, random).await, BTreeMap::from([(401, FLOOD)]));
    assert_eq!(count().await, (0, 0));

    let mut forged = forgeries(token, FLOOD);
    assert_eq!(flood(&target, forged.clone()).await, BTreeMap::from([(401, FLOOD)]));
    assert_eq!(count().await, (0, 0));

    // Some name a key that does not exist, which the API server may know all the same.
    let unknown = json!({ "alg": "ES256", "kid": "unknown" }).to_string();
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    for forgery in forged.iter_mut().step_by(10) {
        let claims = jwt::claims(forgery).unwrap().to_string();
        *forgery = stranger.sign_bytes(unknown.as_bytes(), claims.as_bytes()).unwrap();
    }
    let begun = std::time::Instant::now();
    let told = flood(&target, forged).await;
    assert_eq!(told.values().sum::<usize>(), FLOOD, "{told:?}");
    assert!(told.keys().all(|status| [401, 503].contains(status)), "{told:?}");
    let few = 16 + 4 * (begun.elapsed().as_secs() + 1);
    let (calls, reviews) = count().await;
    assert!(calls == reviews && (1..=few).contains(&reviews), "{reviews} reviews, and {few} are the bound");

    // The counts would have shown a call.
    door.expect_account(token, "team-a", "robot").await;
    assert_eq!(count().await, (calls + 1, reviews + 1));
}

#[tokio::test]
async fn where_the_api_server_keeps_its_keys_to_itself_reviews_decide() {
    let (cluster, token) = cluster_with_a_robot().await;
    let role = "system:service-account-issuer-discovery";
    cluster.kubectl(&["delete", "clusterrolebinding", role]).await.unwrap();
    let door = Door::open(Variant::NEWEST, &cluster, |config| config).await;
    let before = door.reviews().await;

    door.expect_account(&token, "team-a", "robot").await;
    let answer = door.present(&forgeries(&token, 1)[0]).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json::<Value>().unwrap()["reason"], "token_rejected");
    assert_eq!(door.reviews().await - before, 2);
}

/// How many are asked at once is counted by the scripted API server, which also is as slow as it must be for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_keys_withheld_a_flood_keeps_to_the_bound_and_a_known_token_passes() {
    for variant in Variant::DEFAULTS {
        a_flood_keeps_to_the_bound(variant).await;
    }
}

async fn a_flood_keeps_to_the_bound(variant: Variant) {
    const BOUND: u64 = 8;
    let gateway = Gateway::start(variant, |config| {
        config
            .set("/service_accounts/max_concurrent_reviews", BOUND)
            // So short that the known token is reviewed again and again.
            .set("/service_accounts/cache_ttl", "50ms")
    })
    .await
    .unwrap();
    gateway.review_api.misbehave(|faults| {
        faults.jwks = Fault::Status(403);
        faults.reviews = Fault::Delay(Duration::from_millis(100));
    });
    let known = bearer(&gateway.mint_token("team-a", "robot"));
    let present = async || gateway.get("/", &[("authorization", &known)]).await.unwrap();
    assert_eq!(present().await.status, 200);
    let before = gateway.review_api.calls().reviews;

    let forged = (0..1_000).map(|number| gateway.review_api.token("team-a", &format!("robot-{number}")));
    let forged = forged.map(|token| token.audience(TOKEN_AUDIENCE).forged()).collect();
    let over = AtomicBool::new(false);
    let target = gateway.target();
    let flood = async {
        let counts = flood(&target, forged).await;
        over.store(true, Ordering::Relaxed);
        counts
    };
    let known_passes = async {
        let mut reviews = 0;
        while !over.load(Ordering::Relaxed) {
            let answer = present().await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            reviews += 1;
        }
        reviews
    };
    let (counts, passes) = tokio::join!(flood, known_passes);
    let calls = gateway.review_api.calls();
    assert!(passes >= 5, "{passes}");
    assert!(calls.most_reviews_at_once <= BOUND, "{calls:?}");
    assert!(calls.most_reviews_at_once > BOUND / 2, "{calls:?}");
    assert!(calls.reviews > before + passes, "{calls:?}");
    // Some were reviewed; the others found no place, and were told when to come back.
    assert!(counts.keys().all(|status| [401, 503].contains(status)), "{counts:?}");
    assert!(counts.contains_key(&401) && counts.contains_key(&503), "{counts:?}");
}
