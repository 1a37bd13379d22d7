//! The manual's commands for the way from oauth2-proxy and back, pasted while people and scripts go on.

use portcullis_integration::mesh::{Before, GATEWAY_ACCOUNT, ISTIO_NAMESPACE, Mesh, NEIGHBOUR, TEAM};
use portcullis_integration::project;
use portcullis_integration::visitor::Visitor;
use serde_json::{Value, json};

use super::applications::{Applications, the_workload_comes_back, the_workload_steps_aside};
use super::load::Load;
use super::policies::{allow, put_back, take_away};
use super::{at_workload, bearer, eventually, signed_in};

/// Runs the manual's commands below a comment, but what waits for controllers, of which there are none here.
pub(crate) async fn paste(mesh: &Mesh, before: &Before, comment: &str) {
    let commands = project::commands("docs/kubeflow.md", comment);
    let lines: Vec<_> = commands.lines().filter(|line| !line.contains(" rollout status ")).collect();
    mesh.cluster.paste(before.checkout(), &lines.join("\n")).await.unwrap();
}

/// Lets nobody verify the assertion: what oauth2-proxy brings has none.
pub(crate) async fn nobody_verifies(mesh: &Mesh) {
    take_away(mesh).await;
    let gateway = format!("cluster.local/ns/{ISTIO_NAMESPACE}/sa/{GATEWAY_ACCOUNT}");
    mesh.cluster.apply(&allow("from-the-gateway", &json!({ "principals": [gateway] }))).await.unwrap();
}

/// The way back, until it is in force.
pub(crate) async fn lead_back(mesh: &Mesh, before: &Before, token: &[(&str, &str)]) {
    paste(mesh, before, "the way back").await;
    eventually("oauth2-proxy is asked, and Dex's tokens are known", async || {
        let anonymous = mesh.get("/switch?page", &[("accept", "text/html")]).await.unwrap();
        Before::is_its_page(&anonymous) && mesh.get("/switch?token", token).await.unwrap().is_from_upstream()
    })
    .await;
}

/// The switch, until it is in force.
pub(crate) async fn switch(mesh: &Mesh, before: &Before, token: &[(&str, &str)]) {
    paste(mesh, before, "the switch").await;
    eventually("Portcullis is asked, and its assertion is known", async || {
        let anonymous = mesh.get("/switch?refused", &[]).await.unwrap();
        let reason = anonymous.json::<Value>().is_ok_and(|problem| problem["reason"] == "not_signed_in");
        reason && mesh.get("/switch?token-again", token).await.unwrap().is_from_upstream()
    })
    .await;
}

/// Kubeflow's applications are in place all the while.
pub(crate) async fn the_manual_s_switch_and_way_back_let_nobody_in(mesh: &mut Mesh) {
    let before = mesh.before().await.unwrap();
    nobody_verifies(mesh).await;
    let token = bearer(mesh, NEIGHBOUR).await;
    let token = [("authorization", token.as_str())];
    let mut person = signed_in(mesh, "alice", "/switch?at-first").await;

    let load = Load::start(mesh, &mesh.gateway(), "back", &person).await;
    lead_back(mesh, &before, &token).await;
    load.stop(mesh).await;
    let mut returned = mesh.visitor().unwrap();
    people_sign_in_by_oauth2_proxy(mesh, &before, &mut returned).await;
    let applications = Applications::start(mesh).await;
    the_applications_are_reached(mesh, &applications, "back", &returned, &token).await;

    the_gateway_asks_both_and_goes_on_whatever_we_say(mesh, &before, &token).await;

    // One who has both gates' cookies passes at both.
    person.cookies.extend(returned.cookies.clone());
    let load = Load::start(mesh, &mesh.gateway(), "there", &person).await;
    switch(mesh, &before, &token).await;
    load.stop(mesh).await;
    signed_in(mesh, "bob", "/switch?at-last").await;
    let received = at_workload(mesh, "/switch?at-last");
    assert_eq!(received.headers.all("kubeflow-userid"), ["bob@example.com"]);
    assert!(received.headers.has("portcullis-assertion"));
    the_applications_are_reached(mesh, &applications, "there", &person, &token).await;
    put_back(mesh).await;
}

