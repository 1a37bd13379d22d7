//! A real Envoy with a static bootstrap of ours, in each of the pinned versions.

mod bootstrap;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::pki::Identity;
use crate::ports::Port;
use crate::process::{Launch, Process};
use crate::raw_client::Target;
use crate::upstream::{Protocol, Upstream};

/// A loaded machine may take this long where 0.1 s is usual.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// The pinned versions of Envoy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// The last before the meaning of `append_action` changed.
    V1_36_4,
    /// In between.
    V1_38_3,
    /// The newest.
    V1_40_0,
}

impl Version {
    /// Its name among the parts.
    pub(crate) fn part(self) -> &'static str {
        match self {
            Self::V1_36_4 => "envoy-1.36.4",
            Self::V1_38_3 => "envoy-1.38.3",
            Self::V1_40_0 => "envoy-1.40.0",
        }
    }
}

/// How the listener is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Envoy's defaults, which most people have.
    Default,
    /// Paths normalised, escaped slashes and underscores refused, mutations validated.
    Hardened,
}

/// One of the Envoys on which the suites run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Variant {
    /// Its version.
    pub version: Version,
    /// Its listener's set-up.
    pub mode: Mode,
}

impl Variant {
    /// All that the suites run on.
    pub const ALL: [Self; 4] = [
        Self::new(Version::V1_36_4, Mode::Default),
        Self::new(Version::V1_38_3, Mode::Default),
        Self::NEWEST,
        Self::HARDENED,
    ];
    /// Each version with its defaults, for suites that take long and that a hardened listener changes nothing for.
    pub const DEFAULTS: [Self; 3] = [Self::ALL[0], Self::ALL[1], Self::NEWEST];
    /// The newest version with its defaults.
    pub const NEWEST: Self = Self::new(Version::V1_40_0, Mode::Default);
    /// The newest version, hardened.
    pub const HARDENED: Self = Self::new(Version::V1_40_0, Mode::Hardened);

    const fn new(version: Version, mode: Mode) -> Self {
        Self { version, mode }
    }

    /// Whether Envoy itself may refuse what attacks a path or a header's name.
    #[must_use]
    pub fn is_hardened(self) -> bool {
        self.mode == Mode::Hardened
    }
}

impl std::fmt::Display for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mode = match self.mode {
            Mode::Default => "default",
            Mode::Hardened => "hardened",
        };
        write!(f, "{} {mode}", self.version.part())
    }
}

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

/// An Envoy that is not started yet. Its addresses are known already.
#[derive(Debug)]
pub struct Builder {
    variant: Variant,
    ports: Ports,
    checks: Vec<CheckAddress>,
    check_tls: Option<CheckTls>,
    check_timeout: Duration,
    health_checked: bool,
    raw_headers: bool,
    http1: Option<SocketAddr>,
    http2: Option<SocketAddr>,
    tls: Option<Identity>,
    host_routes: Vec<HostRoute>,
    edits: Vec<fn(&mut Value)>,
}

#[derive(Debug)]
struct Ports {
    admin: Port,
    http1: Port,
    http2: Port,
    tls: Port,
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

    /// Starts Envoy and waits until it is ready.
    pub async fn start(self) -> Result<Envoy> {
        let mut bootstrap = bootstrap::render(&self);
        for edit in &self.edits {
            edit(&mut bootstrap);
        }
        let folder = TempDir::with_prefix("portcullis-envoy-config-")?;
        let file = folder.path().join("envoy.json");
        std::fs::write(&file, serde_json::to_vec_pretty(&bootstrap)?)?;

        let mut process = Launch::new(self.variant.version.part(), crate::parts::path(self.variant.version.part())?)
            .args(["--disable-hot-restart", "--concurrency", "1"])
            .args(["--drain-time-s", "1", "--log-level", "warning", "-c"])
            .arg(&file)
            .start()?;
        let ready = format!("http://{}/ready", self.ports.admin.address());
        process.wait_for_ok(&ready, READY_WITHIN).await?;
        Ok(Envoy { variant: self.variant, ports: self.ports, process, _folder: folder })
    }
}

/// A running Envoy. It is killed when it is dropped.
#[derive(Debug)]
pub struct Envoy {
    variant: Variant,
    ports: Ports,
    process: Process,
    _folder: TempDir,
}

impl Envoy {
    /// Begins the set-up of an Envoy.
    pub fn builder(variant: Variant) -> Result<Builder> {
        Ok(Builder {
            variant,
            ports: Ports { admin: Port::take()?, http1: Port::take()?, http2: Port::take()?, tls: Port::take()? },
            checks: Vec::new(),
            check_tls: None,
            check_timeout: Duration::from_secs(10),
            health_checked: false,
            raw_headers: false,
            http1: None,
            http2: None,
            tls: None,
            host_routes: Vec::new(),
            edits: Vec::new(),
        })
    }

    /// Which Envoy this is.
    #[must_use]
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// The child, for signals and its log.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The clear-text listener (HTTP/1.1 and HTTP/2) in front of the HTTP/1.1 upstream.
    #[must_use]
    pub fn to_http1(&self) -> Target {
        Target::plain(self.ports.http1.address())
    }

    /// The clear-text listener (HTTP/1.1 and HTTP/2) in front of the HTTP/2 upstream.
    #[must_use]
    pub fn to_http2(&self) -> Target {
        Target::plain(self.ports.http2.address())
    }

    /// The address of [`Envoy::to_http1`].
    #[must_use]
    pub fn http1_address(&self) -> SocketAddr {
        self.ports.http1.address()
    }

    /// The address of the TLS listener.
    #[must_use]
    pub fn tls_address(&self) -> SocketAddr {
        self.ports.tls.address()
    }

    /// A counter or gauge by its full name; 0 where Envoy has not made it yet.
    pub async fn stat(&self, name: &str) -> Result<u64> {
        let url = format!("http://{}/stats?usedonly", self.ports.admin.address());
        let stats = crate::http::plain_client()?.get(url).send().await?;
        let stats = stats.text().await?;
        let line = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned());
        stats
            .lines()
            .find_map(line)
            .map_or(Ok(0), |value| value.parse())
            .with_context(|| format!("{name} is no number"))
    }
}

#[cfg(test)]
mod tests;
