//! Runs the product as a child process, with a configuration that tests edit as a tree.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::envoy::CheckAddress;
use crate::movable_clock::MovableClock;
pub use crate::origin::{HOST, ORIGIN};
use crate::ports::Port;
use crate::process::{Launch, Process, Signal};
use crate::provider::Provider;
use crate::redis::RedisServer;
use crate::registration::Registration;
use crate::review_api::ReviewApi;

/// The issuer of the assertion in the default configuration.
pub const ASSERTION_ISSUER: &str = "https://portcullis.test";
/// The audience of ServiceAccount tokens in the default configuration.
pub const TOKEN_AUDIENCE: &str = "portcullis.test";
/// The session cookie of the default configuration.
pub const SESSION_COOKIE: &str = "__Host-portcullis";
/// The login cookie of the default configuration.
pub const LOGIN_COOKIE: &str = "__Host-portcullis-login";

/// A loaded machine may take this long where 0.1 s is usual.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How often it is looked whether the log is written.
const POLL: Duration = Duration::from_millis(5);

/// A configuration of the product, with the ports and the folder that it names.
#[derive(Debug)]
pub struct Config {
    tree: Value,
    folder: TempDir,
    check: Port,
    http: Port,
    operations: Port,
    environment: Vec<(OsString, OsString)>,
    output: Option<PathBuf>,
    /// What the process is started by, with its arguments; empty for nothing.
    wrapper: Vec<OsString>,
}

impl Config {
    /// Memory store, keys of its own making, and one public host without a provider; every request
    /// must be authenticated.
    pub fn new() -> Result<Self> {
        let (check, http, operations) = (Port::take()?, Port::take()?, Port::take()?);
        let folder = TempDir::with_prefix("portcullis-config-")?;
        for name in ["keys", "sessions"] {
            fs::DirBuilder::new().mode(0o700).create(folder.path().join(name))?;
        }
        let tree = json!({
            "listeners": {
                "check": { "bind": check.address() },
                "http": { "bind": http.address() },
                "operations": { "bind": operations.address() },
            },
            "drain": { "delay": "100ms", "timeout": "5s" },
            "keys": { "directory": folder.path().join("keys") },
            "sessions": { "store": { "type": "memory" } },
            "hosts": [HOST],
            "assertion": { "issuer": ASSERTION_ISSUER, "audience": "kubeflow" },
            "default": { "access": "authenticated" },
            "logging": { "level": "trace", "format": "json" },
        });
        let (environment, wrapper) = (Vec::new(), Vec::new());
        Ok(Self { tree, folder, check, http, operations, environment, output: None, wrapper })
    }

    /// Lets people sign in at `provider`, whose only origin is [`ORIGIN`].
    pub fn provider(self, provider: &Provider) -> Result<Self> {
        let client = provider.client();
        let mut entry = json!({
            "name": "test",
            "issuer": provider.issuer(),
            "client_id": client.id,
            "scopes": ["openid", "email", "profile", "groups"],
            "allow_http": true,
        });
        if let Some(secret) = client.secret {
            let file = self.folder.path().join("client-secret");
            fs::write(&file, secret)?;
            entry["client_secret"] = json!({ "file": file });
        }
        let origin = json!({ "url": ORIGIN, "provider": "test" });
        Ok(self.set("/providers", json!([entry])).set("/origins", json!([origin])).set("/hosts", json!([])))
    }

