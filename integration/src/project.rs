//! The project's own files, for the tests that hold them to each other.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that are no part of the project's text.
pub const NOT_OURS: [&str; 4] = [".git", "target", "node_modules", "artefacts"];

/// The project's top folder.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace lies above this crate")
}

/// The text of a file, by its path from the top.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The commands that a document shows below a comment, as somebody copies them.
///
/// # Panics
/// Where there are none.
#[must_use]
pub fn commands(document: &str, comment: &str) -> String {
    let text = read(document);
    let block = text.split("```sh\n").find(|block| block.starts_with(&format!("# {comment}\n")));
    let block = block.unwrap_or_else(|| panic!("{document}: no commands below `# {comment}`"));
    block.split("```").next().unwrap_or_default().to_owned()
}

/// The files below a folder whose names end so.
#[must_use]
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the project can be listed") {
        let path = entry.expect("the project can be listed").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !NOT_OURS.contains(&&*name) {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|have| have == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}
