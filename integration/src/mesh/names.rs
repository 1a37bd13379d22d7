//! Names that the mesh and our manifests give.

/// The namespace of Portcullis in the manifests.
pub const NAMESPACE: &str = "portcullis";
/// The audience of the tokens that istiod takes.
pub(super) const ISTIO_AUDIENCE: &str = "istio-ca";
