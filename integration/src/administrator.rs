//! Whoever administers a running Portcullis: the real command, over the process's own socket.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::portcullis::{Config, Portcullis, binary};

/// Gives the process a socket for administrators.
#[must_use]
pub fn administered(config: Config) -> Config {
    let bind = format!("unix:{}", config.folder().join("admin.sock").display());
    config.set("/listeners/admin", json!({ "bind": bind }))
}

/// An administrator of one process.
#[derive(Debug, Clone)]
pub struct Administrator {
    address: String,
}

impl Administrator {
    /// The socket of a process whose configuration is [`administered`].
    #[must_use]
    pub fn socket(portcullis: &Portcullis) -> PathBuf {
        portcullis.config().folder().join("admin.sock")
    }

    /// The administrator of this process.
    #[must_use]
    pub fn of(portcullis: &Portcullis) -> Self {
        Self::at(format!("unix:{}", Self::socket(portcullis).display()))
    }

    /// An administrator who calls this address.
    #[must_use]
    pub fn at(address: String) -> Self {
        Self { address }
    }

    /// Runs a command to its end, with this on its standard input.
    pub async fn run(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let mut command = Command::new(binary()?);
        command.args(arguments).args(["--address", &self.address]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let input = input.to_owned();
        let run = move || -> Result<Output> {
            let mut child = command.spawn()?;
            // A command that reads nothing may be gone already.
            let _ = child.stdin.take().context("the input is piped")?.write_all(input.as_bytes());
            Ok(child.wait_with_output()?)
        };
        tokio::task::spawn_blocking(run).await?
    }

    /// What a command prints that is to succeed.
    pub async fn told(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments, "").await?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The document that a command prints for programs.
    pub async fn told_json(&self, arguments: &[&str]) -> Result<Value> {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--output", "json"]).collect();
        Ok(serde_json::from_str(&self.told(&arguments).await?)?)
    }
}
