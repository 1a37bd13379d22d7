//! A real Envoy with a static bootstrap of ours, in each of the pinned versions.

mod bootstrap;
mod builder;
mod variant;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use self::builder::Ports;
pub use self::builder::{Builder, CheckAddress, CheckTls, HostRoute};
pub use self::variant::{Mode, Variant, Version};
use crate::ports::Port;
use crate::process::{Launch, Process};
use crate::raw_client::Target;

/// A loaded machine may take this long where 0.1 s is usual.
const READY_WITHIN: Duration = Duration::from_mins(1);

impl Builder {
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
            path_routes: Vec::new(),
            edits: Vec::new(),
        })
    }

    /// Which Envoy this is.
    #[must_use]
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
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
