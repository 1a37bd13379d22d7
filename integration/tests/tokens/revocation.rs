//! Tokens that the API server still accepts, and an administrator revoked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::TokenReview;
use kube::Api;
use kube::api::PostParams;
use portcullis_integration::administrator::{Administrator, administered};
use portcullis_integration::check_client::{Answer, Check, CheckClient};
use portcullis_integration::cluster::{Cluster, ISSUER};
use portcullis_integration::envoy::Variant;
use portcullis_integration::jwt;
use portcullis_integration::lateness::Lateness;
use portcullis_integration::portcullis::{Config, HOST, Portcullis, TOKEN_AUDIENCE};
use portcullis_integration::redis::{RedisServer, Sentinels};
use serde_json::{Value, json};

use super::ground::{Door, bearer, shared_cluster, unique};

/// Within this a revocation is in force on every replica.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(1);
/// How old the list of revocations may be.
const STALE_AFTER: Duration = Duration::from_secs(30);

portcullis_integration::on_each_envoy!(a_removed_contributor_is_refused_although_the_api_server_accepts_the_token);

async fn a_removed_contributor_is_refused_although_the_api_server_accepts_the_token(variant: Variant) {
    let cluster = shared_cluster().await;
    let namespace = robots(&cluster, &["robot", "other"]).await;
    let door = Door::open(variant, &cluster, administered).await;
    let administrator = Administrator::of(&door.portcullis);
    let (token, other) = (issue(&cluster, &namespace, "robot").await, issue(&cluster, &namespace, "other").await);
    // Both are in the cache of accepted tokens when the one is revoked.
    door.expect_account(&token, &namespace, "robot").await;
    door.expect_account(&other, &namespace, "other").await;

    let account = format!("{namespace}/robot");
    let said = administrator.told(&["revoke", "service-account", &account]).await.unwrap();
    assert!(said.starts_with(&format!("service-account {account}: tokens issued before ")), "{said}");
    assert!(said.contains("RoleBinding") && said.contains("--deny"), "what else to do: {said}");
    refused(&door, &token, "token_revoked").await;
    door.expect_account(&other, &namespace, "other").await;
    assert!(is_accepted(&cluster, &token).await, "the API server itself does not know of it");

    // The reason is told to the administrator as well, and to a metric.
    let explained = explain(&administrator, &door.portcullis, &token).await;
    assert_eq!((&explained["verdict"], &explained["reason"]), (&json!("refused"), &json!("token_revoked")));
    assert_eq!(door.portcullis.metric("portcullis_revocations", &[]).await.unwrap(), 1);

    let listed = administrator.told_json(&["revocations", "list"]).await.unwrap();
    assert_eq!(listed["revocations"][0]["target"], format!("service-account {account}"), "{listed}");
    administrator.told(&["revocations", "remove", "service-account", &account]).await.unwrap();
    door.expect_account(&token, &namespace, "robot").await;
}

#[tokio::test]
async fn each_kind_of_revocation_refuses_its_own_tokens_and_no_others() {
    let cluster = shared_cluster().await;
    let (namespace, elsewhere) = (robots(&cluster, &["robot", "other"]).await, robots(&cluster, &["robot"]).await);
    let pod = cluster.create_pod(&namespace, "worker", "robot").await.unwrap().metadata.uid.unwrap();
    let bound = cluster.token(&namespace, "robot").audience(TOKEN_AUDIENCE).bound_to_pod("worker");
    let (bound, plain) = (bound.issue().await.unwrap(), issue(&cluster, &namespace, "robot").await);
    let (other, far) = (issue(&cluster, &namespace, "other").await, issue(&cluster, &elsewhere, "robot").await);
    let gate = Gate::open(config_of(&cluster).await).await;
    let id = jwt::claims(&plain).unwrap()["jti"].as_str().unwrap().to_owned();
    let account = format!("{namespace}/robot");

    // The target, and of the four tokens those that it refuses.
    for (target, refuses) in [
        (["service-account", account.as_str()], [true, true, false, false]),
        (["namespace", namespace.as_str()], [true, true, true, false]),
        (["pod", pod.as_str()], [true, false, false, false]),
        (["token", id.as_str()], [false, true, false, false]),
    ] {
        gate.administrator.told(&["revoke", target[0], target[1]]).await.unwrap();
        for (token, refused) in [&bound, &plain, &other, &far].into_iter().zip(refuses) {
            let wanted = refused.then_some("token_revoked");
            assert_eq!(gate.check(token).await.as_deref(), wanted, "{target:?}");
        }
        gate.administrator.told(&["revocations", "remove", target[0], target[1]]).await.unwrap();
        for token in [&bound, &plain, &other, &far] {
            assert_eq!(gate.check(token).await, None, "{target:?}, lifted");
        }
    }
}

