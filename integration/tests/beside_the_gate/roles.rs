//! The roles of a team's people, joined by Kubernetes's own controller, and the components that change them.

use std::collections::BTreeMap;

use portcullis_integration::cluster::Cluster;
use portcullis_integration::project;
use serde_json::{Value, json};

use super::{TEAM, component_over};

const ROLES: [&str; 3] = ["view", "edit", "admin"];
const FIXTURE: &str = "manifests/roles";

/// What each role may: nobody, `edit` and `admin`, or all of them, as a SubjectAccessReview of a real cluster answers.
const ANSWERS: [(&str, [bool; 3]); 38] = [
    ("create pods/exec", [false, true, true]),
    ("create pods", [false, true, true]),
    ("update persistentvolumeclaims", [false, true, true]),
    ("get secrets", [false, true, true]),
    ("create secrets", [false, true, true]),
    ("get pods", [true, true, true]),
    ("get pods/log", [true, true, true]),
    ("get services", [true, true, true]),
    ("get namespaces", [true, true, true]),
    ("create serviceaccounts/token", [false, false, false]),
    ("impersonate users", [false, false, false]),
    ("impersonate serviceaccounts", [false, false, false]),
    ("create virtualservices.networking.istio.io", [false, false, false]),
    ("create authorizationpolicies.security.istio.io", [false, false, false]),
    ("create httproutes.gateway.networking.k8s.io", [false, false, false]),
    ("create profiles.kubeflow.org", [false, false, false]),
    ("create ingresses.networking.k8s.io", [false, true, true]),
    ("create networkpolicies.networking.k8s.io", [false, true, true]),
    ("delete networkpolicies.networking.k8s.io", [false, true, true]),
    ("create domainmappings.serving.knative.dev", [false, true, true]),
    ("create poddefaults.kubeflow.org", [false, true, true]),
    ("get notebooks.kubeflow.org", [true, true, true]),
    ("get pvcviewers.kubeflow.org", [true, true, true]),
    ("get tensorboards.tensorboard.kubeflow.org", [true, true, true]),
    ("get experiments.kubeflow.org", [true, true, true]),
    ("get inferenceservices.serving.kserve.io", [true, true, true]),
    ("list runs.pipelines.kubeflow.org", [true, true, true]),
    ("readArtifact runs.pipelines.kubeflow.org", [true, true, true]),
    ("get viewers.kubeflow.org", [true, true, true]),
    ("create viewers.kubeflow.org", [true, true, true]),
    ("delete viewers.kubeflow.org", [true, true, true]),
    ("create visualizations.pipelines.kubeflow.org", [true, true, true]),
    ("create notebooks.kubeflow.org", [false, true, true]),
    ("create pvcviewers.kubeflow.org", [false, true, true]),
    ("create runs.pipelines.kubeflow.org", [false, true, true]),
    ("create rolebindings.rbac.authorization.k8s.io", [false, false, true]),
    ("delete rolebindings.rbac.authorization.k8s.io", [false, false, true]),
    ("list rolebindings.rbac.authorization.k8s.io", [false, false, true]),
];

fn who(role: &str) -> String {
    format!("{role}@example.com")
}

/// A person of the team for each role, bound as KFAM does.
fn bindings() -> Value {
    let bindings = ROLES.map(|role| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": role, "namespace": TEAM },
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": format!("kubeflow-{role}"),
            },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": who(role) }],
        })
    });
    json!({ "apiVersion": "v1", "kind": "List", "items": bindings })
}

async fn answers(cluster: &Cluster) -> BTreeMap<&'static str, [bool; 3]> {
    let mut answers = BTreeMap::new();
    for (what, _) in ANSWERS {
        let mut answer = [false; 3];
        for (role, may) in ROLES.iter().zip(&mut answer) {
            *may = cluster.may(&who(role), what, TEAM).await.unwrap();
        }
        answers.insert(what, answer);
    }
    answers
}

#[tokio::test]
async fn who_may_only_look_starts_no_viewer_and_who_may_edit_still_does() {
    let cluster = Cluster::start().await.unwrap();
    cluster.create_namespace(TEAM).await.unwrap();
    cluster.apply(&bindings().to_string()).await.unwrap();
    let _controllers = cluster.kubeflow_roles().await.unwrap();
    let mut expected = BTreeMap::from(ANSWERS);
    assert_eq!(answers(&cluster).await, expected, "without it, as Kubeflow has it");
    assert!(!cluster.may(&who("admin"), "get pods", "default").await.unwrap(), "of this namespace alone");

    cluster.apply(&component_over("kubeflow-viewers-role", FIXTURE).await).await.unwrap();
    cluster.wait_for_joined_roles().await.unwrap();
    for what in ["create viewers.kubeflow.org", "delete viewers.kubeflow.org"] {
        expected.insert(what, [false, true, true]);
    }
    assert_eq!(answers(&cluster).await, expected, "and nothing else has changed");

    // What the first step before Kubeflow brings, joined as the distribution's own roles are.
    cluster.apply(&project::read("manifests/overlays/kubeflow/portcullis/token-role.yaml")).await.unwrap();
    cluster.wait_for_joined_roles().await.unwrap();
    expected.insert("create serviceaccounts/token", [false, true, true]);
    assert_eq!(answers(&cluster).await, expected);
}
