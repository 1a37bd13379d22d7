//! The whole way through a mesh that istiod programs from the manifests: gateway, Portcullis, workload.
//!
//! One mesh serves all tests, so this suite brings its own `main`, which starts it once and stops it
//! at the end.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "mesh/applications.rs"]
mod applications;
#[path = "mesh/canary.rs"]
mod canary;
#[path = "mesh/custom_providers.rs"]
mod custom_providers;
#[path = "mesh/everywhere.rs"]
mod everywhere;
#[path = "mesh/kubeflow.rs"]
mod kubeflow;
#[path = "mesh/load.rs"]
mod load;
#[path = "mesh/local_gateway.rs"]
mod local_gateway;
#[path = "mesh/logout_tokens.rs"]
mod logout_tokens;
#[path = "mesh/owners.rs"]
mod owners;
#[path = "mesh/policies.rs"]
mod policies;
#[path = "mesh/switch.rs"]
mod switch;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use envoy_types::ext_authz::v3::pb::CheckResponse;
use futures::FutureExt as _;
use libtest_mimic::{Arguments, Failed, Trial};
use portcullis_integration::check_client::{Answer, Check};
use portcullis_integration::dex;
use portcullis_integration::jwt::{self, Algorithm, SigningKey};
use portcullis_integration::mesh::{
    GATEWAY_ACCOUNT, ISTIO_NAMESPACE, Mesh, NAMESPACE, NEIGHBOUR, OTHER_SERVICE, TEAM, WORKLOAD,
};
use portcullis_integration::portcullis::{HOST, ORIGIN, SESSION_COOKIE};
use portcullis_integration::raw_client::{Closed, Response, Target, http1, http2};
use portcullis_integration::registration::PASSWORD;
use portcullis_integration::upstream::{Protocol, Received, Upstream};
use portcullis_integration::visitor::Visitor;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::{RwLock, RwLockWriteGuard};

use applications::each_application_s_own_policy_goes_on_to_say_whom_it_lets_in;
use canary::at_the_canary_portcullis_decides_and_at_the_first_gateway_oauth2_proxy_goes_on;
use custom_providers::a_second_custom_provider_denies_all_or_writes_behind_us_by_its_name;
use everywhere::{
    an_owner_can_name_the_accounts_of_a_namespace, what_the_gateway_brings_without_an_assertion_is_refused_everywhere,
};
use kubeflow::{of_dex_only_what_takes_part_in_a_sign_in_is_open, the_dashboards_buttons_are_answered_by_portcullis};
use local_gateway::the_gateway_inside_the_cluster_asks_where_it_is_told_to;
use logout_tokens::{a_logout_token_reaches_portcullis_through_the_gateway, logout_tokens_pass_in_every_overlay};
use owners::the_component_only_narrows_what_a_namespace_s_owner_allows;
use switch::the_manual_s_switch_and_way_back_let_nobody_in;

/// A loaded machine may take this long to tell a proxy of a change.
const SETTLED_WITHIN: Duration = Duration::from_mins(3);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let stage = Arc::new(Stage::new());
    let trials = trials(&stage);
    let conclusion = libtest_mimic::run(&arguments, trials);
    // The children stop with the mesh, and `main` ends by a return, so that it is dropped.
    drop(stage);
    conclusion.exit_code()
}

