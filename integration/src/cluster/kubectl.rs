//! Manifests by kubectl, as people apply them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::Cluster;

impl Cluster {
    /// Runs kubectl with all rights and gives its output; fails where it fails, with its words.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_with(&self.admin_kubeconfig(), arguments, "").await
    }

    /// Like [`Cluster::kubectl`], with the rights of a kubeconfig, and with `input` on its input.
    pub async fn kubectl_with(&self, kubeconfig: &Path, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new(crate::parts::path("kubectl")?);
        command.arg("--kubeconfig").arg(kubeconfig);
        // What it learns of the API is kept for the next call, and goes with the cluster.
        command.arg("--cache-dir").arg(self.folder().join("kubectl-cache"));
        run(command, arguments, input).await
    }

    /// Applies a stream of YAML documents (server-side apply) and gives kubectl's words.
    pub async fn apply(&self, manifests: &str) -> Result<String> {
        self.apply_with(manifests, &[]).await
    }

    /// Lets the API server judge a stream of YAML documents, admission included, and stores nothing.
    pub async fn dry_run(&self, manifests: &str) -> Result<String> {
        self.apply_with(manifests, &["--dry-run=server"]).await
    }

    /// Installs Istio's CRDs, and waits until the API server serves them.
    pub async fn install_istio_crds(&self) -> Result<()> {
        let crds = crate::parts::path("crd-all.gen.yaml")?;
        let crds = crds.to_str().context("the path of the CRDs is text")?;
        self.kubectl(&["apply", "--server-side", "-f", crds]).await?;
        self.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "-f", crds]).await?;
        Ok(())
    }

    /// Runs commands in a folder as an operator does who pastes them, with all rights; fails where one of them fails.
    pub async fn paste(&self, folder: &Path, commands: &str) -> Result<String> {
        let kubectl = crate::parts::path("kubectl")?;
        let own = kubectl.parent().context("kubectl lies in a folder")?.to_owned();
        let others = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&others)))?;
        let mut command = Command::new("bash");
        command.current_dir(folder).env("PATH", path).env("KUBECONFIG", self.admin_kubeconfig());
        run(command, &["-euo", "pipefail", "-c", commands], "").await
    }

    async fn apply_with(&self, manifests: &str, more: &[&str]) -> Result<String> {
        let mut arguments = vec!["apply", "--server-side", "--force-conflicts", "-f", "-"];
        arguments.extend(more);
        self.kubectl_with(&self.admin_kubeconfig(), &arguments, manifests).await
    }
}

/// Builds a kustomization and gives its YAML documents.
pub async fn kustomize(folder: &Path) -> Result<String> {
    let folder = folder.to_str().context("the folder's path is text")?;
    run(Command::new(crate::parts::path("kubectl")?), &["kustomize", folder], "").await
}

/// Builds a kustomization that is made for a test, and told where the project's files are.
pub async fn kustomize_with(kustomization: impl Fn(&Path) -> Value) -> Result<String> {
    let folder = tempfile::TempDir::with_prefix("portcullis-kustomization-")?;
    // kustomize takes relative paths only.
    let up: PathBuf = folder.path().canonicalize()?.components().skip(1).map(|_| "..").collect();
    let kustomization = kustomization(&up.join(crate::project::root().strip_prefix("/")?));
    std::fs::write(folder.path().join("kustomization.yaml"), kustomization.to_string())?;
    kustomize(folder.path()).await
}

async fn run(mut command: Command, arguments: &[&str], input: &str) -> Result<String> {
    command.args(arguments).kill_on_drop(true);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("the input is a pipe")?;
    // Written beside reading, since either pipe may be full. It may end without having read it all.
    let write = async move { drop(stdin.write_all(input.as_bytes()).await) };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    let output = output?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("kubectl {}: {}\n{said}{complaint}", arguments.join(" "), output.status);
    }
    Ok(said)
}
