//! `portcullis test` and `portcullis rules` as a CI runs them: on the tables that are shipped, and on ones that fail.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use portcullis_integration::lateness::Lateness;
use portcullis_integration::portcullis::binary;
use portcullis_integration::project::{files, read, root};
use serde_json::Value;

/// What each shipped configuration has beside it.
const TABLE: &str = "rules.test.yaml";

fn portcullis<Argument: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = Argument>) -> Output {
    Command::new(binary().unwrap()).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A configuration of nobody's files, and a table.
struct Folder(tempfile::TempDir);

const RULES: &str = "rules:
  - {name: assets, paths: [{prefix: /assets}], access: public}
  - {name: admin, paths: [{prefix: /admin}], groups: [admins]}
";
const CASES: &str = "cases:
  - name: assets are open
    request: {url: 'https://kf.example.com/assets/a.js'}
    expect: {decision: allowed, rule: assets}
  - name: a viewer is no administrator
    request: {url: 'https://kf.example.com/admin', navigation: true}
    who: {user: viewer@example.com, groups: [viewers]}
    expect: {decision: refused, status: 403, rule: admin, reason: not_permitted}
";

impl Folder {
    fn new(issuer: &str, rules: &str, cases: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let configuration = format!(
            "keys: {{root: [/nowhere/root], assertion: [/nowhere/assertion.pem]}}
sessions: {{store: {{type: redis, redis: {{urls: ['rediss://nowhere.invalid:6379'], ca_file: /nowhere/ca.pem}}}}}}
providers:
  - {{name: idp, issuer: '{issuer}', allow_http: true, client_id: portcullis, client_secret: {{file: /nowhere/secret}}}}
origins: [{{url: 'https://kf.example.com', provider: idp}}]
service_accounts: {{audiences: [portcullis], issuers: ['https://kubernetes'], kubeconfig: /nowhere/kubeconfig}}
assertion: {{issuer: 'https://portcullis.example.com', audience: kubeflow}}
{rules}"
        );
        fs::write(folder.configuration(), configuration).unwrap();
        fs::write(folder.table(), format!("config: portcullis.yaml\n{cases}")).unwrap();
        folder
    }

    fn with(rules: &str, cases: &str) -> Self {
        Self::new("https://idp.example.com", rules, cases)
    }

    fn configuration(&self) -> PathBuf {
        self.0.path().join("portcullis.yaml")
    }

    fn table(&self) -> PathBuf {
        self.0.path().join(TABLE)
    }

    /// The exit code, and what was printed to the standard output, the folder's name apart.
    fn test(&self, options: &[&str]) -> (i32, String) {
        let table = self.table();
        let output = portcullis([&["test"], options, &[table.to_str().unwrap()]].concat());
        let told = text(&output.stdout).replace(&format!("{}/", self.0.path().display()), "");
        (output.status.code().unwrap(), told)
    }
}

#[test]
fn every_shipped_configuration_has_a_table_that_passes() {
    let shipped = files(&root().join("manifests"), "yaml");
    let has_rules = |path: &&PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name == "portcullis.yaml" || name.ends_with("-rules.yaml")
    };
    let tables: Vec<PathBuf> = shipped.iter().filter(has_rules).map(|path| path.with_file_name(TABLE)).collect();
    assert!(tables.len() >= 5, "the configurations were not found: {tables:?}");
    for table in &tables {
        assert!(table.exists(), "{} is missing", table.display());
    }
    let output = portcullis([&["test".into()], &tables[..]].concat());
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}{}", text(&output.stderr));
    assert_eq!(told.lines().filter(|line| line.ends_with(" passed, 0 failed")).count(), tables.len(), "{told}");
}

#[test]
fn a_changed_decision_fails_and_says_what_was_found() {
    assert_eq!(Folder::with(RULES, CASES).test(&[]), (0, format!("{TABLE}: 2 cases, 2 passed, 0 failed\n")));
    let opened = RULES.replace("groups: [admins]", "groups: [admins, viewers]");
    let (code, told) = Folder::with(&opened, CASES).test(&[]);
    let expected = format!(
        "FAILED a viewer is no administrator
  decision: expected refused, found allowed
  status: expected 403, found none
  reason: expected not_permitted, found session
  found: allowed, session (A signed-in browser), by the rule `admin`; the caller is viewer@example.com, in the groups: viewers; the rule wants: admins, viewers
{TABLE}: 2 cases, 1 passed, 1 failed
"
    );
    assert_eq!((code, told.as_str()), (1, expected.as_str()));
}

