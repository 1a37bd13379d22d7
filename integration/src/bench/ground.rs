//! The servers that are measured, and what they need.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tempfile::TempDir;

use super::asked::{Asked, HEADERS, Shown};
use super::case::{Case, Load, Processes};
use super::h2load::H2load;
use super::null_server;
use super::plan::Plan;
use super::probe::{Kind, Probe};
use crate::check_client::CheckClient;
use crate::check_visitor::CheckVisitor;
use crate::envoy::CheckAddress;
use crate::portcullis::{Config, HOST, Portcullis, SESSION_COOKIE, TOKEN_AUDIENCE};
use crate::ports::Port;
use crate::process::{Launch, Process};
use crate::provider::{Provider, Settings};
use crate::redis::RedisServer;
use crate::review_api::ReviewApi;

/// The path that is asked for.
pub(super) const PATH: &str = "/pipeline/apis/v2beta1/runs?page_size=10&sort_by=created_at%20desc";
/// One that is public.
pub(super) const PUBLIC_PATH: &str = "/public/app.js";

/// A server of checks, however it came to be.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// Where it takes checks.
    pub address: std::net::SocketAddr,
    /// Who asks it.
    pub client: CheckClient,
    /// What is counted.
    pub processes: Processes,
}

impl Server {
    /// One that listens already.
    pub(super) async fn at(address: std::net::SocketAddr, processes: Processes) -> Result<Self> {
        let client = CheckClient::connect(&CheckAddress::Tcp(address)).await?;
        Ok(Self { address, client, processes })
    }

    /// A case of one request.
    pub(super) fn case(&self, name: &str, asked: &Asked, kind: Kind, messages: &Path) -> Result<Case> {
        let load = Load::Same(H2load::check(self.address, asked.write(messages)?));
        Ok(Case::new(name, load, self.processes.clone(), self.probe(asked, kind)))
    }

    /// What asks it once.
    #[must_use]
    pub(super) fn probe(&self, asked: &Asked, kind: Kind) -> Probe {
        Probe::Check { client: self.client.clone(), request: Box::new(asked.check()), kind }
    }
}

/// The product, with somebody who is signed in.
#[derive(Debug)]
pub(super) struct Gate {
    /// As a server.
    pub server: Server,
    /// `NAME=VALUE`, of the one who is signed in.
    pub cookie: String,
    _process: Portcullis,
    /// What reads its log.
    _reader: Option<Process>,
}

impl Gate {
    /// Starts it, and lets somebody sign in.
    pub(super) async fn start(config: Config) -> Result<Self> {
        let process = config.start().await?;
        let CheckAddress::Tcp(address) = process.check_address() else { anyhow::bail!("checks come by TCP here") };
        let server = Server::at(address, Processes::alone(process.id())).await?;
        let mut alice = CheckVisitor::new(&server.client, HOST);
        ensure!(alice.sign_in("alice", "/").await?.is_allowed(), "alice cannot sign in");
        let cookie = alice.cookies.get(SESSION_COOKIE).context("alice has a session")?;
        Ok(Self { server, cookie: format!("{SESSION_COOKIE}={cookie}"), _process: process, _reader: None })
    }

    /// Keeps the process that reads the log, and counts it too.
    #[must_use]
    fn read_by(mut self, reader: Process) -> Self {
        self.server.processes.others.push(reader.id());
        Self { _reader: Some(reader), ..self }
    }

    /// The usual request of the one who is signed in, with so many headers.
    #[must_use]
    pub(super) fn asked(&self, headers: usize) -> Asked {
        Asked::script(PATH, Shown::Cookie(&self.cookie), headers)
    }
}

/// All that most is measured with.
#[derive(Debug)]
pub(super) struct Ground {
    /// The yardstick.
    pub null: Server,
    /// Sessions in memory, all on, the log to nowhere.
    pub quiet: Gate,
    /// The same, with a log of warnings.
    pub warn: Gate,
    /// The same, with a log into a pipe that is read.
    pub piped: Gate,
    /// Sessions in Redis, remembered.
    pub cached: Gate,
    /// Sessions in Redis, read each time.
    pub stored: Gate,
    /// Where people sign in.
    pub provider: Provider,
    /// What reviews tokens.
    pub api: ReviewApi,
    /// A token of a ServiceAccount.
    pub token: String,
    /// Where messages and other files lie.
    pub folder: TempDir,
    _null: NullServer,
    _redis: RedisServer,
}

