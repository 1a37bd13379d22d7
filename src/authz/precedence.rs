//! What earlier rules leave of a rule: the first that matches decides, so one that stands behind may never do.
//!
//! It is decided exactly, but for templates. What a rule holds for is a union of parts, each of one pattern for hosts, one
//! method (or all) and one pattern for paths. Each such part has a request that nothing smaller covers: a label, a method
//! and a segment that no pattern names. So a part is covered by several rules only where one of them covers it alone.
//!
//! Templates are compared segment by segment, so that several which cover one together are not found to: what is told as
//! never reached is.
//!
//! Paths count as they are written: a rule behind another may still decide about what only looks like its paths, since
//! the stricter of the two is taken there.

use super::{Access, Config, PathPattern, Rule};
use crate::request::HostPattern;

/// What earlier rules leave of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precedence {
    /// Whether nothing is left: for each host, method and path that the rule holds for, an earlier rule comes first.
    pub is_never_reached: bool,
    /// The earlier rules that come first for some of it, in their order.
    pub behind: Vec<Behind>,
}

impl Precedence {
    /// The places of the rules because of which it is never reached: the first that takes all, or all of them together.
    #[must_use]
    pub fn takers(&self) -> Vec<usize> {
        let of_all = self.behind.iter().find(|behind| behind.takes == Takes::All);
        of_all.map_or_else(|| self.behind.iter().map(|behind| behind.rule).collect(), |behind| vec![behind.rule])
    }
}

/// An earlier rule, and what it takes of a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The earlier rule's place among the rules.
    pub rule: usize,
    /// What it takes.
    pub takes: Takes,
}

/// What an earlier rule takes of a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takes {
    /// All that the later one holds for.
    All,
    /// These paths, for hosts and methods that both hold for.
    Paths(Vec<PathPattern>),
}

/// What the earlier rules leave of each rule, in the order of the rules. A rule in shadow takes from rules in shadow alone,
/// since it decides nothing.
#[must_use]
pub fn precedence(config: &Config) -> Vec<Precedence> {
    let rules: Vec<Rule> = config.rules.iter().cloned().map(Rule::new).collect();
    rules
        .iter()
        .enumerate()
        .map(|(index, rule)| {
            let earlier = rules.iter().enumerate().take(index);
            let earlier = earlier.filter(|(_, earlier)| !earlier.is_in_shadow() || rule.is_in_shadow());
            left_by(&config.hosts, rule, &earlier.collect::<Vec<_>>())
        })
        .collect()
}

fn left_by(served: &[HostPattern], rule: &Rule, earlier: &[(usize, &Rule)]) -> Precedence {
    let parts = parts(served, rule);
    let all_by = |earlier: &Rule| parts.iter().all(|part| part.is_covered_by(earlier, rule));
    let is_taken = |part: &Part| earlier.iter().any(|(_, earlier)| part.is_covered_by(earlier, rule));
    let behind = |&(index, earlier): &(usize, &Rule)| {
        let shared = shared_paths(&parts, earlier);
        let takes = if all_by(earlier) { Takes::All } else { Takes::Paths(shared) };
        (takes != Takes::Paths(Vec::new())).then_some(Behind { rule: index, takes })
    };
    if parts.is_empty() {
        return Precedence::default();
    }
    Precedence { is_never_reached: parts.iter().all(is_taken), behind: earlier.iter().filter_map(behind).collect() }
}

/// One part of what a rule holds for.
struct Part {
    hosts: HostPattern,
    /// None: any method.
    method: Option<String>,
    path: PathPattern,
}

fn parts(served: &[HostPattern], rule: &Rule) -> Vec<Part> {
    let mut parts = Vec::new();
    for hosts in hosts(served, rule) {
        for method in methods(rule) {
            for path in paths(rule) {
                parts.push(Part { hosts: hosts.clone(), method: method.clone(), path });
            }
        }
    }
    parts
}