fn trials(stage: &Arc<Stage>) -> Vec<Trial> {
    macro_rules! trials {
        ($run:ident: $($test:ident),+ $(,)?) => {
            [$({
                let stage = Arc::clone(stage);
                Trial::test(stringify!($test), move || stage.$run(async |mesh| $test(mesh).await))
            }),+]
        };
    }
    let together = trials![share:
        a_token_passes_as_one_identity,
        a_browser_signs_in_and_out,
        a_person_signs_in_with_a_real_browser_through_tls,
        the_dashboards_buttons_are_answered_by_portcullis,
        of_dex_only_what_takes_part_in_a_sign_in_is_open,
        who_is_not_signed_in_is_answered_by_portcullis,
        a_token_for_others_is_refused,
        only_the_gateway_may_call_the_check_port,
        everybody_may_read_the_keys_and_do_no_more,
        a_logout_token_reaches_portcullis_through_the_gateway,
        the_workload_refuses_a_request_without_an_assertion,
        the_workload_refuses_a_forged_assertion,
        the_workload_refuses_an_assertion_for_another_service,
        the_workload_refuses_another_workload,
    ];
    let alone = trials![take:
        nothing_passes_without_portcullis_and_sessions_outlive_it,
        a_tenant_who_claims_our_service_s_name_stops_and_hears_nobody,
        a_tcp_port_that_a_tenant_opens_at_the_gateway_is_no_way_round,
        logout_tokens_pass_in_every_overlay,
        the_component_only_narrows_what_a_namespace_s_owner_allows,
        an_owner_can_name_the_accounts_of_a_namespace,
        what_the_gateway_brings_without_an_assertion_is_refused_everywhere,
        the_gateway_inside_the_cluster_asks_where_it_is_told_to,
        the_manual_s_switch_and_way_back_let_nobody_in,
        each_application_s_own_policy_goes_on_to_say_whom_it_lets_in,
        at_the_canary_portcullis_decides_and_at_the_first_gateway_oauth2_proxy_goes_on,
        a_second_custom_provider_denies_all_or_writes_behind_us_by_its_name,
    ];
    together.into_iter().chain(alone).collect()
}

/// The mesh, which starts when the first test needs it.
struct Stage {
    runtime: Runtime,
    /// None before the start; what went wrong where it did not start.
    mesh: RwLock<Option<Result<Mesh, String>>>,
}

impl Stage {
    fn new() -> Self {
        Self { runtime: Runtime::new().unwrap(), mesh: RwLock::new(None) }
    }

    /// Runs a test beside others.
    fn share(&self, test: impl AsyncFnOnce(&Mesh)) -> Result<(), Failed> {
        self.runtime.block_on(async {
            drop(self.started().await);
            let mesh = self.mesh.read().await;
            let mesh = mesh.as_ref().expect("it has been started").as_ref()?;
            let outcome = AssertUnwindSafe(test(mesh)).catch_unwind().await;
            // The panic's message is on the screen already.
            outcome.map_err(|_| mesh.log_tails().into())
        })
    }

    /// Runs a test that disturbs others.
    fn take(&self, test: impl AsyncFnOnce(&mut Mesh)) -> Result<(), Failed> {
        self.runtime.block_on(async {
            let mut mesh = self.started().await;
            let mesh = mesh.as_mut().expect("it has been started").as_mut().map_err(|error| error.clone())?;
            let outcome = AssertUnwindSafe(test(mesh)).catch_unwind().await;
            outcome.map_err(|_| mesh.log_tails().into())
        })
    }

    async fn started(&self) -> RwLockWriteGuard<'_, Option<Result<Mesh, String>>> {
        let mut mesh = self.mesh.write().await;
        if mesh.is_none() {
            *mesh = Some(Mesh::start().await.map_err(|error| format!("{error:#}")));
        }
        mesh
    }
}

/// The request that the workload received, asserted to be the only one with that path.
fn at_workload(mesh: &Mesh, path: &str) -> Received {
    let mut received = mesh.workload.received_with(path);
    assert_eq!(received.len(), 1, "{path}: {received:#?}");
    received.remove(0)
}

fn assert_untouched(mesh: &Mesh, path: &str) {
    assert!(mesh.workload.received_with(path).is_empty(), "{path} reached the workload");
}

/// Whether the peer gave no answer at all: it closed or reset the connection.
fn is_unanswered(outcome: &anyhow::Result<Response>) -> bool {
    let Err(error) = outcome else { return false };
    error.is::<Closed>() || error.root_cause().is::<std::io::Error>()
}

