//! How commands reach the running process.

use std::{fs, io, path::PathBuf};

use clap::Args;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::UnixStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// Where the running process listens for administrators.
#[derive(Args, Debug)]
pub(super) struct Connection {
    /// What `listeners.admin.bind` says: `unix:` and the path of its socket, or `https://` with host and port.
    #[arg(long, value_name = "ADDRESS", default_value = "unix:/run/portcullis/admin.sock", global = true)]
    address: String,
    /// The authorities of the server's certificate (PEM), with an `https://` address.
    #[arg(long, value_name = "FILE", global = true)]
    ca: Option<PathBuf>,
    /// Your certificate (PEM), with an `https://` address.
    #[arg(long, value_name = "FILE", global = true)]
    certificate: Option<PathBuf>,
    /// Your certificate's private key (PEM), with an `https://` address.
    #[arg(long, value_name = "FILE", global = true)]
    key: Option<PathBuf>,
}

/// Why the running process is not reached.
#[derive(Debug, Error)]
pub(super) enum ConnectError {
    #[error("--address {address}: it is neither `unix:` with the path of a socket nor `https://` with host and port")]
    Address { address: String },
    #[error("--address {address}: --ca, --certificate and --key are needed with it")]
    Credentials { address: String },
    #[error("--{option} {path}: {source}")]
    File { option: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "{path}: there is no such socket. Does Portcullis run here, and does its configuration say \
         `listeners: {{admin: {{bind: \"unix:{path}\"}}}}`? Name another socket with --address"
    )]
    NoSocket { path: String },
    #[error("{path}: this socket is for the user that Portcullis runs as; run the command as that user")]
    NotPermitted { path: String },
    #[error("{path}: nothing answers at this socket: {source}. Does Portcullis run here?")]
    Socket { path: String, source: io::Error },
    #[error("{address}: {detail}")]
    Transport { address: String, detail: String },
}

impl ConnectError {
    /// Whether the command line is wrong.
    pub(super) const fn is_usage(&self) -> bool {
        matches!(self, Self::Address { .. } | Self::Credentials { .. } | Self::File { .. })
    }
}

impl Connection {
    /// Connects.
    pub(super) async fn open(&self) -> Result<Channel, ConnectError> {
        if let Some(path) = self.address.strip_prefix("unix:") {
            return unix(path).await;
        }
        if !self.address.starts_with("https://") {
            return Err(ConnectError::Address { address: self.address.clone() });
        }
        self.tls().await
    }

    async fn tls(&self) -> Result<Channel, ConnectError> {
        let (Some(ca), Some(certificate), Some(key)) = (&self.ca, &self.certificate, &self.key) else {
            return Err(ConnectError::Credentials { address: self.address.clone() });
        };
        let ca = Certificate::from_pem(read("ca", ca)?);
        let identity = Identity::from_pem(read("certificate", certificate)?, read("key", key)?);
        let config = ClientTlsConfig::new().ca_certificate(ca).identity(identity);
        let failed = |error: &tonic::transport::Error| ConnectError::Transport {
            address: self.address.clone(),
            detail: with_causes(error),
        };
        let endpoint = Endpoint::from_shared(self.address.clone()).map_err(|error| failed(&error))?;
        let endpoint = endpoint.tls_config(config).map_err(|error| failed(&error))?;
        endpoint.connect().await.map_err(|error| failed(&error))
    }
}

fn read(option: &'static str, path: &PathBuf) -> Result<Vec<u8>, ConnectError> {
    fs::read(path).map_err(|source| ConnectError::File { option, path: path.clone(), source })
}

async fn unix(path: &str) -> Result<Channel, ConnectError> {
    // Tried first, since the channel's own error hides why.
    let stream = UnixStream::connect(path).await.map_err(|source| {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => ConnectError::NoSocket { path },
            io::ErrorKind::PermissionDenied => ConnectError::NotPermitted { path },
            _ => ConnectError::Socket { path, source },
        }
    })?;
    let mut stream = Some(stream);
    let connector = tower::service_fn(move |_| {
        let stream = stream.take().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected));
        async move { stream.map(TokioIo::new) }
    });
    let connected = Endpoint::from_static("http://portcullis").connect_with_connector(connector).await;
    connected.map_err(|error| ConnectError::Transport { address: path.to_owned(), detail: with_causes(&error) })
}

/// An error with what caused it.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
