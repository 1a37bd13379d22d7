//! What shadows told, added up: which requests would be decided otherwise.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{administration::Output, table};
use crate::check::{Differs, SHADOW_TARGET};

/// What may be asked about shadows.
#[derive(Debug, Subcommand)]
pub(super) enum ShadowCommand {
    /// Add up what a gateway or rules in shadow told: which requests would be decided otherwise, by account, rule and
    /// reason. Reads the log of any number of replicas, as `kubectl logs` gives it.
    Report(Report),
}

#[derive(Args, Debug)]
pub(super) struct Report {
    /// Files with lines of the log (JSON); standard input where none is named.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub(super) enum ReportError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the log is in the format `text`, which is for people: write `logging: {{format: json}}`, and ask again")]
    Text,
    #[error("among {0} lines there is no record of a shadow: is one on, and the log at level `info`?")]
    Nothing(u64),
}

impl ShadowCommand {
    /// The report, as it is printed.
    pub(super) fn run(self) -> Result<String, ReportError> {
        let Self::Report(Report { files, output }) = self;
        let mut sums = Sums::default();
        if files.is_empty() {
            sums.read(io::stdin().lock()).map_err(|source| ReportError::Read { path: "-".into(), source })?;
        }
        for path in files {
            sums.read_file(&path).map_err(|source| ReportError::Read { path, source })?;
        }
        sums.told(output)
    }
}

/// A record. What it does not hold is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record {
    target: String,
    timestamp: String,
    source: String,
    differs: String,
    reason: String,
    rule: String,
    principal: String,
    in_force: String,
    method: String,
    host: String,
    path: String,
}

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Same {
    #[serde(serialize_with = "word")]
    differs: Differs,
    source: String,
    reason: String,
    rule: String,
    /// Who it is: for us, or where nobody is, for the gate in force.
    account: String,
    /// Who it is for the gate in force.
    in_force: String,
}

/// How often, when, and one of them.
#[derive(Clone, Debug, Serialize)]
struct Sum {
    requests: u64,
    first: String,
    last: String,
    example: String,
}

#[derive(Debug, Default)]
struct Sums {
    lines: u64,
    is_text: bool,
    found: BTreeMap<Same, Sum>,
}

impl Sums {
    fn read_file(&mut self, path: &Path) -> io::Result<()> {
        if path == Path::new("-") {
            self.read(io::stdin().lock())
        } else {
            self.read(BufReader::new(File::open(path)?))
        }
    }

    fn read(&mut self, mut lines: impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? != 0 {
            self.add(&String::from_utf8_lossy(&line));
            line.clear();
        }
        Ok(())
    }

    fn add(&mut self, line: &str) {
        self.lines += 1;
        if !line.contains(SHADOW_TARGET) {
            return;
        }
        // Whoever gathers logs may write something before each line.
        let record =
            line.find('{').and_then(|start| serde_json::from_str::<Record>(line.get(start..)?.trim_end()).ok());
        match record {
            Some(record) if record.target == SHADOW_TARGET => self.count(record),
            Some(_) => {}
            None => self.is_text = true,
        }
    }

    fn count(&mut self, record: Record) {
        let Record { timestamp, source, differs, reason, rule, principal, in_force, method, host, path, .. } = record;
        let Some(differs) = Differs::parse(&differs) else { return };
        let account = if principal.is_empty() { in_force.clone() } else { principal };
        let same = Same { differs, source, reason, rule, account, in_force };
        let sum = self.found.entry(same).or_insert_with(|| Sum {
            requests: 0,
            first: timestamp.clone(),
            last: timestamp.clone(),
            example: format!("{method} {host}{path}"),
        });
        sum.requests += 1;
        if timestamp < sum.first {
            sum.first.clone_from(&timestamp);
        }
        if timestamp > sum.last {
            sum.last = timestamp;
        }
    }

    fn told(self, output: Output) -> Result<String, ReportError> {
        if self.found.is_empty() {
            return Err(if self.is_text { ReportError::Text } else { ReportError::Nothing(self.lines) });
        }
        let mut rows: Vec<(Same, Sum)> = self.found.into_iter().collect();
        rows.sort_by_key(|(same, sum)| (same.differs, u64::MAX - sum.requests));
        Ok(match output {
            Output::Json => json(&rows),
            Output::Table => format!("{}\n\n{}", summary(&rows), rendered(&rows)),
        })
    }
}

fn json(rows: &[(Same, Sum)]) -> String {
    #[derive(Serialize)]
    struct Row<'a> {
        #[serde(flatten)]
        same: &'a Same,
        #[serde(flatten)]
        sum: &'a Sum,
    }
    let rows: Vec<Row<'_>> = rows.iter().map(|(same, sum)| Row { same, sum }).collect();
    format!("{:#}", serde_json::json!({ "decisions": rows }))
}