async fn bearer(mesh: &Mesh, account: &str) -> String {
    format!("Bearer {}", mesh.script_token(TEAM, account).await.unwrap())
}

/// Somebody who has signed in, and for whom the workload has answered this path.
async fn signed_in(mesh: &Mesh, user: &str, path: &str) -> Visitor {
    let mut visitor = mesh.visitor().unwrap();
    mesh.sign_in(&mut visitor, user, path).await.unwrap().echo().unwrap();
    visitor
}

/// An assertion that Portcullis signed, caught at the workload.
async fn caught_assertion(mesh: &Mesh, path: &str) -> String {
    let bearer = bearer(mesh, NEIGHBOUR).await;
    let answer = mesh.get(path, &[("authorization", &bearer)]).await.unwrap();
    let received = answer.echo().unwrap();
    received.headers.only("portcullis-assertion").unwrap().to_owned()
}

async fn a_token_passes_as_one_identity(mesh: &Mesh) {
    let bearer = bearer(mesh, NEIGHBOUR).await;
    let lines = [
        ("authorization", bearer.as_str()),
        ("kubeflow-userid", "root@example.com"),
        ("Kubeflow-UserID", "root@example.com"),
        ("kubeflow_userid", "root@example.com"),
        ("kubeflow-groups", "admins"),
        ("portcullis-assertion", "forged"),
    ];
    let answer = mesh.get("/token", &lines).await.unwrap();
    assert!(answer.is_from_upstream(), "{} {}", answer.status, answer.text());

    let received = at_workload(mesh, "/token");
    let user = format!("system:serviceaccount:{TEAM}:{NEIGHBOUR}");
    assert_eq!(received.headers.all("kubeflow-userid"), [&user]);
    for header in ["kubeflow_userid", "authorization"] {
        assert_eq!(received.headers.all(header), [""; 0], "{header}");
    }
    assert!(!received.headers.all("kubeflow-groups").contains(&"admins"));
    let assertions = received.headers.all("portcullis-assertion");
    let [assertion] = assertions[..] else { panic!("{assertions:?}") };
    let claims = jwt::claims(assertion).unwrap();
    assert_eq!(claims["iss"], mesh.assertion_issuer().unwrap());
    assert_eq!(claims["sub"], user);
    let gateway = format!("URI=spiffe://cluster.local/ns/{ISTIO_NAMESPACE}/sa/{GATEWAY_ACCOUNT}");
    assert!(received.headers.all("x-forwarded-client-cert").join(",").contains(&gateway));
}

async fn a_browser_signs_in_and_out(mesh: &Mesh) {
    let mut visitor = mesh.visitor().unwrap();
    let page = mesh.sign_in(&mut visitor, "alice", "/browser?page=1").await.unwrap();
    assert!(page.is_from_upstream(), "{} {}", page.status, page.text());
    let received = at_workload(mesh, "/browser?page=1");
    assert_eq!(received.headers.all("kubeflow-userid"), ["alice@example.com"]);
    assert!(!received.headers.all("cookie").join(";").contains(SESSION_COOKIE), "our cookie stays with us");

    let reloaded = visitor.fetch("GET", "/browser?page=2").await.unwrap();
    assert!(reloaded.is_from_upstream(), "{} {}", reloaded.status, reloaded.text());

    let stolen = visitor.clone();
    let logout = visitor.fetch("POST", "/portcullis/logout").await.unwrap();
    assert_eq!(logout.status, 201, "{}", logout.text());
    for mut anybody in [visitor, stolen] {
        let answer = anybody.fetch("GET", "/browser?page=3").await.unwrap();
        assert_eq!(answer.status, 401, "{}", answer.text());
    }
    assert_untouched(mesh, "/browser?page=3");
}

