//! Who may do what: Kubeflow's rules as they are shipped, against a real API server with Kubeflow's roles. The gate says what
//! Kubernetes says.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

mod permissions {
    pub(crate) mod applications;
    mod front;
    pub(crate) mod ground;
    mod jupyterlab;
    mod katib;
    pub(crate) mod rules;
    pub(crate) mod vectors;
}

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use portcullis_integration::lateness::Lateness;
use portcullis_integration::portcullis::binary;
use serde_json::{Value, json};

use self::permissions::applications::nothing_of_the_attack_table_arrives;
use self::permissions::ground::{Answered, Ground, TEAM, Who};
use self::permissions::rules::{Mode, RULES, Row};
use self::permissions::vectors::VECTORS;

/// For every rule and everybody who could come: the gate lets pass whom the API server permits, and nobody else. Rules in
/// shadow change nothing, and tell the same.
#[tokio::test]
async fn the_gate_says_what_kubernetes_says() {
    let ground = Ground::start(|config| config).await;
    for row in RULES {
        for who in Who::ALL {
            let expected = ground.permitted(row, who).await;
            let answered = ground.ask(row.method, row.path, who).await;
            let what = format!("{} {} as {who:?}: {answered:?}", row.method, row.path);
            match (row.mode, who) {
                (Mode::Denied, _) => assert_eq!(answered, Answered::Refused("denied_by_rule".to_owned()), "{what}"),
                (_, Who::Nobody) => assert_eq!(answered, Answered::Refused("not_signed_in".to_owned()), "{what}"),
                (_, Who::DefaultViewer | Who::DefaultEditor) if row.wants_login => {
                    assert_eq!(answered, Answered::Refused("insufficient_user_authentication".to_owned()), "{what}");
                }
                (Mode::Shadow, _) => assert_eq!(answered, Answered::Passed, "{what}"),
                (Mode::Enforced, _) if expected => assert_eq!(answered, Answered::Passed, "{what}"),
                (Mode::Enforced, _) => {
                    assert_eq!(answered, Answered::Refused("access_review_denied".to_owned()), "{what}");
                }
            }
        }
    }
    let rows_in_shadow: Vec<&Row> = RULES.iter().filter(|row| row.mode == Mode::Shadow).collect();
    // A rule in shadow comes before that of the artifacts, too.
    let is_told = |row: &&Row| row.mode == Mode::Shadow || row.path.starts_with("/pipeline/artifacts");
    let told = ground.told_in_shadow(RULES.iter().filter(is_told).count() * (Who::ALL.len() - 1)).await;
    for row in rows_in_shadow {
        for who in Who::ALL.into_iter().filter(|who| *who != Who::Nobody) {
            let expected = if ground.permitted(row, who).await { "no" } else { "refused" };
            let path = row.path.split('?').next().unwrap();
            let record = told.iter().find(|record| {
                record["path"] == path && record["method"] == row.method && record["principal"] == who.userid().as_str()
            });
            let record = record.unwrap_or_else(|| panic!("{path} as {who:?} is not told"));
            assert_eq!(record["differs"], expected, "{path} as {who:?}: {record}");
        }
    }
}

