//! Rules as data: which requests need whom, and the permit that lets one go on.
//!
//! The first rule that matches decides. It is chosen for every reading of the path that a server behind could come to,
//! and all must give the same rule: else a strict rule could be slipped past into the default. Where a stricter rule
//! holds for what some servers do not tell from the path (in another case, or with a slash at its end), that one decides.

mod account_pattern;
mod captured;
mod captures;
mod condition;
mod further_audience;
mod login;
mod login_met;
mod near_miss;
mod openings;
mod permit;
mod precedence;
mod review;
mod rule;
mod template;

pub use account_pattern::{ServiceAccountPattern, ServiceAccountPatternError};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use captures::named;
pub use captures::{Capture, Value};
pub use condition::Condition;
pub use further_audience::FurtherAudience;
pub use login::{Lacking, LoginRequirement, LoginRequirementError, TooOld};
pub use login_met::{LoginInsufficient, LoginMet};
pub use near_miss::NearMiss;
pub use openings::{Opening, openings};
pub use permit::{Missing, Permission, Permit, Unpermitted, Unreviewed};
pub use precedence::{Behind, Precedence, Takes, precedence};
pub use review::{Naming, NamingError, Review, Reviews};
pub use rule::{Access, BearerUse, Config, Mode, PathPattern, PatternError, Preflight, Rule, RuleConfig};
pub use template::{Separator, Template, TemplateError};

use std::collections::BTreeSet;

use crate::{
    decision::HeaderName,
    reason::Reason,
    request::{Host, HostName, HostPattern, Request, look_alike},
};

use rule::Match;

/// The compiled rules.
#[derive(Debug)]
pub struct RuleSet {
    /// In their order.
    hosts: Vec<HostName>,
    /// The domains of which every host is served that has one label more, in their order.
    domains: Vec<HostName>,
    /// The domains of which every host is served that has any labels more, in their order.
    trees: Vec<HostName>,
    rules: Vec<Rule>,
    default: Rule,
    asks_for_methods: bool,
    /// The same with the rules in shadow among them, where there are any.
    with_shadow: Option<Box<Self>>,
}

