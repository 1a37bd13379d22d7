//! Every configuration that the documents show is one that would start.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::errors;

/// The first line of an example that is a whole configuration.
const MARK: &str = "# portcullis.yaml";

/// The Markdown files of the repository's root, of `docs/` and of the folders there.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let markdown = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let docs =
        folder(root.join("docs")).flat_map(|path| if path.is_dir() { folder(path).collect() } else { vec![path] });
    folder(root.to_path_buf()).chain(docs).filter(markdown).collect()
}

/// The fenced YAML blocks of a document that are marked as configurations, each with the line that it begins on.
fn examples(text: &str) -> Vec<(usize, String)> {
    let mut examples = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim() != "```yaml" {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let block: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line.get(indent..).unwrap_or_default())
            .take_while(|line| line.trim() != "```")
            .collect();
        if block.first().is_some_and(|first| first.starts_with(MARK)) {
            examples.push((number + 1, block.join("\n")));
        }
    }
    examples
}

/// The configurations that the manifests install, wherever they lie.
fn manifests(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                manifests(&path)
            } else {
                Vec::from_iter(path.ends_with("portcullis.yaml").then_some(path))
            }
        })
        .collect()
}

#[test]
fn every_manifest_installs_a_good_configuration() {
    let found = manifests(&Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests"));
    for path in &found {
        assert_eq!(errors(&fs::read_to_string(path).unwrap()), Vec::<String>::new(), "{}", path.display());
    }
    assert!(!found.is_empty());
}

#[test]
fn every_example_is_a_good_configuration() {
    let mut found = 0;
    for path in documents() {
        for (line, example) in examples(&fs::read_to_string(&path).unwrap()) {
            found += 1;
            assert_eq!(errors(&example), Vec::<String>::new(), "{}:{line}", path.display());
        }
    }
    assert!(found > 0, "the documents show no configuration at all");
}
