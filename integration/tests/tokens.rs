//! ServiceAccount tokens: issued by a real API server, presented to a real Envoy, reviewed by that API server.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod tokens {
    pub(crate) mod flood;
    pub(crate) mod ground;
    pub(crate) mod outage;
    pub(crate) mod revocation;
    pub(crate) mod vanished;
}

use std::time::{Duration, Instant};

use portcullis_integration::cluster::{API_AUDIENCE, Cluster};
use portcullis_integration::envoy::Variant;
use portcullis_integration::jwt::{self, Algorithm, SigningKey};
use portcullis_integration::portcullis::TOKEN_AUDIENCE;
use serde_json::json;

use self::tokens::ground::{Door, bearer, shared_cluster, unique};

/// What the API server itself remembers (`pkg/kubeapiserver/authenticator`).
const API_SERVER_CACHE: Duration = Duration::from_secs(10);
/// Our own memory in these tests.
const TTL: Duration = Duration::from_secs(2);
/// For the request that finds out, and for a machine that has much to do.
const SLACK: Duration = Duration::from_secs(2);

portcullis_integration::on_each_envoy!(
    only_the_clusters_own_token_for_us_passes,
    a_deleted_accounts_token_ends_within_our_memory_and_the_api_servers,
);

async fn only_the_clusters_own_token_for_us_passes(variant: Variant) {
    let cluster = shared_cluster().await;
    let namespace = unique("callers");
    cluster.create_namespace(&namespace).await.unwrap();
    cluster.create_service_account(&namespace, "robot").await.unwrap();
    let token = cluster.token(&namespace, "robot").audience(TOKEN_AUDIENCE).issue().await.unwrap();
    let door = Door::open(variant, &cluster, |config| {
        config.rules(json!([
            { "name": "kept", "paths": [{ "prefix": "/kept/" }], "access": "authenticated", "keep_bearer": true },
            { "name": "public", "paths": [{ "exact": "/public" }], "access": "public" },
        ]))
    })
    .await;

    the_account_is_told_and_the_token_is_not(&door, &namespace, &token).await;
    every_other_token_is_refused(&cluster, &door, &namespace, &token).await;
}

async fn the_account_is_told_and_the_token_is_not(door: &Door, namespace: &str, token: &str) {
    let bearer = bearer(token);
    let forged = [("authorization", bearer.as_str()), ("Kubeflow-UserID", "admin"), ("kubeflow-groups", "admins")];
    let account = format!("system:serviceaccount:{namespace}:robot");
    let groups = format!("system:serviceaccounts,system:serviceaccounts:{namespace},system:authenticated");
    for lines in [&forged[..1], &forged[..]] {
        let seen = door.get("/", lines).await.echo().unwrap();
        assert_eq!(seen.headers.folded("kubeflow-userid"), [("kubeflow-userid", account.as_str())]);
        assert_eq!(seen.headers.folded("kubeflow-groups"), [("kubeflow-groups", groups.as_str())]);
        assert_eq!(seen.headers.folded("auth-method"), [("auth-method", "header")]);
        assert!(!seen.headers.has("authorization"), "{:?}", seen.headers);
        let assertion = jwt::claims(seen.headers.only("portcullis-assertion").unwrap()).unwrap();
        assert_eq!(assertion["sub"], account.as_str());
    }
    let kept = door.get("/kept/a", &forged).await.echo().unwrap();
    assert_eq!(kept.headers.all("authorization"), [bearer.as_str()]);
    assert_eq!(kept.headers.all("kubeflow-userid"), [account.as_str()]);

    let public = door.get("/public", &forged).await.echo().unwrap();
    for name in ["authorization", "kubeflow-userid", "kubeflow-groups", "auth-method", "portcullis-assertion"] {
        assert_eq!(public.headers.folded(name), [], "{name} on a public path");
    }
}

