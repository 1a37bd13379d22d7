//! Rules as data: which requests need whom, and the permit that lets one go on.
//!
//! The first rule that matches decides. It is chosen for every reading of the path that a server behind could come to,
//! and all must give the same rule: else a strict rule could be slipped past into the default.

mod permit;
mod rule;

pub use permit::{Permit, ServiceAccountPattern, ServiceAccountPatternError};
pub use rule::{Access, Config, PathPattern, PatternError, Preflight, Rule, RuleConfig};

use std::collections::HashSet;

use crate::{
    reason::Reason,
    request::{Host, Request},
};

/// The compiled rules.
#[derive(Debug)]
pub struct RuleSet {
    hosts: HashSet<String>,
    rules: Vec<Rule>,
    default: Rule,
    asks_for_methods: bool,
}

impl RuleSet {
    /// Compiles rules that the configuration has checked.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let rules: Vec<Rule> = config.rules.into_iter().map(Rule::new).collect();
        Self {
            hosts: config.hosts.into_iter().collect(),
            asks_for_methods: rules.iter().any(Rule::asks_for_methods),
            rules,
            default: Rule::new(RuleConfig { access: config.default, ..RuleConfig::named("default") }),
        }
    }

    /// Whether the configuration names this host.
    #[must_use]
    pub fn knows(&self, host: &Host) -> bool {
        self.hosts.contains(host.name())
    }

    /// Whether any rule asks for the method, so that a header which overrides it behind us must go.
    #[must_use]
    pub const fn asks_for_methods(&self) -> bool {
        self.asks_for_methods
    }

    /// The names of groups that any rule asks for.
    pub fn named_groups(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().flat_map(Rule::groups)
    }

    /// The rule that decides about a request.
    ///
    /// # Errors
    /// [`Reason::UnknownHost`] where no rule names the host; [`Reason::AmbiguousPath`] where two readings of the path give
    /// different rules, it climbs by `..`, or it has no canonical form.
    pub fn choose(&self, request: &Request) -> Result<&Rule, Reason> {
        if !self.knows(request.host()) {
            return Err(Reason::UnknownHost);
        }
        if request.path().climbs().unwrap_or(true) {
            return Err(Reason::AmbiguousPath);
        }
        let readings = request.path().readings().map_err(|_| Reason::AmbiguousPath)?;
        let mut positions = readings.iter().map(|reading| self.position(request, reading));
        let first = positions.next().flatten();
        if positions.any(|position| position != first) {
            return Err(Reason::AmbiguousPath);
        }
        Ok(first.and_then(|position| self.rules.get(position)).unwrap_or(&self.default))
    }

    fn position(&self, request: &Request, path: &str) -> Option<usize> {
        let byte_clean = request.path().is_byte_clean();
        self.rules.iter().position(|rule| rule.matches(request.host(), request.method(), path, byte_clean))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::RawRequest;

    fn rules() -> RuleSet {
        let paths = |patterns: &[&str]| patterns.iter().map(|path| PathPattern::prefix(path).unwrap()).collect();
        RuleSet::new(Config {
            hosts: vec!["kf.example.com".into(), "other.example.com".into()],
            rules: vec![
                RuleConfig { paths: paths(&["/public"]), access: Access::Public, ..RuleConfig::named("public") },
                RuleConfig { paths: paths(&["/api"]), groups: vec!["admins".into()], ..RuleConfig::named("api") },
                RuleConfig {
                    hosts: vec!["other.example.com".into()],
                    access: Access::Deny,
                    ..RuleConfig::named("other")
                },
                RuleConfig { methods: vec!["DELETE".into()], access: Access::Deny, ..RuleConfig::named("no-deletes") },
            ],
            default: Access::Authenticated,
        })
    }

    fn choose(rules: &RuleSet, method: &str, host: &str, path: &str) -> Result<String, Reason> {
        let raw = RawRequest { method: method.into(), host: host.into(), path: path.into(), ..RawRequest::default() };
        rules.choose(&Request::parse(raw).unwrap()).map(|rule| rule.name().to_owned())
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = rules();
        for (method, host, path, rule) in [
            ("GET", "kf.example.com", "/public", "public"),
            ("GET", "KF.example.com.:443", "/public/x?y", "public"),
            ("GET", "kf.example.com", "/publicity", "default"),
            ("GET", "kf.example.com", "/api/x", "api"),
            ("DELETE", "kf.example.com", "/api/x", "api"),
            ("DELETE", "kf.example.com", "/x", "no-deletes"),
            ("GET", "other.example.com", "/x", "other"),
            ("GET", "kf.example.com", "/PUBLIC", "default"),
            ("GET", "kf.example.com", "/public/my%20file", "default"),
            ("GET", "kf.example.com", "/api/my%20file", "api"),
        ] {
            assert_eq!(choose(&rules, method, host, path).as_deref(), Ok(rule), "{method} {host}{path}");
        }
        assert_eq!(choose(&rules, "GET", "evil.example.com", "/public"), Err(Reason::UnknownHost));
    }

    #[test]
    fn no_reading_of_a_path_slips_past_a_strict_rule() {
        let rules = rules();
        for path in [
            "//api",
            "/x/../api",
            "/x/%2e%2e/api",
            "/x/..%2fapi",
            "/x\\..\\api",
            "/%61pi",
            "/%2561pi",
            "/./api",
            "/x;/../api",
            "/api%2f..%2fpublic",
            "/api/..;/public",
            "/public/../api",
            "/public%2f..%2fapi",
            "/public/..\\api",
            "/api%00",
            "/%c0%afapi",
            "/public%00",
            "/%2f%2fapi",
            "/x/../api//../secret",
            "/x/../api/secret/..;/..;/x",
            "/x/../api/secret%2f..%2f..%2fx",
            "/x/../api/y;/../../x",
            "/x\\..\\api//..\\secret",
        ] {
            let chosen = choose(&rules, "GET", "kf.example.com", path);
            let safe = matches!(chosen.as_deref(), Err(Reason::AmbiguousPath) | Ok("api"));
            assert!(safe, "{path}: {chosen:?}");
        }
    }
}
