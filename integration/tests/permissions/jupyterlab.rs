//! A real notebook server, as Kubeflow's images start it.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis_integration::parts;
use portcullis_integration::patience::until;
use portcullis_integration::ports::Port;
use portcullis_integration::process::{Launch, Process};
use tempfile::TempDir;

/// A loaded machine may take this long where 3 s are usual.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// A running `JupyterLab`. It is killed when it is dropped.
pub(crate) struct JupyterLab {
    process: Process,
    port: Port,
    _folder: TempDir,
}

impl JupyterLab {
    /// Starts one below a path; its folder has files of these names, each of which says its name.
    pub(crate) async fn start(base: &str, files: &[&str]) -> Self {
        let folder = TempDir::with_prefix("portcullis-jupyterlab-").unwrap();
        let (home, root) = (folder.path().join("home"), folder.path().join("work"));
        std::fs::create_dir(&home).unwrap();
        std::fs::create_dir(&root).unwrap();
        for name in files {
            std::fs::write(root.join(name), name).unwrap();
        }
        let port = Port::take().unwrap();
        let mut process = Launch::new("jupyterlab", parts::path("jupyterlab").unwrap())
            .clear_env()
            .env("HOME", &home)
            .env("SHELL", "/bin/sh")
            .args(["--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", "--ServerApp.port_retries=0"])
            .arg(format!("--ServerApp.port={}", port.address().port()))
            .arg(format!("--ServerApp.base_url={base}"))
            .arg(format!("--ServerApp.root_dir={}", root.display()))
            // Without a sign-in of its own: the gate is all that there is. It would believe any host in the distribution,
            // where it listens on all addresses.
            .args(["--IdentityProvider.token=", "--ServerApp.password=", "--ServerApp.allow_origin=*"])
            .arg("--ServerApp.allow_remote_access=True")
            // It and its extensions tell every request.
            .arg("--Application.log_level=DEBUG")
            .start()
            .unwrap();
        process.wait_for_ok(&format!("http://{}{base}api", port.address()), READY_WITHIN).await.unwrap();
        Self { process, port, _folder: folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The targets of the requests that it has answered, as it read them.
    pub(crate) fn targets(&self) -> Vec<String> {
        // `[D DATE TIME LabApp] 200 GET /notebook/… (…) 1.00ms`
        let target = |line: &String| {
            let (_, told) = line.split_once("] ")?;
            let (status, told) = told.split_once(' ')?;
            status.parse::<u16>().ok()?;
            told.contains("ms").then_some(())?;
            Some(told.split(' ').nth(1)?.to_owned())
        };
        self.process.lines().iter().filter_map(target).collect()
    }

    /// Waits until it has answered a request with a mark in its target, and gives that.
    pub(crate) async fn target_with(&self, mark: &str) -> String {
        until("the notebook server to tell of a request", async || {
            self.targets().into_iter().find(|target| target.contains(mark))
        })
        .await
    }
}
