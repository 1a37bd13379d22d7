//! Groups that are nearly those that a rule wants: what an operator is told, and what decides nothing.

use std::fmt;

use super::rule::Rule;
use crate::principal::{Group, Groups};

/// A group that a rule wants, and one that somebody is in, which differ by what providers spell differently: a `/` at the
/// beginning (Keycloak's full paths), or upper and lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    wanted: Group,
    held: Group,
}

impl NearMiss {
    fn between(wanted: &Group, held: &Group) -> Option<Self> {
        let plain = |group: &Group| group.as_str().trim_start_matches('/').to_lowercase();
        (plain(wanted) == plain(held)).then(|| Self { wanted: wanted.clone(), held: held.clone() })
    }
}

impl fmt::Display for NearMiss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wanted, held) = (self.wanted.as_str(), self.held.as_str());
        let by_slash = wanted.starts_with('/') != held.starts_with('/');
        let by_case = wanted.trim_start_matches('/') != held.trim_start_matches('/');
        let by = match (by_slash, by_case) {
            (true, true) => "by a `/` at the beginning and by upper and lower case",
            (false, true) => "by upper and lower case",
            (_, false) => "by a `/` at the beginning",
        };
        write!(formatter, "the rule wants `{wanted}`, the caller is in `{held}`: they differ {by}")
    }
}

impl Rule {
    /// The groups that the rule wants, one of which permits; none where it wants none.
    #[must_use]
    pub fn wanted_groups(&self) -> &[Group] {
        &self.config().groups
    }

    /// The groups among `groups` that are nearly, and not, one that the rule wants.
    #[must_use]
    pub fn near_misses(&self, groups: &Groups) -> Vec<NearMiss> {
        let missing = self.wanted_groups().iter().filter(|wanted| !groups.contains(wanted.as_str()));
        missing.flat_map(|wanted| groups.names().iter().filter_map(|held| NearMiss::between(wanted, held))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::RuleConfig;

    fn told(wanted: &[&str], held: &[&str]) -> Vec<String> {
        let groups = wanted.iter().map(|name| Group::parse_kubernetes(name).unwrap()).collect();
        let rule = Rule::new(RuleConfig { groups, ..RuleConfig::named("rule") });
        rule.near_misses(&Groups::from_provider(held.iter().copied())).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_slash_and_case_are_told_and_nothing_else_is() {
        assert_eq!(
            told(&["admins"], &["users", "/admins"]),
            ["the rule wants `admins`, the caller is in `/admins`: they differ by a `/` at the beginning"]
        );
        assert_eq!(
            told(&["/ml/admins"], &["ML/Admins"]),
            [
                "the rule wants `/ml/admins`, the caller is in `ML/Admins`: they differ by a `/` at the beginning and by \
             upper and lower case"
            ]
        );
        assert_eq!(
            told(&["Admins"], &["admins"]),
            ["the rule wants `Admins`, the caller is in `admins`: they differ by upper and lower case"]
        );
        assert!(told(&["admins"], &["admins", "/admins"]).is_empty(), "who is in it is told nothing");
        assert!(told(&["admins"], &["admin", "ml/admins", "admins/"]).is_empty());
        assert!(told(&[], &["/admins"]).is_empty());
    }
}
