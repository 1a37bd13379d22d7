//! The service behind the gateway: it answers every request with what it received.
//!
//! Over HTTP/1.1 it parses the stream itself, so that it shows the exact bytes and order of the
//! header lines. Over HTTP/2 the names keep the order in which each came first; several fields of
//! one name stand together (the h2 crate groups them).

mod http1;
mod http2;
mod log;
mod received;

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::log::Log;
pub use self::received::Received;

/// Which HTTP version an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 in clear text, with prior knowledge.
    Http2,
}

/// An echoing upstream. It stops when it is dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    protocol: Protocol,
    log: Log,
    server: JoinHandle<()>,
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
        self.log.all()
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