/// What belongs to a team opens for its editor, who comes by every kind of request that the applications send.
#[tokio::test]
async fn what_people_send_passes() {
    let ground = Ground::start(|config| config).await;
    for (method, path) in [
        ("GET", "/notebook/team-a/nb"),
        ("GET", "/notebook/team-a/nb/"),
        ("GET", "/notebook/team-a/nb/lab/tree/a%20b.ipynb"),
        ("PUT", "/notebook/team-a/nb/api/contents/100%25%20done;v=2.ipynb?type=file&content=0"),
        ("GET", "/notebook/team-a/nb/api/kernels/1-2/channels?session_id=a"),
        ("GET", "/notebook/team-a/nb/proxy/http%3A%2F%2Flocalhost%3A8080/x"),
        ("PATCH", "/pvcviewers/team-a/data/api/tus/dir/file%20name?override=true"),
        ("GET", "/tensorboard/team-a/tb/data/plugin/scalars/tags"),
        (
            "GET",
            "/pipeline/artifacts/get?source=minio&bucket=mlpipeline&key=private-artifacts%2Fteam-a%2Fv2%2Fx%20y.html&namespace=team-a&peek=256",
        ),
        (
            "GET",
            "/pipeline/artifacts/get?source=minio&bucket=mlpipeline&key=private-artifacts%252Fteam-a%252Fx&namespace=team-a",
        ),
        (
            "GET",
            "/pipeline/artifacts/minio/mlpipeline/private-artifacts/team-a/v2/artifacts/x%20y.tgz?namespace=team-a",
        ),
        ("GET", "/pipeline/artifacts/get?source=minio&bucket=mlpipeline&key=artifacts%2Fshared.txt"),
        ("GET", "/pipeline/artifacts/get?source=s3&namespace=team-a&bucket=b&key=shared/x&providerInfo=%7B%7D"),
        ("GET", "/pipeline/"),
        (
            "GET",
            "/pipeline/apis/v2beta1/pipelines?namespace=&page_token=&page_size=10&sort_by=created_at%20desc&filter=",
        ),
        ("POST", "/pipeline/apis/v2beta1/pipelines/upload?name=a%20b&description=&namespace=team-a"),
        ("POST", "/pipeline/apis/v1beta1/visualizations/team-a"),
        ("POST", "/pipeline/apps/tensorboard?logdir=s3%3A%2F%2Fa%2Fb&tfversion=2.0.0&image=x&namespace=team-a"),
        ("POST", "/ml_metadata.MetadataStoreService/GetContextByTypeAndName"),
        ("GET", "/katib/fetch_experiments/?namespace=team-a"),
        ("GET", "/katib/fetch_nas_job_info/?experimentName=x&namespace=team-a"),
        ("GET", "/katib/"),
        ("GET", "/jupyter/api/namespaces/team-a/notebooks"),
        ("GET", "/api/workgroup/env-info"),
        ("GET", "/api/workgroup/exists"),
        ("GET", "/notebooks"),
        ("GET", "/"),
    ] {
        assert_eq!(ground.ask(method, path, Who::Editor).await, Answered::Passed, "{method} {path}");
    }
    assert_eq!(ground.ask("POST", "/api/workgroup/add-contributor/team-a", Who::Admin).await, Answered::Passed);
}

/// The attack table: whoever may everything in one team gets nothing of another's, however it is written.
#[tokio::test]
async fn no_way_of_writing_it_reaches_another_team() {
    let ground = Ground::start(|config| config).await;
    for vector in VECTORS {
        let mut check = Ground::check(vector.method, vector.target);
        for (name, value) in vector.lines {
            check = check.header(name, value);
        }
        let answered = ground.send(check, Who::Editor).await;
        let Answered::Refused(reason) = &answered else {
            panic!("{} {}: {answered:?}", vector.method, vector.target);
        };
        assert_eq!(reason, vector.reason, "{} {}", vector.method, vector.target);
    }
    nothing_of_the_attack_table_arrives(&ground).await;
    // The same rights, in their own team, are worth something.
    assert_eq!(ground.ask("GET", "/notebook/team-a/nb/lab", Who::Editor).await, Answered::Passed);
}

/// One call for a question and ten seconds, however many ask.
#[tokio::test]
async fn many_who_ask_the_same_cost_one_call() {
    let ground = Ground::start(|config| config).await;
    let before = ground.cluster.requests_for("subjectaccessreviews").await.unwrap();
    let begun = Instant::now();
    let path = "/notebook/team-a/nb/api/kernels";
    let mut count = 0_u32;
    // Within the time that a yes counts, whatever else the machine does.
    while count < 2000 && begun.elapsed() < Duration::from_secs(7) {
        let asked = (0..50).map(|_| ground.ask("GET", path, Who::Editor));
        for answered in futures::future::join_all(asked).await {
            assert_eq!(answered, Answered::Passed);
            count += 1;
        }
    }
    assert!(count >= 500, "{count} checks are no load");
    let calls = ground.cluster.requests_for("subjectaccessreviews").await.unwrap() - before;
    assert_eq!(calls, 1);
}

