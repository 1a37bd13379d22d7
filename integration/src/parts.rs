//! Where the real parts lie: `integration/parts` says it, and says how to get one that is missing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

/// The path of a part by the name that `integration/parts/path` gives it.
///
/// A part that is not there is a failure that names the command to run, never a reason to skip.
pub fn path(name: &str) -> Result<PathBuf> {
    static KNOWN: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);

    let mut known = KNOWN.lock().expect("no holder of this lock panics");
    let known = known.get_or_insert_default();
    if let Some(path) = known.get(name) {
        return Ok(path.clone());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("parts/path");
    let output =
        Command::new(&script).arg(name).output().with_context(|| format!("cannot run {}", script.display()))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        bail!("the part {name} is missing: {}", message.trim());
    }
    let path = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    known.insert(name.to_owned(), path.clone());
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_part_is_told() {
        let error = path("no-such-part").unwrap_err().to_string();
        assert!(error.contains("no-such-part"), "{error}");
    }
}