#[test]
fn a_rule_that_nobody_tests_and_one_that_can_never_match_fail() {
    let more = format!(
        "{RULES}  - {{name: new, paths: [{{prefix: /new}}], access: deny}}\n  - {{name: late, paths: [{{exact: /admin/x}}], access: deny}}\n"
    );
    let folder = Folder::with(&more, CASES);
    let (code, told) = folder.test(&[]);
    let expected = format!(
        "FAILED rule `new`: no case reaches it
FAILED rule `late`: it can never match: `admin` comes first for all that it holds for
{TABLE}: 2 cases, 2 passed, 0 failed; of 4 rules 2 are at fault
"
    );
    assert_eq!((code, told.as_str()), (1, expected.as_str()));
    let listed = portcullis(["rules".as_ref(), folder.configuration().as_os_str()]);
    let listed = (listed.status.code(), text(&listed.stdout));
    assert_eq!(listed.0, Some(0));
    assert!(listed.1.ends_with("\n\n4 late: NEVER REACHED, behind 2 admin (all)\n"), "{}", listed.1);

    let said = format!("unreached_on_purpose: [new]\n{CASES}");
    assert_eq!(Folder::with(&more.replace("/admin/x", "/other"), &said.replace("[new]", "[new, late]")).test(&[]).0, 0);
    assert_eq!(Folder::with(RULES, &said).test(&[]).0, 64, "there is no such rule");
}