#[tokio::test]
async fn not_before_goes_by_when_a_token_was_issued_and_deny_by_nothing() {
    let cluster = shared_cluster().await;
    let namespace = robots(&cluster, &["robot"]).await;
    let gate = Gate::open(config_of(&cluster).await).await;
    let new = issue(&cluster, &namespace, "robot").await;
    let issued_at =
        |seconds_ago: i64| cluster.resign(&new, |claims| claims["iat"] = json!(jwt::now() - seconds_ago)).unwrap();
    let (old, within_the_margin) = (issued_at(600), issued_at(270));
    let undated = cluster.resign(&new, |claims| drop(claims.as_object_mut().unwrap().remove("iat"))).unwrap();
    for token in [&new, &old, &within_the_margin, &undated] {
        assert!(is_accepted(&cluster, token).await);
        assert_eq!(gate.check(token).await, None);
    }

    let account = format!("{namespace}/robot");
    let five_minutes_ago = timestamp(300);
    let before = ["revoke", "service-account", &account, "--before", &five_minutes_ago];
    assert_eq!(gate.administrator.told_json(&before).await.unwrap()["not_before"], five_minutes_ago);
    for (token, wanted) in [(&old, false), (&within_the_margin, false), (&undated, false), (&new, true)] {
        assert_eq!(gate.check(token).await.is_none(), wanted);
    }
    gate.administrator.told(&["revoke", "service-account", &account, "--deny"]).await.unwrap();
    assert_eq!(gate.check(&new).await.as_deref(), Some("token_revoked"));
    // Opened again for tokens of later only.
    let remove = ["revocations", "remove", "service-account", &account];
    gate.administrator.told(&[&remove[..], &["--for-new-tokens-only"]].concat()).await.unwrap();
    assert_eq!(gate.check(&new).await.as_deref(), Some("token_revoked"));
    gate.administrator.told(&remove).await.unwrap();
    assert_eq!(gate.check(&old).await, None);

    for (arguments, code, wanted) in [
        (&remove[..], 64, "nothing is revoked of service-account"),
        (&["revoke", "service-account", "robot"], 64, "NAMESPACE/NAME"),
        (&["revoke", "namespace", "Team A"], 64, "DNS label"),
        (&["revoke", "pod", ""], 64, "a pod's uid"),
        (&["revoke", "service-account", &account, "--before", "yesterday"], 64, "2027-01-31T12:00:00Z"),
        (&["revoke", "service-account", &account, "--before", "2999-01-01T00:00:00Z"], 64, "in the future"),
        (&["revoke", "service-account", &account, "--before", &five_minutes_ago, "--deny"], 64, "cannot be used with"),
    ] {
        let output = gate.administrator.run(arguments, "").await.unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
        assert!(message.contains(wanted), "{arguments:?}: {message}");
    }
    let records = gate.portcullis.records().await.unwrap();
    let acts: Vec<_> = records.iter().filter(|record| record["target"] == "portcullis::audit").collect();
    let done = |act: &&&Value| act["outcome"] == "done";
    let told: Vec<_> = acts.iter().filter(done).map(|act| act["act"].as_str().unwrap()).collect();
    assert_eq!(told, ["revoke_tokens", "revoke_tokens", "remove_revocation", "remove_revocation"]);
    assert_eq!(acts.len() - told.len(), 4, "what the process itself refused: {acts:?}");
    assert_eq!(acts[0]["about"], format!("\"service-account {account}\""));
}