/// How many would be decided how, from when to when.
fn summary(rows: &[(Same, Sum)]) -> String {
    let requests = |differs| rows.iter().filter(|(same, _)| same.differs == differs).map(|(_, sum)| sum.requests).sum();
    let told: Vec<String> = Differs::ALL
        .into_iter()
        .map(|differs| (differs, requests(differs)))
        .filter(|(_, requests): &(_, u64)| *requests != 0)
        .map(|(differs, requests)| format!("{requests} would {}", would(differs)))
        .collect();
    let all: u64 = rows.iter().map(|(_, sum)| sum.requests).sum();
    let first = rows.iter().map(|(_, sum)| sum.first.as_str()).min().unwrap_or_default();
    let last = rows.iter().map(|(_, sum)| sum.last.as_str()).max().unwrap_or_default();
    format!("{all} requests from {first} to {last}: {}.", told.join(", "))
}

fn rendered(rows: &[(Same, Sum)]) -> String {
    let titles = ["WOULD", "REASON", "RULE", "ACCOUNT", "TODAY", "REQUESTS", "LAST", "EXAMPLE"];
    table::render(
        titles,
        rows.iter().map(|(same, sum)| {
            [
                would(same.differs).to_owned(),
                same.reason.clone(),
                same.rule.clone(),
                same.account.clone(),
                if same.differs == Differs::Name { same.in_force.clone() } else { String::new() },
                sum.requests.to_string(),
                sum.last.clone(),
                sum.example.clone(),
            ]
        }),
    )
}

const fn would(differs: Differs) -> &'static str {
    match differs {
        Differs::Refused => "be refused",
        Differs::Name => "pass under another name",
        Differs::SignIn => "sign in first",
        Differs::Answered => "be answered here",
        Differs::Allowed => "pass, unlike today",
        Differs::No => "be decided alike",
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives it so")]
fn word<S: serde::Serializer>(differs: &Differs, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(differs.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as the log writes it, in the order of its fields.
    fn line(minute: u32, differs: &str, reason: &str, who: (&str, &str), path: &str) -> String {
        let (principal, in_force) = who;
        format!(
            r#"{{"timestamp":"2026-11-28T10:{minute:02}:00.000000Z","level":"INFO","message":"would be decided","source":"gateway","differs":"{differs}","would":"x","reason":"{reason}","rule":"default","principal":"{principal}","in_force":"{in_force}","request_id":"1","method":"GET","host":"kf.example.com","path":"{path}","target":"portcullis::shadow"}}"#
        )
    }

    fn report(lines: &[String], output: Output) -> Result<String, ReportError> {
        let mut sums = Sums::default();
        sums.read(lines.join("\n").as_bytes()).unwrap();
        sums.told(output)
    }

    fn lines() -> Vec<String> {
        let robot = ("", "system:serviceaccount:team-a:default-editor");
        vec![
            line(3, "no", "session", ("ann@example.com", "ann@example.com"), "/"),
            line(1, "refused", "token_audience", robot, "/pipeline/apis/v2beta1/runs"),
            format!("[pod/portcullis-0] {}", line(4, "refused", "token_audience", robot, "/pipeline/")),
            line(2, "sign_in", "not_signed_in", ("", "bob@example.com"), "/"),
            line(2, "name", "session", ("ann@example.com", "Ann@Example.com"), "/jupyter/"),
            "{\"message\":\"something else\",\"target\":\"portcullis::check\"}".to_owned(),
            "no record at all".to_owned(),
        ]
    }

    #[test]
    fn what_breaks_comes_first_by_account_rule_and_reason() {
        insta::assert_snapshot!(report(&lines(), Output::Table).unwrap());
    }

    #[test]
    fn programs_read_the_same() {
        insta::assert_snapshot!(report(&lines(), Output::Json).unwrap());
    }

    #[test]
    fn a_log_without_shadows_says_what_may_be_wrong() {
        let text = "2026-11-28T10:00:00Z  INFO portcullis::shadow: would be decided source=\"gateway\"".to_owned();
        assert!(matches!(report(&[text], Output::Table), Err(ReportError::Text)));
        assert!(matches!(report(&["x".to_owned(), "y".to_owned()], Output::Table), Err(ReportError::Nothing(2))));
    }

    #[test]
    fn a_terminal_obeys_nothing_that_a_request_brings() {
        let told = report(&[line(1, "refused", "unknown_host", ("", "\\u001b[31m"), "/")], Output::Table).unwrap();
        assert!(!told.contains('\u{1b}'), "{told}");
    }
}
