//! Child processes: started with a log file, waited for with a deadline, and never left behind.
//!
//! A child dies with its [`Process`], and with the test process however that ends: it is started
//! through `setpriv --pdeathsig KILL` (util-linux). The kernel ties that signal to the *thread* that
//! forked, and a test's thread ends with the test, so all children are forked by one thread that
//! lives as long as the process.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
pub use rustix::process::Signal;
use tempfile::TempDir;

/// How often a state is polled.
const POLL: Duration = Duration::from_millis(10);
/// How many lines of a child's log a failure shows.
const LOG_TAIL: usize = 40;

/// What to start, and how.
#[derive(Debug)]
pub struct Launch {
    name: String,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    clear_environment: bool,
    directory: Option<PathBuf>,
    output: Option<PathBuf>,
}

impl Launch {
    /// A child that is called `name` in messages.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            clear_environment: false,
            directory: None,
            output: None,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, arguments: I) -> Self {
        self.arguments.extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts with no environment but what [`Launch::env`] sets, and `PATH`.
    #[must_use]
    pub fn clear_env(mut self) -> Self {
        self.clear_environment = true;
        self
    }

    /// The working directory; else a temporary one of its own.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Where both outputs go instead of to a log file: a device, or a named pipe that has its reader already.
    #[must_use]
    pub fn output(mut self, path: impl Into<PathBuf>) -> Self {
        self.output = Some(path.into());
        self
    }

    /// Starts the child; both of its outputs go to one log file, unless [`Launch::output`] says otherwise.
    pub fn start(self) -> Result<Process> {
        if !self.program.is_file() {
            bail!("{}: {} does not exist", self.name, self.program.display());
        }
        let own = TempDir::with_prefix(format!("portcullis-{}-", self.name))?;
        let log = crate::evidence::log_file(&self.program).unwrap_or_else(|| own.path().join("output.log"));
        let output = File::options().create(true).append(true).open(self.output.as_ref().unwrap_or(&log))?;

        let mut command = Command::new("setpriv");
        if self.clear_environment {
            command.env_clear();
            command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        }
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.program)
            .args(&self.arguments)
            .envs(self.environment)
            .current_dir(self.directory.as_deref().unwrap_or(own.path()))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let child = fork(command)
            .with_context(|| format!("cannot start {} by setpriv (Debian package util-linux)", self.name))?;
        Ok(Process { name: self.name, child, log, own: Some(own) })
    }
}

/// The first program of this name on the `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|place| place.is_file())
}

type ForkRequest = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Forks on the one thread that never ends.
fn fork(command: Command) -> std::io::Result<Child> {
    static FORKER: OnceLock<Mutex<mpsc::Sender<ForkRequest>>> = OnceLock::new();

    let forker = FORKER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<ForkRequest>();
        std::thread::Builder::new()
            .name("forker".to_owned())
            .spawn(move || {
                for (mut command, answer) in requests {
                    // Nobody waits for the answer any more only where the caller has panicked.
                    let _ = answer.send(command.spawn());
                }
            })
            .expect("a thread can be started");
        Mutex::new(sender)
    });
    let (answer, answered) = mpsc::channel();
    forker.lock().expect("no holder of this lock panics").send((command, answer)).expect("the forker never ends");
    answered.recv().expect("the forker always answers")
}

/// A running child. Dropping it kills it and waits for its end.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// The folder of the log; kept only to be removed at the end.
    own: Option<TempDir>,
}