/// The hosts that are served and that the rule holds for.
fn hosts(served: &[HostPattern], rule: &Rule) -> Vec<HostPattern> {
    let own = &rule.config().hosts;
    if own.is_empty() {
        return served.to_vec();
    }
    let both = own.iter().flat_map(|own| served.iter().filter_map(|served| narrower(own, served, HostPattern::covers)));
    both.cloned().collect()
}

fn methods(rule: &Rule) -> Vec<Option<String>> {
    let own = &rule.config().methods;
    if own.is_empty() {
        return vec![None];
    }
    let head = (rule.takes_method("HEAD") && !own.iter().any(|method| method == "HEAD")).then(|| "HEAD".to_owned());
    own.iter().cloned().chain(head).map(Some).collect()
}

fn paths(rule: &Rule) -> Vec<PathPattern> {
    let own = &rule.config().paths;
    if own.is_empty() { vec![PathPattern::Prefix(String::new())] } else { own.clone() }
}

impl Part {
    /// Whether `earlier` comes first for all of this part of `rule`.
    fn is_covered_by(&self, earlier: &Rule, rule: &Rule) -> bool {
        let hosts = &earlier.config().hosts;
        // A public rule takes byte-clean paths alone, and leaves the others to whoever comes next.
        (earlier.access() != Access::Public || rule.access() == Access::Public)
            && earlier.config().only_where.iter().all(|condition| rule.config().only_where.contains(condition))
            && (hosts.is_empty() || hosts.iter().any(|hosts| hosts.covers(&self.hosts)))
            && self
                .method
                .as_ref()
                .map_or_else(|| earlier.config().methods.is_empty(), |method| earlier.takes_method(method))
            && paths(earlier).iter().any(|path| path.covers(&self.path))
    }

    fn meets(&self, earlier: &Rule) -> bool {
        let hosts = &earlier.config().hosts;
        (hosts.is_empty() || hosts.iter().any(|hosts| hosts.meets(&self.hosts)))
            && self.method.as_ref().is_none_or(|method| earlier.takes_method(method))
    }
}

/// The paths that an earlier rule takes of some of the parts.
fn shared_paths(parts: &[Part], earlier: &Rule) -> Vec<PathPattern> {
    let earlier_paths = paths(earlier);
    let mut shared: Vec<PathPattern> = Vec::new();
    for part in parts.iter().filter(|part| part.meets(earlier)) {
        for path in &earlier_paths {
            if let Some(both) = narrower(&part.path, path, PathPattern::covers)
                && !shared.contains(both)
            {
                shared.push(both.clone());
            }
        }
    }
    shared
}

