//! A rolling restart under load loses nothing.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portcullis_integration::envoy::{Envoy, Variant};
use portcullis_integration::gateway::HOST;
use portcullis_integration::http::plain_client;
use portcullis_integration::portcullis::{Config, Portcullis, TOKEN_AUDIENCE};
use portcullis_integration::review_api::ReviewApi;
use portcullis_integration::upstream::{Protocol, Upstream};
use serde_json::json;

const REQUESTS: usize = 50_000;
const WORKERS: usize = 32;

async fn replica(api: &ReviewApi) -> Portcullis {
    let config = Config::new().unwrap().service_accounts(api).unwrap();
    let config = config
        .set("/drain", json!({ "delay": "2s", "timeout": "10s" }))
        .set("/logging/level", "info")
        .rules(json!([{ "name": "public", "paths": [{ "prefix": "/public" }], "access": "public" }]));
    config.start().await.unwrap()
}

/// Sends requests until all are sent; counts them, and collects what was not answered as it should.
async fn work(client: reqwest::Client, url: String, token: Arc<str>, sent: Arc<AtomicUsize>) -> Vec<String> {
    let mut lost = Vec::new();
    loop {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        if number >= REQUESTS {
            return lost;
        }
        let with_token = number.is_multiple_of(2);
        let path = if with_token { "token" } else { "public" };
        let mut request = client.get(format!("{url}/{path}/{number}")).header("host", HOST);
        if with_token {
            request = request.bearer_auth(&*token);
        }
        match request.send().await {
            Ok(response) if response.status() == 200 => {
                if let Err(error) = response.bytes().await {
                    lost.push(format!("{number}: {error}"));
                }
            }
            Ok(response) => {
                let status = response.status();
                lost.push(format!("{number}: {status} {}", response.text().await.unwrap_or_default()));
            }
            Err(error) => lost.push(format!("{number}: {error}")),
        }
    }
}

async fn wait_for(sent: &AtomicUsize, number: usize) {
    while sent.load(Ordering::Relaxed) < number {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_loses_none_of_50_000_requests() {
    let api = ReviewApi::start().await.unwrap();
    let upstream = Upstream::start(Protocol::Http1).await.unwrap();
    let mut replicas = [replica(&api).await, replica(&api).await];
    let envoy = Envoy::builder(Variant::NEWEST)
        .unwrap()
        .check(replicas[0].check_address())
        .check(replicas[1].check_address())
        .health_checked()
        .upstream(&upstream)
        .start()
        .await
        .unwrap();
    let token: Arc<str> = api.token("team-a", "runner").audience(TOKEN_AUDIENCE).lifetime(3600).issue().into();

    let sent = Arc::new(AtomicUsize::new(0));
    let url = format!("http://{}", envoy.http1_address());
    let client = plain_client().unwrap();
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| tokio::spawn(work(client.clone(), url.clone(), Arc::clone(&token), Arc::clone(&sent))))
        .collect();

    wait_for(&sent, REQUESTS / 10).await;
    let first = replicas[0].stop().await.unwrap();
    assert_eq!(first.code(), Some(0), "SIGTERM ends with exit 0");
    let after_first = sent.load(Ordering::Relaxed);
    assert!(after_first < REQUESTS, "the load ran on while the first replica drained");
    replicas[0].restart().await.unwrap();
    // Envoy asks for health twice a second.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let second = replicas[1].stop().await.unwrap();
    assert_eq!(second.code(), Some(0), "SIGTERM ends with exit 0");
    assert!(sent.load(Ordering::Relaxed) < REQUESTS, "the load ran on while the second replica drained");

    let mut lost = Vec::new();
    for worker in workers {
        lost.extend(worker.await.unwrap());
    }
    assert!(lost.is_empty(), "{} of {REQUESTS} lost, for example {:?}", lost.len(), &lost[..lost.len().min(5)]);
}
