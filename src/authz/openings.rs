//! Rules that close one path and leave open what lies below it: what the configuration warns of.

use super::{Access, Config, Mode, PathPattern, Rule, RuleConfig};

/// What no configured path is: a segment below one that stands for all.
const BELOW: &str = "/\u{b7}";

/// A path that a rule closes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The rule's place among the rules.
    pub rule: usize,
    /// The pattern's place among the rule's paths.
    pub path: usize,
}

/// Where an exact path is closed, and what lies below it is less so: a service that takes a request below the path for
/// the path itself (with a path's rest as an argument, for example) serves what was to be closed.
#[must_use]
pub fn openings(config: &Config) -> Vec<Opening> {
    let enforced = || config.rules.iter().enumerate().filter(|(_, rule)| rule.mode == Mode::Enforce);
    let rules: Vec<Rule> = enforced().map(|(_, rule)| Rule::new(rule.clone())).collect();
    let default = Rule::new(RuleConfig { access: config.default, ..RuleConfig::named("default") });
    let mut found = Vec::new();
    for ((index, rule), own) in enforced().zip(&rules) {
        if rule.access == Access::Public {
            continue;
        }
        for (path, pattern) in rule.paths.iter().enumerate() {
            if let PathPattern::Exact(exact) = pattern
                && exact != "/"
                && is_less_closed_below(&rules, &default, own, exact)
            {
                found.push(Opening { rule: index, path });
            }
        }
    }
    found
}

/// Whether anything below `exact`, for a host and a method that the rule holds for, gets a rule that asks less.
fn is_less_closed_below(rules: &[Rule], default: &Rule, own: &Rule, exact: &str) -> bool {
    let below = format!("{}{BELOW}", exact.strip_suffix('/').unwrap_or(exact));
    for rule in rules.iter().filter(|rule| rule.meets(own)) {
        if !rule.holds_for(&below) {
            continue;
        }
        if !rule.asks_no_less_than(own) {
            return true;
        }
        if rule.holds_wherever(own) {
            return false;
        }
    }
    !default.asks_no_less_than(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{principal::Group, request::HostPattern};

    fn host(name: &str) -> HostPattern {
        HostPattern::parse(name).unwrap()
    }

    fn exact(path: &str) -> Vec<PathPattern> {
        vec![PathPattern::exact(path).unwrap()]
    }

    fn prefix(path: &str) -> Vec<PathPattern> {
        vec![PathPattern::prefix(path).unwrap()]
    }

    fn strict(paths: Vec<PathPattern>) -> RuleConfig {
        RuleConfig { paths, groups: vec![Group::parse_kubernetes("admins").unwrap()], ..RuleConfig::named("strict") }
    }

    fn has_openings(rules: Vec<RuleConfig>, default: Access) -> bool {
        !openings(&Config { hosts: ["a", "b"].map(host).to_vec(), rules, default }).is_empty()
    }

    #[test]
    fn an_exact_path_that_asks_more_than_what_lies_below_is_an_opening() {
        let default = Access::Authenticated;
        let found = openings(&Config { rules: vec![strict(exact("/admin"))], ..Config::default() });
        assert_eq!(found, [Opening { rule: 0, path: 0 }]);
        let denied = || RuleConfig { paths: exact("/admin"), access: Access::Deny, ..RuleConfig::named("denied") };
        assert!(has_openings(vec![denied()], default));
        assert!(has_openings(vec![strict(exact("/admin/"))], default));
        let authenticated = || RuleConfig { paths: exact("/admin"), ..RuleConfig::named("authenticated") };
        let open = || RuleConfig { access: Access::Public, ..RuleConfig::named("open") };
        assert!(has_openings(vec![authenticated(), open()], default));
        // Closed below for one host or one method is not closed.
        let of_a = RuleConfig { hosts: vec![host("a")], ..strict(prefix("/admin")) };
        assert!(has_openings(vec![strict(exact("/admin")), of_a], default));
        let gets = RuleConfig { methods: vec!["GET".into()], ..strict(prefix("/admin")) };
        assert!(has_openings(vec![strict(exact("/admin")), gets], default));
    }

    #[test]
    fn what_is_closed_below_too_or_opens_is_none() {
        let default = Access::Authenticated;
        assert!(!has_openings(vec![strict(prefix("/admin"))], default));
        assert!(!has_openings(vec![strict(exact("/admin")), strict(prefix("/admin"))], default));
        assert!(!has_openings(vec![strict([exact("/admin"), prefix("/admin")].concat())], default));
        assert!(!has_openings(vec![strict(exact("/admin"))], Access::Deny));
        let of = |access| RuleConfig { paths: exact("/x"), access, ..RuleConfig::named("x") };
        assert!(!has_openings(vec![of(Access::Public), of(Access::Optional)], default));
        assert!(!has_openings(vec![of(Access::Authenticated)], default));
        assert!(!has_openings(vec![strict(exact("/"))], default), "below the root lies everything");
        let of_a = |rule: RuleConfig| RuleConfig { hosts: vec![host("a")], ..rule };
        assert!(!has_openings(vec![of_a(strict(exact("/admin"))), of_a(strict(prefix("/admin")))], default));
    }
}