impl RuleSet {
    /// Compiles rules that the configuration has checked.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let has_shadow = config.rules.iter().any(|rule| rule.mode == Mode::Shadow);
        let with_shadow = has_shadow.then(|| Box::new(Self::of_all(config.clone())));
        let rules = config.rules.into_iter().filter(|rule| rule.mode == Mode::Enforce).collect();
        Self { with_shadow, ..Self::of_all(Config { rules, ..config }) }
    }

    fn of_all(config: Config) -> Self {
        let (mut hosts, mut domains, mut trees) = (Vec::new(), Vec::new(), Vec::new());
        for host in config.hosts {
            match host {
                HostPattern::One(host) => hosts.push(host),
                HostPattern::OneLabelBelow(domain) => domains.push(domain),
                HostPattern::Below(domain) => trees.push(domain),
            }
        }
        for names in [&mut hosts, &mut domains, &mut trees] {
            names.sort_unstable();
        }
        let rules: Vec<Rule> = config.rules.into_iter().map(Rule::new).collect();
        Self {
            hosts,
            domains,
            trees,
            asks_for_methods: rules.iter().any(Rule::asks_for_methods),
            rules,
            default: Rule::new(RuleConfig { access: config.default, ..RuleConfig::named("default") }),
            with_shadow: None,
        }
    }

    /// What the rules would be if those in shadow decided too; `None` where none is in shadow.
    #[must_use]
    pub fn with_shadow(&self) -> Option<&Self> {
        self.with_shadow.as_deref()
    }

    /// The names of the rules in shadow.
    pub fn in_shadow(&self) -> impl Iterator<Item = &str> {
        let all = self.with_shadow.iter().flat_map(|all| &all.rules);
        all.filter(|rule| rule.is_in_shadow()).map(|rule| &**rule.name())
    }

    /// Whether the configuration names this host.
    #[must_use]
    pub fn knows(&self, host: &Host) -> bool {
        let name = host.host_name();
        let is_in = |names: &[HostName], domain: &str| names.binary_search_by(|have| have.as_str().cmp(domain)).is_ok();
        self.hosts.binary_search(name).is_ok()
            || name.domain().is_some_and(|domain| is_in(&self.domains, domain))
            || name.domains().any(|domain| is_in(&self.trees, domain))
    }

    /// Whether any rule asks for the method, so that a header which overrides it behind us must go.
    #[must_use]
    pub const fn asks_for_methods(&self) -> bool {
        self.asks_for_methods
    }

    /// Further headers that any rule tells a service with.
    pub fn further_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.rules.iter().flat_map(|rule| rule.further_headers().names())
    }

    /// The names of groups that any rule asks for.
    pub fn named_groups(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().flat_map(Rule::groups)
    }

    /// The rule that decides about a request.
    ///
    /// # Errors
    /// [`Reason::UnknownHost`] where no rule names the host; [`Reason::AmbiguousPath`] where two readings of the path give
    /// different rules, it climbs by `..`, it has no readings, or no rule is stricter than each other one that could be
    /// meant.
    pub fn choose(&self, request: &Request) -> Result<&Rule, Reason> {
        if !self.knows(request.host()) {
            return Err(Reason::UnknownHost);
        }
        let path = request.path();
        let readings = path.readings().map_err(|_| Reason::AmbiguousPath)?;
        if path.climbs() {
            return Err(Reason::AmbiguousPath);
        }
        let byte_clean = path.is_byte_clean();
        let mut look_alikes = BTreeSet::new();
        let mut positions =
            readings.iter().map(|reading| self.position(request, byte_clean, reading, &mut look_alikes));
        let first = positions.next().flatten();
        if positions.any(|position| position != first) {
            return Err(Reason::AmbiguousPath);
        }
        let own = first.and_then(|position| self.rules.get(position)).unwrap_or(&self.default);
        self.strictest(own, &look_alikes)
    }

    /// The first rule that holds for a reading of the path. Those before it that hold for what looks like it are added to
    /// `look_alikes`, unless the rule names this very path.
    fn position(
        &self,
        request: &Request,
        byte_clean: bool,
        reading: &str,
        look_alikes: &mut BTreeSet<usize>,
    ) -> Option<usize> {
        let folded = look_alike(reading);
        let mut alike = Vec::new();
        let mut first = None;
        for (position, rule) in self.rules.iter().enumerate() {
            if !rule.takes(request, byte_clean) {
                continue;
            }
            match rule.matches(reading, &folded) {
                None => {}
                Some(Match::LookAlike) => alike.push(position),
                Some(Match::Covered) => {
                    first = Some(position);
                    break;
                }
                Some(Match::Named) => return Some(position),
            }
        }
        look_alikes.extend(alike);
        first
    }

    /// The rule that asks no less than each other one, and tells the service no more than the path's own.
    fn strictest<'a>(&'a self, own: &'a Rule, look_alikes: &BTreeSet<usize>) -> Result<&'a Rule, Reason> {
        look_alikes.iter().filter_map(|position| self.rules.get(*position)).try_fold(own, |strictest, other| {
            if strictest.asks_no_less_than(other) {
                Ok(strictest)
            } else if other.asks_no_less_than(strictest) && other.tells_no_more_than(own) {
                Ok(other)
            } else {
                Err(Reason::AmbiguousPath)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{jose::Audience, principal::Group, request::RawRequest};

    fn host(name: &str) -> HostPattern {
        HostPattern::parse(name).unwrap()
    }

    fn group(name: &str) -> Group {
        Group::parse_kubernetes(name).unwrap()
    }

    fn rules() -> RuleSet {
        let paths = |patterns: &[&str]| patterns.iter().map(|path| PathPattern::prefix(path).unwrap()).collect();
        RuleSet::new(Config {
            hosts: vec![host("kf.example.com"), host("other.example.com")],
            rules: vec![
                RuleConfig { paths: paths(&["/public"]), access: Access::Public, ..RuleConfig::named("public") },
                RuleConfig { paths: paths(&["/api"]), groups: vec![group("admins")], ..RuleConfig::named("api") },
                RuleConfig {
                    hosts: vec![host("other.example.com")],
                    access: Access::Deny,
                    ..RuleConfig::named("other")
                },
                RuleConfig { methods: vec!["DELETE".into()], access: Access::Deny, ..RuleConfig::named("no-deletes") },
            ],
            default: Access::Authenticated,
        })
    }

    fn choose(rules: &RuleSet, method: &str, host: &str, path: &str) -> Result<String, Reason> {
        let raw = RawRequest::new(method, host, path);
        rules.choose(&Request::parse(raw).unwrap()).map(|rule| rule.name().to_string())
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
            ("GET", "kf.example.com", "/API/x", "api"),
            ("GET", "kf.example.com", "/public/my%20file", "default"),
            ("GET", "kf.example.com", "/api/my%20file", "api"),
        ] {
            assert_eq!(choose(&rules, method, host, path).as_deref(), Ok(rule), "{method} {host}{path}");
        }
        assert_eq!(choose(&rules, "GET", "evil.example.com", "/public"), Err(Reason::UnknownHost));
    }

    #[test]
    fn a_rule_in_shadow_is_as_if_it_was_not_there_and_can_be_asked() {
        let shadow = |name: &str| RuleConfig { mode: Mode::Shadow, ..RuleConfig::named(name) };
        let paths = |path| vec![PathPattern::prefix(path).unwrap()];
        let rules = RuleSet::new(Config {
            hosts: vec![host("kf.example.com")],
            rules: vec![
                RuleConfig { paths: paths("/api"), access: Access::Public, ..shadow("opens") },
                RuleConfig { paths: paths("/api"), groups: vec![group("admins")], ..RuleConfig::named("api") },
                RuleConfig { methods: vec!["DELETE".into()], access: Access::Deny, ..shadow("no-deletes") },
            ],
            default: Access::Authenticated,
        });
        let all = rules.with_shadow().unwrap();
        for (method, path, rule, with_shadow) in [
            ("GET", "/api/x", "api", "opens"),
            ("DELETE", "/api/x", "api", "opens"),
            ("DELETE", "/x", "default", "no-deletes"),
            ("GET", "/x", "default", "default"),
            ("GET", "/API/x", "api", "api"),
        ] {
            assert_eq!(choose(&rules, method, "kf.example.com", path).as_deref(), Ok(rule), "{method} {path}");
            assert_eq!(choose(all, method, "kf.example.com", path).as_deref(), Ok(with_shadow), "{method} {path}");
        }
        assert!(!rules.asks_for_methods(), "what only a shadow asks changes no request");
        assert_eq!(rules.in_shadow().collect::<Vec<_>>(), ["opens", "no-deletes"]);
        assert!(RuleSet::new(Config::default()).with_shadow().is_none());
    }

    #[test]
    fn a_star_serves_one_label_and_rules_can_name_it() {
        let models = || vec![host("*.team-a.models.example.com")];
        let rules = RuleSet::new(Config {
            hosts: [models(), vec![host("kf.example.com")]].concat(),
            rules: vec![
                RuleConfig {
                    hosts: vec![host("iris.team-a.models.example.com")],
                    access: Access::Deny,
                    ..RuleConfig::named("iris")
                },
                RuleConfig { hosts: models(), groups: vec![group("team-a")], ..RuleConfig::named("models") },
            ],
            default: Access::Authenticated,
        });
        for (host, rule) in [
            ("rose.team-a.models.example.com", Ok("models")),
            ("ROSE.team-a.models.example.com.:443", Ok("models")),
            ("iris.team-a.models.example.com", Ok("iris")),
            ("kf.example.com", Ok("default")),
            ("team-a.models.example.com", Err(Reason::UnknownHost)),
            ("a.rose.team-a.models.example.com", Err(Reason::UnknownHost)),
            ("rose.team-b.models.example.com", Err(Reason::UnknownHost)),
        ] {
            assert_eq!(choose(&rules, "GET", host, "/x").as_deref(), rule.as_ref().copied(), "{host}");
        }
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
            "/api;/x",
            "/%u0061pi",
            "/x/%u002e%u002e/api",
            "/API",
            "/Api/x",
            "/api./x",
            "/api%20/x",
            "/%EF%BD%81pi",
        ] {
            let chosen = choose(&rules, "GET", "kf.example.com", path);
            let safe = matches!(chosen.as_deref(), Err(Reason::AmbiguousPath) | Ok("api"));
            assert!(safe, "{path}: {chosen:?}");
        }
    }

    /// Rules that close one path each, among what is open.
    fn exact_rules() -> RuleSet {
        let exact = |path: &str| vec![PathPattern::exact(path).unwrap()];
        let prefix = |path: &str| vec![PathPattern::prefix(path).unwrap()];
        RuleSet::new(Config {
            hosts: vec![host("kf.example.com")],
            rules: vec![
                RuleConfig { paths: exact("/admin"), groups: vec![group("admins")], ..RuleConfig::named("admin") },
                RuleConfig { paths: exact("/closed/"), access: Access::Deny, ..RuleConfig::named("closed") },
                RuleConfig {
                    paths: exact("/told"),
                    groups: vec![group("admins")],
                    audience: Audience::parse("told").ok(),
                    ..RuleConfig::named("told")
                },
                RuleConfig { paths: exact("/two"), groups: vec![group("a")], ..RuleConfig::named("two") },
                RuleConfig { paths: prefix("/two"), groups: vec![group("b")], ..RuleConfig::named("below-two") },
                RuleConfig { paths: exact("/docs"), access: Access::Public, ..RuleConfig::named("docs") },
                RuleConfig { paths: exact("/open/"), access: Access::Optional, ..RuleConfig::named("open") },
                RuleConfig { paths: exact("/Admin.txt"), access: Access::Public, ..RuleConfig::named("text") },
            ],
            default: Access::Authenticated,
        })
    }

    #[test]
    fn what_a_server_does_not_tell_from_a_closed_path_is_closed_with_it() {
        let rules = exact_rules();
        for (path, rule) in [
            ("/admin", Ok("admin")),
            ("/admin/", Ok("admin")),
            ("/Admin", Ok("admin")),
            ("/ADMIN/", Ok("admin")),
            ("/admin.", Ok("admin")),
            ("/admin%2f", Ok("admin")),
            ("/admin%20", Ok("admin")),
            ("/admin;/x", Err(Reason::AmbiguousPath)),
            ("/admin;a=b/x", Err(Reason::AmbiguousPath)),
            ("/admin%3b/x", Err(Reason::AmbiguousPath)),
            ("/admin%253b/x", Err(Reason::AmbiguousPath)),
            ("/admin%EF%BC%9B/x", Err(Reason::AmbiguousPath)),
            ("/%u0061dmin", Err(Reason::AmbiguousPath)),
            ("/x/%u002e%u002e/admin", Err(Reason::AmbiguousPath)),
            ("/closed", Ok("closed")),
            ("/Closed/", Ok("closed")),
            // The service of `/told/` must not get an assertion for another one's audience.
            ("/told/", Err(Reason::AmbiguousPath)),
            // Neither rule's people are the other's.
            ("/two/", Err(Reason::AmbiguousPath)),
            ("/two/x", Ok("below-two")),
            ("/two", Ok("two")),
            // What is open opens nothing beside it.
            ("/docs", Ok("docs")),
            ("/docs/", Ok("default")),
            ("/Docs", Ok("default")),
            ("/open", Ok("default")),
            ("/OPEN/", Ok("default")),
            // What is named is as it is named.
            ("/Admin.txt", Ok("text")),
            ("/adminx", Ok("default")),
            ("/admin/x", Ok("default")),
        ] {
            assert_eq!(choose(&rules, "GET", "kf.example.com", path).as_deref(), rule.as_ref().copied(), "{path}");
        }
    }

    #[test]
    fn what_honest_clients_send_keeps_its_rule() {
        let rules = rules();
        for (path, rule) in [
            ("/public/", "public"),
            ("/files/report;v=2.txt", "default"),
            ("/files/a;b/c;d", "default"),
            ("/files/100%25uniform", "default"),
            ("/files/%25u0061", "default"),
            ("/files/caf%C3%A9%20(2).txt", "default"),
            ("/files/%E5%96%B6%E6%A5%AD%E3%80%80", "default"),
            ("/api/files/a;b", "api"),
            ("/api/group%2Fproject/x", "api"),
            ("/proxy/https%3A%2F%2Fhost.example%2Fapi%3Fa%3Db%23c", "default"),
        ] {
            assert_eq!(choose(&rules, "GET", "kf.example.com", path).as_deref(), Ok(rule), "{path}");
        }
    }
}