impl Process {
    /// The name that messages use.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The file that takes both outputs of the child.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// All that the child has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The whole lines that the child has written so far: it may be in the middle of the next one.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.log().split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
    }

    /// The last lines of the log, for messages.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL)..];
        format!("--- last lines of {}:\n{}\n---", self.name, tail.join("\n"))
    }

    /// The child's exit status, if it has ended.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Sends a signal to this child, and only to it.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .context("the process id is positive")?;
        rustix::process::kill_process(id, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Kills the child and waits until it has gone.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// Waits for the child's own end.
    pub async fn wait_exit(&mut self, within: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("{} still runs after {within:?}\n{}", self.name, self.log_tail());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until a whole line of the log contains `text`, and gives that line.
    pub async fn wait_for_line(&mut self, text: &str, within: Duration) -> Result<String> {
        let what = format!("wrote no line with {text:?}");
        self.wait_until(&what, within, async |process| process.lines().into_iter().find(|line| line.contains(text)))
            .await
    }

    /// Waits until something accepts connections at `address`.
    pub async fn wait_for_port(&mut self, address: SocketAddr, within: Duration) -> Result<()> {
        let what = format!("does not listen on {address}");
        self.wait_until(&what, within, async |_| tokio::net::TcpStream::connect(address).await.ok().map(drop)).await
    }

    /// Waits until `GET url` answers 200.
    pub async fn wait_for_ok(&mut self, url: &str, within: Duration) -> Result<()> {
        self.wait_for_ok_from(crate::http::plain_client()?, url, within).await
    }

    /// Like [`Process::wait_for_ok`], over TLS and trusting `authority_pem` alone.
    pub async fn wait_for_ok_over_tls(&mut self, url: &str, authority_pem: &str, within: Duration) -> Result<()> {
        self.wait_for_ok_from(crate::http::client_with(&[authority_pem])?, url, within).await
    }

    async fn wait_for_ok_from(&mut self, client: reqwest::Client, url: &str, within: Duration) -> Result<()> {
        let what = format!("does not answer 200 at {url}");
        self.wait_until(&what, within, async |_| {
            let response = client.get(url).send().await.ok()?;
            (response.status() == reqwest::StatusCode::OK).then_some(())
        })
        .await
    }

    /// Polls `probe` until it gives a value; fails when the child ends or the time is over.
    pub async fn wait_until<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut probe: impl AsyncFnMut(&Self) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(value) = probe(self).await {
                return Ok(value);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(anyhow!("{} ended ({status}) and {what}\n{}", self.name, self.log_tail()));
            }
            if Instant::now() >= deadline {
                return Err(anyhow!("{} {what} within {within:?}\n{}", self.name, self.log_tail()));
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that the child has gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            self.show_log();
        }
        drop(self.own.take());
    }
}

impl Process {
    #[expect(
        clippy::print_stderr,
        reason = "a failed test shows what its children wrote; the test runner captures stderr"
    )]
    fn show_log(&self) {
        eprintln!("{}", self.log_tail());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Process {
        Launch::new("shell", "/bin/sh").args(["-c", script]).start().unwrap()
    }

    #[tokio::test]
    async fn lines_and_exit_codes_are_seen() {
        let mut child = shell("echo one; echo two >&2; exit 3");
        assert_eq!(child.wait_for_line("tw", SOON).await.unwrap(), "two");
        assert_eq!(child.wait_exit(SOON).await.unwrap().code(), Some(3));
    }

    #[tokio::test]
    async fn half_a_line_is_no_line() {
        let folder = TempDir::new().unwrap();
        let pipe = folder.path().join("go-on");
        let mut child = shell(&format!("printf '{{\"half\"'; mkfifo {0}; read _ < {0}; echo :1}}", pipe.display()));
        child
            .wait_until("wrote nothing", SOON, async |child| {
                pipe.exists().then_some(()).filter(|()| !child.log().is_empty())
            })
            .await
            .unwrap();
        assert_eq!((child.log().as_str(), child.lines().len()), ("{\"half\"", 0));
        fs::write(&pipe, "\n").unwrap();
        assert_eq!(child.wait_for_line("half", SOON).await.unwrap(), "{\"half\":1}");
    }

    #[tokio::test]
    async fn a_child_that_dies_early_fails_with_its_log() {
        let mut child = shell("echo the reason; exit 1");
        let port = crate::ports::Port::take().unwrap();
        let error = child.wait_for_port(port.address(), SOON).await.unwrap_err();
        assert!(format!("{error:#}").contains("the reason"), "{error:#}");
    }

    #[tokio::test]
    async fn a_dropped_child_is_dead() {
        let child = shell("exec sleep 1000");
        let id = child.id();
        assert!(Path::new(&format!("/proc/{id}")).exists());
        drop(child);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }

    #[tokio::test]
    async fn a_child_outlives_the_thread_that_asked_for_it() {
        let mut child = std::thread::spawn(|| shell("echo started; exec sleep 1000")).join().unwrap();
        child.wait_for_line("started", SOON).await.unwrap();
        assert_eq!(child.exited().unwrap(), None);
        child.signal(Signal::TERM).unwrap();
        assert_eq!(child.wait_exit(SOON).await.unwrap().code(), None);
    }
}
