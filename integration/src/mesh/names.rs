//! Names that the mesh and our manifests give.

/// The namespace of Portcullis in the manifests.
pub const NAMESPACE: &str = "portcullis";
/// The audience of the tokens that istiod takes.
pub(super) const ISTIO_AUDIENCE: &str = "istio-ca";
/// The check port, as the manifests say.
pub(super) const CHECK_PORT: u16 = 9001;
/// The port of the assertion's keys, as the manifests say.
pub(super) const KEYS_PORT: u16 = 9002;
/// Requests below this path get an assertion that is not for the workload.
pub const OTHER_SERVICE: &str = "/other-service";
/// The host of another origin, where people sign in at a provider that sends logout tokens; Dex sends none.
pub const SECOND_HOST: &str = "second.test";
/// The name of that provider.
pub const SECOND_PROVIDER: &str = "second";
/// The namespaces of Kubeflow's applications.
pub const APPLICATION_NAMESPACES: [&str; 2] = ["kubeflow", "kubeflow-workspaces"];
