//! Where the gateway of the default configuration stands, for clients and providers alike.

/// The public host of the default configuration.
pub const HOST: &str = "kubeflow.test";
/// The public origin of the default configuration.
pub const ORIGIN: &str = "https://kubeflow.test";
