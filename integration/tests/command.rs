//! The command as scripts see it: what it prints where, and its exit codes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

fn portcullis(arguments: &[&str]) -> Output {
    Command::new(portcullis_integration::portcullis::binary().unwrap()).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A configuration that starts, with any free ports.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write(&folder.good("127.0.0.1:0"));
        folder
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("portcullis.yaml")
    }

    fn good(&self, operations: &str) -> String {
        format!(
            "listeners: {{check: {{bind: '127.0.0.1:0'}}, http: {{bind: '127.0.0.1:0'}}, \
             operations: {{bind: '{operations}'}}}}\n\
             drain: {{delay: 10ms, timeout: 5s}}\n\
             keys: {{directory: {keys}}}\n\
             sessions: {{store: {{type: memory}}}}\n\
             hosts: [kubeflow.example.com]\n\
             assertion: {{issuer: 'https://portcullis.example.com', audience: kubeflow}}\n",
            keys = self.0.path().join("keys").display(),
        )
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    fn run(&self, command: &[&str]) -> Output {
        let path = self.path();
        let arguments: Vec<&str> = command.iter().copied().chain([path.to_str().unwrap()]).collect();
        portcullis(&arguments)
    }
}

#[test]
fn a_good_configuration_is_ok() {
    let output = Folder::new().run(&["check-config"]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "OK\n"));
}

#[test]
fn a_wrong_configuration_ends_with_64_and_every_error() {
    let folder = Folder::new();
    folder.write(&folder.good("127.0.0.1:0").replace("audience: kubeflow", "audience: ''").replace("[kubeflow", "[K"));
    for command in [&["check-config"][..], &["serve", "--config"]] {
        let output = folder.run(command);
        assert_eq!(output.status.code(), Some(64), "{command:?}");
        assert_eq!(text(&output.stdout), "");
        let told = text(&output.stderr);
        assert!(told.contains("the configuration has 2 errors:"), "{told}");
        assert!(told.contains("\n  hosts[0]: ") && told.contains("\n  assertion.audience: "), "{told}");
    }
    folder.write("");
    assert_eq!(folder.run(&["check-config"]).status.code(), Some(64));
    assert_eq!(portcullis(&["check-config", "/does/not/exist"]).status.code(), Some(64));
}

/// Rules that close a path alone, and one that closes all below it.
const EXACT: &str = "rules:\n  - {name: admin, paths: [{prefix: /api}, {exact: /admin}], groups: [admins]}\n";

