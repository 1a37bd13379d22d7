//! What an Envoy is to be, before it starts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::variant::Variant;
use crate::pki::Identity;
use crate::ports::Port;
use crate::upstream::{Protocol, Upstream};

/// Where a check listener of Portcullis is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckAddress {
    /// TCP on loopback.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// What Envoy shows and expects when its check listener speaks TLS.
#[derive(Debug, Clone)]
pub struct CheckTls {
    /// Who must have signed the server's certificate, PEM.
    pub authority: String,
    /// A DNS name in the server's certificate.
    pub server_name: String,
    /// Envoy's own certificate.
    pub identity: Option<Identity>,
}

/// A host that is routed to a place of its own.
#[derive(Debug, Clone)]
pub struct HostRoute {
    /// The host, lower case, without a port.
    pub host: String,
    /// The server behind it (HTTP/1.1).
    pub address: SocketAddr,
    /// Whether ext_authz is asked there.
    pub checked: bool,
}

/// What lies below a path, on every host without a route of its own.
#[derive(Debug, Clone)]
pub(super) struct PathRoute {
    pub(super) prefix: String,
    pub(super) address: SocketAddr,
}

/// An Envoy that is not started yet. Its addresses are known already.
#[derive(Debug)]
pub struct Builder {
    pub(super) variant: Variant,
    pub(super) ports: Ports,
    pub(super) checks: Vec<CheckAddress>,
    pub(super) check_tls: Option<CheckTls>,
    pub(super) check_timeout: Duration,
    pub(super) health_checked: bool,
    pub(super) raw_headers: bool,
    pub(super) http1: Option<SocketAddr>,
    pub(super) http2: Option<SocketAddr>,
    pub(super) tls: Option<Identity>,
    pub(super) host_routes: Vec<HostRoute>,
    pub(super) path_routes: Vec<PathRoute>,
    pub(super) edits: Vec<fn(&mut Value)>,
}

#[derive(Debug)]
pub(super) struct Ports {
    pub(super) admin: Port,
    pub(super) http1: Port,
    pub(super) http2: Port,
    pub(super) tls: Port,
}

impl Builder {
    /// Adds a check listener of Portcullis. Where none is added, nothing listens: every check fails.
    #[must_use]
    pub fn check(mut self, address: CheckAddress) -> Self {
        self.checks.push(address);
        self
    }

    /// Speaks TLS to the check listener.
    #[must_use]
    pub fn check_tls(mut self, tls: CheckTls) -> Self {
        self.check_tls = Some(tls);
        self
    }

    /// Gives up on a check after this time; 10 s unless told.
    #[must_use]
    pub fn check_timeout(mut self, timeout: Duration) -> Self {
        self.check_timeout = timeout;
        self
    }

    /// Asks `grpc.health.v1` of each check listener, as the documentation recommends.
    #[must_use]
    pub fn health_checked(mut self) -> Self {
        self.health_checked = true;
        self
    }

    /// Sends the headers of a check as they came (`encode_raw_headers`).
    #[must_use]
    pub fn raw_headers(mut self) -> Self {
        self.raw_headers = true;
        self
    }

    /// Routes to an upstream. Each protocol has a listener of its own.
    #[must_use]
    pub fn upstream(self, upstream: &Upstream) -> Self {
        self.upstream_at(upstream.protocol(), upstream.address())
    }

    /// Like [`Builder::upstream`], for any server.
    #[must_use]
    pub fn upstream_at(mut self, protocol: Protocol, address: SocketAddr) -> Self {
        match protocol {
            Protocol::Http1 => self.http1 = Some(address),
            Protocol::Http2 => self.http2 = Some(address),
        }
        self
    }

    /// Adds a TLS listener in front of the HTTP/1.1 upstream.
    #[must_use]
    pub fn tls(mut self, identity: Identity) -> Self {
        self.tls = Some(identity);
        self
    }

    /// Routes a host to a place of its own, on every listener.
    #[must_use]
    pub fn host_route(mut self, route: HostRoute) -> Self {
        self.host_routes.push(route);
        self
    }

    /// Routes what begins with a path, as it is written, to a server (HTTP/1.1), on every listener. The first that fits counts.
    #[must_use]
    pub fn path_route(mut self, prefix: &str, address: SocketAddr) -> Self {
        self.path_routes.push(PathRoute { prefix: prefix.to_owned(), address });
        self
    }

    /// Changes the bootstrap at the very end, for what this builder has no word for.
    #[must_use]
    pub fn edit(mut self, edit: fn(&mut Value)) -> Self {
        self.edits.push(edit);
        self
    }

    /// The clear-text listener in front of the HTTP/1.1 upstream.
    #[must_use]
    pub fn http1_address(&self) -> SocketAddr {
        self.ports.http1.address()
    }

    /// The TLS listener.
    #[must_use]
    pub fn tls_address(&self) -> SocketAddr {
        self.ports.tls.address()
    }
}
