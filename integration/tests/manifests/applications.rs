//! Kubeflow's applications beside ours on one API server: neither writes what is the other's.

use portcullis_integration::mesh::distribution;

use super::{Cluster, kustomize, manifests};

/// Who applies the distribution.
const DISTRIBUTION: &str = "distribution";

/// What the distribution has of its applications.
pub(super) async fn applications() -> String {
    kustomize(&distribution("applications")).await.unwrap()
}

/// The applications on an API server, as they were when they were applied.
pub(super) struct Applied {
    text: String,
    versions: String,
}

impl Applied {
    /// Applies them first, and ours beside them: nobody is told of a conflict.
    pub(super) async fn beside_ours(cluster: &Cluster) -> Self {
        let text = applications().await;
        apply(cluster, DISTRIBUTION, &text).await;
        let versions = versions(cluster, &text).await;
        for folder in ["portcullis", "portcullis-redis", "gateway"] {
            let ours = kustomize(&manifests().join("overlays/kubeflow").join(folder)).await.unwrap();
            apply(cluster, "kubectl", &ours).await;
        }
        Self { text, versions }
    }

    /// Applies them again, as an upgrade does: there is no conflict, and nothing to change.
    pub(super) async fn are_what_they_were(&self, cluster: &Cluster) {
        assert_eq!(versions(cluster, &self.text).await, self.versions);
        apply(cluster, DISTRIBUTION, &self.text).await;
        assert_eq!(versions(cluster, &self.text).await, self.versions);
    }
}

/// As somebody applies who forces nothing.
async fn apply(cluster: &Cluster, who: &str, text: &str) {
    let arguments = ["apply", "--server-side", "--field-manager", who, "-f", "-"];
    cluster.kubectl_with(&cluster.admin_kubeconfig(), &arguments, text).await.unwrap();
}

/// Each object with its version, which every change moves on.
async fn versions(cluster: &Cluster, text: &str) -> String {
    let columns = "-o=custom-columns=:.kind,:.metadata.namespace,:.metadata.name,:.metadata.resourceVersion";
    cluster.kubectl_with(&cluster.admin_kubeconfig(), &["get", columns, "-f", "-"], text).await.unwrap()
}
