//! One rule, as the configuration says it and as it is matched.

use std::{fmt, sync::Arc};

use thiserror::Error;

use super::{
    account_pattern::ServiceAccountPattern,
    condition::Condition,
    further_audience::FurtherAudience,
    login::LoginRequirement,
    review::{Naming, Reviews},
    template::Template,
};
use crate::{
    decision::FurtherHeaders,
    jose::Audience,
    principal::{Email, Group, Namespace},
    reason::Reason,
    request::{HostName, HostPattern, Path, Request, look_alike},
};

/// What a rule asks of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Everyone passes; no credential is looked at, and none that is ours travels on.
    Public,
    /// Who is signed in is told to the service; the others pass without a name.
    Optional,
    /// Only who is authenticated, and permitted, passes.
    #[default]
    Authenticated,
    /// Nobody passes.
    Deny,
}

/// What happens to a CORS preflight, which never carries credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preflight {
    /// It is judged like any other request.
    #[default]
    Deny,
    /// It goes on to the service, stripped of every identity.
    Allow,
}

/// Whose a bearer token in the `authorization` header is, and where it goes. The later one tells the service more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum BearerUse {
    /// One that is ours to judge is judged, and ends here.
    #[default]
    Judged,
    /// One that is ours to judge is judged, and travels on.
    Kept,
    /// It is the application's whatever it says: it counts for nobody here, and travels on.
    Application,
}

impl BearerUse {
    /// Whether one may be a credential here.
    #[must_use]
    pub const fn may_be_a_credential(self) -> bool {
        !matches!(self, Self::Application)
    }
}

/// Whether a rule decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It does not: requests are decided as if it was not there, and what it would decide is told.
    Shadow,
}

/// Why a text is no path pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a path begins with `/` and holds no `%`, `\\`, `;`, `#`, `?`, `!`, `//`, dot segments, spaces or non-ASCII characters"
)]
pub struct PatternError;

/// A pattern for paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// This path alone.
    Exact(String),
    /// This path and everything below it, by whole segments.
    Prefix(String),
    /// Every path that a template stands for.
    Template(Template),
}

impl PathPattern {
    /// A pattern for one path.
    ///
    /// # Errors
    /// Where the path is not byte-clean.
    pub fn exact(path: &str) -> Result<Self, PatternError> {
        if Path::new(path).is_byte_clean() { Ok(Self::Exact(path.to_owned())) } else { Err(PatternError) }
    }

    /// A pattern for a path and everything below it; a trailing slash makes no difference.
    ///
    /// # Errors
    /// Where the path is not byte-clean.
    pub fn prefix(path: &str) -> Result<Self, PatternError> {
        if !Path::new(path).is_byte_clean() {
            return Err(PatternError);
        }
        Ok(Self::Prefix(path.strip_suffix('/').unwrap_or(path).to_owned()))
    }

    /// What the pattern has in common with those that some servers do not tell from it.
    fn look_alike(&self) -> Self {
        match self {
            Self::Exact(path) => Self::Exact(look_alike(path).into_owned()),
            Self::Prefix(path) if path.is_empty() => Self::Prefix(String::new()),
            Self::Prefix(path) => Self::Prefix(look_alike(path).into_owned()),
            Self::Template(template) => Self::Template(template.folded()),
        }
    }

    /// Whether it holds for every path that `other` holds for.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(path)) | (Self::Prefix(_), Self::Prefix(path)) => self.matches(path),
            (Self::Exact(_), Self::Prefix(_) | Self::Template(_)) => false,
            (Self::Prefix(path), Self::Template(template)) => template.is_below(path),
            (Self::Template(template), Self::Prefix(path)) => template.covers_below(path),
            (Self::Template(template), Self::Template(other)) => template.covers(other),
        }
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => {
                path.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Self::Template(template) => template.matches(path),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => write!(formatter, "exact {path}"),
            Self::Prefix(path) if path.is_empty() => formatter.write_str("prefix /"),
            Self::Prefix(path) => write!(formatter, "prefix {path}"),
            Self::Template(template) => write!(formatter, "template {template}"),
        }
    }
}

/// The rules as the configuration says them.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Every host that is served.
    pub hosts: Vec<HostPattern>,
    /// The rules, in order.
    pub rules: Vec<RuleConfig>,
    /// What is asked where no rule matches. The configuration refuses [`Access::Public`].
    pub default: Access,
}

