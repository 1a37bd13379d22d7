//! Tables of rule tests, run; and what came of them, for people and for what reads it in a CI.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use thiserror::Error;

use super::{
    junit,
    rule_test_words::{rule_fault, why},
};
use crate::{
    principal::escape_unseen,
    rule_tests::{self, CaseReport, Report, RuleReport, RunError, Table, TableError},
};

/// Run tables of requests against their configurations.
#[derive(Args, Debug)]
pub(super) struct Test {
    /// Tables (YAML): a configuration, requests, who sends them, what is expected.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// JUnit's XML, as a CI shows it.
    Junit,
}

/// Why nothing was run.
#[derive(Debug, Error)]
pub(super) enum TestError {
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("the report cannot be written: {0}")]
    Report(#[from] askama::Error),
}

impl TestError {
    pub(super) const fn is_usage(&self) -> bool {
        matches!(self, Self::Table(_))
    }
}

/// What the command prints, and whether all is as it is expected.
pub(super) struct Tested {
    pub(super) text: String,
    pub(super) is_good: bool,
}

impl Test {
    /// Reads every table before it runs the first.
    pub(super) fn run(&self) -> Result<Tested, TestError> {
        let tables = self.files.iter().map(|file| Table::read(file)).collect::<Result<Vec<_>, _>>()?;
        let reports = tables.iter().map(rule_tests::run).collect::<Result<Vec<_>, _>>()?;
        let text = match self.output {
            Output::Text => reports.iter().map(told).collect::<Vec<_>>().join("\n"),
            Output::Json => format!("{:#}", json!({ "tables": reports.iter().map(document).collect::<Vec<_>>() })),
            Output::Junit => junit::of(&reports)?,
        };
        Ok(Tested { text, is_good: reports.iter().all(Report::is_good) })
    }
}

/// A line for each thing that is wrong, with why below it, and a summary.
fn told(report: &Report) -> String {
    let cases = report.cases.iter().filter(|case| !case.mismatches.is_empty());
    let cases = cases.map(|case| format!("FAILED {}\n{}", escape_unseen(&case.name), why(case, "  ")));
    let rules = report.rules.iter().filter_map(|rule| Some(format!("FAILED {}", rule_fault(rule)?)));
    let (all, failed, faulty) = (report.cases.len(), report.failed_cases(), report.faulty_rules());
    let rules_told =
        if faulty == 0 { String::new() } else { format!("; of {} rules {faulty} are at fault", report.rules.len()) };
    let cases_told = if all == 1 { "1 case".to_owned() } else { format!("{all} cases") };
    let table = report.table.display();
    let summary = format!("{table}: {cases_told}, {} passed, {failed} failed{rules_told}", all - failed);
    cases.chain(rules).chain([summary]).collect::<Vec<_>>().join("\n")
}

fn document(report: &Report) -> Value {
    let case = |case: &CaseReport| {
        let mismatches = case.mismatches.iter();
        json!({
            "name": case.name,
            "passed": case.mismatches.is_empty(),
            "mismatches": mismatches.map(|mismatch| {
                json!({ "what": mismatch.what, "expected": mismatch.expected, "found": mismatch.found })
            }).collect::<Vec<_>>(),
            "found": {
                "decision": case.found.decision,
                "status": case.found.status,
                "reason": case.found.reason,
                "rule": case.found.rule,
                "userid": case.found.userid,
                "groups": case.found.groups,
                "wanted_groups": case.found.wanted_groups,
                "reviews": case.found.reviews.iter().map(|(question, answer)| {
                    json!({ "question": question, "answer": answer })
                }).collect::<Vec<_>>(),
                "headers": case.found.headers,
                "removed": case.found.removed,
                "hints": case.found.hints,
            },
        })
    };
    let rule = |rule: &RuleReport| json!({ "name": rule.name, "reached_by": rule.reached_by, "fault": rule.fault });
    json!({
        "table": report.table.display().to_string(),
        "passed": report.is_good(),
        "cases": report.cases.iter().map(case).collect::<Vec<_>>(),
        "rules": report.rules.iter().map(rule).collect::<Vec<_>>(),
    })
}