    /// Lets people sign in at several providers, each at an origin of its own, `https://HOST`. A provider is called by
    /// its host's first label, and so begin its people's user ids: `LABEL:`.
    pub fn providers<'a>(self, providers: impl IntoIterator<Item = (&'a str, &'a Provider)>) -> Result<Self> {
        let (mut entries, mut origins) = (Vec::new(), Vec::new());
        for (host, provider) in providers {
            let name = host.split('.').next().unwrap_or(host);
            let client = provider.client();
            let mut entry = json!({
                "name": name,
                "issuer": provider.issuer(),
                "client_id": client.id,
                "scopes": ["openid", "email", "profile", "groups"],
                "allow_http": true,
                "userid_prefix": format!("{name}:"),
            });
            if let Some(secret) = client.secret {
                let file = self.folder.path().join(format!("client-secret-{name}"));
                fs::write(&file, secret)?;
                entry["client_secret"] = json!({ "file": file });
            }
            entries.push(entry);
            origins.push(json!({ "url": format!("https://{host}"), "provider": name }));
        }
        Ok(self.set("/providers", entries).set("/origins", origins).set("/hosts", json!([])))
    }

    /// Lets people sign in at a real provider, over TLS; its only origin is [`ORIGIN`].
    pub fn sign_in_at(self, registration: &Registration) -> Result<Self> {
        let folder = self.folder.path();
        let (secret, authority) = (folder.join("client-secret"), folder.join("provider-ca.pem"));
        fs::write(&secret, &registration.client_secret)?;
        fs::write(&authority, &registration.authority)?;
        let entry = json!({
            "name": registration.name,
            "issuer": registration.issuer,
            "client_id": registration.client_id,
            "client_secret": { "file": secret },
            "scopes": ["openid", "email", "profile", "groups"],
            "ca_file": authority,
        });
        let origin = json!({ "url": ORIGIN, "provider": registration.name });
        Ok(self.set("/providers", json!([entry])).set("/origins", json!([origin])).set("/hosts", json!([])))
    }

    /// Accepts ServiceAccount tokens that `api` reviews.
    pub fn service_accounts(self, api: &ReviewApi) -> Result<Self> {
        let kubeconfig = api.write_kubeconfig(self.folder.path())?;
        Ok(self.set(
            "/service_accounts",
            json!({
                "audiences": [TOKEN_AUDIENCE],
                "issuers": [api.issuer()],
                "kubeconfig": kubeconfig,
            }),
        ))
    }

    /// Keeps sessions in a file that survives a restart.
    #[must_use]
    pub fn embedded_store(self) -> Self {
        let path = self.folder.path().join("sessions/sessions.redb");
        self.set("/sessions/store", json!({ "type": "embedded", "path": path }))
    }

    /// Keeps sessions in this Redis, under [`Config::own_keys`].
    pub fn redis_store(self, redis: &RedisServer) -> Result<Self> {
        let url = format!("redis://127.0.0.1:{}", redis.port());
        let store = json!({ "type": "redis", "redis": { "urls": [url] } });
        Ok(self.own_keys()?.set("/sessions/store", store))
    }

    /// Takes keys of this configuration's own, instead of such as the product makes: `root` and `assertion.pem` in its
    /// folder.
    pub fn own_keys(self) -> Result<Self> {
        let (root, assertion) = (self.folder.path().join("root"), self.folder.path().join("assertion.pem"));
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).ok().context("random bytes")?;
        fs::write(&root, key)?;
        fs::write(&assertion, rcgen::KeyPair::generate()?.serialize_pem())?;
        Ok(self.set("/keys", json!({ "root": [root], "assertion": [assertion] })))
    }

    /// Lets the process see this clock.
    #[must_use]
    pub fn clock(mut self, clock: &MovableClock) -> Self {
        let variables = clock.environment();
        self.environment.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Sets a variable of the process's environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Where the process's outputs go instead of to a log: see [`Launch::output`].
    #[must_use]
    pub fn output(mut self, path: impl Into<PathBuf>) -> Self {
        self.output = Some(path.into());
        self
    }

    /// Starts the process by another program, which is given the product's command after its own arguments.
    #[must_use]
    pub fn under(mut self, wrapper: Vec<OsString>) -> Self {
        self.wrapper = wrapper;
        self
    }

    /// Listens for checks on a unix socket.
    #[must_use]
    pub fn unix_socket(self) -> Self {
        let bind = format!("unix:{}", self.socket_path().display());
        self.set("/listeners/check/bind", bind)
    }

    /// Replaces the rules.
    #[must_use]
    pub fn rules(self, rules: Value) -> Self {
        self.set("/rules", rules)
    }

    /// Sets the value at a JSON pointer (RFC 6901); missing objects on the way are made.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut place = &mut self.tree;
        for key in pointer.split('/').skip(1) {
            place = match place {
                Value::Array(items) => {
                    let index: usize = key.parse().expect("an array is indexed by a number");
                    &mut items[index]
                }
                other => &mut other[key],
            };
        }
        *place = value.into();
        self
    }

    /// The value at a JSON pointer.
    #[must_use]
    pub fn get(&self, pointer: &str) -> Option<&Value> {
        self.tree.pointer(pointer)
    }

    /// The whole tree, for any other change.
    pub fn tree(&mut self) -> &mut Value {
        &mut self.tree
    }

    /// A folder for files that the configuration names.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where checks are answered.
    #[must_use]
    pub fn check_address(&self) -> CheckAddress {
        let bind = self.tree["listeners"]["check"]["bind"].as_str();
        if bind.is_some_and(|bind| bind.starts_with("unix:")) {
            CheckAddress::Unix(self.socket_path())
        } else {
            CheckAddress::Tcp(self.check.address())
        }
    }

    /// Where the assertion's keys will be served, and logout tokens taken.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.http.address()
    }

    /// Where health and metrics will be served.
    #[must_use]
    pub fn operations_address(&self) -> SocketAddr {
        self.operations.address()
    }

    /// Writes the file that the product reads, and gives its path.
    pub fn write(&self) -> Result<PathBuf> {
        let file = self.folder.path().join("portcullis.yaml");
        // Written aside and renamed, so that no reader ever sees half of it. JSON is YAML.
        let aside = self.folder.path().join(".portcullis.yaml.new");
        fs::write(&aside, serde_json::to_vec_pretty(&self.tree)?)?;
        fs::rename(&aside, &file)?;
        Ok(file)
    }

    /// Starts the product and waits until it is ready.
    pub async fn start(self) -> Result<Portcullis> {
        let process = launch(&self).await?;
        Ok(Portcullis { config: self, process })
    }

    fn socket_path(&self) -> PathBuf {
        self.folder.path().join("check.sock")
    }
}