async fn a_person_signs_in_with_a_real_browser_through_tls(mesh: &Mesh) {
    let browser = mesh.browser().await.unwrap();
    browser.open(&format!("{ORIGIN}/chromium?page=1")).await.unwrap();
    browser.type_into("input[name=login]", &dex::email("alice")).await.unwrap();
    browser.type_into("input[name=password]", PASSWORD).await.unwrap();
    browser.click("button[type=submit]").await.unwrap();
    browser.wait_for_url(|url| url.as_str() == format!("{ORIGIN}/chromium?page=1")).await.unwrap();
    let received = at_workload(mesh, "/chromium?page=1");
    assert_eq!(received.headers.all("kubeflow-userid"), ["alice@example.com"]);
    assert_eq!(received.headers.all("cookie"), [""; 0], "our cookie stays with us");
    let assertion = received.headers.only("portcullis-assertion").unwrap();
    assert_eq!(jwt::claims(assertion).unwrap()["userid"], "alice@example.com");

    // What a page's script may send: the gateway's answer is still one true identity.
    let forged = json!({ "headers": { "kubeflow-userid": "root@example.com", "kubeflow_userid": "root@example.com" } });
    let answer = browser.fetch("/chromium?page=2", &forged).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let received = at_workload(mesh, "/chromium?page=2");
    assert_eq!(received.headers.all("kubeflow-userid"), ["alice@example.com"]);
    assert_eq!(received.headers.all("kubeflow_userid"), [""; 0]);

    let logout = browser.fetch("/portcullis/logout", &json!({ "method": "POST" })).await.unwrap();
    assert_eq!(logout.status, 201, "{logout:?}");
    assert_eq!(browser.cookie(SESSION_COOKIE).await.unwrap(), None);
    let answer = browser.fetch("/chromium?page=3", &json!({})).await.unwrap();
    assert_eq!(answer.status, 401, "{answer:?}");
    browser.open(&format!("{ORIGIN}/chromium?page=4")).await.unwrap();
    browser.wait_for_element("input[name=login]").await.unwrap();
    for page in ["/chromium?page=3", "/chromium?page=4"] {
        assert_untouched(mesh, page);
    }
}

async fn who_is_not_signed_in_is_answered_by_portcullis(mesh: &Mesh) {
    // The policy covers every path: no exception for what looks harmless.
    for path in ["/anonymous", "/healthz?anonymous", "/favicon.ico?anonymous", "/.well-known/jwks.json?anonymous"] {
        let answer = mesh.get(path, &[]).await.unwrap();
        assert_eq!(answer.status, 401, "{path}: {}", answer.text());
        assert!(answer.headers.has("www-authenticate"), "{path}");
        let problem: Value = answer.json().unwrap();
        assert_eq!(problem["reason"], "not_signed_in", "{path}");
        // Browsers know Dex by the public host, and only we by the one of the cluster.
        let location = mesh.begin(&mut mesh.visitor().unwrap(), path).await.unwrap();
        assert!(location.as_str().starts_with(&format!("{ORIGIN}/dex/auth?")), "{path}: {location}");
    }
    let options = http1::request("OPTIONS", HOST, "/anonymous", &[]);
    let answer = http1::exchange(&mesh.gateway(), &options).await.unwrap();
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert_untouched(mesh, "anonymous");
}

async fn a_token_for_others_is_refused(mesh: &Mesh) {
    let token = mesh.cluster.token(TEAM, NEIGHBOUR).audience("another-service").issue().await.unwrap();
    let bearer = format!("Bearer {token}");
    let answer = mesh.get("/wrong-audience", &[("authorization", &bearer)]).await.unwrap();
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert_eq!(answer.json::<Value>().unwrap()["reason"], "token_audience");
    assert_untouched(mesh, "/wrong-audience");
}

/// A call of `Check` as Envoy makes it.
async fn call_check(target: &Target, path: &str) -> anyhow::Result<Response> {
    let message = Check::get(HOST, path).build().encode_to_vec();
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    let request = http2::Request::get("portcullis", "/envoy.service.auth.v3.Authorization/Check")
        .pseudo(":method", "POST")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body);
    http2::exchange(target, &request).await
}

