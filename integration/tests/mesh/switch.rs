//! The manual's commands for the way from oauth2-proxy and back, pasted while people and scripts go on.

use portcullis_integration::mesh::{Before, GATEWAY_ACCOUNT, ISTIO_NAMESPACE, Mesh, NEIGHBOUR};
use portcullis_integration::project;
use portcullis_integration::visitor::Visitor;
use serde_json::{Value, json};

use super::load::Load;
use super::policies::{allow, put_back, take_away};
use super::{at_workload, bearer, eventually, signed_in};

async fn paste(mesh: &Mesh, before: &Before, comment: &str) {
    mesh.cluster.paste(before.checkout(), &project::commands("docs/kubeflow.md", comment)).await.unwrap();
}

pub(crate) async fn the_manual_s_switch_and_way_back_let_nobody_in(mesh: &mut Mesh) {
    let before = mesh.before().await.unwrap();
    // Nothing that verifies the assertion: what oauth2-proxy brings has none.
    take_away(mesh).await;
    let gateway = format!("cluster.local/ns/{ISTIO_NAMESPACE}/sa/{GATEWAY_ACCOUNT}");
    mesh.cluster.apply(&allow("from-the-gateway", &json!({ "principals": [gateway] }))).await.unwrap();
    let token = bearer(mesh, NEIGHBOUR).await;
    let token = [("authorization", token.as_str())];
    let mut person = signed_in(mesh, "alice", "/switch?at-first").await;

    let load = Load::start(mesh, "back", &person).await;
    paste(mesh, &before, "the way back").await;
    eventually("oauth2-proxy is asked, and Dex's tokens are known", async || {
        let anonymous = mesh.get("/switch?page", &[("accept", "text/html")]).await.unwrap();
        Before::is_its_page(&anonymous) && mesh.get("/switch?token", &token).await.unwrap().is_from_upstream()
    })
    .await;
    load.stop(mesh).await;
    let mut returned = mesh.visitor().unwrap();
    people_sign_in_by_oauth2_proxy(mesh, &before, &mut returned).await;

    // One who has both gates' cookies passes at both.
    person.cookies.extend(returned.cookies.clone());
    let load = Load::start(mesh, "there", &person).await;
    paste(mesh, &before, "the switch").await;
    eventually("Portcullis is asked, and its assertion is known", async || {
        let anonymous = mesh.get("/switch?refused", &[]).await.unwrap();
        let reason = anonymous.json::<Value>().is_ok_and(|problem| problem["reason"] == "not_signed_in");
        reason && mesh.get("/switch?token-again", &token).await.unwrap().is_from_upstream()
    })
    .await;
    load.stop(mesh).await;
    signed_in(mesh, "bob", "/switch?at-last").await;
    let received = at_workload(mesh, "/switch?at-last");
    assert_eq!(received.headers.all("kubeflow-userid"), ["bob@example.com"]);
    assert!(received.headers.has("portcullis-assertion"));
    put_back(mesh).await;
}

async fn people_sign_in_by_oauth2_proxy(mesh: &Mesh, before: &Before, visitor: &mut Visitor) {
    let page = before.sign_in(visitor, "alice", "/switch?by-oauth2-proxy").await.unwrap();
    assert!(page.is_from_upstream(), "{} {}\n{}", page.status, page.text(), before.log_tail());
    let received = at_workload(mesh, "/switch?by-oauth2-proxy");
    assert_eq!(received.headers.all("kubeflow-userid"), ["alice@example.com"]);
    assert!(!received.headers.has("portcullis-assertion"), "Portcullis is not asked");
}
