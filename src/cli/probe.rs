//! Whether the process of this machine is ready, asked as Kubernetes asks it: for container engines that run a command to
//! know, in an image that holds no other program.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use clap::Args;
use http::{StatusCode, Uri, uri::InvalidUri};
use http_body_util::Empty;
use hyper_util::{
    client::legacy::{Client, Error as ClientError},
    rt::TokioExecutor,
};
use thiserror::Error;
use tokio::{runtime, time::timeout};

/// After so long nobody is ready.
const DEADLINE: Duration = Duration::from_secs(4);

/// Where to ask.
#[derive(Args, Debug)]
pub(super) struct Probe {
    /// What `listeners.operations.bind` says.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9003")]
    address: SocketAddr,
}

/// Why the process is not known to be ready.
#[derive(Debug, Error)]
pub(super) enum ProbeError {
    #[error("not ready: /readyz answers {0}")]
    NotReady(StatusCode),
    #[error("nothing answers at {address}: {source}")]
    Unreachable { address: SocketAddr, source: ClientError },
    #[error("{0} gave no answer within {seconds} s", seconds = DEADLINE.as_secs())]
    Silent(SocketAddr),
    #[error(transparent)]
    Address(#[from] InvalidUri),
    #[error("the command cannot run: {0}")]
    System(#[from] io::Error),
}

impl Probe {
    /// Returns once the process says that it is ready.
    pub(super) fn run(&self) -> Result<(), ProbeError> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { timeout(DEADLINE, self.ask()).await.map_err(|_| ProbeError::Silent(self.address))? })
    }

    async fn ask(&self) -> Result<(), ProbeError> {
        let url: Uri = format!("http://{}/readyz", self.address).parse()?;
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        match client.get(url).await {
            Ok(answer) if answer.status() == StatusCode::OK => Ok(()),
            Ok(answer) => Err(ProbeError::NotReady(answer.status())),
            Err(source) => Err(ProbeError::Unreachable { address: self.address, source }),
        }
    }
}
