//! Reports of rule tests in JUnit's XML: a suite for each table, a test for each case and each rule.

use askama::Template;

use super::rule_test_words::{rule_fault, why};
use crate::{principal::escape_unseen, rule_tests::Report};

#[derive(Template)]
#[template(
    ext = "xml",
    source = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
{%- for suite in suites %}
  <testsuite name="{{ suite.name }}" tests="{{ suite.tests.len() }}" failures="{{ suite.failures }}">
{%- for test in suite.tests %}
    <testcase classname="{{ suite.name }}" name="{{ test.name }}">
{%- if let Some(failure) = test.failure %}<failure>{{ failure }}</failure>{% endif -%}
    </testcase>
{%- endfor %}
  </testsuite>
{%- endfor %}
</testsuites>"#
)]
struct Document {
    suites: Vec<Suite>,
}

struct Suite {
    name: String,
    tests: Vec<Test>,
    failures: usize,
}

struct Test {
    name: String,
    failure: Option<String>,
}

/// The document. No control of a name reaches it: XML has no spelling for most of them.
pub(super) fn of(reports: &[Report]) -> Result<String, askama::Error> {
    Document { suites: reports.iter().map(suite).collect() }.render()
}

fn suite(report: &Report) -> Suite {
    let cases = report.cases.iter().map(|case| Test {
        name: escape_unseen(&case.name),
        failure: (!case.mismatches.is_empty()).then(|| why(case, "")),
    });
    let rules = report
        .rules
        .iter()
        .map(|rule| Test { name: format!("the rule `{}` is tested", rule.name), failure: rule_fault(rule) });
    Suite {
        name: escape_unseen(&report.table.display().to_string()),
        tests: cases.chain(rules).collect(),
        failures: report.failed_cases() + report.faulty_rules(),
    }
}
