//! Scripts for Node that use the packages of the parts.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::process::Launch;

/// A script in a folder of its own, beside the packages that it imports.
#[derive(Debug)]
pub struct Script {
    folder: TempDir,
    file: PathBuf,
}

impl Script {
    /// Makes the folder; `source` is an ECMAScript module.
    pub fn new(source: &str) -> Result<Self> {
        let folder = TempDir::with_prefix("portcullis-node-")?;
        let package = crate::parts::path("oidc-provider")?;
        let packages = package.parent().context("a package lies in a folder of packages")?;
        // Imports are looked up in the folders named `node_modules` from the script's own upward.
        std::os::unix::fs::symlink(packages, folder.path().join("node_modules"))?;
        let file = folder.path().join("script.mjs");
        std::fs::write(&file, source)?;
        Ok(Self { folder, file })
    }

    /// The folder, for files that the script reads.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Node with this script; its arguments follow. The script must live as long as the process.
    pub fn launch(&self, name: &str) -> Result<Launch> {
        Ok(Launch::new(name, binary()?).arg(&self.file))
    }
}

/// The machine's Node: the first on the `PATH`.
fn binary() -> Result<PathBuf> {
    crate::process::on_path("node").context("node is missing: install Node 20 or newer")
}
