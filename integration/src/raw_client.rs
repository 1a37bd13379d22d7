//! A client that writes what it is told, byte for byte over HTTP/1.1 or field by field over HTTP/2.

pub mod http1;
pub mod http2;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::pki_types::ServerName;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::upstream::Received;
use crate::wire::HeaderLines;

/// After so long an answer is an error.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Where to connect.
#[derive(Debug, Clone)]
pub struct Target {
    address: SocketAddr,
    tls: Option<(ServerName<'static>, Arc<rustls::ClientConfig>)>,
}

impl Target {
    /// A listener in clear text.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// A TLS listener that is asked for `server_name` and trusted by the authority alone.
    pub fn tls(address: SocketAddr, server_name: &str, authority_pem: &str) -> Result<Self> {
        Self::tls_with(address, server_name, crate::pki::client_config(authority_pem, None, &[])?)
    }

    /// Like [`Target::tls`], with any trust and any certificate of the client; ALPN is set by the protocol.
    pub fn tls_with(address: SocketAddr, server_name: &str, config: Arc<rustls::ClientConfig>) -> Result<Self> {
        let name = ServerName::try_from(server_name.to_owned())?;
        Ok(Self { address, tls: Some((name, config)) })
    }

    async fn connect(&self, alpn: &[u8]) -> Result<Box<dyn Stream>> {
        let stream =
            TcpStream::connect(self.address).await.with_context(|| format!("cannot connect to {}", self.address))?;
        stream.set_nodelay(true)?;
        let Some((name, config)) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let mut config = rustls::ClientConfig::clone(config);
        config.alpn_protocols = vec![alpn.to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        Ok(Box::new(connector.connect(name.clone(), stream).await?))
    }
}

/// A byte stream in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// An answer as it stood on the wire.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Every header line.
    pub headers: HeaderLines,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// Every trailer line.
    pub trailers: HeaderLines,
}

impl Response {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("no such JSON: status {}, body {:?}", self.status, self.text()))
    }

    /// The request as the upstream received it.
    pub fn echo(&self) -> Result<Received> {
        self.json()
    }

    /// Whether the upstream answered, rather than the gateway or Portcullis.
    #[must_use]
    pub fn is_from_upstream(&self) -> bool {
        self.status == 200 && self.echo().is_ok()
    }
}

/// The peer closed the connection and gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the peer closed the connection and gave no answer")
    }
}

impl std::error::Error for Closed {}

/// Runs `work` with the deadline of this module.
async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(DEADLINE, work).await.with_context(|| format!("no answer within {DEADLINE:?}"))?
}