#[tokio::test]
async fn a_revocation_that_was_acknowledged_holds_after_a_kill() {
    let cluster = shared_cluster().await;
    let namespace = robots(&cluster, &["robot"]).await;
    let token = issue(&cluster, &namespace, "robot").await;
    let mut gate = Gate::open(config_of(&cluster).await.embedded_store()).await;
    assert_eq!(gate.check(&token).await, None);
    gate.administrator.told(&["revoke", "namespace", &namespace, "--deny"]).await.unwrap();
    gate.portcullis.sigkill().unwrap();
    gate.portcullis.restart().await.unwrap();
    let again = CheckClient::connect(&gate.portcullis.check_address()).await.unwrap();
    assert_eq!(check(&again, &token).await.as_deref(), Some("token_revoked"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_replica_refuses_within_a_second_also_when_redis_loses_all_and_one_restarts() {
    const ROUNDS: usize = 10;
    let cluster = shared_cluster().await;
    let redis = RedisServer::start(&[]);
    let mut gates = replicas(&cluster, &standalone(&redis)).await;
    let lateness = Lateness::watch();
    let mut slowest = Duration::ZERO;
    let mut tokens = Vec::new();
    for round in 0..ROUNDS {
        let namespace = robots(&cluster, &["robot"]).await;
        let token = issue(&cluster, &namespace, "robot").await;
        let (here, there) = (&gates[round % 2], &gates[(round + 1) % 2]);
        for gate in [here, there] {
            assert_eq!(gate.check(&token).await, None);
        }
        here.administrator.told(&["revoke", "service-account", &format!("{namespace}/robot")]).await.unwrap();
        let told = Instant::now();
        assert_eq!(here.check(&token).await.as_deref(), Some("token_revoked"));
        slowest = slowest.max(until_revoked(there, &token, told).await);
        tokens.push(token);
    }
    let late = lateness.p99();
    assert!(slowest <= IN_FORCE_WITHIN + late, "{slowest:?}, and a timer woke {late:?} late");

    // Redis forgets everything, and one replica restarts in the same moment: the other one gives the list back.
    assert_eq!(redis.cli(&["FLUSHALL"]).trim(), "OK");
    let restarted = &mut gates[0];
    restarted.portcullis.sigkill().unwrap();
    restarted.portcullis.restart().await.unwrap();
    restarted.client = CheckClient::connect(&restarted.portcullis.check_address()).await.unwrap();
    for token in &tokens {
        for gate in &gates {
            assert_eq!(gate.check(token).await.as_deref(), Some("token_revoked"));
        }
    }
    let listed = gates[0].administrator.told_json(&["revocations", "list"]).await.unwrap();
    assert_eq!(listed["revocations"].as_array().unwrap().len(), ROUNDS, "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_undoes_no_acknowledged_revocation() {
    let cluster = shared_cluster().await;
    let mut sentinels = Sentinels::start(2);
    let urls: Vec<_> = sentinels.sentinels.iter().map(url).collect();
    let redis = json!({ "mode": "sentinel", "urls": urls, "master_name": Sentinels::NAME, "replicas": 1 });
    let mut gates = replicas(&cluster, &redis).await;
    let primary = sentinels.primary();
    let position = sentinels.servers.iter().position(|server| server.port() == primary).unwrap();
    let begun = Instant::now();
    let administrator = gates[0].administrator.clone();
    let is_over = AtomicBool::new(false);
    let load = async {
        let (mut acknowledged, mut failures) = (Vec::new(), 0);
        for number in 0.. {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            let target = format!("team-{number}");
            let output = administrator.run(&["revoke", "namespace", &target, "--deny"], "").await.unwrap();
            match output.status.code() {
                Some(0) => acknowledged.push(format!("namespace {target}")),
                Some(69) => failures += 1,
                other => panic!("{other:?}: {}", String::from_utf8_lossy(&output.stderr)),
            }
        }
        (acknowledged, failures)
    };
    // The sentinels take their time on a machine that has much else to do.
    let failover = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        tokio::task::block_in_place(|| sentinels.servers[position].kill());
        while begun.elapsed() < Duration::from_secs(90)
            && tokio::task::block_in_place(|| sentinels.primary()) == primary
        {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        is_over.store(true, Ordering::Relaxed);
    };
    let ((acknowledged, failures), ()) = tokio::join!(load, failover);
    assert_ne!(sentinels.primary(), primary, "there was no failover");
    assert!(acknowledged.len() > 10, "{} acknowledged, {failures} failures", acknowledged.len());

    // No process remembers anything: what counts is what the new primary has.
    for gate in &mut gates {
        gate.portcullis.sigkill().unwrap();
    }
    gates[1].portcullis.restart().await.unwrap();
    let listed = gates[1].administrator.told_json(&["revocations", "list"]).await.unwrap();
    let listed: Vec<_> = listed["revocations"].as_array().unwrap().iter().map(|entry| &entry["target"]).collect();
    for target in acknowledged {
        assert!(listed.iter().any(|listed| **listed == target), "{target} is lost");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_cannot_be_read_for_long_refuses_every_token_and_comes_back() {
    let cluster = shared_cluster().await;
    let namespace = robots(&cluster, &["robot"]).await;
    let token = issue(&cluster, &namespace, "robot").await;
    let redis = RedisServer::start(&[]);
    let gates = replicas(&cluster, &standalone(&redis)).await;
    let gate = &gates[0];
    assert_eq!(gate.check(&token).await, None);
    redis.pause();
    let begun = Instant::now();
    assert_eq!(gate.check(&token).await, None, "what is known is young enough");
    let refusal = loop {
        let refusal = gate.check(&token).await;
        if refusal.is_some() {
            break refusal;
        }
        assert!(begun.elapsed() < STALE_AFTER * 2, "tokens pass by a list that is {:?} old", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(refusal.as_deref(), Some("revocations_unknown"));
    assert!(begun.elapsed() > STALE_AFTER / 2, "a short outage is nobody's matter: {:?}", begun.elapsed());
    let output = gate.administrator.run(&["revoke", "namespace", &namespace], "").await.unwrap();
    assert_eq!(output.status.code(), Some(69), "{}", String::from_utf8_lossy(&output.stderr));
    redis.resume();
    while gate.check(&token).await.is_some() {
        assert!(begun.elapsed() < STALE_AFTER * 3, "the list is not read again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A namespace of its own with these accounts.
pub(crate) async fn robots(cluster: &Cluster, names: &[&str]) -> String {
    let namespace = unique("revoked");
    cluster.create_namespace(&namespace).await.unwrap();
    for name in names {
        cluster.create_service_account(&namespace, name).await.unwrap();
    }
    namespace
}

pub(crate) async fn issue(cluster: &Cluster, namespace: &str, name: &str) -> String {
    cluster.token(namespace, name).audience(TOKEN_AUDIENCE).issue().await.unwrap()
}

/// Whether the API server accepts a token at this moment.
async fn is_accepted(cluster: &Cluster, token: &str) -> bool {
    let review = json!({ "spec": { "token": token, "audiences": [TOKEN_AUDIENCE] } });
    let api: Api<TokenReview> = Api::all(cluster.client().await.unwrap());
    let review = serde_json::from_value(review).unwrap();
    let status = api.create(&PostParams::default(), &review).await.unwrap().status.unwrap();
    status.authenticated == Some(true)
}

async fn refused(door: &Door, token: &str, reason: &str) {
    let answer = door.present(token).await;
    assert_eq!(answer.status, 401, "{}", answer.text());
    let problem = answer.json::<Value>().unwrap();
    assert_eq!(problem["reason"], reason, "{problem}");
    assert!(problem["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{problem}");
    assert!(answer.headers.only("www-authenticate").is_some_and(|value| value.contains("invalid_token")));
}

async fn explain(administrator: &Administrator, portcullis: &Portcullis, token: &str) -> Value {
    let file = portcullis.config().folder().join("explained-token");
    std::fs::write(&file, token).unwrap();
    let url = format!("https://{HOST}/");
    administrator.told_json(&["explain", &url, "--token-file", file.to_str().unwrap()]).await.unwrap()
}

/// This many seconds ago, as people write it.
fn timestamp(seconds_ago: i64) -> String {
    let at = std::time::UNIX_EPOCH + Duration::from_secs((jwt::now() - seconds_ago).cast_unsigned());
    humantime::format_rfc3339_seconds(at).to_string()
}

async fn config_of(cluster: &Cluster) -> Config {
    let kubeconfig = cluster.kubeconfig_of("portcullis", "portcullis").await.unwrap();
    let accounts = json!({ "audiences": [TOKEN_AUDIENCE], "issuers": [ISSUER], "kubeconfig": kubeconfig });
    administered(Config::new().unwrap().set("/service_accounts", accounts))
}

/// A process that is asked directly, and its administrator.
pub(crate) struct Gate {
    pub(crate) portcullis: Portcullis,
    pub(crate) client: CheckClient,
    pub(crate) administrator: Administrator,
}

impl Gate {
    async fn open(config: Config) -> Self {
        let portcullis = config.start().await.unwrap();
        let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
        let administrator = Administrator::of(&portcullis);
        Self { portcullis, client, administrator }
    }

    pub(crate) async fn check(&self, token: &str) -> Option<String> {
        check(&self.client, token).await
    }
}

/// The reason for which a token is refused.
async fn check(client: &CheckClient, token: &str) -> Option<String> {
    let answer = client.check(Check::get(HOST, "/").header("authorization", bearer(token)).build()).await.unwrap();
    if let Answer::Deny { status: 503, headers, .. } = &answer {
        assert!(headers.only("retry-after").is_some(), "503 without Retry-After");
    }
    if answer.is_allowed() { None } else { Some(answer.reason().unwrap()) }
}

fn url(server: &RedisServer) -> String {
    format!("redis://127.0.0.1:{}", server.port())
}

pub(crate) fn standalone(server: &RedisServer) -> Value {
    json!({ "urls": [url(server)] })
}

/// Two processes that share their keys and a Redis.
pub(crate) async fn replicas(cluster: &Cluster, redis: &Value) -> Vec<Gate> {
    let store = json!({ "type": "redis", "redis": redis });
    let (mut gates, mut keys) = (Vec::new(), None);
    for _ in 0..2 {
        let config = config_of(cluster).await.set("/sessions/store", store.clone());
        // The first one's keys, which files hold that live as long as it.
        let keys = keys.get_or_insert_with(|| shared_keys(config.folder())).clone();
        gates.push(Gate::open(config.set("/keys", keys)).await);
    }
    gates
}

fn shared_keys(folder: &std::path::Path) -> Value {
    let (root, assertion) = (folder.join("shared-root"), folder.join("shared-assertion.pem"));
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    std::fs::write(&root, bytes).unwrap();
    std::fs::write(&assertion, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    json!({ "root": [root], "assertion": [assertion] })
}

async fn until_revoked(gate: &Gate, token: &str, since: Instant) -> Duration {
    while gate.check(token).await.is_none() {
        assert!(since.elapsed() < IN_FORCE_WITHIN * 20, "the revocation is not heard of");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    since.elapsed()
}