async fn every_other_token_is_refused(cluster: &Cluster, door: &Door, namespace: &str, token: &str) {
    let issue = async |audience: &str| cluster.token(namespace, "robot").audience(audience).issue().await.unwrap();
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let header = jwt::header(token).unwrap();
    let forge = |header: &serde_json::Value, claims: &serde_json::Value| {
        stranger.sign_bytes(header.to_string().as_bytes(), claims.to_string().as_bytes()).unwrap()
    };
    let claims = jwt::claims(token).unwrap();
    let mut unknown_key = header.clone();
    unknown_key["kid"] = json!("another");
    let none = json!({ "alg": "none", "kid": header["kid"] });
    let now = jwt::now();
    let cases = [
        ("another audience", issue("another").await, "token_audience"),
        ("the API server's audience", issue(API_AUDIENCE).await, "token_audience"),
        ("the default audience", cluster.token(namespace, "robot").issue().await.unwrap(), "token_audience"),
        ("expired", cluster.resign(token, |claims| claims["exp"] = json!(now - 61)).unwrap(), "token_expired"),
        ("too early", cluster.resign(token, |claims| claims["nbf"] = json!(now + 120)).unwrap(), "token_not_yet_valid"),
        ("a stranger's signature", forge(&header, &claims), "token_signature"),
        ("a stranger's key", forge(&unknown_key, &claims), "token_rejected"),
        (
            "no signature",
            jwt::unsigned(none.to_string().as_bytes(), claims.to_string().as_bytes(), b""),
            "token_signature",
        ),
        (
            "an account that does not exist",
            cluster
                .resign(token, |claims| {
                    claims["kubernetes.io"]["serviceaccount"]["name"] = json!("nobody");
                    claims["sub"] = json!(format!("system:serviceaccount:{namespace}:nobody"));
                })
                .unwrap(),
            "token_rejected",
        ),
        (
            "an account of another uid",
            cluster.resign(token, |claims| claims["kubernetes.io"]["serviceaccount"]["uid"] = json!("1")).unwrap(),
            "token_rejected",
        ),
        (
            "no service account",
            cluster.resign(token, |claims| claims["sub"] = json!("system:admin")).unwrap(),
            "token_malformed",
        ),
        (
            "another issuer",
            cluster.resign(token, |claims| claims["iss"] = json!("https://a")).unwrap(),
            "bearer_issuer_unknown",
        ),
        ("no JWT", "sk-1234567890".to_owned(), "bearer_not_jwt"),
    ];
    for (what, token, reason) in cases {
        let answer = door.get("/", &[("authorization", &bearer(&token))]).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        assert_eq!(answer.json::<serde_json::Value>().unwrap()["reason"], reason, "{what}");
        assert!(answer.headers.only("www-authenticate").is_some_and(|value| value.starts_with("Bearer")), "{what}");
        assert_eq!(answer.headers.only("cache-control"), Some("no-store"), "{what}");
        assert!(!answer.text().contains(&token), "{what}");
    }
    let twice = [("authorization", bearer(token)), ("authorization", bearer(token))];
    let twice: Vec<_> = twice.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(door.get("/", &twice).await.status, 401);
}

async fn a_deleted_accounts_token_ends_within_our_memory_and_the_api_servers(variant: Variant) {
    let cluster = shared_cluster().await;
    let namespace = unique("deleted-account");
    cluster.create_namespace(&namespace).await.unwrap();
    cluster.create_service_account(&namespace, "robot").await.unwrap();
    let token = cluster.token(&namespace, "robot").audience(TOKEN_AUDIENCE).issue().await.unwrap();
    let door = Door::open(variant, &cluster, |config| config.set("/service_accounts/cache_ttl", "2s")).await;

    door.expect_account(&token, &namespace, "robot").await;
    cluster.delete_service_account(&namespace, "robot").await.unwrap();
    door.refused_within(&token, TTL + API_SERVER_CACHE + SLACK).await;

    // One of the same name is another account.
    cluster.create_service_account(&namespace, "robot").await.unwrap();
    let again = cluster.token(&namespace, "robot").audience(TOKEN_AUDIENCE).issue().await.unwrap();
    door.expect_account(&again, &namespace, "robot").await;
    assert_eq!(door.present(&token).await.status, 401);
}