#[test]
fn a_question_that_no_answer_is_assumed_of_fails_and_is_named() {
    let rules = "access_reviews: {}
rules:
  - name: notebooks
    paths: [{prefix: /notebook}]
    captures: [{path: [\"/notebook/{namespace}/{name}/**\"]}]
    reviews: [{verb: create, resource: pods, subresource: exec, namespace: \"{namespace}\", name: \"{name}-0\"}]
";
    let cases = "cases:
  - name: a notebook
    request: {url: 'https://kf.example.com/notebook/team-a/nb/'}
    who: {user: viewer@example.com}
    reviews: [{verb: create, resource: pods, subresource: exec, namespace: team-a, name: nb-0, answer: denied}]
    expect: {decision: refused, status: 403, reason: access_review_denied}
";
    assert_eq!(Folder::with(rules, cases).test(&[]).0, 0);
    let (code, told) = Folder::with(rules, &cases.replace("team-a, name", "team-b, name")).test(&[]);
    assert_eq!(code, 1);
    let question = "create pods/exec nb-0 -n team-a";
    assert!(
        told.contains(&format!("\n  review: expected no question without an answer, found {question}\n")),
        "{told}"
    );
    assert!(told.contains("\n  reason: expected access_review_denied, found api_server_unavailable\n"), "{told}");
    let (code, told) = Folder::with(rules, &cases.replace("answer: denied", "answer: allowed")).test(&[]);
    assert_eq!(code, 1);
    assert!(told.contains(&format!("\n  asked: {question}: yes\n")), "{told}");
}

#[test]
fn programs_read_the_same_as_people() {
    let folder = Folder::with(&RULES.replace("[admins]", "[viewers]"), CASES);
    let (code, told) = folder.test(&["--output", "json"]);
    let report: Value = serde_json::from_str(&told).unwrap();
    let table = &report["tables"][0];
    assert_eq!((code, &table["passed"]), (1, &Value::Bool(false)));
    assert_eq!((&table["cases"][0]["passed"], &table["cases"][1]["passed"]), (&true.into(), &false.into()));
    let mismatch = &table["cases"][1]["mismatches"][0];
    assert_eq!((&mismatch["what"], &mismatch["found"]), (&"decision".into(), &"allowed".into()));
    assert_eq!(table["cases"][1]["found"]["headers"]["kubeflow-userid"], "viewer@example.com");
    assert_eq!(table["rules"][1]["reached_by"], 1);

    let strange = CASES.replace("assets are open", "\"assets <are> 'open' & \\e[31mred\"");
    let (code, told) = Folder::with(&RULES.replace("[admins]", "[viewers]"), &strange).test(&["--output", "junit"]);
    assert_eq!(code, 1);
    let found = told.lines().filter(|line| line.starts_with("found: ")).count();
    assert_eq!(found, 1, "{told}");
    let expected = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="{TABLE}" tests="4" failures="1">
    <testcase classname="{TABLE}" name="assets &#60;are&#62; &#39;open&#39; &#38; \u{{1b}}[31mred"></testcase>
    <testcase classname="{TABLE}" name="a viewer is no administrator"><failure>decision: expected refused, found allowed
status: expected 403, found none
reason: expected not_permitted, found session
</failure></testcase>
    <testcase classname="{TABLE}" name="the rule `assets` is tested"></testcase>
    <testcase classname="{TABLE}" name="the rule `admin` is tested"></testcase>
  </testsuite>
</testsuites>
"#
    );
    let (before, after) = told.split_once("found: allowed").unwrap();
    let (_, after) = after.split_once("</failure>").unwrap();
    assert_eq!(format!("{before}</failure>{after}"), expected);
}

#[test]
fn a_wrong_table_ends_with_64_and_every_error_and_runs_nothing() {
    let wrong = CASES.replace("rule: assets", "rule: asets").replace("viewer@example.com", "Viewer@example.com");
    let (good, folder) = (Folder::with(RULES, CASES), Folder::with(RULES, &wrong));
    let output = portcullis(["test".as_ref(), good.table().as_os_str(), folder.table().as_os_str()]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(64), ""));
    let told = text(&output.stderr);
    assert!(told.starts_with("portcullis: ") && told.contains(": the table has 2 errors:\n"), "{told}");
    assert!(told.contains("\n  cases[0].expect.rule: the configuration has no such rule; found `asets`"), "{told}");
    assert!(told.contains("\n  cases[1].who.user: "), "{told}");
    assert_eq!(portcullis(["test"]).status.code(), Some(64));
    assert_eq!(portcullis(["rules", "/does/not/exist"]).status.code(), Some(64));
}

#[test]
fn nobody_is_called_and_no_file_is_read() {
    let provider = TcpListener::bind("127.0.0.1:0").unwrap();
    provider.set_nonblocking(true).unwrap();
    let issuer = format!("http://{}", provider.local_addr().unwrap());
    let sign_in = "
  - name: who is not signed in is sent to the provider
    request: {url: 'https://kf.example.com/', navigation: true}
    expect: {decision: sign_in, status: 302}
  - name: a token is judged
    request: {url: 'https://kf.example.com/'}
    who: {service_account: team-a/robot}
    expect: {decision: allowed, reason: service_account}
";
    let folder = Folder::new(&issuer, RULES, &format!("{CASES}{}", sign_in.trim_start_matches('\n')));
    assert_eq!(folder.test(&[]), (0, format!("{TABLE}: 4 cases, 4 passed, 0 failed\n")));
    assert_eq!(provider.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "the provider was called");
    let left: Vec<_> = fs::read_dir(folder.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "something was made: {left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_cases_take_less_than_a_second() {
    const CASES: usize = 200;
    const WITHIN: Duration = Duration::from_secs(1);
    let case = |number| {
        let who =
            if number % 2 == 0 { "{user: viewer@example.com, groups: [admins]}" } else { "{service_account: a/b}" };
        let decision = if number % 2 == 0 { "allowed" } else { "refused" };
        format!(
            "  - name: case {number}\n    request: {{url: 'https://kf.example.com/admin/{number}'}}\n    who: {who}\n    expect: {{decision: {decision}, rule: admin}}\n"
        )
    };
    let cases: String = (0..CASES).map(case).collect();
    let folder = Folder::with(RULES, &format!("unreached_on_purpose: [assets]\ncases:\n{cases}"));
    let lateness = Lateness::watch();
    let (took, found) = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        let found = folder.test(&[]);
        (begun.elapsed(), found)
    })
    .await
    .unwrap();
    assert_eq!(found, (0, format!("{TABLE}: {CASES} cases, {CASES} passed, 0 failed\n")));
    // The process is one of several on the machine: each of its turns may be as late as ours.
    let bound = WITHIN + lateness.p99() * 100;
    assert!(took < bound, "{took:?}, and not within {bound:?}");
}

/// The fenced blocks of the document that are files, by their names in the first line.
fn shown(document: &str) -> Vec<(String, String)> {
    let blocks = document.split("```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let named = |block: &str| Some((block.lines().next()?.strip_prefix("# ")?.to_owned(), block.to_owned()));
    blocks.filter_map(named).filter(|(name, _)| Path::new(name).extension().is_some_and(|end| end == "yaml")).collect()
}

#[test]
fn the_table_that_the_document_shows_passes_on_the_configuration_that_it_shows() {
    let shown = shown(&read("docs/rule-tests.md"));
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in &shown {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let names: Vec<&str> = shown.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["portcullis.yaml", TABLE]);
    let output = portcullis(["test".as_ref(), folder.path().join(TABLE).as_os_str()]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
}
