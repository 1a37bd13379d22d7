//! The listeners.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The listeners.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Listeners {
    /// The check service (ext_authz over gRPC), for the gateway alone.
    pub(crate) check: CheckListener,
    /// The JWKS and the discovery document of the assertion's keys.
    pub(crate) http: HttpListener,
    /// `/healthz`, `/readyz` and `/metrics`.
    pub(crate) operations: OperationsListener,
    /// The API for administrators, which the commands use. Absent: there is none.
    pub(crate) admin: Option<AdminListener>,
}

/// The check service (ext_authz over gRPC), for the gateway alone.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CheckListener {
    /// An address and port, or `unix:` and the path of a socket.
    pub(crate) bind: String,
    /// TLS with client certificates.
    pub(crate) tls: Option<CheckTls>,
    /// Lets anybody who reaches a port that is not loopback call the check service, without a certificate.
    pub(crate) allow_any_caller: bool,
}

impl Default for CheckListener {
    fn default() -> Self {
        Self { bind: "127.0.0.1:9001".to_owned(), tls: None, allow_any_caller: false }
    }
}

/// The API for administrators, which the commands use.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdminListener {
    /// `unix:` and the path of a socket, for this process's own user, such as `unix:/run/portcullis/admin.sock`; or an
    /// address and port, with `tls`.
    pub(crate) bind: String,
    /// TLS with client certificates.
    #[serde(default)]
    pub(crate) tls: Option<CheckTls>,
}

/// TLS with client certificates.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckTls {
    /// The file of the certificate chain, PEM.
    pub(crate) certificate: PathBuf,
    /// The file of the private key, PEM.
    pub(crate) key: PathBuf,
    /// The file of the authorities that client certificates must come from, PEM.
    #[serde(default)]
    pub(crate) client_ca: Option<PathBuf>,
    /// The URI subject alternative names of the callers, such as
    /// `spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway`.
    #[serde(default)]
    pub(crate) allowed_sans: Vec<String>,
}

/// The JWKS and the discovery document of the assertion's keys.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HttpListener {
    /// An address and port.
    pub(crate) bind: String,
    /// TLS.
    pub(crate) tls: Option<ServerTls>,
}

impl Default for HttpListener {
    fn default() -> Self {
        Self { bind: "127.0.0.1:9002".to_owned(), tls: None }
    }
}

/// TLS, with client certificates where a client CA is named.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerTls {
    /// The file of the certificate chain, PEM.
    pub(crate) certificate: PathBuf,
    /// The file of the private key, PEM.
    pub(crate) key: PathBuf,
    /// The file of the authorities that client certificates must come from, PEM. Absent: no client certificate is
    /// asked for.
    #[serde(default)]
    pub(crate) client_ca: Option<PathBuf>,
}

/// `/healthz`, `/readyz` and `/metrics`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OperationsListener {
    /// An address and port.
    pub(crate) bind: String,
}

impl Default for OperationsListener {
    fn default() -> Self {
        Self { bind: "127.0.0.1:9003".to_owned() }
    }
}
