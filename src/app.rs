//! The process: everything built from the configuration, its listeners, reloads, and an end that loses no request.

mod accept;
mod administration;
mod answering;
mod connection;
mod drain;
mod gathering;
mod grpc;
mod limits;
mod lingering;
mod places;
mod reload;
mod serve;
#[cfg(test)]
mod tests;
mod tls;
mod workers;

use std::{path::Path, sync::Arc};

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

pub use accept::ListenError;

use self::{
    accept::Listener,
    drain::{Draining, Signals},
    grpc::Gate,
    limits::AllLimits,
    reload::{Failures, Reloader},
    serve::Server,
    workers::Workers,
};
use crate::{
    assembly::{self, AssembleError, Assembly, Keyrings, Outside},
    clock::SystemClock,
    config::{Settings, Source},
    config_file::ConfigError,
    ext_authz, http,
    key_directory::KeyDirectoryError,
    logging::Logging,
    panics,
};

/// Why the process ended other than by being asked to.
#[derive(Debug, Error)]
pub enum AppError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The folder of self-made keys cannot be used.
    #[error("keys.directory: {0}")]
    Keys(#[from] KeyDirectoryError),
    /// The log cannot be started, so this is not in it.
    #[error("the log cannot be started: {0}")]
    Log(std::io::Error),
    /// Something cannot be built from the configuration.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// Nothing can listen there.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The system does not give what every process needs.
    #[error("the process cannot start: {0}")]
    System(#[from] std::io::Error),
}

impl AppError {
    /// Whether the configuration is to be changed, or what it names; nothing else will help.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        match self {
            Self::Config(_) | Self::Keys(_) => true,
            Self::Assemble(error) => error.is_configuration(),
            Self::Listen(_) | Self::Log(_) | Self::System(_) => false,
        }
    }
}

/// Serves as the configuration file says, until SIGTERM or SIGINT.
///
/// # Errors
/// Where the start fails; that is in the log too, once the configuration has said how to write one. Nothing that happens afterwards ends the process.
pub fn serve(config: &Path) -> Result<(), AppError> {
    let (source, settings) = Source::open(config)?;
    let (logging, _until_the_end) = Logging::start(settings.logging).map_err(AppError::Log)?;
    settings.log_warnings();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("portcullis").build()?;
    let outcome = runtime.block_on(run(source, settings, logging));
    if let Err(error) = &outcome {
        tracing::error!(%error, "the start failed");
    }
    // What still runs was given its time.
    runtime.shutdown_background();
    outcome
}

async fn run(source: Source, settings: Settings, logging: Logging) -> Result<(), AppError> {
    let mut signals = Signals::listen()?;
    let clock = SystemClock::shared();
    let mut registry = Registry::with_prefix("portcullis");
    panics::tell(&mut registry);
    logging.register(&mut registry);
    let metrics = assembly::Metrics::register(&mut registry);
    let connections = places::Metrics::register(&mut registry);

    let keyrings = Keyrings::open(&settings, &clock)?;
    let assembly =
        Assembly::build(&settings, &keyrings, metrics.clone(), Outside::configured(Arc::clone(&clock), logging.log()))
            .await?;
    let issuer = Arc::new(ArcSwap::from_pointee(settings.assertion.issuer.clone()));
    let listeners = &settings.listeners;
    let check_tls = listeners.check.tls.as_ref().map(tls::grpc);
    let http_tls = listeners.http.tls.as_ref().map(tls::http);
    let admin_tls = listeners.admin.as_ref().and_then(|admin| admin.tls.as_ref()).map(tls::grpc);

    let check = Listener::bind("check", &listeners.check.bind, check_tls.clone()).await?;
    let published = Listener::bind("http", &listeners.http.bind, http_tls.clone()).await?;
    let operations = Listener::bind("operations", &listeners.operations.bind, None).await?;
    let admin = match &listeners.admin {
        Some(admin) => Some(Listener::bind_private("admin", &admin.bind, admin_tls.clone()).await?),
        None => None,
    };

    let readiness = http::Readiness::default();
    let health = grpc::Health::new();
    let checks = ext_authz::Checks::new(assembly.checker());
    let check_stop = CancellationToken::new();
    let http_stop = CancellationToken::new();

    let limits = AllLimits::of_this_process();
    let check = Server::checks(check, Gate::new(checks, &health), limits.check);
    let check = check.on(Workers::start()?).counted(&connections);
    let check = tokio::spawn(check.run(check_stop.clone()));
    let published = Server::http(
        published,
        http::published(Arc::clone(&issuer), keyrings.assertion(), assembly.back_channel()),
        limits.http,
    );
    let published = tokio::spawn(published.counted(&connections).run(http_stop.clone()));
    let operated = http::operations(readiness.clone(), assembly.dependencies(), Arc::new(registry));
    let operated = Server::http(operations, operated, limits.operations).counted(&connections);
    let operated = tokio::spawn(operated.run(http_stop.clone()));
    let administered =
        administration::run(admin, assembly.administered(), limits.admin, connections, http_stop.clone());
    let administered = tokio::spawn(administered);
    tokio::spawn(assembly.maintain());

    health.serve().await;
    readiness.set(true);
    metrics.config.started(clock.now());
    tracing::info!(config = %source.path().display(), version = env!("CARGO_PKG_VERSION"), "ready");

    let drain = Arc::new(ArcSwap::from_pointee(settings.drain));
    let reloader = Reloader {
        in_force: settings,
        logging,
        keyrings,
        assembly,
        issuer,
        check_tls,
        http_tls,
        admin_tls,
        drain: Arc::clone(&drain),
        metrics: metrics.config,
        clock,
        failures: Failures::default(),
    };
    let reloads = tokio::spawn(reloader.run(source));

    signals.asked_to_end().await;
    reloads.abort();
    let draining = Draining { config: **drain.load(), readiness, health, check_stop, http_stop };
    draining.run(check, [published, operated, administered], signals.asked_to_end()).await;
    Ok(())
}
