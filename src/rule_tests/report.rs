//! What a run found.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    check::{Checked, Explanation},
    decision::{Decision, HeaderName},
    ext_authz,
    reason::Reason,
};

/// The value of a header that may be any.
pub(super) const ANY: &str = "*";

/// What a table's run found.
#[derive(Debug)]
pub struct Report {
    /// The table's file.
    pub table: PathBuf,
    /// The cases, in the table's order.
    pub cases: Vec<CaseReport>,
    /// The rules, in the configuration's order.
    pub rules: Vec<RuleReport>,
}

/// What a case found.
#[derive(Debug)]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// The decision.
    pub found: Found,
    /// What is otherwise than it was expected; none where the case passes.
    pub mismatches: Vec<Mismatch>,
}

/// What is otherwise than it was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Which part of the decision, as a table names it.
    pub what: String,
    /// What the table expects.
    pub expected: String,
    /// What was found.
    pub found: String,
}

/// What became of a rule.
#[derive(Debug)]
pub struct RuleReport {
    /// Its name.
    pub name: String,
    /// How many cases it decided.
    pub reached_by: usize,
    /// What is wrong with it, or with how it is tested.
    pub fault: Option<String>,
}

/// A decision, as the service and the log see it.
#[derive(Debug)]
pub struct Found {
    /// `allowed`, `refused`, `sign_in` or `answered`.
    pub decision: &'static str,
    /// The HTTP status of our own answer.
    pub status: Option<u16>,
    /// The reason that the log tells.
    pub reason: &'static str,
    /// Why in one sentence.
    pub summary: &'static str,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The name that services know the caller by, where somebody is known.
    pub userid: Option<String>,
    /// The caller's groups.
    pub groups: Vec<String>,
    /// The groups that the rule wants, one of which permits.
    pub wanted_groups: Vec<String>,
    /// What the API server was asked, each with its answer.
    pub reviews: Vec<(String, &'static str)>,
    /// The request headers that are set, by name in lower case.
    pub headers: BTreeMap<String, String>,
    /// The request headers that are removed, in lower case.
    pub removed: Vec<String>,
    /// What to look at, in sentences for people.
    pub hints: Vec<String>,
}

impl Report {
    /// Whether every case passes and every rule is tested.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failed_cases() == 0 && self.faulty_rules() == 0
    }

    /// How many cases fail.
    #[must_use]
    pub fn failed_cases(&self) -> usize {
        self.cases.iter().filter(|case| !case.mismatches.is_empty()).count()
    }

    /// Of how many rules something is wrong.
    #[must_use]
    pub fn faulty_rules(&self) -> usize {
        self.rules.iter().filter(|rule| rule.fault.is_some()).count()
    }
}

impl Mismatch {
    pub(super) fn new(what: &str, expected: &str, found: &str) -> Self {
        Self { what: what.to_owned(), expected: expected.to_owned(), found: found.to_owned() }
    }
}

impl Found {
    pub(super) const REMOVED: &str = "removed";
    pub(super) const KEPT: &str = "kept";
    const SET: &str = "set";

    /// What was decided. The assertion's value is not told: it is another one each time.
    pub(super) fn of(explanation: Explanation, checked: &Checked, assertion: &HeaderName) -> Self {
        let reason = checked.decision.reason();
        let (headers, removed) = match &checked.decision {
            Decision::Allow(allow) => {
                let mutations = allow.mutations();
                let value = |name, value| if name == assertion.as_str() { ANY } else { value };
                let sets = mutations.sets().map(|(name, set)| (name.to_owned(), value(name, set.as_str()).to_owned()));
                (sets.collect(), mutations.removes().map(str::to_owned).collect())
            }
            Decision::Respond(_) => (BTreeMap::new(), Vec::new()),
        };
        Self {
            decision: explanation.verdict.as_str(),
            status: ext_authz::status(checked),
            reason: reason.as_str(),
            summary: Reason::summary(reason),
            rule: explanation.rule,
            userid: explanation.userid,
            groups: explanation.groups,
            wanted_groups: explanation.wanted_groups,
            reviews: explanation.reviews.iter().map(|asked| (asked.question.clone(), asked.answer)).collect(),
            headers,
            removed,
            hints: explanation.reviews.into_iter().filter_map(|asked| asked.advice).chain(explanation.hints).collect(),
        }
    }

    /// What becomes of a request's header, by its name in lower case.
    pub(super) fn fate(&self, name: &str) -> &'static str {
        if self.headers.contains_key(name) {
            Self::SET
        } else if self.removed.iter().any(|removed| removed == name) {
            Self::REMOVED
        } else {
            Self::KEPT
        }
    }
}