async fn only_the_gateway_may_call_the_check_port(mesh: &Mesh) {
    let gateway = mesh.check_port_from(ISTIO_NAMESPACE, GATEWAY_ACCOUNT).await.unwrap();
    let answer = call_check(&gateway, "/checked-by-gateway").await.unwrap();
    assert_eq!(answer.trailers.only("grpc-status"), Some("0"), "{answer:?}");
    let answer = Answer::read(CheckResponse::decode(&answer.body[5..]).unwrap()).unwrap();
    assert!(matches!(answer, Answer::Deny { status: 401, .. }), "{answer:?}");

    for (namespace, account) in [(TEAM, NEIGHBOUR), (TEAM, WORKLOAD), (NAMESPACE, "portcullis")] {
        let other = mesh.check_port_from(namespace, account).await.unwrap();
        let answer = call_check(&other, "/checked-by-another").await.unwrap();
        let status = answer.headers.only("grpc-status");
        assert_eq!(status, Some("7"), "{namespace}/{account} is PERMISSION_DENIED: {answer:?}");
        assert!(answer.body.is_empty());
    }
    let outcome = call_check(&mesh.check_port_in_clear_text(), "/checked-in-clear-text").await;
    assert!(is_unanswered(&outcome), "{outcome:?}");

    let records = mesh.portcullis.records().await.unwrap();
    let seen = |path: &str| records.iter().any(|record| record.to_string().contains(path));
    assert!(seen("/checked-by-gateway"), "the gateway's call is in the log");
    assert!(!seen("/checked-by-another") && !seen("/checked-in-clear-text"));
}

async fn everybody_may_read_the_keys_and_do_no_more(mesh: &Mesh) {
    let target = mesh.keys_in_clear_text();
    let answer = http1::get(&target, HOST, "/.well-known/jwks.json", &[]).await.unwrap();
    let keys: Value = answer.json().unwrap();
    assert_eq!(keys["keys"][0]["crv"], "P-256", "{keys}");
    assert!(keys["keys"][0].get("d").is_none(), "a private key is published");
    let post = http1::request("POST", HOST, "/.well-known/jwks.json", &[]);
    let answer = http1::exchange(&target, &post).await.unwrap();
    assert_eq!(answer.status, 403, "{}", answer.text());
}

async fn the_workload_refuses_a_request_without_an_assertion(mesh: &Mesh) {
    let gateway = mesh.workload_from(ISTIO_NAMESPACE, GATEWAY_ACCOUNT).await.unwrap();
    let lines = [("kubeflow-userid", "root@example.com")];
    let answer = http1::get(&gateway, HOST, "/no-assertion", &lines).await.unwrap();
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_untouched(mesh, "/no-assertion");

    let assertion = caught_assertion(mesh, "/real-assertion?caught").await;
    let lines = [("portcullis-assertion", assertion.as_str())];
    let answer = http1::get(&gateway, HOST, "/real-assertion?again", &lines).await.unwrap();
    assert!(answer.is_from_upstream(), "with one it passes: {} {}", answer.status, answer.text());
}

async fn the_workload_refuses_a_forged_assertion(mesh: &Mesh) {
    let gateway = mesh.workload_from(ISTIO_NAMESPACE, GATEWAY_ACCOUNT).await.unwrap();
    let real = caught_assertion(mesh, "/forged-assertion/real").await;
    let (header, claims) = (jwt::header(&real).unwrap(), jwt::claims(&real).unwrap());
    let bytes = |value: &Value| serde_json::to_vec(value).unwrap();
    let mut root = claims.clone();
    root["sub"] = json!("user:company:root");
    let unsigned = json!({ "alg": "none", "typ": "JWT" });
    let mine = SigningKey::generate(Algorithm::Es256).unwrap();
    let parts: Vec<&str> = real.split('.').collect();
    let forgeries = [
        ("another key under our kid", mine.sign_bytes(&bytes(&header), &bytes(&root)).unwrap()),
        ("no signature", jwt::unsigned(&bytes(&unsigned), &bytes(&root), b"")),
        ("other claims under our signature", {
            let forged = jwt::unsigned(&bytes(&header), &bytes(&root), b"");
            format!("{forged}{}", parts[2])
        }),
    ];
    for (what, forgery) in forgeries {
        let lines = [("portcullis-assertion", forgery.as_str())];
        let answer = http1::get(&gateway, HOST, "/forged-assertion/sent", &lines).await.unwrap();
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    }
    assert_untouched(mesh, "/forged-assertion/sent");
}

