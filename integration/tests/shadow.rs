//! Shadows: a gateway where another gate decides asks us too, and rules that decide nothing yet. Neither changes anything,
//! and each tells what would be decided.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use std::process::{Command, Output};

use portcullis_integration::envoy::Variant;
use portcullis_integration::gateway::{Gateway, HOST};
use portcullis_integration::on_each_envoy;
use portcullis_integration::patience::until;
use portcullis_integration::portcullis::{Config, Portcullis, binary};
use portcullis_integration::raw_client::http1;
use serde_json::{Value, json};

on_each_envoy!(
    a_gateway_in_shadow_changes_nothing_and_tells_what_we_would_decide,
    a_gateway_in_shadow_goes_on_without_us,
    no_request_makes_a_gateway_ask_in_shadow,
    a_gateway_that_may_not_ask_in_shadow_is_answered_as_ever,
    envoys_own_shadow_mode_enforces_no_refusal_and_changes_headers_all_the_same,
);

/// The name that the gate in force gives to everybody.
const NAMED: &str = "Robot@Example.com";

/// As the manual has it, in front of the router: what stands before it decides, and names who it is.
fn in_shadow(bootstrap: &mut Value) {
    for filters in filters(bootstrap) {
        let check = &mut filters[0]["typed_config"];
        check["failure_mode_allow"] = true.into();
        check["grpc_service"]["initial_metadata"] = json!([{ "key": "x-portcullis-mode", "value": "shadow" }]);
        check["stat_prefix"] = "portcullis_shadow".into();
        let header = json!({ "key": "kubeflow-userid", "value": NAMED });
        let names = json!({ "append": { "header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD" } });
        let gate_in_force = json!({
            "name": "envoy.filters.http.header_mutation",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
                "mutations": { "request_mutations": [names] },
            },
        });
        filters.as_array_mut().unwrap().insert(0, gate_in_force);
    }
}

/// The filters of each listener, the check first.
fn filters(bootstrap: &mut Value) -> impl Iterator<Item = &mut Value> {
    let listeners = bootstrap["static_resources"]["listeners"].as_array_mut().unwrap();
    listeners.iter_mut().map(|listener| &mut listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"])
}

fn lets_gateways(config: Config) -> Config {
    config.set("/shadow", json!({ "gateways": true }))
}

async fn gateway_in_shadow(variant: Variant) -> Gateway {
    Gateway::start_with(variant, lets_gateways, |envoy| envoy.edit(in_shadow)).await.expect("the ensemble starts")
}

/// The records of shadows, once there are so many.
async fn foreseen(portcullis: &Portcullis, count: usize) -> Vec<Value> {
    let of_shadows = |records: Vec<Value>| -> Vec<Value> {
        records.into_iter().filter(|record| record["target"] == "portcullis::shadow").collect()
    };
    until("what is foreseen", async || {
        Some(of_shadows(portcullis.records().await.unwrap())).filter(|told| told.len() >= count)
    })
    .await
}

fn row<'a>(told: &'a [Value], path: &str) -> [&'a str; 5] {
    let record = told.iter().find(|record| record["path"] == path).unwrap_or_else(|| panic!("{path}: {told:#?}"));
    ["differs", "would", "reason", "principal", "in_force"].map(|field| record[field].as_str().unwrap())
}

