//! What is wrong with a case or a rule, in words.

use crate::{
    principal::escape_unseen,
    rule_tests::{CaseReport, Found, RuleReport},
};

/// What is wrong with a rule, in one line.
pub(super) fn rule_fault(rule: &RuleReport) -> Option<String> {
    rule.fault.as_ref().map(|fault| format!("rule `{}`: {}", rule.name, escape_unseen(fault)))
}

/// What was expected and found, and why, each on a line that begins so.
pub(super) fn why(case: &CaseReport, begin: &str) -> String {
    let mismatches = case.mismatches.iter().map(|mismatch| {
        let text = format!("{}: expected {}, found {}", mismatch.what, mismatch.expected, mismatch.found);
        escape_unseen(&text)
    });
    let hints = case.found.hints.iter().map(|hint| format!("hint: {}", escape_unseen(hint)));
    let asked = case.found.reviews.iter();
    let asked = asked.map(|(question, answer)| format!("asked: {}: {answer}", escape_unseen(question)));
    let lines = mismatches.chain([format!("found: {}", found(&case.found))]).chain(asked).chain(hints);
    lines.map(|line| format!("{begin}{line}")).collect::<Vec<_>>().join("\n")
}

fn found(found: &Found) -> String {
    let Found { decision, status, reason, summary, rule, userid, groups, wanted_groups, .. } = found;
    let status = status.map(|status| format!(" with {status}")).unwrap_or_default();
    let rule = rule.as_ref().map(|rule| format!(", by the rule `{rule}`")).unwrap_or_default();
    let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let who = userid.as_ref().map(|userid| format!("; the caller is {userid}, in the groups: {}", list(groups)));
    let wanted =
        if wanted_groups.is_empty() { String::new() } else { format!("; the rule wants: {}", list(wanted_groups)) };
    let text = format!(
        "{decision}{status}, {reason} ({}){rule}{}{wanted}",
        summary.trim_end_matches('.'),
        who.unwrap_or_default()
    );
    escape_unseen(&text)
}