/// A running Portcullis. It is killed when it is dropped.
#[derive(Debug)]
pub struct Portcullis {
    config: Config,
    process: Process,
}

impl Portcullis {
    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Changes the configuration's file under the running process.
    pub fn rewrite(&mut self, change: impl FnOnce(&mut Value)) -> Result<()> {
        change(&mut self.config.tree);
        self.config.write().map(drop)
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

    /// Where checks are answered.
    #[must_use]
    pub fn check_address(&self) -> CheckAddress {
        self.config.check_address()
    }

    /// Where the assertion's keys are served.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.config.http.address()
    }

    /// Where health and metrics are served.
    #[must_use]
    pub fn operations_address(&self) -> SocketAddr {
        self.config.operations.address()
    }

    /// Sends SIGTERM and waits for the end of the drain.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        self.sigterm()?;
        self.process.wait_exit(READY_WITHIN).await
    }

    /// Sends SIGTERM and does not wait.
    pub fn sigterm(&self) -> Result<()> {
        self.leave_evidence();
        self.process.signal(Signal::TERM)
    }

    /// Kills it without a warning.
    pub fn sigkill(&mut self) -> Result<ExitStatus> {
        self.leave_evidence();
        self.process.kill()
    }

    /// Kills it, and starts it again with the same configuration, keys and store.
    pub async fn restart(&mut self) -> Result<()> {
        self.leave_evidence();
        self.process.kill()?;
        self.process = launch(&self.config).await?;
        Ok(())
    }

    /// The metrics, in their text format.
    pub async fn metrics(&self) -> Result<String> {
        let url = format!("http://{}/metrics", self.operations_address());
        let response = crate::http::plain_client()?.get(url).send().await?;
        let metrics = response.error_for_status()?.text().await?;
        crate::evidence::metrics(&metrics);
        Ok(metrics)
    }

    /// The sum of a metric's samples whose labels hold all of `labels`, each written `name="value"`.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> Result<u64> {
        let metrics = self.metrics().await?;
        let mut sum = 0;
        for line in metrics.lines().filter(|line| !line.starts_with('#')) {
            let (sample, value) = line.rsplit_once(' ').with_context(|| format!("no sample: {line}"))?;
            let (of, named) = sample.split_once('{').unwrap_or((sample, ""));
            if of == name && labels.iter().all(|label| named.contains(label)) {
                sum += value.parse::<u64>().with_context(|| format!("no count: {line}"))?;
            }
        }
        Ok(sum)
    }

    /// Keeps what the search for secrets looks at, before the process ends.
    fn leave_evidence(&self) {
        crate::evidence::portcullis_ends(self.config.folder(), self.operations_address(), self.http_address());
    }

    /// The last lines of the log, for messages.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// The log's records of all that was answered so far: the product writes them a moment after its answers.
    pub async fn records(&self) -> Result<Vec<Value>> {
        // A process that has ended has written all of it.
        while let Ok(waiting) = self.metric("portcullis_log_waiting_bytes", &[]).await
            && waiting > 0
        {
            tokio::time::sleep(POLL).await;
        }
        let lines = self.process.lines();
        let records = lines.iter().filter(|line| line.starts_with('{'));
        records.map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))).collect()
    }

    /// Those of [`Portcullis::records`] at this level that hold a text.
    pub async fn told(&self, level: &str, text: &str) -> Result<Vec<Value>> {
        let mut records = self.records().await?;
        records.retain(|record| record["level"] == level && record.to_string().contains(text));
        Ok(records)
    }
}

