//! What the manual for Kubeflow shows, and what stands for the distribution that it installs into.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// A folder of what stands for Kubeflow's distribution.
#[must_use]
pub fn distribution(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests/distribution").join(folder)
}

/// The YAML that the manual shows below this first line.
pub(super) fn written(first_line: &str) -> Result<String> {
    let manual = crate::project::read("docs/kubeflow.md");
    let mut blocks = manual.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let begins = format!("# {first_line}\n");
    Ok(blocks.find(|block| block.starts_with(&begins)).with_context(|| format!("no `{first_line}`"))?.to_owned())
}
