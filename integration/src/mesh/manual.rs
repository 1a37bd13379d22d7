//! What the manual for Kubeflow shows, for the tests that use it as it is written.

use anyhow::{Context as _, Result};

/// The YAML that the manual shows below this first line.
pub(super) fn written(first_line: &str) -> Result<String> {
    let manual = crate::project::read("docs/kubeflow.md");
    let mut blocks = manual.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let begins = format!("# {first_line}\n");
    Ok(blocks.find(|block| block.starts_with(&begins)).with_context(|| format!("no `{first_line}`"))?.to_owned())
}
