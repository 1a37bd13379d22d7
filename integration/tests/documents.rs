//! What the documents say is there: links, files, commands, reasons, metrics and log fields.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis_integration::project::{NOT_OURS, files, read, root};

/// A document, its prose apart from what stands between fences.
struct Document {
    path: PathBuf,
    prose: String,
    fenced: Vec<String>,
}

impl Document {
    fn all() -> Vec<Self> {
        let documents: Vec<_> = files(root(), "md").into_iter().map(Self::read).collect();
        assert!(documents.len() > 8, "the documents were not found");
        documents
    }

    fn read(path: PathBuf) -> Self {
        let (mut prose, mut fenced, mut inside) = (String::new(), Vec::new(), false);
        for line in read(&path).lines() {
            if line.trim_start().starts_with("```") {
                inside = !inside;
            } else if inside {
                fenced.push(line.to_owned());
            } else {
                prose.push_str(line);
                prose.push('\n');
            }
        }
        assert!(!inside, "{}: a fence is not closed", path.display());
        Self { path, prose, fenced }
    }

    fn name(&self) -> String {
        self.path.strip_prefix(root()).expect("it was found there").display().to_string()
    }

    fn folder(&self) -> &Path {
        self.path.parent().expect("a document lies in a folder")
    }

    /// The targets of the links that lead to files of the project.
    fn links(&self) -> Vec<&str> {
        let targets = self.prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")).collect()
    }

    /// What the document shows as code: spans, and fenced lines without their comments.
    fn code(&self) -> Vec<&str> {
        let spans = self.prose.split('`').skip(1).step_by(2);
        let lines = self.fenced.iter().map(|line| line.split('#').next().unwrap_or_default());
        spans.chain(lines).collect()
    }

    /// The headings as GitHub names them in links.
    fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose.lines().filter(|line| line.starts_with('#'));
        let anchor = |heading: &str| {
            let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            text.chars().filter(|next| next.is_alphanumeric() || matches!(next, '-' | '_')).collect()
        };
        headings.map(anchor).collect()
    }

    /// The cells of the rows whose first cell is code, each without its blanks.
    fn rows(&self) -> Vec<Vec<String>> {
        let rows = self.prose.lines().filter(|line| line.starts_with("| `"));
        rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
    }
}

fn code_in(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut seen = 0;
    for document in Document::all() {
        for link in document.links() {
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { document.path.clone() } else { document.folder().join(file) };
            let is_there =
                target.exists() && (anchor.is_empty() || Document::read(target.clone()).anchors().contains(anchor));
            if !is_there {
                broken.push(format!("{}: {link}", document.name()));
            }
        }
    }
    assert!(seen > 20, "the links were not read: {seen}");
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn every_file_that_is_named_is_there() {
    let folders: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| format!("{}/", entry.file_name().to_string_lossy()))
        .filter(|name| !NOT_OURS.contains(&name.trim_end_matches('/')))
        .collect();
    let plain = |next: char| next.is_ascii_alphanumeric() || matches!(next, '.' | '_' | '-' | '/');
    let is_path = |word: &str| {
        word.chars().all(plain)
            && (folders.iter().any(|folder| word.starts_with(folder))
                || Path::new(word).extension().is_some_and(|have| have == "md"))
    };
    let mut missing = Vec::new();
    let mut seen = 0;
    for document in Document::all() {
        for word in document.code().into_iter().flat_map(str::split_whitespace).filter(|word| is_path(word)) {
            seen += 1;
            if !root().join(word).exists() && !document.folder().join(word).exists() {
                missing.push(format!("{}: {word}", document.name()));
            }
        }
    }
    assert!(seen > 20, "the files were not read: {seen}");
    assert!(missing.is_empty(), "files that are not there:\n{}", missing.join("\n"));
}

#[test]
fn every_command_that_is_shown_is_there() {
    let makefile = read("Makefile");
    let goals: BTreeSet<&str> =
        makefile.lines().filter_map(|line| line.split_once(':')).map(|(goal, _)| goal.trim()).collect();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for document in Document::all() {
        for code in document.code() {
            let words: Vec<&str> = code.split_whitespace().collect();
            for pair in words.windows(2) {
                let is_there = match *pair {
                    ["make", goal] => goals.contains(goal),
                    ["--test", suite] => root().join(format!("integration/tests/{suite}.rs")).exists(),
                    _ => continue,
                };
                seen += 1;
                if !is_there {
                    wrong.push(format!("{}: {}", document.name(), pair.join(" ")));
                }
            }
        }
    }
    assert!(seen > 5, "the commands were not read: {seen}");
    assert!(wrong.is_empty(), "commands that are not there:\n{}", wrong.join("\n"));
}

/// A reason as `src/reason.rs` declares it.
struct Declared {
    variant: String,
    code: String,
    summary: String,
}

fn declared_reasons() -> Vec<Declared> {
    let source = read("src/reason.rs");
    let (_, list) = source.split_once("\nreasons! {").expect("the list of reasons begins so");
    let (list, _) = list.split_once("\n}").expect("the list of reasons ends so");
    let (mut reasons, mut summary) = (Vec::new(), String::new());
    for line in list.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            summary.push_str(text);
        } else if let Some((variant, code)) = line.split_once(" => ") {
            reasons.push(Declared {
                variant: variant.to_owned(),
                code: code.split('"').nth(1).expect("a code stands in quotes").to_owned(),
                summary: std::mem::take(&mut summary).trim().to_owned(),
            });
        }
    }
    assert!(reasons.len() > 30, "the reasons were not read: {}", reasons.len());
    reasons
}

