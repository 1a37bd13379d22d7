//! `kubeflow-profiles-role`: the profile controller and KFAM with what they need, instead of everything.

use std::path::PathBuf;

use portcullis_integration::cluster::Cluster;
use serde_json::{Value, json};

use super::{cluster_of_a_team, component_over, eventually, the_policies_have_no_warnings};

const FIXTURE: &str = "beside_the_gate/profile-controller";
const ACCOUNT: &str = "profiles-controller-service-account";
/// What is made for a new profile: `carol`.
const PROFILE: &str = "carol";

/// The account's own right to do it, in some namespace, or in all.
const ITS_OWN: [(&str, &str); 9] = [
    ("get secrets", "kube-system"),
    ("create pods", PROFILE),
    ("create pods/exec", PROFILE),
    ("create serviceaccounts/token", "kubeflow"),
    ("impersonate users", ""),
    ("update clusterroles.rbac.authorization.k8s.io", ""),
    ("create clusterrolebindings.rbac.authorization.k8s.io", ""),
    ("delete namespaces", "kubeflow"),
    ("update virtualservices.networking.istio.io", "kubeflow"),
];

struct Controller<'a> {
    cluster: &'a Cluster,
    kubeconfig: PathBuf,
}

impl Controller<'_> {
    async fn run(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let outcome = self.cluster.kubectl_with(&self.kubeconfig, arguments, input).await;
        outcome.map_err(|error| format!("{error:#}"))
    }

    async fn apply(&self, object: &Value) -> Result<String, String> {
        self.run(&["apply", "--server-side", "-f", "-"], &object.to_string()).await
    }

    /// What would become of it, without doing it.
    async fn try_to_apply(&self, object: &Value) -> Result<String, String> {
        self.run(&["apply", "--server-side", "--dry-run=server", "-f", "-"], &object.to_string()).await
    }

    async fn try_to(&self, arguments: &[&str]) -> Result<String, String> {
        self.run(&[arguments, &["--dry-run=server"]].concat(), "").await
    }
}

fn binding(role: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": { "name": format!("of-{role}"), "namespace": namespace },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "carol@example.com" }],
    })
}

fn policy(name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": { "name": name, "namespace": namespace }, "spec": { "rules": [{}] },
    })
}

#[tokio::test]
async fn the_profile_controller_makes_profiles_and_rules_nowhere_else() {
    let cluster = cluster_of_a_team().await;
    let _controllers = cluster.kubeflow_roles().await.unwrap();
    cluster.apply(include_str!("profile-controller/objects.yaml")).await.unwrap();
    cluster.apply(&policy("global-deny-all", "istio-system").to_string()).await.unwrap();
    let kubeconfig = cluster.kubeconfig_of("kubeflow", ACCOUNT).await.unwrap();
    let controller = Controller { cluster: &cluster, kubeconfig };
    let user = format!("system:serviceaccount:kubeflow:{ACCOUNT}");

    // Without it, whoever has this account has the cluster.
    for (what, namespace) in ITS_OWN {
        assert!(cluster.may(&user, what, namespace).await.unwrap(), "{what} in {namespace}");
    }
    for (what, outcome) in beyond_profiles(&controller).await {
        assert!(outcome.is_ok(), "{what}: {outcome:?}");
    }

    // A binding's role cannot be changed, which is told, and not passed over.
    let component = component_over("kubeflow-profiles-role", FIXTURE).await;
    let refusal = cluster.apply(&component).await.unwrap_err().to_string();
    assert!(refusal.contains("roleRef") && refusal.contains("immutable"), "{refusal}");
    cluster.kubectl(&["delete", "clusterrolebinding", "profiles-cluster-rolebinding"]).await.unwrap();
    cluster.apply(&component).await.unwrap();

    eventually("the policy is in force", async || {
        let outcome = controller.try_to_apply(&binding("kubeflow-admin", "kube-system")).await;
        outcome.is_err_and(|refusal| refusal.contains("the profile controller changes the namespaces of profiles"))
    })
    .await;
    for (what, namespace) in ITS_OWN {
        assert!(!cluster.may(&user, what, namespace).await.unwrap(), "{what} in {namespace}");
    }
    for (what, outcome) in beyond_profiles(&controller).await {
        let refusal = outcome.expect_err(what);
        assert!(refusal.to_lowercase().contains("forbidden"), "{what}: {refusal}");
    }
    a_profile_is_made_shared_and_taken_away(&controller).await;
    the_policies_have_no_warnings(&cluster).await;
}

