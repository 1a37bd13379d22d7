//! The threat model and the table of advisories name tests and cases that are there, and the threat model tells every
//! class of the attack suite.
//!
//! In `docs/threat-model.md` a test is written `` `flow.rs: a_spent_state_is_not_exchanged_again` ``, with as much of the
//! file's path as makes it one file, and a case of the attack suite `` `attacks: the-case's-name` ``; so are tests in the
//! table of exploits in `docs/kubeflow.md`. In
//! `integration/attacks/advisories.yaml` a test is written with its whole path: `src/oidc/tests/flow.rs::its_name`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use portcullis_integration::project::{files, read, root};
use serde::Deserialize;
use serde_json::Value;

const THREAT_MODEL: &str = "docs/threat-model.md";
/// What it says of Kubeflow's exploits, with the tests that show it.
const KUBEFLOW: &str = "docs/kubeflow.md";
const SUITE: &str = "integration/attacks";
const ADVISORIES: &str = "integration/attacks/advisories.yaml";
/// What stands before the name of a case.
const CASE: &str = "attacks";

/// The names of the tests in a source: functions with a test's attribute, and those that a macro is given to run.
fn tests_of(source: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        is_test |= ["#[test]", "#[tokio::test"].iter().any(|attribute| line.starts_with(attribute));
        let function = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "));
        if let Some(rest) = function.filter(|_| std::mem::take(&mut is_test)) {
            names.extend(rest.split(['(', '<']).next().map(str::to_owned));
        }
    }
    for (opening, closing) in [("on_each_envoy!(", ')'), ("trials![", ']')] {
        let lists = source.split(opening).skip(1).filter_map(|rest| rest.split(closing).next());
        // `trials![share: one, two]` says first how they run.
        let given = lists.flat_map(|list| list.rsplit(':').next().unwrap_or_default().split(','));
        names.extend(given.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned));
    }
    names
}

/// Everything that a reference may name.
struct Shown {
    /// The tests of each source file, by its path from the root.
    tests: BTreeMap<String, BTreeSet<String>>,
    /// The names of the suite's cases, by the title of their class.
    cases: BTreeMap<String, BTreeSet<String>>,
}

impl Shown {
    fn read() -> Self {
        let sources = ["src", "integration/src", "integration/tests"].map(|folder| files(&root().join(folder), "rs"));
        let tests = sources.into_iter().flatten().map(|path| {
            let name = path.strip_prefix(root()).expect("it was found there").display().to_string();
            (name, tests_of(&read(path)))
        });
        let mut cases: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for path in files(&root().join(SUITE), "yaml") {
            let document: Value =
                serde_saphyr::from_str(&read(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let Some(class) = document["class"].as_str() else { continue };
            let listed = document["cases"].as_array().into_iter().flatten();
            let names = listed.filter_map(|case| Some(case["name"].as_str()?.to_owned()));
            cases.entry(class.to_owned()).or_default().extend(names);
        }
        Self { tests: tests.filter(|(_, names)| !names.is_empty()).collect(), cases }
    }

    fn has_case(&self, name: &str) -> bool {
        self.cases.values().any(|names| names.contains(name))
    }

    /// What is wrong with a reference of the threat model; nothing where it names one test or one case.
    fn objection(&self, (place, name): (&str, &str)) -> Option<String> {
        if place == CASE {
            return (!self.has_case(name)).then(|| format!("there is no case `{name}`"));
        }
        let is_there = |file: &&String| *file == place || file.ends_with(&format!("/{place}"));
        let with_it: Vec<_> =
            self.tests.iter().filter(|(file, names)| is_there(file) && names.contains(name)).collect();
        match with_it.as_slice() {
            [_] => None,
            [] => Some(format!("no file {place} has a test `{name}`")),
            several => Some(format!("{} files {place} have a test `{name}`", several.len())),
        }
    }

    /// The same for one of the table of advisories.
    fn objection_in_full(&self, reference: &str) -> Option<String> {
        if let Some(case) = reference.strip_prefix("attacks: ") {
            return self.objection((CASE, case));
        }
        let Some((file, name)) = reference.split_once("::") else { return Some("it is no reference".to_owned()) };
        let is_there = self.tests.get(file).is_some_and(|names| names.contains(name));
        (!is_there).then(|| format!("{file} has no test `{name}`"))
    }
}

/// The references in a text: what its code spans name.
fn references(text: &str) -> Vec<(&str, &str)> {
    let spans = text.split('`').skip(1).step_by(2);
    let reference = |span: &'_ str| -> Option<(usize, usize)> {
        let (place, name) = span.split_once(": ")?;
        let names_a_test = Path::new(place).extension().is_some_and(|have| have == "rs");
        ((names_a_test || place == CASE) && !name.contains(' ')).then_some((place.len(), name.len()))
    };
    spans.filter_map(|span| reference(span).map(|(place, name)| (&span[..place], &span[span.len() - name..]))).collect()
}

/// The sections of the threat model that tell a class each, by their titles: `### Title`.
fn classes(document: &str) -> BTreeMap<&str, &str> {
    let sections = document.split("\n### ").skip(1).map(|section| section.split("\n## ").next().unwrap_or_default());
    sections.filter_map(|section| section.split_once('\n')).map(|(title, text)| (title.trim(), text)).collect()
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let (document, shown) = (read(THREAT_MODEL), Shown::read());
    let references = references(&document);
    assert!(references.len() > 50, "the references were not found");
    let wrong: Vec<String> = references.into_iter().filter_map(|reference| shown.objection(reference)).collect();
    assert!(wrong.is_empty(), "{THREAT_MODEL}: {wrong:#?}");
}

#[test]
fn every_test_that_the_manual_for_kubeflow_names_is_there() {
    let (document, shown) = (read(KUBEFLOW), Shown::read());
    let (_, table) = document.split_once("\n| exploit |").expect("the exploits have a table");
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 8, "the exploits were not found");
    for row in rows {
        let references = references(row);
        assert!(!references.is_empty(), "shown by which tests? {row}");
        let wrong: Vec<String> = references.into_iter().filter_map(|reference| shown.objection(reference)).collect();
        assert!(wrong.is_empty(), "{KUBEFLOW}: {wrong:#?}");
    }
}