async fn a_gateway_in_shadow_changes_nothing_and_tells_what_we_would_decide(variant: Variant) {
    let gateway = gateway_in_shadow(variant).await;
    let good = format!("Bearer {}", gateway.mint_token("team-a", "robot"));
    let other = gateway.review_api.token("team-a", "robot").audience("https://kubernetes.default.svc").issue();
    let other = format!("Bearer {other}");
    let page = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-site", "none")];
    let fetch = [("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), ("sec-fetch-site", "same-origin")];
    for (path, lines) in [
        ("/good", &[("authorization", good.as_str())][..]),
        ("/audience", &[("authorization", other.as_str())]),
        ("/nobody", &[("kubeflow-groups", "as-it-came"), ("cookie", "oauth2_proxy_kubeflow=1")]),
        ("/page", &page),
        ("/fetch", &fetch),
        ("/a/%2e%2e/b", &[]),
    ] {
        let answer = gateway.get(path, lines).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let received = answer.echo().unwrap();
        assert_eq!(received.headers.folded("kubeflow-userid"), [("kubeflow-userid", NAMED)], "{path}");
        for (name, value) in lines {
            assert_eq!(received.headers.only(name), Some(*value), "{path}: {name}");
        }
        assert!(!received.headers.has("portcullis-assertion"), "{path}");
    }
    let told = foreseen(&gateway.portcullis, 6).await;
    let robot = "system:serviceaccount:team-a:robot";
    assert_eq!(row(&told, "/good"), ["name", "allowed", "service_account", robot, NAMED]);
    assert_eq!(row(&told, "/audience"), ["refused", "refused", "token_audience", "", NAMED]);
    assert_eq!(row(&told, "/nobody"), ["refused", "refused", "not_signed_in", "", NAMED]);
    assert_eq!(row(&told, "/page"), ["sign_in", "sign_in", "not_signed_in", "", NAMED]);
    assert_eq!(row(&told, "/fetch"), ["sign_in", "refused", "not_signed_in", "", NAMED]);
    assert_eq!(told.len(), 6, "each once: {told:#?}");
    assert!(gateway.portcullis.told("WARN", "a gateway asks in shadow").await.unwrap().len() == 1);
    let labels = ["source=\"gateway\"", "differs=\"refused\"", "reason=\"token_audience\""];
    assert_eq!(gateway.portcullis.metric("portcullis_shadow_checks_total", &labels).await.unwrap(), 1);

    let report = report(&gateway.portcullis).await;
    let text = String::from_utf8(report.stdout).unwrap();
    let rows: Vec<&str> = text.lines().collect();
    assert!(rows[0].starts_with("6 requests from "), "{text}");
    assert!(rows[2].starts_with("WOULD"), "{text}");
    assert!(rows[3].starts_with("be refused "), "what breaks comes first: {text}");
    assert!(text.contains("token_audience"), "{text}");
}

/// What `portcullis shadow report` prints about the log.
async fn report(portcullis: &Portcullis) -> Output {
    let log = portcullis.config().folder().join("shadow.log");
    let lines: Vec<String> = portcullis.records().await.unwrap().iter().map(ToString::to_string).collect();
    std::fs::write(&log, lines.join("\n")).unwrap();
    Command::new(binary().unwrap()).args(["shadow", "report"]).arg(log).output().unwrap()
}

async fn a_gateway_in_shadow_goes_on_without_us(variant: Variant) {
    let mut gateway = gateway_in_shadow(variant).await;
    gateway.portcullis.sigkill().unwrap();
    let answer = gateway.get("/", &[]).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = answer.echo().unwrap();
    assert_eq!(received.headers.folded("kubeflow-userid"), [("kubeflow-userid", NAMED)]);
}

async fn a_gateway_that_may_not_ask_in_shadow_is_answered_as_ever(variant: Variant) {
    let gateway = Gateway::start_with(variant, |config| config, |envoy| envoy.edit(in_shadow)).await;
    let gateway = gateway.expect("the ensemble starts");
    let answer = gateway.get("/", &[]).await.unwrap();
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert!(!answer.is_from_upstream());
}

async fn no_request_makes_a_gateway_ask_in_shadow(variant: Variant) {
    let gateway = Gateway::start(variant, lets_gateways).await.expect("the ensemble starts");
    for (name, value) in
        [("x-portcullis-mode", "shadow"), ("X-Portcullis-Mode", "shadow"), ("grpc-x-portcullis-mode", "shadow")]
    {
        let answer = gateway.get("/", &[(name, value)]).await.unwrap();
        assert_eq!(answer.status, 401, "{name}: {}", answer.text());
        assert!(!answer.is_from_upstream());
    }
    let request = format!(
        "GET / HTTP/1.1\r\nhost: {HOST}\r\ntrailer: x-portcullis-mode\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-portcullis-mode: shadow\r\n\r\n"
    );
    let answer = http1::exchange(&gateway.target(), request.as_bytes()).await.unwrap();
    assert!(!answer.is_from_upstream(), "{}", answer.text());
}

#[tokio::test]
async fn a_rule_in_shadow_decides_nothing_and_tells_what_it_would() {
    let rules = json!([
        { "name": "team-b", "mode": "shadow", "paths": [{ "prefix": "/team-b" }], "groups": ["team-b"] },
        { "name": "open", "mode": "shadow", "paths": [{ "prefix": "/open" }], "access": "public" },
        { "name": "closed", "paths": [{ "prefix": "/closed" }], "access": "deny" },
    ]);
    let gateway = Gateway::start(Variant::NEWEST, |config| config.rules(rules)).await.expect("the ensemble starts");
    let mut alice = gateway.visitor().unwrap();
    alice.sign_in("alice", "/").await.unwrap();
    for (path, status) in [("/team-b/x", 200), ("/open/x", 200), ("/closed/x", 403), ("/other", 200)] {
        assert_eq!(alice.fetch("GET", path).await.unwrap().status, status, "{path}");
    }
    assert_eq!(gateway.get("/open/y", &[]).await.unwrap().status, 401);
    assert_eq!(gateway.get("/team-b/y", &[]).await.unwrap().status, 401);
    let told = foreseen(&gateway.portcullis, 4).await;
    assert_eq!(row(&told, "/team-b/x"), ["refused", "refused", "not_permitted", "alice@example.com", ""]);
    assert_eq!(row(&told, "/open/x"), ["no", "allowed", "public", "", ""]);
    assert_eq!(row(&told, "/open/y"), ["allowed", "allowed", "public", "", ""]);
    assert_eq!(row(&told, "/team-b/y"), ["no", "refused", "not_signed_in", "", ""]);
    assert_eq!(told.len(), 4, "no other rule is in shadow: {told:#?}");
    let labels = ["source=\"rule\"", "differs=\"refused\"", "rule=\"team-b\""];
    assert_eq!(gateway.portcullis.metric("portcullis_shadow_checks_total", &labels).await.unwrap(), 1);
    assert_eq!(gateway.portcullis.told("WARN", "rules are in shadow").await.unwrap().len(), 1);
    assert_eq!(gateway.portcullis.told("WARN", "this rule is in shadow").await.unwrap().len(), 2, "said at the start");
}

/// Envoy's own word for it (1.38 and later), with a check that is asked as ever: no refusal is enforced, and it goes on where
/// nobody answers; but what an "allowed" changes of the headers is carried out. Earlier ones do not start with it. So the
/// manual does without, and answers that change nothing.
async fn envoys_own_shadow_mode_enforces_no_refusal_and_changes_headers_all_the_same(variant: Variant) {
    let shadow_mode = |bootstrap: &mut Value| {
        for filters in filters(bootstrap) {
            filters[0]["typed_config"]["shadow_mode"] = true.into();
        }
    };
    let started = Gateway::start_with(variant, |config| config, |envoy| envoy.edit(shadow_mode)).await;
    if variant == Variant::ALL[0] {
        assert!(started.is_err(), "Envoy 1.36 knows the field");
        return;
    }
    let mut gateway = started.expect("the ensemble starts");
    let good = format!("Bearer {}", gateway.mint_token("team-a", "robot"));
    let forged = ("kubeflow-userid", "forged");
    let refused = gateway.get("/", &[forged]).await.unwrap().echo().unwrap();
    assert_eq!(refused.headers.all("kubeflow-userid"), ["forged"], "it passes as it came");
    let allowed = gateway.get("/", &[forged, ("authorization", &good)]).await.unwrap().echo().unwrap();
    assert_eq!(allowed.headers.all("kubeflow-userid"), ["system:serviceaccount:team-a:robot"]);
    assert!(allowed.headers.has("portcullis-assertion") && !allowed.headers.has("authorization"));
    for outcome in ["outcome=\"denied\"", "outcome=\"allowed\""] {
        let asked = gateway.portcullis.metric("portcullis_checks_total", &[outcome]).await.unwrap();
        assert_eq!(asked, 1, "{outcome}: it is asked all the same");
    }
    gateway.portcullis.sigkill().unwrap();
    assert_eq!(gateway.get("/", &[]).await.unwrap().status, 200, "a call that fails refuses nothing");
}