/// What two patterns both stand for: one of them stands for all of the other's, or they have nothing in common.
fn narrower<'a, Pattern>(
    one: &'a Pattern,
    other: &'a Pattern,
    covers: impl Fn(&Pattern, &Pattern) -> bool,
) -> Option<&'a Pattern> {
    if covers(one, other) {
        Some(other)
    } else if covers(other, one) {
        Some(one)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        authz::{Condition, Mode, RuleConfig, RuleSet, Separator, Template},
        request::{RawRequest, Request},
    };

    fn host(name: &str) -> HostPattern {
        HostPattern::parse(name).unwrap()
    }

    fn path(text: &str) -> PathPattern {
        if let Some(template) = text.strip_prefix('=') {
            return PathPattern::Template(Template::parse(template, Separator::Path).unwrap());
        }
        match text.strip_suffix('*') {
            Some(prefix) => PathPattern::prefix(prefix).unwrap(),
            None => PathPattern::exact(text).unwrap(),
        }
    }

    /// A rule of hosts, methods and paths, parted by spaces.
    fn rule(hosts: &str, methods: &str, paths: &str) -> RuleConfig {
        RuleConfig {
            hosts: hosts.split_whitespace().map(host).collect(),
            methods: methods.split_whitespace().map(str::to_owned).collect(),
            paths: paths.split_whitespace().map(path).collect(),
            ..RuleConfig::named("rule")
        }
    }

    /// A rule for some requests only, which no host, method or path tells.
    fn conditional() -> RuleConfig {
        RuleConfig { only_where: vec![Condition::Query("q".to_owned())], access: Access::Deny, ..rule("", "", "") }
    }

    fn config(rules: Vec<RuleConfig>) -> Config {
        Config { hosts: ["a.x.y", "b.x.y", "*.m.x.y", "**.t.x.y"].map(host).to_vec(), rules, ..Config::default() }
    }

    fn is_never_reached(rules: &[RuleConfig]) -> bool {
        precedence(&config(rules.to_vec())).last().unwrap().is_never_reached
    }

    #[test]
    fn a_rule_behind_a_wider_one_is_never_reached() {
        for (earlier, later) in [
            (rule("", "", ""), rule("", "", "")),
            (rule("", "", ""), rule("a.x.y", "GET", "/api*")),
            (rule("", "", "/api*"), rule("", "", "/api/v1* /api /api/")),
            (rule("", "", "/*"), rule("", "", "")),
            (rule("", "GET", "/api"), rule("", "HEAD GET", "/api")),
            (rule("*.m.x.y", "", ""), rule("c.m.x.y", "", "")),
            (rule("**.t.x.y", "", ""), rule("**.c.t.x.y *.t.x.y d.t.x.y", "", "")),
            (rule("a.x.y b.x.y *.m.x.y **.t.x.y", "", ""), rule("", "", "")),
            (rule("", "", "/a*"), rule("", "", "=/a/*/{b}/** =/a")),
            (rule("", "", "=/a/**"), rule("", "", "/a/b* =/a/* /a/c")),
            (rule("", "", "=/a/*/G*"), rule("", "", "=/a/{b}/Get* /a/x/Get")),
            (rule("", "", "=/**"), rule("", "", "")),
        ] {
            assert!(is_never_reached(&[earlier.clone(), later.clone()]), "{later:?} behind {earlier:?}");
            let found = precedence(&config(vec![earlier, later]));
            assert_eq!(found[1].behind, [Behind { rule: 0, takes: Takes::All }]);
            assert_eq!(found[1].takers(), [0]);
        }
    }

    #[test]
    fn what_is_left_a_request_is_no_alarm() {
        assert!(is_never_reached(&[conditional(), conditional()]), "the same requests");
        let is_left = |earlier: RuleConfig, later: RuleConfig| {
            assert!(!is_never_reached(&[earlier.clone(), later.clone()]), "{later:?} behind {earlier:?}");
        };
        is_left(RuleConfig { access: Access::Public, ..rule("", "", "/api*") }, rule("", "", "/api*"));
        is_left(RuleConfig { mode: Mode::Shadow, ..rule("", "", "") }, rule("", "", ""));
        is_left(conditional(), rule("", "", ""));
        for (earlier, later) in [
            (("", "", "/api*"), ("", "", "")),
            (("", "", "/api"), ("", "", "/api*")),
            (("", "", "/api*"), ("", "", "/apis")),
            (("", "HEAD", ""), ("", "GET", "")),
            (("", "GET POST PUT", ""), ("", "", "")),
            (("a.x.y b.x.y *.m.x.y", "", ""), ("", "", "")),
            (("c.m.x.y", "", ""), ("*.m.x.y", "", "")),
            (("*.t.x.y", "", ""), ("**.t.x.y", "", "")),
            (("", "", "/a/b*"), ("", "", "=/a/*/**")),
            (("", "", "=/a/*/**"), ("", "", "/a*")),
            (("", "", "=/a/Get*"), ("", "", "=/a/* =/a/G*")),
            (("", "", "=/a/*"), ("", "", "=/a/*/**")),
        ] {
            let [earlier, later] = [earlier, later].map(|(hosts, methods, paths)| rule(hosts, methods, paths));
            is_left(earlier, later);
        }
    }

    #[test]
    fn several_rules_take_a_rule_together() {
        let parts = [rule("", "GET", "/a*"), rule("a.x.y", "", "/b*"), rule("b.x.y *.m.x.y **.t.x.y", "", "/b*")];
        let all = [&parts[..], &[rule("", "GET", "/a/x /b*")]].concat();
        assert!(is_never_reached(&all));
        let found = precedence(&config(all));
        assert_eq!(found[3].takers(), [0, 1, 2]);
        let takes =
            |rule, paths: &[&str]| Behind { rule, takes: Takes::Paths(paths.iter().map(|text| path(text)).collect()) };
        assert_eq!(found[3].behind, [takes(0, &["/a/x"]), takes(1, &["/b*"]), takes(2, &["/b*"])]);
        assert!(!is_never_reached(&[&parts[1..], &[rule("", "GET", "/a/x /b*")]].concat()));
    }

    #[test]
    fn rules_in_shadow_take_from_each_other_alone() {
        let shadow = || RuleConfig { mode: Mode::Shadow, ..rule("", "", "/api*") };
        let found = precedence(&config(vec![shadow(), shadow(), rule("", "", "/api*")]));
        assert_eq!(found.iter().map(|found| found.is_never_reached).collect::<Vec<_>>(), [false, true, false]);
        assert!(is_never_reached(&[rule("", "", ""), shadow()]));
    }

    fn some(of: &'static [&'static str]) -> impl Strategy<Value = String> {
        proptest::sample::subsequence(of, 0..=2).prop_map(|chosen| chosen.join(" "))
    }

    fn rules() -> impl Strategy<Value = Vec<RuleConfig>> {
        let hosts = some(&["a.x.y", "b.x.y", "*.m.x.y", "c.m.x.y", "**.t.x.y", "*.t.x.y", "**.c.t.x.y"]);
        let methods = some(&["GET", "HEAD", "POST"]);
        let paths = some(&["/*", "/p*", "/p", "/p/q*", "/p/q", "/r", "=/p/*", "=/p/{x}/**", "=/p/q*/**", "=/{y}/q"]);
        let access = prop_oneof![Just(Access::Authenticated), Just(Access::Public), Just(Access::Deny)];
        let rule = (hosts, methods, paths, access)
            .prop_map(|(hosts, methods, paths, access)| RuleConfig { access, ..rule(&hosts, &methods, &paths) });
        proptest::collection::vec(rule, 1..6).prop_map(|rules| {
            let named = |(index, rule)| RuleConfig { name: format!("rule-{index}"), ..rule };
            rules.into_iter().enumerate().map(named).collect()
        })
    }

    proptest! {
        /// What is told is what requests find: hosts, methods and paths that patterns name, and fresh ones.
        #[test]
        fn a_rule_is_never_reached_where_no_request_reaches_it(rules in rules()) {
            let config = config(rules);
            let found = precedence(&config);
            let set = RuleSet::new(config.clone());
            let mut patterns = config.rules.iter().flat_map(|rule| &rule.paths);
            let has_templates = patterns.any(|path| matches!(path, PathPattern::Template(_)));
            let mut reached = std::collections::BTreeSet::new();
            for host in ["a.x.y", "b.x.y", "c.m.x.y", "n.m.x.y", "n.t.x.y", "c.t.x.y", "n.c.t.x.y", "n.n.t.x.y"] {
                for method in ["GET", "HEAD", "POST", "FRESH"] {
                    for path in ["/", "/n", "/n%20n", "/p", "/p/n", "/p/n%20n", "/p/q", "/p/q/n", "/p/q/n%20n", "/r"] {
                        let request = Request::parse(RawRequest::new(method, host, path)).unwrap();
                        reached.extend(set.choose(&request).map(|rule| rule.name().to_string()));
                    }
                }
            }
            for (rule, found) in config.rules.iter().zip(found) {
                // Several patterns may cover a template together. An exact path behind a public rule may be left what no
                // request can ask for.
                let is_left_nothing_clean = rule.access != Access::Public
                    && !found.is_never_reached
                    && found.behind.iter().any(|behind| config.rules[behind.rule].access == Access::Public);
                let may_be_left_nothing = is_left_nothing_clean || (has_templates && !found.is_never_reached);
                prop_assert!(
                    found.is_never_reached != reached.contains(&rule.name) || may_be_left_nothing,
                    "{}: {found:?}, reached: {reached:?}", rule.name
                );
            }
        }
    }
}