#[test]
fn every_class_of_the_suite_is_in_the_threat_model() {
    let (document, shown) = (read(THREAT_MODEL), Shown::read());
    let told = classes(&document);
    let has_a_runner = root().join("integration/tests/attacks.rs").exists();
    assert_eq!(!shown.cases.is_empty(), has_a_runner, "the attack suite's cases were not found");
    let missing: Vec<_> = shown.cases.keys().filter(|class| !told.contains_key(class.as_str())).collect();
    assert!(missing.is_empty(), "{THREAT_MODEL} has no section for {missing:?}; it has {:?}", told.keys());
}

#[test]
fn every_class_says_what_is_done_and_what_is_not_and_names_a_test() {
    let document = read(THREAT_MODEL);
    let told = classes(&document);
    assert!(told.len() > 12, "the classes were not found");
    for (class, text) in told {
        assert!(text.contains("**Not done.**"), "{class}: what is not done?");
        let is_built = !text.contains("Not built yet");
        assert_eq!(text.contains("**Done.**"), is_built, "{class}: what is done?");
        assert_eq!(!references(text).is_empty(), is_built, "{class}: shown by which tests?");
    }
}

#[test]
fn the_threat_model_is_linked_from_where_people_look_for_it() {
    for (document, link) in [
        ("README.md", "(docs/threat-model.md)"),
        ("ARCHITECTURE.md", "(docs/threat-model.md)"),
        ("SECURITY.md", "(docs/threat-model.md)"),
        ("docs/limits.md", "(threat-model.md)"),
    ] {
        assert!(read(document).contains(link), "{document} does not lead to the threat model");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    advisories: Vec<Advisory>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advisory {
    id: String,
    product: String,
    what: String,
    source: String,
    #[serde(default)]
    shown_by: Vec<String>,
    cannot: Option<String>,
    known: Option<String>,
}

#[test]
fn every_advisory_is_shown_by_a_test_or_cannot_hurt() {
    let table: Table = serde_saphyr::from_str(&read(ADVISORIES)).expect("the table can be read");
    assert!(table.advisories.len() > 30, "the advisories were not found");
    let shown = Shown::read();
    let mut ids = BTreeSet::new();
    for advisory in &table.advisories {
        let Advisory { id, product, what, source, shown_by, cannot, known } = advisory;
        assert!(ids.insert(id), "{id} is there twice");
        let sentences = [Some(what), cannot.as_ref(), known.as_ref()];
        let whole = sentences.into_iter().flatten().all(|sentence| sentence.trim_end().ends_with(['.', ')']));
        assert!(!product.is_empty() && whole, "{id}: whole sentences tell it");
        assert!(source.starts_with("https://"), "{id}: where was it read?");
        assert_eq!(shown_by.is_empty(), cannot.is_some(), "{id} is shown by something, or cannot be");
        for reference in shown_by {
            assert_eq!(shown.objection_in_full(reference), None, "{id}");
        }
    }
}

#[test]
fn what_is_not_there_is_found_missing() {
    let shown = Shown::read();
    assert_eq!(shown.objection(("threat_model.rs", "what_is_not_there_is_found_missing")), None);
    for made_up in
        [("threat_model.rs", "made_up"), ("made_up.rs", "what_is_not_there_is_found_missing"), (CASE, "no case")]
    {
        assert!(shown.objection(made_up).is_some(), "{made_up:?}");
    }
    let helper = ("threat_model.rs", "references");
    assert!(shown.objection(helper).is_some(), "a function that is no test counts as none");
    assert!(shown.objection_in_full("integration/tests/threat_model.rs::made_up").is_some());

    let text = "`a.rs: one`, `b/c.rs: two`, `attacks: some-case`, `GET /x: y`, `d.rs`";
    assert_eq!(references(text), [("a.rs", "one"), ("b/c.rs", "two"), (CASE, "some-case")]);
    let source = "#[test]\nfn one() {}\nfn two() {}\non_each_envoy!(three, four,);\ntrials![share: five,\n six,];";
    assert_eq!(tests_of(source), ["five", "four", "one", "six", "three"].map(str::to_owned).into());
}
