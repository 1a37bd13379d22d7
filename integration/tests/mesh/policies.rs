//! The policies of the team's namespace: taken away, and put back as its owner had them.

use std::time::{Duration, Instant};

use portcullis_integration::mesh::{GATEWAY_ACCOUNT, ISTIO_NAMESPACE, Mesh, NEIGHBOUR, TEAM};
use portcullis_integration::portcullis::HOST;
use portcullis_integration::raw_client::{Response, Target, http1};
use portcullis_integration::visitor::Visitor;
use serde_json::{Value, json};

use super::{SETTLED_WITHIN, eventually};

/// The name that the owner is known by, as a client that is past the gateway could say it.
pub(crate) const HER_NAME: [(&str, &str); 1] = [("kubeflow-userid", "alice@example.com")];

/// What Kubeflow's profile controller writes for the owner, alice.
const OWNER: &str = include_str!("../../src/mesh/owner.yaml");

/// An answer: a sidecar that is told another mode of mutual TLS cuts off who comes at that moment, and is asked again.
pub(crate) async fn get(target: &Target, path: &str, lines: &[(&str, &str)]) -> Response {
    let deadline = Instant::now() + SETTLED_WITHIN;
    loop {
        match http1::get(target, HOST, path, lines).await {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < deadline, "{path}: {error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Takes away all that the namespace says.
pub(crate) async fn take_away(mesh: &Mesh) {
    for kind in ["authorizationpolicy", "requestauthentication", "peerauthentication"] {
        mesh.cluster.kubectl(&["delete", kind, "--all", "--namespace", TEAM]).await.unwrap();
    }
}

/// Leaves the owner's policy alone there, and waits until it is in force, also for a stranger who has signed in.
pub(crate) async fn leave_it_to_the_owner(mesh: &Mesh, gateway: &Target, stranger: &mut Visitor) {
    take_away(mesh).await;
    mesh.cluster.apply(OWNER).await.unwrap();
    eventually("the owner's policy is alone", async || {
        let (bare, nameless) = (get(gateway, "/alone?bare", &HER_NAME).await, get(gateway, "/alone", &[]).await);
        // A connection that the gateway has kept goes by what was in force when it was opened.
        let kept = stranger.navigate("/alone?kept").await.unwrap();
        bare.is_from_upstream() && nameless.status == 403 && kept.status == 403
    })
    .await;
}

/// Puts back what the other tests run on, in the place of what is there.
pub(crate) async fn put_back(mesh: &Mesh) {
    take_away(mesh).await;
    mesh.cluster.apply(&Mesh::policies_of_the_team().await.unwrap().to_list()).await.unwrap();
    let gateway = mesh.workload_from(ISTIO_NAMESPACE, GATEWAY_ACCOUNT).await.unwrap();
    let neighbour = mesh.workload_from(TEAM, NEIGHBOUR).await.unwrap();
    let mut stranger = mesh.visitor().unwrap();
    mesh.sign_in(&mut stranger, "bob", "/put-back?first").await.unwrap();
    eventually("the team's policies are back", async || {
        stranger.navigate("/put-back?stranger").await.unwrap().is_from_upstream()
            && get(&neighbour, "/put-back?neighbour", &[]).await.status == 403
            && get(&gateway, "/put-back?unasserted", &HER_NAME).await.status == 403
    })
    .await;
}

/// An ALLOW policy of the team's namespace.
pub(crate) fn allow(name: &str, source: &Value) -> String {
    let policy = json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": { "name": name, "namespace": TEAM },
        "spec": { "action": "ALLOW", "rules": [{ "from": [{ "source": source }] }] },
    });
    policy.to_string()
}
