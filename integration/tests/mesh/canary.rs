//! The manual's canary: a second ingress gateway, at which Portcullis decides, beside the first, at which oauth2-proxy does.

use portcullis_integration::mesh::{Before, Mesh, NEIGHBOUR, SECOND_HOST, TEAM};
use portcullis_integration::portcullis::{HOST, ORIGIN};
use portcullis_integration::project;
use portcullis_integration::raw_client::{Target, http1};
use portcullis_integration::visitor::Visitor;
use serde_json::Value;

use super::load::Load;
use super::policies::put_back;
use super::switch::{lead_back, nobody_verifies, paste, switch};
use super::{assert_untouched, at_workload, bearer, eventually};

const FORGED: (&str, &str) = ("kubeflow-userid", "root@example.com");

pub(crate) async fn at_the_canary_portcullis_decides_and_at_the_first_gateway_oauth2_proxy_goes_on(mesh: &mut Mesh) {
    let before = mesh.before().await.unwrap();
    nobody_verifies(mesh).await;
    mesh.deploy_ingress_gateway().await.unwrap();
    let token = bearer(mesh, NEIGHBOUR).await;
    let token = [("authorization", token.as_str()), FORGED];
    lead_back(mesh, &before, &token).await;
    let mut everybody = mesh.visitor().unwrap();
    before.sign_in(&mut everybody, "alice", "/canary?everybody").await.unwrap().echo().unwrap();

    // Its coming is not noticed at the first gateway, and it never stands open.
    let load = Load::start(mesh, &mesh.gateway(), "canary-comes", &everybody).await;
    paste(mesh, &before, "a second gateway").await;
    let second = mesh.second_gateway("istio-ingressgateway-canary").await.unwrap();
    let canary = second.target();
    let by_nobody = Load::start(mesh, canary, "canary-is-there", &Visitor::new(canary.clone(), ORIGIN).unwrap()).await;
    eventually("Portcullis is asked there, and its assertion is known", async || {
        http1::get(canary, HOST, "/canary?waits", &token).await.is_ok_and(|answer| answer.is_from_upstream())
    })
    .await;
    let mut some = Visitor::new(canary.clone(), ORIGIN).unwrap();
    mesh.sign_in(&mut some, "alice", "/canary?some").await.unwrap().echo().unwrap();
    load.stop_unnoticed(mesh).await;
    by_nobody.stop(mesh).await;

    let at_the_first = Load::start(mesh, &mesh.gateway(), "first", &everybody).await;
    let at_the_canary = Load::start(mesh, canary, "canary", &some).await;
    each_gateway_has_its_own_gate(mesh, canary, &token).await;
    no_session_of_the_one_gate_counts_at_the_other(&everybody, &some).await;
    no_assertion_counts_at_the_first_gateway(mesh).await;
    the_canary_s_own_host_is_one_to_sign_in_at(mesh, canary).await;
    at_the_first.stop_unnoticed(mesh).await;
    at_the_canary.stop_unnoticed(mesh).await;

    // Then everybody comes this way, and the second gateway goes.
    switch(mesh, &before, &token).await;
    assert_eq!(reason(canary, "/canary?switched").await, "not_signed_in", "the switch holds for both");
    let load = Load::start(mesh, canary, "canary-goes", &some).await;
    paste(mesh, &before, "the canary goes").await;
    eventually("nobody is let in there", async || {
        let answer = http1::get(canary, HOST, "/canary?gone", &token).await;
        !answer.is_ok_and(|answer| answer.is_from_upstream())
    })
    .await;
    drop(load.stop_at_a_gateway_that_goes(mesh).await);
    mesh.get("/canary?at-last", &token).await.unwrap().echo().unwrap();
    for kind in ["deployments,services", "authorizationpolicies.security.istio.io"] {
        let left = mesh.cluster.kubectl(&["get", kind, "--all-namespaces", "--output", "name"]).await.unwrap();
        assert!(!left.contains("canary"), "{left}");
    }
    put_back(mesh).await;
}