/// What is not the controller's to do, tried and not done.
async fn beyond_profiles(controller: &Controller<'_>) -> Vec<(&'static str, Result<String, String>)> {
    let label = "app.kubernetes.io/part-of=kubeflow-profile";
    let bound = binding("cluster-admin", super::TEAM);
    vec![
        ("a role that is no team's", controller.try_to_apply(&bound).await),
        ("a binding of a system's namespace", controller.try_to_apply(&binding("kubeflow-edit", "kube-system")).await),
        ("a policy of Istio's", controller.try_to_apply(&policy("open", "istio-system")).await),
        (
            "Istio's own policy, gone",
            controller
                .try_to(&["delete", "authorizationpolicy", "global-deny-all", "--namespace", "istio-system"])
                .await,
        ),
        (
            "a system's namespace, named a profile's",
            controller.try_to(&["label", "namespace", "kubeflow", label]).await,
        ),
        ("Secrets", controller.run(&["get", "secrets", "--all-namespaces"], "").await),
    ]
}

/// The controller's own steps, and KFAM's.
async fn a_profile_is_made_shared_and_taken_away(controller: &Controller<'_>) {
    let profile = json!({
        "apiVersion": "kubeflow.org/v1", "kind": "Profile", "metadata": { "name": PROFILE },
        "spec": { "owner": { "kind": "User", "name": "carol@example.com" } },
    });
    controller.apply(&profile).await.unwrap();
    let uid = controller.run(&["get", "profile", PROFILE, "-o", "jsonpath={.metadata.uid}"], "").await.unwrap();
    let owned = |mut object: Value| {
        object["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "kubeflow.org/v1", "kind": "Profile", "name": PROFILE, "uid": uid,
            "controller": true, "blockOwnerDeletion": true,
        }]);
        object
    };
    let in_it = |version: &str, kind: &str, name: &str| json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name, "namespace": PROFILE } });
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {
            "name": PROFILE,
            "annotations": { "owner": "carol@example.com" },
            "labels": { "app.kubernetes.io/part-of": "kubeflow-profile", "istio-injection": "enabled" },
        },
    });
    let mut quota = in_it("v1", "ResourceQuota", "kf-resource-quota");
    quota["spec"] = json!({ "hard": { "pods": "10" } });
    for object in [
        namespace,
        policy("ns-owner-access-istio", PROFILE),
        in_it("v1", "ServiceAccount", "default-editor"),
        in_it("v1", "ServiceAccount", "default-viewer"),
        binding("kubeflow-edit", PROFILE),
        binding("kubeflow-view", PROFILE),
        binding("kubeflow-admin", PROFILE),
        quota,
    ] {
        controller.apply(&owned(object)).await.unwrap();
    }
    let done = async |arguments: &[&str]| {
        controller.run(arguments, "").await.unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    };
    // A new version's label, a plugin's annotation, and what it keeps in the profile.
    done(&["label", "namespace", PROFILE, "pipelines.kubeflow.org/enabled=true"]).await;
    let role = "eks.amazonaws.com/role-arn=a";
    done(&["annotate", "serviceaccount", "default-editor", "--namespace", PROFILE, role]).await;
    let finalizer = r#"{"metadata": {"finalizers": ["profile-finalizer"]}}"#;
    done(&["patch", "profile", PROFILE, "--type", "merge", "--patch", finalizer]).await;
    let condition = r#"{"status": {"conditions": [{"type": "Successful"}]}}"#;
    done(&["patch", "profile", PROFILE, "--subresource", "status", "--type", "merge", "--patch", condition]).await;

    // KFAM: somebody joins, is listed, and leaves.
    controller.apply(&policy("user-dave", PROFILE)).await.unwrap();
    done(&["get", "rolebindings", "--all-namespaces"]).await;
    done(&["delete", "rolebinding", "of-kubeflow-edit", "--namespace", PROFILE]).await;
    done(&["delete", "authorizationpolicy", "user-dave", "--namespace", PROFILE]).await;
    done(&["delete", "resourcequota", "kf-resource-quota", "--namespace", PROFILE]).await;
    done(&["patch", "profile", PROFILE, "--type", "merge", "--patch", r#"{"metadata": {"finalizers": []}}"#]).await;
    done(&["delete", "profile", PROFILE]).await;
}
