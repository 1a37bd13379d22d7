//! What a restart keeps, and how a process ends.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use portcullis_integration::envoy::Variant;
use portcullis_integration::gateway::Gateway;
use portcullis_integration::on_each_envoy;
use portcullis_integration::portcullis::{Config, SESSION_COOKIE};

on_each_envoy!(a_session_and_its_end_outlive_a_kill);

async fn a_session_and_its_end_outlive_a_kill(variant: Variant) {
    let mut gateway = Gateway::start(variant, Config::embedded_store).await.unwrap();
    let mut alice = gateway.visitor().unwrap();
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    let stolen = alice.clone();

    gateway.portcullis.restart().await.unwrap();
    let received = alice.navigate("/after").await.unwrap().echo().unwrap();
    assert_eq!(received.headers.only("kubeflow-userid"), Some("alice@example.com"));

    let logout = alice.fetch("POST", "/portcullis/logout").await.unwrap();
    assert!(matches!(logout.status, 201 | 303), "{} {}", logout.status, logout.text());
    assert!(!alice.cookies.contains_key(SESSION_COOKIE));
    gateway.portcullis.restart().await.unwrap();
    let mut thief = stolen;
    let replayed = thief.fetch("GET", "/after").await.unwrap();
    assert_eq!(replayed.status, 401, "{}", replayed.text());
}

#[tokio::test]
async fn sigterm_ends_the_process_well() {
    let mut portcullis = Config::new().unwrap().start().await.unwrap();
    let status = portcullis.stop().await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", portcullis.process().log_tail());
}
