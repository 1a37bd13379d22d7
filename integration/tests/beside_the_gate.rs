//! The components beside the gate: what each refuses, and what would have been without it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "beside_the_gate/admission.rs"]
mod admission;
#[path = "beside_the_gate/in_the_mesh.rs"]
mod in_the_mesh;
#[path = "beside_the_gate/profile_controller.rs"]
mod profile_controller;
#[path = "beside_the_gate/roles.rs"]
mod roles;

use std::time::{Duration, Instant};

use portcullis_integration::cluster::{Cluster, Controllers, kustomize_with};
use serde_json::{Value, json};

/// A team's namespace, as Kubeflow's profile controller makes it.
const TEAM: &str = "team-a";
/// A loaded machine may take this long to act on what it is told.
const SETTLED_WITHIN: Duration = Duration::from_mins(2);

/// A component alone, as somebody names it in a kustomization.
async fn component(name: &str) -> String {
    kustomize_with(|root| json!({ "components": [root.join("manifests/components").join(name)] })).await.unwrap()
}

/// A component over a folder of the tests, which stands for what the distribution has.
async fn component_over(name: &str, folder: &str) -> String {
    kustomize_with(|root| {
        json!({
            "resources": [root.join("integration/tests").join(folder)],
            "components": [root.join("manifests/components").join(name)],
        })
    })
    .await
    .unwrap()
}

/// An API server that knows the kinds of Istio, of the Gateway API, of Kubeflow and of Knative, and has a team.
async fn cluster_of_a_team() -> Cluster {
    let cluster = Cluster::start().await.unwrap();
    cluster.install_istio_crds().await.unwrap();
    let gateway_api = portcullis_integration::parts::path("gateway-api-crd.yaml").unwrap();
    cluster.kubectl(&["apply", "--server-side", "-f", gateway_api.to_str().unwrap()]).await.unwrap();
    cluster.apply(include_str!("beside_the_gate/kubeflow.yaml")).await.unwrap();
    let established = ["wait", "--for=condition=Established", "--timeout=60s", "customresourcedefinitions", "--all"];
    cluster.kubectl(&established).await.unwrap();
    for namespace in ["portcullis", "kubeflow", "istio-system", TEAM] {
        cluster.create_namespace(namespace).await.unwrap();
    }
    let label = "app.kubernetes.io/part-of=kubeflow-profile";
    cluster.kubectl(&["label", "namespace", TEAM, label]).await.unwrap();
    cluster
}

/// The API server's own checker of types finds nothing in the policies.
async fn the_policies_have_no_warnings(cluster: &Cluster) {
    let _checker: Controllers = cluster.start_controllers(&["validatingadmissionpolicy-status-controller"]).unwrap();
    let deadline = Instant::now() + SETTLED_WITHIN;
    loop {
        let policies = cluster.kubectl(&["get", "validatingadmissionpolicies", "-o", "json"]).await.unwrap();
        let policies: Value = serde_json::from_str(&policies).unwrap();
        let ours = |policy: &&Value| policy["metadata"]["name"].as_str().unwrap().starts_with("portcullis-");
        let ours: Vec<_> = policies["items"].as_array().unwrap().iter().filter(ours).collect();
        assert!(!ours.is_empty());
        if ours.iter().all(|policy| policy["status"]["observedGeneration"] == policy["metadata"]["generation"]) {
            for policy in ours {
                let warnings = &policy["status"]["typeChecking"]["expressionWarnings"];
                assert!(warnings.is_null(), "{}: {warnings:#}", policy["metadata"]["name"]);
            }
            return;
        }
        assert!(Instant::now() < deadline, "not checked: {ours:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until something holds.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + SETTLED_WITHIN;
    while !holds().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