/// By a person and by a script, each under one name, and by nobody else, whichever gate is in force.
async fn the_applications_are_reached(
    mesh: &Mesh,
    applications: &Applications,
    gate: &str,
    person: &Visitor,
    token: &[(&str, &str)],
) {
    let asserted = gate == "there";
    the_workload_steps_aside(mesh).await;
    let mut person = person.clone();
    let session = async |path: &str| person.navigate(path).await;
    applications.are_reached(&format!("{gate}-session"), "alice@example.com", asserted, session).await;
    let account = format!("system:serviceaccount:{TEAM}:{NEIGHBOUR}");
    let script = async |path: &str| mesh.get(path, token).await;
    applications.are_reached(&format!("{gate}-token"), &account, asserted, script).await;
    let forged = [("kubeflow-userid", "root@example.com")];
    let nobody = async |path: &str| mesh.get(path, &forged).await;
    applications.are_out_of_reach(&format!("{gate}-nobody"), nobody).await;
    the_workload_comes_back(mesh).await;
}

/// What oauth2-proxy lets pass reaches the service as it would without us, and we tell what we would have decided.
async fn the_gateway_asks_both_and_goes_on_whatever_we_say(mesh: &Mesh, before: &Before, token: &[(&str, &str)]) {
    paste(mesh, before, "ask both").await;
    let told = async |path: &str| {
        let records = mesh.portcullis.records().await.unwrap();
        let of_path = |record: &Value| record["target"] == "portcullis::shadow" && record["path"] == path;
        records.into_iter().find(of_path)
    };
    eventually("the gateway asks both", async || {
        mesh.get("/shadow/waits", token).await.unwrap().is_from_upstream() && told("/shadow/waits").await.is_some()
    })
    .await;
    assert!(mesh.get("/shadow/token", token).await.unwrap().is_from_upstream());
    eventually("what the account would be decided is told", async || told("/shadow/token").await.is_some()).await;
    let record = told("/shadow/token").await.unwrap();
    let account = format!("system:serviceaccount:{TEAM}:{NEIGHBOUR}");
    assert_eq!([&record["differs"], &record["principal"]], [&json!("no"), &json!(account)], "{record:#}");
    let received = at_workload(mesh, "/shadow/token");
    assert_eq!(received.headers.all("kubeflow-userid"), [account]);
    assert!(!received.headers.has("portcullis-assertion"), "Portcullis changes nothing");
    let mut person = mesh.visitor().unwrap();
    let page = before.sign_in(&mut person, "alice", "/shadow/page").await.unwrap();
    assert!(page.is_from_upstream(), "{} {}", page.status, page.text());
    eventually("what the person's page would be decided is told", async || told("/shadow/page").await.is_some()).await;
    let record = told("/shadow/page").await.unwrap();
    assert_eq!(
        [&record["differs"], &record["in_force"]],
        [&json!("sign_in"), &json!("alice@example.com")],
        "{record:#}"
    );
    paste(mesh, before, "ask one again").await;
    let asks_both = mesh.cluster.kubectl(&["get", "envoyfilters", "-A", "-o", "name"]).await.unwrap();
    assert!(!asks_both.contains("portcullis-shadow"), "{asks_both}");
}

async fn people_sign_in_by_oauth2_proxy(mesh: &Mesh, before: &Before, visitor: &mut Visitor) {
    let page = before.sign_in(visitor, "alice", "/switch?by-oauth2-proxy").await.unwrap();
    assert!(page.is_from_upstream(), "{} {}\n{}", page.status, page.text(), before.log_tail());
    let received = at_workload(mesh, "/switch?by-oauth2-proxy");
    assert_eq!(received.headers.all("kubeflow-userid"), ["alice@example.com"]);
    assert!(!received.headers.has("portcullis-assertion"), "Portcullis is not asked");
}