/// Without the API server, what was answered counts to its end, and then nobody passes; who needs no review never waits.
#[tokio::test]
async fn an_api_server_that_is_away_lets_nobody_pass_and_slows_nobody_else() {
    let mut ground =
        Ground::start(|config| config.set("/access_reviews", json!({ "cache_ttl": "3s", "timeout": "1s" }))).await;
    let path = "/notebook/team-a/nb/lab";
    let lateness = Lateness::watch();
    let asked = Instant::now();
    assert_eq!(ground.ask("GET", path, Who::Editor).await, Answered::Passed);
    // Frozen, so that its connections stay: a call has to run into its deadline.
    ground.cluster.pause().unwrap();
    let unanswered = Answered::Refused("api_server_unavailable".to_owned());
    while asked.elapsed() < Duration::from_secs(2) {
        assert_eq!(ground.ask("GET", path, Who::Editor).await, Answered::Passed, "its answer still counts");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let slow = async { ground.ask("GET", "/notebook/team-a/other/lab", Who::Editor).await };
    let others = async {
        let mut took = Vec::new();
        for _ in 0..20 {
            let begun = Instant::now();
            assert_eq!(ground.ask("GET", "/", Who::Editor).await, Answered::Passed);
            took.push(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        took.sort_unstable();
        took[took.len() * 9 / 10]
    };
    let (answered, longest) = tokio::join!(slow, others);
    assert_eq!(answered, unanswered);
    assert!(longest < Duration::from_millis(100) + lateness.p99(), "{longest:?} for who needs no review");
    tokio::time::sleep(Duration::from_secs(3).saturating_sub(asked.elapsed())).await;
    assert_eq!(ground.ask("GET", path, Who::Editor).await, unanswered, "its time is over");
    ground.cluster.resume().unwrap();
    ground.passes_again(path, Who::Editor).await;
    ground.cluster.kill().unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(ground.ask("GET", path, Who::Editor).await, unanswered);
    assert_eq!(ground.ask("GET", "/", Who::Editor).await, Answered::Passed);
}

/// A RoleBinding that goes takes its access along within the time that a yes counts, and one that comes brings it.
#[tokio::test]
async fn a_role_binding_counts_soon() {
    let ground =
        Ground::start(|config| config.set("/access_reviews", json!({ "cache_ttl": "2s", "denied_cache_ttl": "1s" })))
            .await;
    let path = "/notebook/team-a/nb/lab";
    assert_eq!(ground.ask("GET", path, Who::Stranger).await, Answered::Refused("access_review_denied".to_owned()));
    ground.bind("late", "kubeflow-edit", &Who::Stranger.userid()).await;
    ground.passes_again(path, Who::Stranger).await;
    ground.cluster.kubectl(&["delete", "rolebinding", "late", "-n", TEAM]).await.unwrap();
    let removed = Instant::now();
    while ground.ask("GET", path, Who::Stranger).await == Answered::Passed {
        assert!(removed.elapsed() < Duration::from_secs(10), "it still passes");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Whoever is refused is told what is missing and whom to ask; so are the log, and the administrator who asks why.
#[tokio::test]
async fn what_is_missing_is_told() {
    let ground = Ground::start(|config| config).await;
    let path = "/notebook/team-a/nb/lab";
    let sentence =
        "It needs `create pods/exec nb-0 -n team-a`: ask for the role kubeflow-edit in the namespace team-a.";
    let problem = ground.refusal("GET", path, Who::Viewer).await;
    assert_eq!(problem["status"], 403);
    assert!(problem["detail"].as_str().unwrap().ends_with(sentence), "{problem}");
    let page = ground.page(path, Who::Viewer).await;
    assert!(page.contains("ask for the role kubeflow-edit in the namespace team-a"), "{page}");
    let records = ground.portcullis.records().await.unwrap();
    let record = records.iter().find(|record| record["reason"] == "access_review_denied").unwrap();
    assert_eq!((&record["detail"], &record["rule"]), (&json!(sentence), &json!("kubeflow-notebooks")));

    let cookie = ground.folder().join("cookie");
    std::fs::write(&cookie, ground.cookie(Who::Viewer)).unwrap();
    let explain = |path: &str| -> Value {
        let output = std::process::Command::new(binary().unwrap())
            .args(["explain", "--output", "json", "--address"])
            .arg(ground.admin_address())
            .arg("--cookie-file")
            .arg(&cookie)
            .args(["--header", "sec-fetch-site: same-origin"])
            .arg(format!("https://{}{path}", portcullis_integration::portcullis::HOST))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let told = explain(path);
    assert_eq!((&told["verdict"], &told["reason"]), (&json!("refused"), &json!("access_review_denied")));
    let review = &told["reviews"][0];
    assert_eq!((&review["question"], &review["answer"]), (&json!("create pods/exec nb-0 -n team-a"), &json!("no")));
    assert_eq!(review["advice"], sentence);
    assert!(review["age_ms"].as_u64().unwrap() < 60_000, "{review}");
    let told = explain("/tensorboard/team-a/tb/");
    assert_eq!((&told["verdict"], &told["reviews"][0]["answer"]), (&json!("allowed"), &json!("yes")));
    let told = explain("/serving/team-b/iris/");
    let hint = told["hints"][0].as_str().unwrap();
    assert!(hint.contains("`kubeflow-models` is in shadow") && hint.contains("access_review_denied"), "{hint}");
}

/// Whoever is removed from a team takes no token of its accounts along: the removal that passes revokes what they were issued.
#[tokio::test]
async fn a_removal_revokes_what_the_team_s_accounts_were_issued() {
    let ground = Ground::start(|config| config).await;
    let path = "/api/workgroup/remove-contributor/team-a";
    let passes = async || ground.ask("GET", "/", Who::DefaultEditor).await;
    assert_eq!(passes().await, Answered::Passed);
    // Nobody else's attempt, and no other method, revokes anything.
    assert_eq!(ground.ask("DELETE", path, Who::Editor).await, Answered::Refused("access_review_denied".to_owned()));
    assert_eq!(ground.ask("POST", path, Who::Admin).await, Answered::Refused("denied_by_rule".to_owned()));
    assert_eq!(passes().await, Answered::Passed);
    assert_eq!(ground.ask("DELETE", path, Who::Admin).await, Answered::Passed);
    assert_eq!(passes().await, Answered::Refused("token_revoked".to_owned()), "in force before the removal went on");
    assert_eq!(ground.ask("GET", "/", Who::Editor).await, Answered::Passed, "sessions are another matter");
    let records = ground.portcullis.records().await.unwrap();
    let audits: Vec<&Value> = records.iter().filter(|record| record["act"] == "revoke_with_removal").collect();
    let [audit] = audits[..] else { panic!("{audits:?}") };
    assert_eq!((&audit["caller"], &audit["outcome"]), (&json!("admin@example.com"), &json!("done")));
    assert!(audit["about"].as_str().unwrap().contains("namespace team-a"), "{audit}");
}

/// A removal that does not pass the gate revokes what the team's accounts were issued as well, where RoleBindings are watched.
#[tokio::test]
async fn a_removal_behind_the_gate_s_back_revokes_too() {
    let roles = json!(["kubeflow-edit"]);
    let ground = Ground::start(|config| config.set("/service_accounts/revoke_with_role_bindings", roles)).await;
    let passes = async || ground.ask("GET", "/", Who::DefaultEditor).await;
    // Of another role, and of an account, nothing follows.
    ground.cluster.kubectl(&["delete", "rolebinding", Who::Viewer.name(), "-n", TEAM]).await.unwrap();
    ground.cluster.kubectl(&["delete", "rolebinding", Who::DefaultViewer.name(), "-n", TEAM]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(passes().await, Answered::Passed);
    let lateness = Lateness::watch();
    ground.cluster.kubectl(&["delete", "rolebinding", Who::Editor.name(), "-n", TEAM]).await.unwrap();
    let removed = Instant::now();
    while passes().await == Answered::Passed {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = removed.elapsed();
    assert!(took < Duration::from_secs(1) + lateness.p99(), "{took:?}");
    assert_eq!(passes().await, Answered::Refused("token_revoked".to_owned()));
    let records = ground.portcullis.records().await.unwrap();
    let audits: Vec<&Value> = records.iter().filter(|record| record["act"] == "revoke_with_role_binding").collect();
    let [audit] = audits[..] else { panic!("{audits:?}") };
    assert!(audit["detail"].as_str().unwrap().starts_with("editor@example.com went"), "{audit}");
}

/// What the components give to Portcullis's account: to ask, to watch RoleBindings, and nothing else.
#[tokio::test]
async fn it_may_ask_and_nothing_else() {
    let ground = Ground::start(|config| config).await;
    let account = "--as=system:serviceaccount:portcullis:portcullis";
    let granted = async |account: &str| -> BTreeSet<String> {
        let list = ground.cluster.kubectl(&["auth", "can-i", "--list", account]).await.unwrap();
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        list.lines().map(words).collect()
    };
    // Beyond what every account may.
    let everybody = granted("--as=system:serviceaccount:portcullis:nobody").await;
    let own: Vec<String> = granted(account).await.difference(&everybody).cloned().collect();
    let wanted = [
        "rolebindings.rbac.authorization.k8s.io [] [] [list watch]",
        "subjectaccessreviews.authorization.k8s.io [] [] [create]",
        "tokenreviews.authentication.k8s.io [] [] [create]",
    ];
    assert_eq!(own, wanted);
    for what in ["get secrets", "create rolebindings", "impersonate users", "create serviceaccounts/token"] {
        let (verb, resource) = what.split_once(' ').unwrap();
        let answer = ground.cluster.kubectl(&["auth", "can-i", verb, resource, account, "--all-namespaces"]).await;
        assert!(answer.is_err_and(|error| format!("{error:#}").contains("no")), "{what}");
    }
}