impl Config {
    /// What the rules that hold at one of these hosts ask of logins, each with its rule's name.
    pub fn logins_at<'a>(&'a self, hosts: &'a [&HostName]) -> impl Iterator<Item = (&'a str, &'a LoginRequirement)> {
        let holds = |rule: &RuleConfig| {
            rule.hosts.is_empty() || rule.hosts.iter().any(|pattern| hosts.iter().any(|host| pattern.matches(host)))
        };
        self.rules.iter().filter(move |rule| holds(rule)).filter_map(|rule| Some((&*rule.name, rule.login.as_ref()?)))
    }

    /// The further audiences of all rules.
    pub fn further_audiences(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter_map(|rule| rule.further_audience.as_ref()).map(|further| &*further.audience)
    }
}

/// A rule as the configuration says it. Empty lists mean "any".
#[derive(Clone, Debug, Default)]
pub struct RuleConfig {
    /// Its name, which logs show.
    pub name: String,
    /// Whether it decides.
    pub mode: Mode,
    /// Hosts.
    pub hosts: Vec<HostPattern>,
    /// Methods, as they are spelled on the wire; GET holds for HEAD too.
    pub methods: Vec<String>,
    /// Paths.
    pub paths: Vec<PathPattern>,
    /// What a request must have besides. The configuration has these where the rule denies, and nowhere else.
    pub only_where: Vec<Condition>,
    /// What is asked.
    pub access: Access,
    /// Groups, one of which permits.
    pub groups: Vec<Group>,
    /// E-mail addresses, one of which permits.
    pub emails: Vec<Email>,
    /// Service accounts, one of which permits.
    pub service_accounts: Vec<ServiceAccountPattern>,
    /// What Kubernetes is asked besides.
    pub reviews: Reviews,
    /// The namespace whose accounts' tokens a request that passes revokes.
    pub revokes: Option<Naming>,
    /// What is asked of the login behind whoever passes, where anything is.
    pub login: Option<LoginRequirement>,
    /// Whose a bearer token is.
    pub bearer: BearerUse,
    /// Another service's audience, whose tokens are taken too.
    pub further_audience: Option<FurtherAudience>,
    /// Further names of headers that tell the service who was authenticated.
    pub further_headers: FurtherHeaders,
    /// The audience of the assertion, where it is not the configured one.
    pub audience: Option<Audience>,
    /// Further origins whose pages may use the cookie.
    pub allowed_origins: Vec<String>,
    /// What happens to CORS preflights.
    pub preflight: Preflight,
}

impl RuleConfig {
    /// A rule that asks for an authenticated principal everywhere.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Whether everyone who is authenticated is permitted.
    pub(super) const fn permits_everyone(&self) -> bool {
        self.groups.is_empty() && self.emails.is_empty() && self.service_accounts.is_empty()
    }

    fn takes_no_more_audiences_than(&self, other: &Self) -> bool {
        self.further_audience.is_none() || self.further_audience == other.further_audience
    }

    fn asks_no_less_of_logins_than(&self, other: &Self) -> bool {
        other.login.as_ref().is_none_or(|other| self.login.as_ref().is_some_and(|own| own.asks_no_less_than(other)))
    }

    fn permits_only_those_of(&self, other: &Self) -> bool {
        fn all_in<Name: PartialEq>(own: &[Name], other: &[Name]) -> bool {
            own.iter().all(|name| other.contains(name))
        }
        // Whoever comes with a token passes the one that judges tokens alone.
        (other.bearer.may_be_a_credential() || !self.bearer.may_be_a_credential())
            && self.takes_no_more_audiences_than(other)
            && (other.reviews.is_empty() || self.reviews == other.reviews)
            && self.asks_no_less_of_logins_than(other)
            && (other.permits_everyone()
                || (!self.permits_everyone()
                    && all_in(&self.groups, &other.groups)
                    && all_in(&self.emails, &other.emails)
                    && all_in(&self.service_accounts, &other.service_accounts)))
    }
}

/// A rule, ready to be matched.
#[derive(Debug)]
pub struct Rule {
    config: RuleConfig,
    name: Arc<str>,
    look_alikes: Vec<PathPattern>,
}

/// How a rule matches a reading of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// It names this very path.
    Named,
    /// It holds for it.
    Covered,
    /// It holds for what some servers do not tell from it.
    LookAlike,
}

impl Rule {
    pub(super) fn new(config: RuleConfig) -> Self {
        let look_alikes = config.paths.iter().map(PathPattern::look_alike).collect();
        Self { name: config.name.as_str().into(), config, look_alikes }
    }

    /// Whether the rule holds for requests of this kind, whatever their path.
    pub(super) fn takes(&self, request: &Request, byte_clean: bool) -> bool {
        // A public rule matches only what every server behind reads alike.
        let readable = byte_clean || self.config.access != Access::Public;
        let hosts = &self.config.hosts;
        readable
            && (hosts.is_empty() || hosts.iter().any(|pattern| pattern.matches(request.host().host_name())))
            && self.takes_method(request.method())
            && self.config.only_where.iter().all(|condition| condition.holds(request))
    }