impl Drop for Portcullis {
    fn drop(&mut self) {
        self.leave_evidence();
    }
}

/// The product's binary: `$PORTCULLIS_BIN`, or the one that cargo built beside the tests.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("PORTCULLIS_BIN") {
        return Ok(path.into());
    }
    // target/PROFILE/deps/TEST and target/PROFILE/portcullis
    let test = std::env::current_exe()?;
    let folder = test.ancestors().find(|folder| !folder.ends_with("deps") && folder.is_dir());
    let binary = folder.context("a test lies in a folder")?.join("portcullis");
    if !binary.is_file() {
        bail!("{} is missing: run `cargo build -p portcullis`, or set PORTCULLIS_BIN", binary.display());
    }
    Ok(binary)
}

async fn launch(config: &Config) -> Result<Process> {
    let file = config.write()?;
    let mut command = config.wrapper.iter().cloned().chain([binary()?.into_os_string()]);
    let program = command.next().context("the binary is always named")?;
    let mut launch = Launch::new("portcullis", program).args(command).args(["serve", "--config"]).arg(&file);
    for (name, value) in &config.environment {
        launch = launch.env(name, value);
    }
    if let Some(output) = &config.output {
        launch = launch.output(output);
    }
    let mut process = launch.start()?;
    let ready = format!("http://{}/readyz", config.operations.address());
    process.wait_for_ok(&ready, READY_WITHIN).await?;
    crate::evidence::portcullis_runs(config.folder());
    Ok(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_edited_by_pointers() {
        let config = Config::new().unwrap().rules(json!([{ "name": "a" }]));
        let mut config = config.set("/rules/0/access", "public").set("/new/place", 1);
        assert_eq!(config.tree()["rules"], json!([{ "name": "a", "access": "public" }]));
        assert_eq!(config.tree()["new"], json!({ "place": 1 }));
        let config = config.unix_socket();
        assert!(matches!(config.check_address(), CheckAddress::Unix(_)));
        let written: Value = serde_json::from_slice(&fs::read(config.write().unwrap()).unwrap()).unwrap();
        assert_eq!(written["new"]["place"], 1);
    }
}