async fn the_workload_refuses_an_assertion_for_another_service(mesh: &Mesh) {
    let bearer = bearer(mesh, NEIGHBOUR).await;
    let answer = mesh.get(OTHER_SERVICE, &[("authorization", &bearer)]).await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (403, "RBAC: access denied"));
    assert!(answer.headers.has("x-envoy-upstream-service-time"), "the workload's sidecar refused, not the gateway");
    assert_untouched(mesh, OTHER_SERVICE);
}

async fn the_workload_refuses_another_workload(mesh: &Mesh) {
    let assertion = caught_assertion(mesh, "/from-elsewhere/caught").await;
    let lines = [("portcullis-assertion", assertion.as_str())];
    let neighbour = mesh.workload_from(TEAM, NEIGHBOUR).await.unwrap();
    let answer = http1::get(&neighbour, HOST, "/from-elsewhere/neighbour", &lines).await.unwrap();
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_untouched(mesh, "/from-elsewhere/neighbour");

    let outcome = http1::get(&mesh.workload_in_clear_text(), HOST, "/from-elsewhere/clear", &lines).await;
    assert!(is_unanswered(&outcome), "{outcome:?}");
    assert_untouched(mesh, "/from-elsewhere/clear");
}

async fn nothing_passes_without_portcullis_and_sessions_outlive_it(mesh: &mut Mesh) {
    let mut visitor = mesh.visitor().unwrap();
    let page = mesh.sign_in(&mut visitor, "bob", "/outage?before").await.unwrap();
    assert!(page.is_from_upstream(), "{} {}", page.status, page.text());

    mesh.portcullis.sigkill().unwrap();
    let answer = visitor.navigate("/outage?during").await.unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_untouched(mesh, "/outage?during");

    mesh.portcullis.restart().await.unwrap();
    let page = visitor.navigate("/outage?after").await.unwrap();
    assert!(page.is_from_upstream(), "{} {}", page.status, page.text());
    assert_eq!(at_workload(mesh, "/outage?after").headers.all("kubeflow-userid"), ["bob@example.com"]);
}

/// Whoever may write Istio's objects in a namespace of his own (Kubeflow's `kubeflow-edit` may) can name any host in a
/// `ServiceEntry`, also that of our Service.
async fn a_tenant_who_claims_our_service_s_name_stops_and_hears_nobody(mesh: &mut Mesh) {
    let bearer = bearer(mesh, NEIGHBOUR).await;
    let impostor = Upstream::start(Protocol::Http2).await.unwrap();
    let [workload, claimed] = [mesh.workload.address(), impostor.address()];
    let entry = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": { "name": "claimed", "namespace": TEAM },
        "spec": {
            "hosts": ["portcullis.portcullis.svc.cluster.local", "claimed.test"],
            "location": "MESH_EXTERNAL",
            "resolution": "STATIC",
            "ports": [
                { "name": "grpc-authz", "number": 9001, "protocol": "GRPC" },
                { "name": "http", "number": 80, "protocol": "HTTP" },
            ],
            "endpoints": [{
                "address": workload.ip().to_string(),
                "ports": { "grpc-authz": claimed.port(), "http": workload.port() },
            }],
        },
    });
    // Tells that the gateway knows the entry: the path leads nowhere before.
    let route = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": { "name": "claimed", "namespace": TEAM },
        "spec": {
            "gateways": ["kubeflow/kubeflow-gateway"],
            "hosts": ["*"],
            "http": [{
                "match": [{ "uri": { "prefix": "/claimed" } }],
                "route": [{ "destination": { "host": "claimed.test", "port": { "number": 80 } } }],
            }],
        },
    });
    let authorized = [("authorization", bearer.as_str())];
    mesh.cluster.apply(&route.to_string()).await.unwrap();
    until(mesh, "/claimed", &authorized, |answer| !answer.is_from_upstream()).await;
    mesh.cluster.apply(&entry.to_string()).await.unwrap();
    until(mesh, "/claimed", &authorized, Response::is_from_upstream).await;

    let answer = mesh.get("/claimed?anonymous", &[]).await.unwrap();
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert_untouched(mesh, "/claimed?anonymous");
    assert!(impostor.received().is_empty(), "somebody else was asked who may pass");
    for kind in ["virtualservice", "serviceentry"] {
        mesh.cluster.kubectl(&["delete", kind, "claimed", "--namespace", TEAM]).await.unwrap();
    }
}