#[derive(Debug)]
struct NullServer {
    process: Process,
    port: Port,
}

impl Ground {
    /// Starts all.
    pub(super) async fn start(plan: &Plan) -> Result<Self> {
        let folder = TempDir::with_prefix("portcullis-bench-")?;
        let null_server = NullServer::start(plan).await?;
        let null = Server::at(null_server.port.address(), Processes::alone(null_server.process.id())).await?;
        let provider = Provider::start(Settings::default()).await?;
        let api = ReviewApi::start().await?;
        let token = api.token("team-a", "pipeline-runner").audience(TOKEN_AUDIENCE).issue();

        let quiet = Gate::start(config(&provider, &api)?).await?;
        let warn = Gate::start(config(&provider, &api)?.set("/logging/level", "warn")).await?;
        let piped = piped(config(&provider, &api)?, folder.path()).await?;
        let redis = RedisServer::start(&[]);
        let cached = Gate::start(config(&provider, &api)?.redis_store(&redis)?).await?;
        let stored = config(&provider, &api)?.redis_store(&redis)?;
        let stored = stored.set("/sessions/store/redis/prefix", "stored");
        let mut stored = Gate::start(stored.set("/sessions/store/redis/cache_lifetime", "0s")).await?;
        stored.server.processes.others.push(redis_process(&redis)?);
        Ok(Self {
            null,
            quiet,
            warn,
            piped,
            cached,
            stored,
            provider,
            api,
            token,
            folder,
            _null: null_server,
            _redis: redis,
        })
    }

    /// The folder of messages.
    #[must_use]
    pub(super) fn messages(&self) -> &Path {
        self.folder.path()
    }

    /// The null server's case, for a request of so many headers.
    pub(super) fn null_case(&self, name: &str, headers: usize) -> Result<Case> {
        self.null.case(name, &self.quiet.asked(headers), Kind::Empty, self.messages())
    }

    /// The usual session's case, for a request of so many headers.
    pub(super) fn session_case(&self, name: &str, headers: usize) -> Result<Case> {
        self.quiet.server.case(name, &self.quiet.asked(headers), Kind::Asserted, self.messages())
    }

    /// The usual request of the ServiceAccount.
    #[must_use]
    pub(super) fn token_asked(&self) -> Asked {
        Asked::script(PATH, Shown::Bearer(&self.token), HEADERS)
    }
}

/// What all of the product's processes are started with: everything on that is on by default, sessions in memory.
pub(super) fn config(provider: &Provider, api: &ReviewApi) -> Result<Config> {
    let public = json!([{ "name": "public", "paths": [{ "prefix": "/public" }], "access": "public" }]);
    let config = Config::new()?.provider(provider)?.service_accounts(api)?.rules(public);
    Ok(config.set("/logging/level", "info").output("/dev/null"))
}

/// The product with a log into a pipe, and the process that reads it.
async fn piped(config: Config, folder: &Path) -> Result<Gate> {
    let pipe = folder.join("log");
    let made = Command::new("mkfifo").arg(&pipe).status().context("mkfifo (Debian package coreutils)")?;
    ensure!(made.success(), "mkfifo: {made}");
    let reader = Launch::new("reader", PathBuf::from("/bin/cat")).arg(&pipe).output("/dev/null").start()?;
    Ok(Gate::start(config.output(pipe)).await?.read_by(reader))
}

impl NullServer {
    async fn start(plan: &Plan) -> Result<Self> {
        let port = Port::take()?;
        let launch = Launch::new("null server", &plan.program).arg(null_server::ARGUMENT);
        let mut process = launch.arg(port.address().to_string()).start()?;
        process.wait_for_port(port.address(), std::time::Duration::from_secs(20)).await?;
        Ok(Self { process, port })
    }
}

/// The id of a Redis server's process.
pub(super) fn redis_process(redis: &RedisServer) -> Result<u32> {
    let told = redis.cli(&["INFO", "server"]);
    let id = told.lines().find_map(|line| line.trim().strip_prefix("process_id:")?.parse().ok());
    id.with_context(|| format!("no process: {told}"))
}
