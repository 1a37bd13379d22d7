//! A rolling restart under load loses nothing.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
        .set("/drain", json!({ "delay": "5s", "timeout": "10s" }))
        .set("/logging/level", "info")
        .rules(json!([{ "name": "public", "paths": [{ "prefix": "/public" }], "access": "public" }]));
    config.start().await.unwrap()
}

/// What all workers share.
struct Load {
    client: reqwest::Client,
    url: String,
    token: String,
    sent: AtomicUsize,
    restarted: AtomicBool,
}

/// Sends requests until all are sent and the replicas were restarted; collects what was not answered as it should.
async fn work(load: Arc<Load>) -> Vec<String> {
    let Load { client, url, token, sent, restarted } = &*load;
    let mut lost = Vec::new();
    loop {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        if number >= REQUESTS && restarted.load(Ordering::Relaxed) {
            return lost;
        }
        let with_token = number.is_multiple_of(2);
        let path = if with_token { "token" } else { "public" };
        let mut request = client.get(format!("{url}/{path}/{number}")).header("host", HOST);
        if with_token {
            request = request.bearer_auth(token);
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
    for variant in Variant::DEFAULTS {
        a_rolling_restart_loses_nothing(variant).await;
    }
}

async fn a_rolling_restart_loses_nothing(variant: Variant) {
    let api = ReviewApi::start().await.unwrap();
    let upstream = Upstream::start(Protocol::Http1).await.unwrap();
    let mut replicas = [replica(&api).await, replica(&api).await];
    let envoy = Envoy::builder(variant)
        .unwrap()
        .check(replicas[0].check_address())
        .check(replicas[1].check_address())
        .health_checked()
        .upstream(&upstream)
        .start()
        .await
        .unwrap();

    let load = Arc::new(Load {
        client: plain_client().unwrap(),
        url: format!("http://{}", envoy.http1_address()),
        token: api.token("team-a", "runner").audience(TOKEN_AUDIENCE).lifetime(3600).issue(),
        sent: AtomicUsize::new(0),
        restarted: AtomicBool::new(false),
    });
    let workers: Vec<_> = (0..WORKERS).map(|_| tokio::spawn(work(Arc::clone(&load)))).collect();

    for replica in &mut replicas {
        wait_for(&load.sent, load.sent.load(Ordering::Relaxed) + REQUESTS / 10).await;
        let ended = replica.stop().await.unwrap();
        assert_eq!(ended.code(), Some(0), "SIGTERM ends with exit 0");
        replica.restart().await.unwrap();
        while healthy(&envoy).await < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    load.restarted.store(true, Ordering::Relaxed);

    let mut lost = Vec::new();
    for worker in workers {
        lost.extend(worker.await.unwrap());
    }
    let sent = load.sent.load(Ordering::Relaxed);
    assert!(lost.is_empty(), "{variant}: {} of {sent} lost, for example {:?}", lost.len(), &lost[..lost.len().min(5)]);
}

/// How many replicas Envoy believes to be healthy.
async fn healthy(envoy: &Envoy) -> u64 {
    envoy.stat("cluster.portcullis.membership_healthy").await.unwrap()
}
