//! What each rule of the component asks, in Kubernetes's own words.

/// Whether a rule decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Enforced,
    Shadow,
    /// Nobody passes, whoever it is.
    Denied,
}

/// A request that a rule decides about, and what `kubectl auth can-i` is asked instead.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) mode: Mode,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// A verb and a resource; nothing where everybody may who is signed in.
    pub(crate) asks: &'static str,
    /// The namespace; none for the whole cluster.
    pub(crate) namespace: &'static str,
    /// Whether it wants somebody who has signed in lately.
    pub(crate) wants_login: bool,
}

impl Row {
    const fn with_login(self) -> Self {
        Self { wants_login: true, ..self }
    }
}

const fn row(mode: Mode, method: &'static str, path: &'static str, asks: &'static str, namespace: &'static str) -> Row {
    Row { mode, method, path, asks, namespace, wants_login: false }
}

use Mode::{Denied, Enforced, Shadow};

/// In the order of the rules, but for the last.
pub(crate) const RULES: &[Row] = &[
    row(Denied, "GET", "/kfam/v1/bindings", "", ""),
    row(Denied, "GET", "/pipeline/apis/v1beta1/_proxy/http://other/", "", ""),
    row(Enforced, "GET", "/notebook/team-a/nb/lab", "create pods/exec", "team-a"),
    row(Enforced, "GET", "/notebook/team-b/nb/lab", "create pods/exec", "team-b"),
    row(Enforced, "GET", "/pvcviewers/team-a/data/", "update persistentvolumeclaims", "team-a"),
    row(Enforced, "GET", "/tensorboard/team-a/tb/", "get tensorboards.tensorboard.kubeflow.org", "team-a"),
    row(Enforced, "GET", "/tensorboard/team-b/tb/", "get tensorboards.tensorboard.kubeflow.org", "team-b"),
    row(Enforced, "GET", "/workspace/connect/team-a/ws/jupyterlab/lab", "create pods/exec", "team-a"),
    row(
        Shadow,
        "POST",
        "/serving/team-a/iris/v1/models/iris:predict",
        "get inferenceservices.serving.kserve.io",
        "team-a",
    ),
    row(
        Shadow,
        "POST",
        "/serving/team-b/iris/v1/models/iris:predict",
        "get inferenceservices.serving.kserve.io",
        "team-b",
    ),
    row(Shadow, "GET", "/jupyter/api/namespaces/team-a/notebooks", "get namespaces", "team-a"),
    row(Shadow, "GET", "/volumes/api/namespaces/team-b/pvcs", "get namespaces", "team-b"),
    row(
        Enforced,
        "GET",
        "/pipeline/artifacts/get?source=minio&key=private-artifacts/team-a/x&namespace=team-a",
        "get viewers.kubeflow.org",
        "team-a",
    ),
    row(
        Enforced,
        "GET",
        "/pipeline/artifacts/get?source=minio&key=private/team-b/x",
        "get viewers.kubeflow.org",
        "team-b",
    ),
    row(
        Enforced,
        "GET",
        "/pipeline/artifacts/minio/b/private-artifacts/team-b/x",
        "get viewers.kubeflow.org",
        "team-b",
    ),
    row(
        Enforced,
        "GET",
        "/pipeline/artifacts/get?source=minio&key=shared/x&namespace=team-a&providerInfo=%7B%7D",
        "get secrets",
        "team-a",
    ),
    row(Enforced, "POST", "/pipeline/apps/tensorboard?namespace=team-a&image=x", "create pods", "team-a"),
    row(Shadow, "GET", "/pipeline/apps/tensorboard?namespace=team-a", "get viewers.kubeflow.org", "team-a"),
    row(Enforced, "POST", "/pipeline/apis/v1beta1/visualizations/team-a", "create pods", "team-a"),
    row(Shadow, "GET", "/pipeline/k8s/pod/logs?podname=x&podnamespace=team-a", "get pods/log", "team-a"),
    row(Shadow, "GET", "/pipeline/apis/v2beta1/runs?namespace=team-a", "list runs.pipelines.kubeflow.org", "team-a"),
    row(
        Shadow,
        "GET",
        "/pipeline/apis/v2beta1/experiments?namespace=team-b",
        "list experiments.pipelines.kubeflow.org",
        "team-b",
    ),
    row(
        Shadow,
        "GET",
        "/pipeline/apis/v2beta1/recurringruns?namespace=team-a",
        "list jobs.pipelines.kubeflow.org",
        "team-a",
    ),
    row(
        Shadow,
        "GET",
        "/pipeline/apis/v2beta1/pipelines?namespace=team-a",
        "list pipelines.pipelines.kubeflow.org",
        "team-a",
    ),
    row(
        Shadow,
        "POST",
        "/pipeline/apis/v2beta1/pipelines/upload?namespace=team-a",
        "create pipelines.pipelines.kubeflow.org",
        "team-a",
    ),
    row(Enforced, "POST", "/ml_metadata.MetadataStoreService/GetArtifacts", "", ""),
    row(Denied, "POST", "/ml_metadata.MetadataStoreService/PutArtifacts", "", ""),
    row(Enforced, "GET", "/katib/fetch_nas_job_info/?namespace=team-a", "get experiments.kubeflow.org", "team-a"),
    row(Shadow, "GET", "/katib/fetch_experiments/?namespace=team-b", "get experiments.kubeflow.org", "team-b"),
    row(
        Enforced,
        "POST",
        "/api/workgroup/add-contributor/team-a",
        "create rolebindings.rbac.authorization.k8s.io",
        "team-a",
    )
    .with_login(),
    row(Enforced, "DELETE", "/api/workgroup/nuke-self", "", "").with_login(),
    row(
        Enforced,
        "GET",
        "/api/workgroup/get-contributors/team-a",
        "list rolebindings.rbac.authorization.k8s.io",
        "team-a",
    ),
    row(Enforced, "GET", "/api/workgroup/get-all-namespaces", "list profiles.kubeflow.org", ""),
    row(Enforced, "GET", "/api/model_registry/v1alpha3/registered_models", "get services", "kubeflow"),
    row(Enforced, "POST", "/api/model_registry/v1alpha3/registered_models", "update services", "kubeflow"),
    row(Enforced, "GET", "/debug", "list namespaces", ""),
    // The last one: whom it lets pass, it lets revoke the tokens of all.
    row(
        Enforced,
        "DELETE",
        "/api/workgroup/remove-contributor/team-a",
        "delete rolebindings.rbac.authorization.k8s.io",
        "team-a",
    )
    .with_login(),
];
