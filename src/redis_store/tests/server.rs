//! Real Redis servers, on loopback, each in a folder of its own. They end with whoever started them.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use super::ports::Port;

/// How often is looked, for a minute at least.
const LOOKS: usize = 3000;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// One `redis-server`.
#[derive(Debug)]
pub struct RedisServer {
    /// A shell that kills the server when its standard input is closed, so also when the tests are killed.
    guard: Option<Child>,
    pid: u32,
    port: Port,
    /// Where it speaks to the other nodes of its Cluster.
    _bus: Option<Port>,
    folder: TempDir,
    arguments: Vec<String>,
}

impl RedisServer {
    /// Starts one that keeps nothing on the disk, with further options as on its command line.
    ///
    /// # Panics
    /// Where there is no `redis-server`.
    #[must_use]
    pub fn start(options: &[&str]) -> Self {
        Self::start_with(None, options)
    }

    fn start_with(bus: Option<Port>, options: &[&str]) -> Self {
        let port = free_port();
        let own = ["--port", &port.number().to_string(), "--save", "", "--bind", "127.0.0.1"].map(str::to_owned);
        let arguments = own.into_iter().chain(options.iter().map(|option| (*option).to_owned())).collect();
        Self::launch(port, bus, arguments, tempfile::tempdir().expect("a temporary folder"))
    }

    /// Starts one that speaks TLS alone, with a certificate of this authority.
    ///
    /// # Panics
    /// Where there is no `redis-server`.
    #[must_use]
    pub fn start_tls(authority: &Path, certificate: &Path, key: &Path) -> Self {
        let port = free_port();
        let files = [authority, certificate, key].map(|path| path.display().to_string());
        let [authority, certificate, key] = &files;
        let tls = ["--tls-ca-cert-file", authority, "--tls-cert-file", certificate, "--tls-key-file", key];
        let own = ["--port", "0", "--tls-port", &port.number().to_string(), "--tls-auth-clients", "no", "--save", ""];
        let arguments = own.iter().chain(&tls).chain(&["--bind", "127.0.0.1"]).map(|text| (*text).to_owned()).collect();
        Self::launch(port, None, arguments, tempfile::tempdir().expect("a temporary folder"))
    }

    fn launch(port: Port, bus: Option<Port>, arguments: Vec<String>, folder: TempDir) -> Self {
        let mut server = Self { guard: None, pid: 0, port, _bus: bus, folder, arguments };
        server.restart();
        server
    }

    /// Starts it again, at the same port, with what its folder holds.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn restart(&mut self) {
        self.kill();
        let mut guard = Command::new("sh")
            .args(["-c", r#""$@" >server.log 2>&1 & echo $!; read _; kill -9 $!"#, "guard", "redis-server"])
            .args(&self.arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut line = String::new();
        let stdout = guard.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the shell says the server's process id");
        self.pid = line.trim().parse().expect("a process id");
        self.guard = Some(guard);
        wait_for("redis-server to answer (get it with `make parts PARTS=redis`)", || {
            self.try_cli(&["PING"]).is_some_and(|answer| answer.contains("PONG") || answer.contains("NOAUTH"))
        });
    }

    /// Its TCP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port.number()
    }

    /// The folder in which it runs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it at once, as a crash does.
    ///
    /// # Panics
    /// Where it cannot be ended.
    pub fn kill(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            guard.wait().expect("the shell ends");
        }
    }