#[tokio::test]
async fn a_deleted_pods_token_ends_and_its_accounts_others_do_not() {
    let cluster = shared_cluster().await;
    let namespace = unique("deleted-pod");
    cluster.create_namespace(&namespace).await.unwrap();
    cluster.create_service_account(&namespace, "robot").await.unwrap();
    cluster.create_pod(&namespace, "robot-0", "robot").await.unwrap();
    let request = || cluster.token(&namespace, "robot").audience(TOKEN_AUDIENCE);
    let of_the_pod = request().bound_to_pod("robot-0").issue().await.unwrap();
    let other = request().issue().await.unwrap();
    let door = Door::open(Variant::NEWEST, &cluster, |config| config.set("/service_accounts/cache_ttl", "2s")).await;

    door.expect_account(&of_the_pod, &namespace, "robot").await;
    cluster.delete_pod(&namespace, "robot-0").await.unwrap();
    door.refused_within(&of_the_pod, TTL + API_SERVER_CACHE + SLACK).await;
    door.expect_account(&other, &namespace, "robot").await;
}

#[tokio::test]
async fn a_token_for_another_service_passes_where_a_rule_says_so_until_its_day() {
    const PIPELINES: &str = "pipelines.kubeflow.org";
    let cluster = shared_cluster().await;
    let namespace = unique("another-audience");
    cluster.create_namespace(&namespace).await.unwrap();
    cluster.create_service_account(&namespace, "robot").await.unwrap();
    let rule = |name: &str, until: &str| {
        let further = json!({ "audience": PIPELINES, "until": until });
        json!({ "name": name, "paths": [{ "prefix": format!("/{name}") }], "further_audience": further })
    };
    let rules = json!([rule("pipeline", "2999-12-31"), rule("ended", "2026-01-31")]);
    let door = Door::open(Variant::NEWEST, &cluster, |config| config.rules(rules)).await;
    let issue = async |audience: &str| cluster.token(&namespace, "robot").audience(audience).issue().await.unwrap();
    let [theirs, ours, api_server_s] = [issue(PIPELINES).await, issue(TOKEN_AUDIENCE).await, issue(API_AUDIENCE).await];
    let asked = async |path: &str, token: &str| {
        let answer = door.get(path, &[("authorization", bearer(token).as_str())]).await;
        let reason = answer.json::<serde_json::Value>().ok().map(|problem| problem["reason"].clone());
        (answer.status, reason.filter(|_| !answer.is_from_upstream()).unwrap_or_default())
    };
    let refused = (401, json!("token_audience"));
    let passes = (200, json!(null));
    for (path, token, wanted) in [
        ("/pipeline/apis", &theirs, &passes),
        ("/ended/apis", &theirs, &refused),
        ("/elsewhere", &theirs, &refused),
        ("/pipeline/apis", &ours, &passes),
        ("/ended/apis", &ours, &passes),
        ("/elsewhere", &ours, &passes),
        ("/pipeline/apis", &api_server_s, &refused),
        // What was accepted a moment ago is accepted there alone.
        ("/pipeline/apis", &theirs, &passes),
        ("/elsewhere", &theirs, &refused),
    ] {
        assert_eq!(&asked(path, token).await, wanted, "{path}");
    }
    for (reason, count) in [("further_audience", 2), ("service_account", 3)] {
        let label = format!("reason=\"{reason}\"");
        let counted =
            door.portcullis.metric("portcullis_checks_total", &["outcome=\"allowed\"", &label]).await.unwrap();
        assert_eq!(counted, count, "{reason}");
    }
    let told = door.portcullis.told("WARN", "tokens that are meant for another service pass here until").await.unwrap();
    for rule in ["rules[0]", "rules[1]"] {
        assert!(told.iter().any(|record| record["warning"].as_str().unwrap().starts_with(rule)), "{rule}: {told:#?}");
    }
}

impl Door {
    /// Presents the token until it is refused; fails where that takes longer.
    async fn refused_within(&self, token: &str, within: Duration) {
        let begin = Instant::now();
        loop {
            let answer = self.present(token).await;
            let took = begin.elapsed();
            if answer.status == 401 {
                assert!(took <= within, "refused after {took:?} only");
                assert_eq!(answer.json::<serde_json::Value>().unwrap()["reason"], "token_rejected");
                return;
            }
            assert!(took <= within, "still accepted after {took:?}: {}", answer.status);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
