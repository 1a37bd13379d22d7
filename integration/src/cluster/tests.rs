use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewStatus};

use super::*;

const AUDIENCE: &str = "portcullis.test";

async fn review(client: &Client, token: &str) -> TokenReviewStatus {
    let review = json!({ "metadata": {}, "spec": { "token": token, "audiences": [AUDIENCE] } });
    let api: Api<TokenReview> = Api::all(client.clone());
    let answer = api.create(&PostParams::default(), &serde_json::from_value(review).unwrap()).await.unwrap();
    answer.status.unwrap()
}

#[tokio::test]
async fn tokens_are_issued_and_reviewed() {
    let cluster = Cluster::start().await.unwrap();
    let client = cluster.client().await.unwrap();
    cluster.create_namespace("team-a").await.unwrap();
    cluster.create_service_account("team-a", "runner").await.unwrap();
    cluster.create_pod("team-a", "runner-0", "runner").await.unwrap();

    let before = cluster.requests_for("tokenreviews").await.unwrap();
    let request = cluster.token("team-a", "runner").audience(AUDIENCE).bound_to_pod("runner-0");
    let token = request.issue().await.unwrap();
    let status = review(&client, &token).await;
    assert_eq!(status.authenticated, Some(true), "{status:?}");
    let user = status.user.unwrap();
    assert_eq!(user.username.as_deref(), Some("system:serviceaccount:team-a:runner"));
    assert_eq!(user.extra.unwrap()["authentication.kubernetes.io/pod-name"], ["runner-0"]);
    assert_eq!(cluster.requests_for("tokenreviews").await.unwrap(), before + 1);

    let other = cluster.token("team-a", "runner").audience("another").issue().await.unwrap();
    assert_ne!(review(&client, &other).await.authenticated, Some(true));

    let own = cluster.client_of("team-a", "runner").await.unwrap();
    let refused = Api::<Pod>::namespaced(own, "team-a").list(&kube::api::ListParams::default()).await;
    assert!(refused.unwrap_err().to_string().contains("runner"), "an account has no rights of its own");
}

#[tokio::test]
async fn manifests_are_judged_by_the_server() {
    let mut cluster = Cluster::start().await.unwrap();
    let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: default}, data: {a: b}}";
    cluster.dry_run(map).await.unwrap();
    assert!(cluster.kubectl(&["get", "configmap", "a"]).await.is_err(), "a dry run stores nothing");
    let wrong = map.replace(", data", ", dota");
    let error = cluster.apply(&wrong).await.unwrap_err().to_string();
    assert!(error.contains("dota"), "{error}");

    cluster.apply(map).await.unwrap();
    cluster.restart().await.unwrap();
    let read = cluster.kubectl(&["get", "configmap", "a", "-o", "jsonpath={.data.a}"]).await.unwrap();
    assert_eq!(read, "b");
}
