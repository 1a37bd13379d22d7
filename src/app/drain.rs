//! The end: the gateways are told first, and nothing that they still send is lost.

use std::{future::Future, io, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::grpc::Health;
use crate::{config::Drain, http::Readiness};

/// How long the other listeners may take to finish when all checks are done.
const LAST_DEADLINE: Duration = Duration::from_secs(1);

/// The signals that ask the process to end.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for SIGTERM or SIGINT.
    pub(super) async fn asked_to_end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What is needed to end.
#[derive(Debug)]
pub(super) struct Draining {
    pub(super) config: Drain,
    pub(super) readiness: Readiness,
    pub(super) health: Health,
    pub(super) check_stop: CancellationToken,
    pub(super) http_stop: CancellationToken,
}

impl Draining {
    /// Says that this process is going (`/readyz`, `grpc.health.v1`); takes and answers checks for `drain.delay`, while
    /// the gateways notice; then closes the check listener, and lets what runs finish within `drain.timeout`. `hurry`,
    /// a second signal, ends the first wait.
    pub(super) async fn run<const OTHERS: usize>(
        self,
        check: JoinHandle<()>,
        others: [JoinHandle<()>; OTHERS],
        hurry: impl Future<Output = ()>,
    ) {
        let Self { config, readiness, health, check_stop, http_stop } = self;
        readiness.set(false);
        health.refuse().await;
        tracing::info!(delay = ?config.delay, timeout = ?config.timeout, "draining");

        // A second signal is somebody who does not want to wait.
        let _ = timeout(config.delay, hurry).await;
        check_stop.cancel();
        if timeout(config.timeout, check).await.is_err() {
            tracing::warn!("checks were still running at the end of drain.timeout");
        }
        // Until here the end itself can be watched.
        http_stop.cancel();
        for other in others {
            let _ = timeout(LAST_DEADLINE, other).await;
        }
        tracing::info!("ended");
    }
}