    /// Stops it without ending it: connections stay open, and nothing is answered.
    ///
    /// # Panics
    /// Where it cannot be signalled.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// Where it cannot be signalled.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.pid.to_string()]).status().expect("kill");
        assert!(status.success(), "kill {signal}");
    }

    /// What it answers to a command.
    ///
    /// # Panics
    /// Where it cannot be asked.
    #[must_use]
    pub fn cli(&self, command: &[&str]) -> String {
        self.try_cli(command).expect("redis-cli")
    }

    /// How many keys a pattern matches. It is Redis that counts: names of keys are bytes, a line feed among them.
    ///
    /// # Panics
    /// Where it cannot be asked.
    #[must_use]
    pub fn count(&self, pattern: &str) -> usize {
        let told = self.cli(&["EVAL", "return #redis.call('KEYS', ARGV[1])", "0", pattern]);
        told.trim().parse().unwrap_or_else(|_| panic!("no count: {told}"))
    }

    fn try_cli(&self, command: &[&str]) -> Option<String> {
        let mut cli = Command::new("redis-cli");
        let tls = self.arguments.iter().any(|argument| argument == "--tls-port");
        if tls {
            cli.args(["--tls", "--insecure"]);
        }
        let output = cli.args(["-p", &self.port().to_string()]).args(command).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A primary, its replicas, and three sentinels that watch them.
#[derive(Debug)]
pub struct Sentinels {
    /// Servers of sessions; the first was the primary in the beginning.
    pub servers: Vec<RedisServer>,
    /// Those who watch.
    pub sentinels: Vec<RedisServer>,
}

impl Sentinels {
    /// The name by which the sentinels know the primary.
    pub const NAME: &str = "sessions";

    /// Starts a primary with this many replicas, and the sentinels.
    ///
    /// # Panics
    /// Where one does not start.
    #[must_use]
    pub fn start(replicas: usize) -> Self {
        Self::start_with(replicas, &[])
    }

    /// The same, whose servers of sessions have further options.
    ///
    /// # Panics
    /// Where one does not start.
    #[must_use]
    pub fn start_with(replicas: usize, options: &[&str]) -> Self {
        let primary = RedisServer::start(options);
        let of = format!("127.0.0.1 {}", primary.port());
        let sentinels: Vec<_> = (0..3).map(|_| Self::sentinel(primary.port())).collect();
        let count = replicas.to_string();
        let of_primary = [options, &["--replicaof", &of]].concat();
        let replicas = (0..replicas).map(|_| RedisServer::start(&of_primary));
        let servers: Vec<_> = std::iter::once(primary).chain(replicas).collect();
        for sentinel in &sentinels {
            wait_for("the sentinels to know each other and the replicas", || {
                let known = sentinel.cli(&["SENTINEL", "MASTER", Self::NAME]);
                let lines: Vec<_> = known.lines().collect();
                let field =
                    |name| lines.iter().position(|line| *line == name).and_then(|at| lines.get(at + 1)).copied();
                field("num-other-sentinels") == Some("2") && field("num-slaves") == Some(count.as_str())
            });
        }
        for replica in &servers[1..] {
            wait_for("a replica to be in step", || {
                replica.cli(&["INFO", "replication"]).contains("master_link_status:up")
            });
        }
        Self { servers, sentinels }
    }

    fn sentinel(primary: u16) -> RedisServer {
        let (port, folder) = (free_port(), tempfile::tempdir().expect("a temporary folder"));
        let name = Self::NAME;
        let configuration = format!(
            "port {}\nbind 127.0.0.1\nsentinel monitor {name} 127.0.0.1 {primary} 2\n\
             sentinel down-after-milliseconds {name} 1000\nsentinel failover-timeout {name} 5000\n",
            port.number(),
        );
        fs::write(folder.path().join("sentinel.conf"), configuration).expect("the sentinel's configuration");
        RedisServer::launch(port, None, vec!["sentinel.conf".to_owned(), "--sentinel".to_owned()], folder)
    }

    /// The port of the primary that the sentinels name.
    ///
    /// # Panics
    /// Where they name none.
    #[must_use]
    pub fn primary(&self) -> u16 {
        let told = self.sentinels[0].cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::NAME]);
        told.lines().nth(1).and_then(|port| port.parse().ok()).expect("the primary's port")
    }
}

/// A Cluster of three primaries with a replica each.
#[derive(Debug)]
pub struct Cluster {
    /// All six.
    pub nodes: Vec<RedisServer>,
}

impl Cluster {
    /// Starts it.
    ///
    /// # Panics
    /// Where the cluster is not made.
    #[must_use]
    pub fn start() -> Self {
        let node = |_| {
            let bus = free_port();
            let number = bus.number().to_string();
            let options = ["--cluster-enabled", "yes", "--cluster-port", &number, "--cluster-node-timeout", "2000"];
            RedisServer::start_with(Some(bus), &options)
        };
        let nodes: Vec<_> = (0..6).map(node).collect();
        let addresses = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port()));
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(addresses).args(["--cluster-replicas", "1", "--cluster-yes"]);
        let output = create.output().expect("redis-cli");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        for node in &nodes {
            wait_for("the cluster to be whole, with its replicas", || {
                let whole = node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
                let info = node.cli(&["INFO", "replication"]);
                whole && (info.contains("connected_slaves:1") || info.contains("master_link_status:up"))
            });
        }
        Self { nodes }
    }
}

/// Waits until something holds.
///
/// # Panics
/// Where it does not within a minute.
pub fn wait_for(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..LOOKS {
        if holds() {
            return;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    panic!("waited in vain for {what}");
}

/// A port that is kept while its server is down, too: what listens there is never another test's.
fn free_port() -> Port {
    Port::take().expect("a free port")
}