#[test]
fn an_exact_path_that_is_closed_alone_is_warned_of() {
    let folder = Folder::new();
    folder.write(&format!("{}{EXACT}", folder.good("127.0.0.1:0")));
    let output = folder.run(&["check-config"]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "OK\n"));
    let told = text(&output.stderr);
    let begin = "warning: rules[0].paths[1].exact: it closes this path alone";
    assert!(told.starts_with(begin) && told.contains("write `{prefix: /admin}`"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");

    let mut serving = Serving::start(&folder);
    assert!(serving.warnings.iter().any(|warning| warning.starts_with("rules[0].paths[1].exact: ")), "at the start");
    let other = EXACT.replace("exact: /admin", "exact: /other");
    folder.write(&format!("{}{other}", folder.good("127.0.0.1:0")));
    let told = serving.wait_for("the configuration may not say what is meant");
    assert!(told["warning"].as_str().unwrap().contains("found `/other`"), "{told}");
    serving.wait_for("the changed configuration is in force");
}

#[test]
fn checking_makes_no_keys() {
    let folder = Folder::new();
    folder.run(&["check-config"]);
    assert!(!folder.0.path().join("keys").exists());
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    assert_eq!(portcullis(&["serve"]).status.code(), Some(64));
    assert_eq!(portcullis(&["fly"]).status.code(), Some(64));
    assert_eq!(portcullis(&[]).status.code(), Some(64));
    let version = portcullis(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(text(&version.stdout), format!("portcullis {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_printed_schema_is_the_committed_one() {
    let printed = portcullis(&["schema"]);
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.schema.json");
    assert!(text(&printed.stdout) == fs::read_to_string(committed).unwrap(), "`portcullis schema` prints another one");
}

#[test]
fn a_taken_port_ends_with_70() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Folder::new();
    folder.write(&folder.good(&taken.local_addr().unwrap().to_string()));
    let output = folder.run(&["serve", "--config"]);
    assert_eq!(output.status.code(), Some(70));
    assert!(text(&output.stderr).contains("listeners.operations.bind: cannot listen at"));
}

/// A process that is killed when the test ends.
struct Serving {
    process: Child,
    log: BufReader<ChildStderr>,
    /// The address of the operations listener.
    operations: String,
    /// What was told of the configuration until it was ready.
    warnings: Vec<String>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Serving {
    /// Starts it, and waits until it is ready.
    fn start(folder: &Folder) -> Self {
        let mut command = Command::new(portcullis_integration::portcullis::binary().unwrap());
        command.args(["serve", "--config"]).arg(folder.path()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let mut serving = Self { process, log, operations: String::new(), warnings: Vec::new() };
        loop {
            let record = serving.record();
            if record["listener"] == "operations" {
                record["address"].as_str().unwrap().clone_into(&mut serving.operations);
            }
            serving.warnings.extend(record["warning"].as_str().map(str::to_owned));
            if record["message"] == "ready" {
                return serving;
            }
        }
    }

    /// The next record of the log.
    fn record(&mut self) -> Value {
        let mut line = String::new();
        assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "it ended");
        serde_json::from_str(&line).unwrap()
    }

    /// The next record whose message begins so.
    fn wait_for(&mut self, message: &str) -> Value {
        loop {
            let record = self.record();
            if record["message"].as_str().is_some_and(|text| text.starts_with(message)) {
                return record;
            }
        }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.operations).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

#[test]
fn sigterm_ends_it_with_0() {
    let folder = Folder::new();
    let mut serving = Serving::start(&folder);
    let ready = serving.get("/readyz");
    assert!(ready.starts_with("HTTP/1.1 200 ") && ready.ends_with("\r\n\r\nready\n"), "{ready}");

    let signal = Command::new("kill").args(["-TERM", &serving.process.id().to_string()]).status().unwrap();
    assert!(signal.success());
    serving.wait_for("draining");
    serving.wait_for("ended");
    assert_eq!(serving.process.wait().unwrap().code(), Some(0));
}

#[test]
fn a_probe_tells_whether_the_process_is_ready() {
    let folder = Folder::new();
    let serving = Serving::start(&folder);
    let probe = |address: &str| {
        let output = portcullis(&["probe", "--address", address]);
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    assert_eq!(probe(&serving.operations), (Some(0), "ready\n".to_owned(), String::new()));
    let operations = serving.operations.clone();
    drop(serving);
    let (code, out, told) = probe(&operations);
    assert_eq!((code, out.as_str()), (Some(69), ""));
    assert!(told.starts_with(&format!("portcullis: nothing answers at {operations}: ")), "{told}");

    let draining = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = draining.local_addr().unwrap().to_string();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = draining.accept().unwrap();
        let mut request = [0; 1024];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let told = "portcullis: not ready: /readyz answers 503 Service Unavailable\n".to_owned();
    assert_eq!(probe(&address), (Some(69), String::new(), told));
    assert!(answering.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\n"));
    assert_eq!(portcullis(&["probe", "--address", "nowhere"]).status.code(), Some(64));
}

#[test]
fn a_change_takes_effect_within_ten_seconds() {
    let folder = Folder::new();
    let mut serving = Serving::start(&folder);
    let changed = Instant::now();
    folder.write(&folder.good("127.0.0.1:0").replace("audience: kubeflow", "audience: other"));
    serving.wait_for("the changed configuration is in force");
    assert!(changed.elapsed() < Duration::from_secs(10), "{:?}", changed.elapsed());
    assert!(serving.get("/metrics").contains("\nportcullis_config_reload_failed 0\n"));

    folder.write("colour: red");
    let told = serving.wait_for("the changed configuration is not in force");
    assert!(told["error"].as_str().unwrap().contains("colour: there is no such field"), "{told}");
    assert!(serving.get("/metrics").contains("\nportcullis_config_reload_failed 1\n"));
    assert!(serving.get("/readyz").starts_with("HTTP/1.1 200 "), "what was there before stays in force");
}
