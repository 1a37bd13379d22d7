//! What is expected of a decision, and where it is otherwise.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    form::{self, Decision},
    report::{ANY, Found, Mismatch},
    request::{Request, header_name},
};
use crate::{
    check::Verdict,
    config_file::{FieldError, FieldPath},
    reason::Reason,
};

/// The headers of a caller's credential.
const CREDENTIALS: [&str; 2] = ["authorization", "cookie"];
/// The rule where none matches.
pub(super) const DEFAULT: &str = "default";

/// What is expected of a decision.
#[derive(Debug)]
pub(super) struct Expectation {
    decision: &'static str,
    status: Option<u16>,
    rule: Option<String>,
    reason: Option<Reason>,
    /// By name in lower case.
    headers: BTreeMap<String, String>,
    removed: Vec<String>,
    kept: Vec<String>,
}

impl Expectation {
    pub(super) fn read(
        at: &FieldPath,
        written: &form::Expectation,
        rules: &BTreeSet<&str>,
        request: Option<&Request>,
        errors: &mut Vec<FieldError>,
    ) -> Option<Self> {
        let before = errors.len();
        let goes_on = written.decision == Decision::Allowed;
        if goes_on && written.status.is_some() {
            errors.push(
                FieldError::new(&at.key("status"), "a request that goes on is answered by the service")
                    .write("remove it"),
            );
        }
        for (field, is_written) in [
            ("headers", !written.headers.is_empty()),
            ("removed", !written.removed.is_empty()),
            ("kept", !written.kept.is_empty()),
        ] {
            if is_written && !goes_on {
                errors.push(
                    FieldError::new(&at.key(field), "no service gets this request")
                        .write("remove it, or write `decision: allowed`"),
                );
            }
        }
        if let Some(rule) = written.rule.as_deref().filter(|rule| *rule != DEFAULT && !rules.contains(rule)) {
            errors.push(FieldError::new(&at.key("rule"), "the configuration has no such rule").found(rule));
        }
        let reason = written.reason.as_deref().and_then(|code| {
            let reason = Reason::ALL.iter().copied().find(|reason| reason.as_str() == code);
            if reason.is_none() {
                let error = FieldError::new(&at.key("reason"), "there is no such reason").found(code);
                errors.push(error.write("write one of those in docs/reasons.md"));
            }
            reason
        });
        let headers = written.headers.iter().filter_map(|(name, value)| {
            Some((header_name(&at.key("headers").key(name), name, errors)?, value.clone()))
        });
        let headers = headers.collect();
        let removed = names(&at.key("removed"), &written.removed, errors);
        let kept = names(&at.key("kept"), &written.kept, errors);
        for (index, name) in kept.iter().enumerate() {
            // A caller's credential is put there when the case runs.
            let may_come = |request: &Request| request.has(name) || CREDENTIALS.contains(&name.as_str());
            if !request.is_none_or(may_come) {
                errors
                    .push(FieldError::new(&at.key("kept").index(index), "the request has no such header").found(name));
            }
        }
        (errors.len() == before).then(|| Self {
            decision: written.decision.as_str(),
            status: written.status,
            rule: written.rule.clone(),
            reason,
            headers,
            removed,
            kept,
        })
    }

    /// Where what was found is otherwise.
    pub(super) fn mismatches(&self, found: &Found) -> Vec<Mismatch> {
        let mut mismatches = Vec::new();
        let mut compare = |what: &str, expected: Option<&str>, found: Option<&str>| {
            if expected.is_some_and(|expected| Some(expected) != found) {
                mismatches.push(Mismatch::new(what, expected.unwrap_or_default(), found.unwrap_or("none")));
            }
        };
        let text = |status: Option<u16>| status.map(|status| status.to_string());
        compare("decision", Some(self.decision), Some(found.decision));
        compare("status", text(self.status).as_deref(), text(found.status).as_deref());
        compare("rule", self.rule.as_deref(), found.rule.as_deref());
        compare("reason", self.reason.map(Reason::as_str), Some(found.reason));
        if found.decision != self.decision {
            // There is no service to compare with.
            return mismatches;
        }
        for (name, value) in &self.headers {
            let set = found.headers.get(name).map(String::as_str);
            let expected = if value == ANY { set.unwrap_or("any value") } else { value };
            compare(&format!("header {name}"), Some(expected), set.or_else(|| Some(found.fate(name))));
        }
        for (names, fate) in [(&self.removed, Found::REMOVED), (&self.kept, Found::KEPT)] {
            for name in names {
                compare(&format!("header {name}"), Some(fate), Some(found.fate(name)));
            }
        }
        mismatches
    }
}

impl Decision {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => Verdict::Allowed.as_str(),
            Self::Refused => Verdict::Refused.as_str(),
            Self::SignIn => Verdict::SignIn.as_str(),
            Self::Answered => Verdict::Answered.as_str(),
        }
    }
}

fn names(at: &FieldPath, written: &[String], errors: &mut Vec<FieldError>) -> Vec<String> {
    written.iter().enumerate().filter_map(|(index, name)| header_name(&at.index(index), name, errors)).collect()
}
