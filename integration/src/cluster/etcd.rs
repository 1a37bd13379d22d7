//! The API server's store.

use anyhow::Result;

use crate::ports::Port;
use crate::process::{Launch, Process};

/// A running etcd of one member, whose data lie in its own temporary folder.
#[derive(Debug)]
pub(super) struct Etcd {
    _process: Process,
    client: Port,
    _peer: Port,
}

impl Etcd {
    /// Starts it and does not wait.
    pub(super) fn start() -> Result<Self> {
        let (client, peer) = (Port::take()?, Port::take()?);
        let (client_url, peer_url) = (url(&client), url(&peer));
        let process = Launch::new("etcd", crate::parts::path("etcd")?)
            // Relative to the child's own folder.
            .args(["--data-dir", "data", "--name", "test"])
            .args(["--listen-client-urls", &client_url, "--advertise-client-urls", &client_url])
            .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
            .args(["--initial-cluster", &format!("test={peer_url}")])
            // What a power failure would lose is of no interest here.
            .args(["--unsafe-no-fsync", "--log-level", "warn"])
            .start()?;
        Ok(Self { _process: process, client, _peer: peer })
    }

    /// Where it is reached.
    pub(super) fn url(&self) -> String {
        url(&self.client)
    }
}

fn url(port: &Port) -> String {
    format!("http://{}", port.address())
}
