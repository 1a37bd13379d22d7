//! The service behind the gateway: it answers every request with what it received.
//!
//! Over HTTP/1.1 it parses the stream itself, so that it shows the exact bytes and order of the
//! header lines. Over HTTP/2 the names keep the order in which each came first; several fields of
//! one name stand together (the h2 crate groups them).

mod http1;
mod http2;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::wire::HeaderLines;

/// Which HTTP version an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 in clear text, with prior knowledge.
    Http2,
}

/// A request as the upstream received it; also the body of its answer, as JSON.
///
/// Texts are lossless, see [`crate::wire::text`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// `HTTP/1.1` or `HTTP/2`.
    pub protocol: String,
    /// The method.
    pub method: String,
    /// The request target, HTTP/2's `:path`.
    pub target: String,
    /// The value of `Host`, HTTP/2's `:authority`.
    pub authority: String,
    /// HTTP/2's `:scheme`.
    pub scheme: Option<String>,
    /// Every header line.
    pub headers: HeaderLines,
    /// Every trailer line.
    pub trailers: HeaderLines,
    /// The body.
    pub body: String,
    /// HTTP/1 only: request line and header lines byte for byte, base64.
    pub raw_head: Option<String>,
}

/// An echoing upstream. It stops when it is dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    protocol: Protocol,
    log: Log,
    server: JoinHandle<()>,
}

/// What has reached an upstream so far.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<Received>>>);

impl Log {
    fn add(&self, received: Received) {
        crate::evidence::received(&received);
        self.0.lock().expect("no holder of this lock panics").push(received);
    }
}

impl Upstream {
    /// Starts an upstream on a free loopback port.
    pub async fn start(protocol: Protocol) -> Result<Self> {
        Self::start_at(protocol, (Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Starts an upstream at the given address.
    pub async fn start_at(protocol: Protocol, address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let log = Log::default();
        let server = tokio::spawn(serve(listener, protocol, log.clone()));
        Ok(Self { address, protocol, log, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it speaks.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// All requests that have reached it so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.log.0.lock().expect("no holder of this lock panics").clone()
    }

    /// The requests whose target contains `part`. Tests that share an upstream put a name of their
    /// own into the target.
    #[must_use]
    pub fn received_with(&self, part: &str) -> Vec<Received> {
        let mut received = self.received();
        received.retain(|request| request.target.contains(part));
        received
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, protocol: Protocol, log: Log) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let log = log.clone();
        // Without it answers wait for acknowledgements; where it fails they only come later.
        let _ = stream.set_nodelay(true);
        // A connection that ends in an error is the client's to notice.
        connections.spawn(async move {
            match protocol {
                Protocol::Http1 => http1::serve(stream, log).await,
                Protocol::Http2 => http2::serve(stream, log).await,
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
