//! Where this process listens, and who may connect.

use std::{collections::BTreeSet, fmt, net::SocketAddr, path::PathBuf, sync::Arc};

use rustls::{RootCertStore, sign::CertifiedKey};

/// The listeners.
#[derive(Debug)]
pub struct Listeners {
    /// The check service. Its callers are named, or on this machine, or allowed by an explicit word.
    pub check: Listener,
    /// JWKS and discovery: an address.
    pub http: Listener,
    /// Health and metrics: an address, without TLS.
    pub operations: Listener,
    /// The API for administrators, where there is one: a unix socket, or an address with TLS and named callers.
    pub admin: Option<Listener>,
}

/// One listener.
#[derive(Debug)]
pub struct Listener {
    /// Where it listens.
    pub bind: Bind,
    /// TLS; in clear text where there is none.
    pub tls: Option<ServerTls>,
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Bind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "{address}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// A certificate with its key, and whose client certificates are taken.
#[derive(Clone)]
pub struct ServerTls {
    /// Our chain and its key, which belong together.
    pub certified_key: Arc<CertifiedKey>,
    /// The authorities of client certificates; without them none is asked for.
    pub client_roots: Option<Arc<RootCertStore>>,
    /// The URI SANs of which a caller's certificate must have one; where there are none, any of the authorities' counts.
    pub allowed_sans: BTreeSet<String>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ServerTls")
            .field("client_certificates", &self.client_roots.is_some())
            .field("allowed_sans", &self.allowed_sans)
            .finish_non_exhaustive()
    }
}