#[test]
fn the_document_of_reasons_tells_every_reason_and_no_other() {
    let document = Document::read(root().join("docs/reasons.md"));
    let told = document.rows();
    let declared = declared_reasons();
    let codes: Vec<String> = told.iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    let expected: Vec<&str> = declared.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(codes, expected, "docs/reasons.md tells the reasons of src/reason.rs, in their order");
    let source = read("src/ext_authz/status.rs");
    let statuses: BTreeSet<&str> =
        source.lines().filter_map(|line| line.split_once(" => ")).map(|(_, status)| status.trim_matches(',')).collect();
    for (row, reason) in told.iter().zip(&declared) {
        let [_, status, happened, todo] = row.as_slice() else { panic!("{}: a row has four cells", reason.code) };
        assert!(
            status == "passes" || status.split(", ").all(|status| statuses.contains(status)),
            "{}: {status}",
            reason.code
        );
        assert!(happened.starts_with(&reason.summary), "{}: begins with: {}", reason.code, reason.summary);
        assert!(todo.ends_with('.'), "{}: what to do: {todo}", reason.code);
    }
}

#[test]
fn every_reason_is_given_somewhere() {
    let is_told = |path: &PathBuf| path.ends_with("src/reason.rs") || path.starts_with(root().join("src/pages"));
    let sources: String = files(&root().join("src"), "rs").iter().filter(|path| !is_told(path)).map(read).collect();
    let given = |variant: &str| ["Reason", "Self"].iter().any(|owner| sources.contains(&format!("{owner}::{variant}")));
    let never: Vec<String> =
        declared_reasons().into_iter().map(|reason| reason.variant).filter(|variant| !given(variant)).collect();
    assert!(never.is_empty(), "reasons that no decision gives: {never:?}");
}

/// The metrics that the sources register, as `/metrics` shows them but for the `_total` of counters.
fn registered_metrics() -> BTreeSet<String> {
    let is_test =
        |path: &PathBuf| path.components().any(|part| part.as_os_str().to_string_lossy().starts_with("tests"));
    let mut metrics = BTreeSet::new();
    for path in files(&root().join("src"), "rs").iter().filter(|path| !is_test(path)) {
        let source = read(path).split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(");
        // What counts by provider and outcome is given its name by whoever registers it.
        let by_provider = source.split("Outcomes::register(registry,").skip(1);
        for call in source.split("registry.register").skip(1).chain(by_provider) {
            let unit = if call.starts_with("_with_unit(") { "_seconds" } else { "" };
            let arguments = call.trim_start_matches("_with_unit").trim_start_matches('(').trim_start();
            if arguments.starts_with("name, help") {
                continue;
            }
            let name = arguments.strip_prefix('"').and_then(|rest| rest.split('"').next());
            let name = name.expect("a metric's name is written where it is registered");
            metrics.insert(format!("portcullis_{name}{unit}"));
        }
        // The type of those that are counted by provider and outcome.
        for call in source.split("Outcomes::register(").skip(1) {
            let name = call.split('"').nth(1).expect("a metric's name is written where it is registered");
            metrics.insert(format!("portcullis_{name}"));
        }
    }
    assert!(metrics.len() > 10, "the metrics were not read: {metrics:?}");
    metrics
}

#[test]
fn the_document_of_operations_tells_every_metric_and_no_other() {
    let mut told = BTreeSet::new();
    for row in Document::read(root().join("docs/operations.md")).rows() {
        let name = row[0].trim_matches('`').to_owned();
        if !name.starts_with("portcullis_") {
            continue;
        }
        let is_counter = name.ends_with("_total");
        assert_eq!(row[1] == "counter", is_counter, "{name}: counters end with _total, and nothing else does");
        assert!(told.insert(name.trim_end_matches("_total").to_owned()), "{name} is told twice");
    }
    assert_eq!(told, registered_metrics());
}

#[test]
fn metrics_that_are_mentioned_anywhere_are_there() {
    let registered = registered_metrics();
    let mut unknown = Vec::new();
    for document in Document::all() {
        for code in document.code() {
            let words = code.split(|next: char| !next.is_ascii_alphanumeric() && next != '_');
            for word in words.filter(|word| word.starts_with("portcullis_")) {
                if !registered.contains(word.trim_end_matches("_total")) {
                    unknown.push(format!("{}: {word}", document.name()));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "metrics that are not there:\n{}", unknown.join("\n"));
}

#[test]
fn the_document_of_operations_tells_every_field_of_the_record() {
    let source = read("src/check/record.rs");
    let written = |line: &str| {
        let call = line.trim().strip_prefix("line.")?;
        call.split_once("(\"")?.1.split_once('"').map(|(field, _)| field.to_owned())
    };
    let fields: BTreeSet<String> = source
        .lines()
        .filter_map(written)
        .chain(["timestamp", "level", "message", "target"].map(str::to_owned))
        .collect();
    let document = Document::read(root().join("docs/operations.md"));
    let (_, section) = document.prose.split_once("\n## The log\n").expect("the log has a section");
    let (section, _) = section.split_once("\n## ").expect("another section follows");
    let told: BTreeSet<String> = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|row| code_in(row.split(" | ").next().unwrap_or_default()))
        .collect();
    assert_eq!(told, fields);

    let shown = document.fenced.iter().find(|line| line.contains("\"target\":\"portcullis::check\""));
    let shown: serde_json::Value = serde_json::from_str(shown.expect("a record is shown")).unwrap();
    let shown: BTreeSet<String> = shown.as_object().unwrap().keys().cloned().collect();
    assert_eq!(shown, fields, "the record that is shown has every field");
}