/// Who may write a `Gateway` can have the ingress gateway's pods listen on a port of TCP, behind which no HTTP filter runs.
async fn a_tcp_port_that_a_tenant_opens_at_the_gateway_is_no_way_round(mesh: &mut Mesh) {
    const PORT: u16 = 31400;
    let (gateway, workload) = (mesh.gateway_address(), mesh.workload.address());
    let entry = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": { "name": "raw", "namespace": TEAM },
        "spec": {
            "hosts": ["raw.test"],
            "location": "MESH_EXTERNAL",
            "resolution": "STATIC",
            "ports": [{ "name": "tcp", "number": 8080, "protocol": "TCP" }],
            "endpoints": [{ "address": workload.ip().to_string(), "ports": { "tcp": workload.port() } }],
        },
    });
    let listener = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": { "name": "raw", "namespace": TEAM },
        "spec": {
            "selector": { "istio": "ingressgateway" },
            "servers": [{
                "hosts": ["*"],
                "bind": gateway.to_string(),
                "port": { "name": "tcp", "number": PORT, "protocol": "TCP" },
            }],
        },
    });
    let route = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": { "name": "raw", "namespace": TEAM },
        "spec": {
            "gateways": ["raw"],
            "hosts": ["*"],
            "tcp": [{
                "match": [{ "port": PORT }],
                "route": [{ "destination": { "host": "raw.test", "port": { "number": 8080 } } }],
            }],
        },
    });
    for object in [&entry, &route, &listener] {
        mesh.cluster.apply(&object.to_string()).await.unwrap();
    }
    let deadline = Instant::now() + SETTLED_WITHIN;
    while tokio::net::TcpStream::connect((gateway, PORT)).await.is_err() {
        assert!(Instant::now() < deadline, "the gateway does not listen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let forged = [("kubeflow-userid", "admin@example.com")];
    let outcome = http1::get(&Target::plain((gateway, PORT).into()), HOST, "/raw", &forged).await;
    assert!(is_unanswered(&outcome), "{outcome:?}");
    assert_untouched(mesh, "/raw");
    let records = mesh.portcullis.records().await.unwrap();
    let asked = records.iter().any(|record| record["reason"] == "malformed_request");
    assert!(asked, "Portcullis was asked about the connection, and refused what is no request");
    for kind in ["gateways.networking.istio.io", "virtualservice", "serviceentry"] {
        mesh.cluster.kubectl(&["delete", kind, "raw", "--namespace", TEAM]).await.unwrap();
    }
}

/// Waits until the gateway answers a path as is wanted: istiod tells it of changes after a moment.
async fn until(mesh: &Mesh, path: &str, lines: &[(&str, &str)], wanted: impl Fn(&Response) -> bool) {
    eventually(path, async || wanted(&mesh.get(path, lines).await.unwrap())).await;
}

/// Waits until something holds that istiod tells the proxies.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + SETTLED_WITHIN;
    while !holds().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