/// The reason that Portcullis gives to whoever is nobody; empty where another one answers.
async fn reason(gateway: &Target, path: &str) -> String {
    let answer = http1::get(gateway, HOST, path, &[FORGED]).await.unwrap();
    let reason = answer.json::<Value>().ok().and_then(|problem| Some(problem["reason"].as_str()?.to_owned()));
    reason.unwrap_or_default()
}

async fn each_gateway_has_its_own_gate(mesh: &Mesh, canary: &Target, token: &[(&str, &str)]) {
    let account = format!("system:serviceaccount:{TEAM}:{NEIGHBOUR}");
    for (gateway, path, asserted) in [(&mesh.gateway(), "/canary?first", false), (canary, "/canary?second", true)] {
        http1::get(gateway, HOST, path, token).await.unwrap().echo().unwrap();
        let received = at_workload(mesh, path);
        assert_eq!(received.headers.all(FORGED.0), [&account], "{path}");
        assert_eq!(received.headers.has("portcullis-assertion"), asserted, "{path}");
    }
    let page = mesh.get("/canary?nobody", &[("accept", "text/html"), FORGED]).await.unwrap();
    assert!(Before::is_its_page(&page), "{} {}", page.status, page.text());
    assert_eq!(reason(canary, "/canary?nobody").await, "not_signed_in");
    assert_untouched(mesh, "/canary?nobody");
}

async fn no_session_of_the_one_gate_counts_at_the_other(everybody: &Visitor, some: &Visitor) {
    let (mut at_the_canary, mut at_the_first) = (some.clone(), everybody.clone());
    at_the_canary.cookies.clone_from(&everybody.cookies);
    at_the_first.cookies.clone_from(&some.cookies);
    assert_eq!(at_the_canary.fetch("GET", "/canary?theirs").await.unwrap().status, 401);
    let page = at_the_first.navigate("/canary?ours").await.unwrap();
    assert!(Before::is_its_page(&page), "{} {}", page.status, page.text());
}

/// oauth2-proxy is asked about no request that shows a token, and the second lock there is content with whatever principal.
async fn no_assertion_counts_at_the_first_gateway(mesh: &Mesh) {
    let received = at_workload(mesh, "/canary?second");
    let assertion = ("portcullis-assertion", received.headers.only("portcullis-assertion").unwrap());
    for authorization in ["Basic cm9vdDpyb290", "Bearer none"] {
        let lines = [assertion, ("authorization", authorization), FORGED];
        let answer = mesh.get("/canary?replayed", &lines).await.unwrap();
        assert!(matches!(answer.status, 401 | 403), "{authorization}: {} {}", answer.status, answer.text());
    }
    let page = mesh.get("/canary?replayed", &[assertion, FORGED]).await.unwrap();
    assert!(Before::is_its_page(&page), "{} {}", page.status, page.text());
    assert_untouched(mesh, "/canary?replayed");
}

async fn the_canary_s_own_host_is_one_to_sign_in_at(mesh: &Mesh, canary: &Target) {
    // As the manual has it: by Dex, whose pages stay at the first host.
    let origin = format!("https://canary.{HOST}");
    let location = mesh.begin(&mut Visitor::new(canary.clone(), &origin).unwrap(), "/canary?begins").await.unwrap();
    assert!(location.as_str().starts_with(&format!("{ORIGIN}/dex/auth?")), "{location}");
    let (_, back) = location.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap();
    assert_eq!(back, format!("{origin}/portcullis/callback"));
    let known = back.replace(HOST, "kubeflow.example.com");
    assert!(project::read("docs/kubeflow.md").contains(&format!("`{known}`")), "the manual lets Dex know {known}");

    // To the end at another provider, whose client knows the host.
    let mut person = Visitor::new(canary.clone(), &format!("https://{SECOND_HOST}")).unwrap();
    person.sign_in("alice", "/canary?own-host").await.unwrap().echo().unwrap();
    let received = at_workload(mesh, "/canary?own-host");
    assert_eq!(received.headers.all(FORGED.0), [format!("alice@{SECOND_HOST}")]);
    assert!(received.headers.has("portcullis-assertion"));
}
