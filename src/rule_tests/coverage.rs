//! Whether each rule is tested, and can be.

use std::collections::BTreeSet;

use super::report::{CaseReport, RuleReport};
use crate::authz::{self, Mode, Precedence, RuleConfig};

/// What became of each rule in a run.
pub(super) fn judge(config: &authz::Config, on_purpose: &BTreeSet<String>, cases: &[CaseReport]) -> Vec<RuleReport> {
    let rules = config.rules.iter().zip(authz::precedence(config));
    rules
        .map(|(rule, precedence)| {
            let is_by_it = |case: &&CaseReport| case.found.rule.as_ref() == Some(&rule.name);
            let reached_by = cases.iter().filter(is_by_it).count();
            let fault = fault(config, rule, &precedence, reached_by, on_purpose.contains(&rule.name));
            RuleReport { name: rule.name.clone(), reached_by, fault }
        })
        .collect()
}

fn fault(
    config: &authz::Config,
    rule: &RuleConfig,
    precedence: &Precedence,
    reached_by: usize,
    is_on_purpose: bool,
) -> Option<String> {
    if precedence.is_never_reached {
        let takers = precedence.takers().into_iter().filter_map(|taker| config.rules.get(taker));
        let takers: Vec<String> = takers.map(|rule| format!("`{}`", rule.name)).collect();
        let come = if takers.len() == 1 { "comes" } else { "come" };
        return Some(format!("it can never match: {} {come} first for all that it holds for", takers.join(", ")));
    }
    match (reached_by, is_on_purpose) {
        (0, false) if rule.mode == Mode::Shadow => {
            Some("no case reaches it; it is in shadow, which cases with `with_shadow: true` reach".to_owned())
        }
        (0, false) => Some("no case reaches it".to_owned()),
        (1.., true) => Some("`unreached_on_purpose` names it, and a case reaches it".to_owned()),
        (0, true) | (1.., false) => None,
    }
}
