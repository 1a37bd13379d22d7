//! The client against a little server that plays the API server.

use std::sync::Mutex;

use axum::{Json, Router, extract::State, http::HeaderMap, routing};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

type Answer = (StatusCode, HeaderMap, String);

/// A server that gives every request the same answer, and keeps what it was asked.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<(String, HeaderMap, Value)>>>,
}

impl Server {
    async fn start(status: u16, headers: &[(&'static str, &'static str)], body: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap();
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let answer: Answer = (status, headers, body.into());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new()
            .route(TOKEN_REVIEWS, routing::post(answer_review))
            .route(JWKS, routing::get(answer_jwks))
            .with_state((answer, Arc::clone(&seen)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, seen }
    }

    async fn client(&self) -> (KubeReviews, TempDir) {
        client(&kubeconfig(&self.url, &json!({}))).await
    }
}

type Shared = (Answer, Arc<Mutex<Vec<(String, HeaderMap, Value)>>>);

async fn answer_review(State((answer, seen)): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Answer {
    seen.lock().unwrap().push(("review".into(), headers, body));
    answer
}

async fn answer_jwks(State((answer, seen)): State<Shared>, headers: HeaderMap) -> Answer {
    seen.lock().unwrap().push(("jwks".into(), headers, Value::Null));
    answer
}

fn kubeconfig(url: &str, cluster: &Value) -> Value {
    let mut config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        "clusters": [{ "name": "test", "cluster": { "server": url } }],
        "users": [{ "name": "test", "user": { "token": "our-own-token" } }],
    });
    for (name, value) in cluster.as_object().unwrap() {
        config["clusters"][0]["cluster"][name] = value.clone();
    }
    config
}

async fn try_client(config: &Value) -> (Result<KubeReviews, ClientError>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    std::fs::write(&file, config.to_string()).unwrap();
    (KubeReviews::connect(Some(file), SECOND).await, folder)
}

async fn client(config: &Value) -> (KubeReviews, TempDir) {
    let (client, folder) = try_client(config).await;
    (client.unwrap(), folder)
}

async fn review(server: &Server) -> Result<ReviewAnswer, ReviewError> {
    let (client, _folder) = server.client().await;
    client.review_token(&SecretString::new("a-token".into()), &["ours".into()]).await
}

#[tokio::test]
async fn a_review_names_token_and_audiences_and_gives_the_status() {
    let status = json!({
        "authenticated": true,
        "audiences": ["ours"],
        "user": { "username": "u", "uid": "1", "groups": ["g"], "extra": { "k": ["v"] } },
    });
    let server = Server::start(201, &[], json!({ "status": status }).to_string()).await;
    let answer = review(&server).await.unwrap();
    assert_eq!(
        answer,
        ReviewAnswer {
            authenticated: true,
            audiences: vec!["ours".into()],
            user: ReviewedUser {
                username: "u".into(),
                uid: "1".into(),
                groups: vec!["g".into()],
                extra: [("k".to_owned(), vec!["v".to_owned()])].into(),
            },
        }
    );
    let seen = server.seen.lock().unwrap();
    let [(_, headers, body)] = seen.as_slice() else { panic!("one request") };
    assert_eq!(headers["authorization"], "Bearer our-own-token");
    assert!(headers["user-agent"].to_str().unwrap().starts_with("portcullis/"));
    assert_eq!(body["kind"], "TokenReview");
    assert_eq!(body["spec"], json!({ "token": "a-token", "audiences": ["ours"] }));
}