    /// How the rule matches a reading of a path, given with its [`look_alike`].
    pub(super) fn matches(&self, reading: &str, folded: &str) -> Option<Match> {
        let paths = &self.config.paths;
        let exactly = |pattern: &PathPattern| matches!(pattern, PathPattern::Exact(path) if path == reading);
        if paths.iter().any(exactly) {
            Some(Match::Named)
        } else if paths.is_empty() || paths.iter().any(|pattern| pattern.matches(reading)) {
            Some(Match::Covered)
        } else {
            self.look_alikes.iter().any(|pattern| pattern.matches(folded)).then_some(Match::LookAlike)
        }
    }

    /// Whether the rule holds for a path as it is written.
    pub(super) fn holds_for(&self, path: &str) -> bool {
        self.config.paths.is_empty() || self.config.paths.iter().any(|pattern| pattern.matches(path))
    }

    /// Whether there are hosts and methods that both rules hold for.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let (hosts, others) = (&self.config.hosts, &other.config.hosts);
        let methods = &other.config.methods;
        (hosts.is_empty() || others.is_empty() || hosts.iter().any(|host| others.iter().any(|other| host.meets(other))))
            && (methods.is_empty() || methods.iter().any(|method| self.takes_method(method)))
    }

    /// Whether the rule holds for every host and method that the other one holds for.
    pub(super) fn holds_wherever(&self, other: &Self) -> bool {
        let (hosts, others) = (&self.config.hosts, &other.config.hosts);
        let methods = &other.config.methods;
        self.config.only_where.is_empty()
            && (hosts.is_empty()
                || (!others.is_empty() && others.iter().all(|other| hosts.iter().any(|host| host.covers(other)))))
            && (self.config.methods.is_empty()
                || (!methods.is_empty() && methods.iter().all(|method| self.takes_method(method))))
    }

    /// Whether whoever passes this rule would pass the other one.
    pub(super) fn asks_no_less_than(&self, other: &Self) -> bool {
        match (self.config.access, other.config.access) {
            (Access::Deny, _) | (_, Access::Public) | (Access::Authenticated | Access::Optional, Access::Optional) => {
                true
            }
            (Access::Authenticated, Access::Authenticated) => self.config.permits_only_those_of(&other.config),
            _ => false,
        }
    }

    /// Whether a service learns and gets nothing by this rule that it would not by the other one, and no further page may
    /// use the session.
    pub(super) fn tells_no_more_than(&self, other: &Self) -> bool {
        let (own, other) = (&self.config, &other.config);
        own.access == Access::Deny
            || (own.audience == other.audience
                && own.bearer <= other.bearer
                && own.takes_no_more_audiences_than(other)
                && own.further_headers.are_within(&other.further_headers)
                && own.allowed_origins.iter().all(|origin| other.allowed_origins.contains(origin))
                && (own.preflight == Preflight::Deny || other.preflight == Preflight::Allow))
    }

    /// A rule for GET holds for HEAD, which is GET without the content (RFC 9110 section 9.3.2).
    pub(super) fn takes_method(&self, method: &str) -> bool {
        let listed = |method: &str| self.config.methods.iter().any(|have| have == method);
        self.config.methods.is_empty() || listed(method) || (method == "HEAD" && listed("GET"))
    }

    pub(super) fn asks_for_methods(&self) -> bool {
        !self.config.methods.is_empty() || self.config.reviews.asks_for_methods()
    }

    pub(super) const fn config(&self) -> &RuleConfig {
        &self.config
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = &str> {
        self.config.groups.iter().map(Group::as_str)
    }

    /// The rule's name.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether the rule decides nothing, and what it would decide is told.
    #[must_use]
    pub fn is_in_shadow(&self) -> bool {
        self.config.mode == Mode::Shadow
    }

    /// What the rule asks.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.config.access
    }

    /// Whose a bearer token is.
    #[must_use]
    pub const fn bearer(&self) -> BearerUse {
        self.config.bearer
    }

    /// Another service's audience whose tokens are taken too.
    #[must_use]
    pub const fn further_audience(&self) -> Option<&FurtherAudience> {
        self.config.further_audience.as_ref()
    }

    /// Further names of headers that tell the service who was authenticated.
    #[must_use]
    pub const fn further_headers(&self) -> &FurtherHeaders {
        &self.config.further_headers
    }

    /// The audience of the assertion, where the rule names one.
    #[must_use]
    pub fn audience(&self) -> Option<&str> {
        self.config.audience.as_ref().map(Audience::as_str)
    }

    /// Further origins whose pages may use the cookie.
    #[must_use]
    pub fn allowed_origins(&self) -> &[String] {
        &self.config.allowed_origins
    }

    /// Whether requests that pass revoke tokens.
    #[must_use]
    pub const fn may_revoke(&self) -> bool {
        self.config.revokes.is_some()
    }

    /// The namespace whose accounts' tokens this request revokes, where it passes.
    ///
    /// # Errors
    /// Where the request does not name it.
    pub fn revokes(&self, request: &Request) -> Result<Option<Namespace>, Reason> {
        let Some(naming) = &self.config.revokes else { return Ok(None) };
        self.config.reviews.namespace(naming, request).map(Some)
    }

    /// What happens to CORS preflights.
    #[must_use]
    pub const fn preflight(&self) -> Preflight {
        self.config.preflight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_matches_whole_segments() {
        for pattern in ["/assets", "/assets/"] {
            let pattern = PathPattern::prefix(pattern).unwrap();
            assert!(pattern.matches("/assets") && pattern.matches("/assets/") && pattern.matches("/assets/x"));
            assert!(!pattern.matches("/assetsx") && !pattern.matches("/asset"));
        }
        assert!(PathPattern::prefix("/").unwrap().matches("/anything"));
        assert!(!PathPattern::exact("/a").unwrap().matches("/a/"));
    }

    #[test]
    fn a_rule_for_get_holds_for_head() {
        let rule = |methods: &[&str]| {
            let methods = methods.iter().map(|method| (*method).to_owned()).collect();
            Rule::new(RuleConfig { methods, ..RuleConfig::named("rule") })
        };
        assert!(rule(&["GET"]).takes_method("HEAD") && !rule(&["GET"]).takes_method("POST"));
        assert!(!rule(&["HEAD"]).takes_method("GET") && rule(&[]).takes_method("ANY"));
    }

    #[test]
    fn a_rule_whose_bearers_are_the_applications_is_another_one() {
        let rule = |bearer, access| Rule::new(RuleConfig { access, bearer, ..RuleConfig::named("rule") });
        let judged = rule(BearerUse::Judged, Access::Authenticated);
        let application = rule(BearerUse::Application, Access::Authenticated);
        assert!(application.asks_no_less_than(&judged), "whoever passes has a session");
        assert!(!judged.asks_no_less_than(&application), "a token passes the one alone");
        assert!(!application.tells_no_more_than(&judged), "tokens of ours go on");
        assert!(judged.tells_no_more_than(&application));
        let kept = rule(BearerUse::Kept, Access::Authenticated);
        assert!(kept.tells_no_more_than(&application) && !application.tells_no_more_than(&kept));
    }

    #[test]
    fn a_rule_that_asks_for_a_login_asks_more() {
        let rule = |login| Rule::new(RuleConfig { login, ..RuleConfig::named("rule") });
        let within = |minutes| {
            let max_age = Some(std::time::Duration::from_mins(minutes));
            rule(Some(LoginRequirement::new(max_age, Vec::new(), Vec::new()).unwrap()))
        };
        let any = rule(None);
        assert!(within(5).asks_no_less_than(&any) && !any.asks_no_less_than(&within(5)));
        assert!(within(5).asks_no_less_than(&within(9)) && !within(9).asks_no_less_than(&within(5)));
        let deny = Rule::new(RuleConfig { access: Access::Deny, ..RuleConfig::named("deny") });
        assert!(deny.asks_no_less_than(&within(5)) && !within(5).asks_no_less_than(&deny));
    }

    #[test]
    fn a_rule_that_tells_by_further_names_tells_more() {
        let name = |name: &'static str| Some(crate::decision::HeaderName::from_static(name));
        let rule = |further_headers| Rule::new(RuleConfig { further_headers, ..RuleConfig::named("rule") });
        let usual = rule(FurtherHeaders::default());
        let user = rule(FurtherHeaders { user: name("x-user"), ..FurtherHeaders::default() });
        let other = rule(FurtherHeaders { email: name("x-user"), ..FurtherHeaders::default() });
        assert!(usual.tells_no_more_than(&user) && !user.tells_no_more_than(&usual));
        assert!(!user.tells_no_more_than(&other), "the same name for something else");
    }

    #[test]
    fn patterns_that_no_clean_path_matches_are_refused() {
        for bad in ["", "a", "/a%20", "/a//b", "/../a", "/a;b", "/a?b", "/a\\b"] {
            assert_eq!(PathPattern::exact(bad), Err(PatternError), "{bad}");
            assert_eq!(PathPattern::prefix(bad), Err(PatternError), "{bad}");
        }
    }
}