#[tokio::test]
async fn what_is_missing_in_an_answer_is_not_made_up() {
    let server = Server::start(201, &[], r#"{"status":{}}"#).await;
    assert_eq!(review(&server).await, Ok(ReviewAnswer::default()));
    for garbage in ["", "null", "[]", "{}", r#"{"status":{"authenticated":"yes"}}"#, "<html>", r#"{"kind":"Status"}"#] {
        let server = Server::start(200, &[], garbage).await;
        assert!(matches!(review(&server).await, Err(ReviewError::Malformed(_))), "{garbage}");
    }
    // Said twice, in two ways: which one holds is not ours to guess.
    for garbage in [
        r#"{"status":{"authenticated":false,"authenticated":true,"audiences":["a"]}}"#,
        r#"{"status":{"authenticated":false},"status":{"authenticated":true}}"#,
    ] {
        let whole =
            format!(r#"{{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","spec":{{}},{}"#, &garbage[1..]);
        let server = Server::start(200, &[], whole).await;
        assert!(matches!(review(&server).await, Err(ReviewError::Malformed(_))), "{garbage}");
    }
}

#[tokio::test]
async fn failures_are_told_apart_and_asked_once() {
    let cases = [
        (401, ReviewError::Unauthenticated),
        (403, ReviewError::Forbidden),
        (404, ReviewError::NotFound),
        (429, ReviewError::RateLimited { retry_after: Some(Duration::from_secs(7)) }),
        (302, ReviewError::Malformed("its status is none that is expected")),
        (500, ReviewError::Unavailable("status 500 Internal Server Error".into())),
        (503, ReviewError::Unavailable("status 503 Service Unavailable".into())),
    ];
    for (status, expected) in cases {
        let headers = [("retry-after", "7"), ("location", "/elsewhere")];
        let server = Server::start(status, &headers, r#"{"kind":"Status"}"#).await;
        assert_eq!(review(&server).await, Err(expected), "{status}");
        assert_eq!(server.seen.lock().unwrap().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn an_api_server_asks_for_a_minute_at_most() {
    let server = Server::start(429, &[("retry-after", "86400")], "").await;
    assert_eq!(review(&server).await, Err(ReviewError::RateLimited { retry_after: Some(MAX_RETRY_AFTER) }));
    let server = Server::start(429, &[("retry-after", "soon")], "").await;
    assert_eq!(review(&server).await, Err(ReviewError::RateLimited { retry_after: None }));
}

#[tokio::test]
async fn answers_are_read_up_to_a_bound() {
    let server = Server::start(200, &[], "x".repeat(MAX_ANSWER_BYTES)).await;
    let (client, _folder) = server.client().await;
    assert_eq!(client.jwks().await.unwrap().len(), MAX_ANSWER_BYTES);
    let server = Server::start(200, &[], "x".repeat(MAX_ANSWER_BYTES + 1)).await;
    let (client, _folder) = server.client().await;
    assert_eq!(client.jwks().await, Err(ReviewError::Malformed("it is too large")));
}

#[tokio::test]
async fn an_api_server_that_is_gone_is_unavailable() {
    // Bound, so that nobody else takes the port, and not listening.
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let (client, _folder) = client(&kubeconfig(&url, &json!({}))).await;
    assert!(matches!(client.jwks().await, Err(ReviewError::Unavailable(_))));
}

#[tokio::test]
async fn unsafe_kubeconfigs_are_refused() {
    let refused = async |url: &str, cluster: Value| try_client(&kubeconfig(url, &cluster)).await.0.unwrap_err();
    for url in ["http://api.example.com", "http://localhost:8001", "http://10.0.0.1", "http://127.0.0.1.example.com"] {
        assert!(matches!(refused(url, json!({})).await, ClientError::Insecure(_)), "{url}");
    }
    let url = "https://api.example.com";
    assert!(matches!(refused(url, json!({ "insecure-skip-tls-verify": true })).await, ClientError::Unverified));
    assert!(matches!(refused(url, json!({ "proxy-url": "http://proxy" })).await, ClientError::Proxy));
    let (missing, _folder) = try_client(&json!({})).await;
    assert!(matches!(missing.unwrap_err(), ClientError::Kubeconfig { .. }));
    for url in ["http://127.0.0.1:8001", "http://[::1]:8001"] {
        assert!(try_client(&kubeconfig(url, &json!({}))).await.0.is_ok(), "{url}");
    }
}

#[tokio::test]
async fn a_changed_kubeconfig_is_taken_and_a_broken_one_is_not() {
    let first = Server::start(200, &[], "first").await;
    let second = Server::start(200, &[], "second").await;
    let (client, folder) = first.client().await;
    assert_eq!(client.jwks().await.unwrap(), "first");

    let file = folder.path().join("kubeconfig");
    std::fs::write(&file, "{").unwrap();
    assert!(client.reload().await.is_err());
    assert_eq!(client.jwks().await.unwrap(), "first");

    std::fs::write(&file, kubeconfig(&second.url, &json!({})).to_string()).unwrap();
    client.reload().await.unwrap();
    assert_eq!(client.jwks().await.unwrap(), "second");
}

#[tokio::test]
async fn our_own_token_is_found_inline_and_in_a_file() {
    let mut config = kubeconfig("https://api.example.com", &json!({}));
    let (inline, folder) = client(&config).await;
    assert_eq!(inline.own_token().unwrap().expose(), "our-own-token");

    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "from-a-file\n").unwrap();
    config["users"][0]["user"] = json!({ "tokenFile": token_file });
    let (by_file, _folder) = client(&config).await;
    assert_eq!(by_file.own_token().unwrap().expose(), "from-a-file");

    config["users"][0]["user"] = json!({});
    let (nothing, _folder) = client(&config).await;
    assert!(nothing.own_token().is_none());
    assert!(!format!("{inline:?}").contains("our-own-token"));
}
