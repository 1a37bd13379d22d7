//! The rules of a configuration as they are read, in their order, and which comes first for what another holds for.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{administration::Output, table};
use crate::{
    authz::{
        self, Access, BearerUse, Condition, LoginRequirement, Mode, Naming, PathPattern, Precedence, Preflight, Review,
        RuleConfig, Takes,
    },
    config,
    config_file::ConfigError,
    decision::HeaderName,
    jose::Audience,
    kubernetes::AccessAttributes,
    principal::{Email, Group},
};

/// The rules of a configuration.
#[derive(Args, Debug)]
pub(super) struct Rules {
    /// The configuration file (YAML). What it refers to is not read.
    file: PathBuf,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

impl Rules {
    /// The rules, as they are printed.
    pub(super) fn run(&self) -> Result<String, ConfigError> {
        let settings = config::without_files(&self.file, &[])?;
        Ok(match self.output {
            Output::Table => told(&settings.rules),
            Output::Json => format!("{:#}", document(&settings.rules)),
        })
    }
}

const TITLES: [&str; 8] = ["#", "NAME", "MODE", "HOSTS", "METHODS", "PATHS", "ACCESS", "WHO MAY PASS, AND HOW"];

fn told(config: &authz::Config) -> String {
    let rules = config.rules.iter().enumerate().flat_map(|(index, rule)| rows(&number(index), rule));
    let default = RuleConfig { access: config.default, ..RuleConfig::named("default") };
    let table = table::render(TITLES, rules.chain(rows("", &default)));
    let precedences = authz::precedence(config);
    let notes: Vec<String> = config
        .rules
        .iter()
        .zip(&precedences)
        .enumerate()
        .filter_map(|(index, (rule, precedence))| {
            Some(format!("{} {}: {}", number(index), rule.name, note(config, precedence)?))
        })
        .collect();
    if notes.is_empty() { table } else { format!("{table}\n\n{}", notes.join("\n")) }
}

fn number(index: usize) -> String {
    (index + 1).to_string()
}

/// A rule's rows: what is several stands below each other.
fn rows(number: &str, rule: &RuleConfig) -> Vec<[String; 8]> {
    let all = |items: Vec<String>| if items.is_empty() { vec!["all".to_owned()] } else { items };
    let hosts = all(rule.hosts.iter().map(ToString::to_string).collect());
    let methods = if rule.methods.is_empty() { "all".to_owned() } else { rule.methods.join(",") };
    let paths = all(rule.paths.iter().map(ToString::to_string).collect());
    let further: Vec<String> = who(rule).into_iter().chain(how(rule)).collect();
    let row = |index: usize| {
        let first = |text: &str| if index == 0 { text.to_owned() } else { String::new() };
        let item = |items: &[String]| items.get(index).cloned().unwrap_or_default();
        [
            first(number),
            first(&rule.name),
            first(mode(rule.mode)),
            item(&hosts),
            first(&methods),
            item(&paths),
            first(access(rule.access)),
            item(&further),
        ]
    };
    (0..hosts.len().max(paths.len()).max(further.len())).map(row).collect()
}

/// Who may pass, in words, one kind of caller a line.
fn who(rule: &RuleConfig) -> Vec<String> {
    let lists = [
        ("groups", names(&rule.groups, Group::as_str)),
        ("e-mail addresses", names(&rule.emails, Email::as_str)),
        ("service accounts", rule.service_accounts.iter().map(ToString::to_string).collect()),
    ];
    let lists = lists.into_iter().filter(|(_, names)| !names.is_empty());
    let lists: Vec<String> = lists.map(|(kind, names)| format!("{kind}: {}", names.join(", "))).collect();
    let whole = match rule.access {
        Access::Public | Access::Optional => "everybody",
        Access::Deny => "nobody",
        Access::Authenticated if lists.is_empty() => "whoever is authenticated",
        Access::Authenticated => return lists,
    };
    vec![whole.to_owned()]
}

/// What else the rule says.
fn how(rule: &RuleConfig) -> Vec<String> {
    let bearer = match rule.bearer {
        BearerUse::Judged => None,
        BearerUse::Kept => Some("a judged bearer travels on".to_owned()),
        BearerUse::Application => Some("a bearer is the application's".to_owned()),
    };
    let further_audience = rule.further_audience.as_ref().map(|further| {
        format!("takes tokens for {} until {}", further.audience, table::moment(further.ends_at.as_unix_millis()))
    });
    let audience = rule.audience.as_ref().map(|audience| format!("assertion for {}", Audience::as_str(audience)));
    let headers: Vec<&str> = rule.further_headers.names().map(HeaderName::as_str).collect();
    let headers = (!headers.is_empty()).then(|| format!("told by {}, too", headers.join(", ")));
    let origins = (!rule.allowed_origins.is_empty())
        .then(|| format!("pages of {} may ask, too", rule.allowed_origins.join(", ")));
    let preflight = (rule.preflight == Preflight::Allow).then(|| "preflights pass".to_owned());
    let further = [bearer, further_audience, audience, headers, origins, preflight].into_iter().flatten();
    let only = rule.only_where.iter().map(|condition| format!("only where {}", condition_told(condition)));
    let login = rule.login.as_ref().map(login_told);
    let revokes = rule.revokes.as_ref().map(|namespace| format!("revokes tokens of the accounts of {namespace}"));
    let further = login.into_iter().chain(revokes).chain(further);
    only.chain(rule.reviews.questions.iter().map(question)).chain(further).collect()
}

/// What is asked of Kubernetes, as `kubectl auth can-i` has it.
fn question(review: &Review) -> String {
    let named = |naming: &Option<Naming>| naming.as_ref().map(ToString::to_string).unwrap_or_default();
    let attributes = AccessAttributes {
        namespace: named(&review.namespace),
        verb: review.verb.clone().unwrap_or_else(|| "(by the method)".to_owned()),
        group: review.group.clone(),
        resource: review.resource.clone(),
        subresource: review.subresource.clone(),
        name: named(&review.name),
    };
    let only: Vec<String> = review.only_where.iter().map(condition_told).collect();
    let only = if only.is_empty() { String::new() } else { format!(", where {}", only.join(" and ")) };
    let optional = if review.optional { ", where the request names it" } else { "" };
    format!("asks: {attributes}{only}{optional}")
}

/// What is asked of the login of whoever passes.
fn login_told(login: &LoginRequirement) -> String {
    let age = login.max_age().map(|age| format!("at most {} old", humantime::format_duration(age)));
    let one_of =
        |name: &str, values: &[String]| (!values.is_empty()).then(|| format!("{name} {}", values.join(" or ")));
    let asked = [age, one_of("acr", login.contexts()), one_of("amr", login.methods())];
    format!("asks for a login: {}", asked.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

fn condition_told(condition: &Condition) -> String {
    match condition {
        Condition::Query(parameter) => format!("the query has {parameter}"),
        Condition::Header { name, contains } => format!("the header {name} holds {contains}"),
    }
}

fn names<Name>(items: &[Name], text: impl Fn(&Name) -> &str) -> Vec<String> {
    items.iter().map(|item| text(item).to_owned()).collect()
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Shadow => "shadow",
    }
}

const fn access(access: Access) -> &'static str {
    match access {
        Access::Public => "public",
        Access::Optional => "optional",
        Access::Authenticated => "authenticated",
        Access::Deny => "deny",
    }
}

/// Which rules come first, where some do.
fn note(config: &authz::Config, precedence: &Precedence) -> Option<String> {
    if precedence.behind.is_empty() {
        return None;
    }
    let because_of = precedence.takers();
    let told =
        precedence.behind.iter().filter(|behind| !precedence.is_never_reached || because_of.contains(&behind.rule));
    let behind = told.map(|behind| {
        let name = config.rules.get(behind.rule).map_or("", |rule| rule.name.as_str());
        let takes = match &behind.takes {
            Takes::All => "all".to_owned(),
            Takes::Paths(paths) => paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        format!("{} {name} ({takes})", number(behind.rule))
    });
    let behind = behind.collect::<Vec<_>>().join("; ");
    let begin = if precedence.is_never_reached { "NEVER REACHED, behind" } else { "partly behind" };
    Some(format!("{begin} {behind}"))
}

fn document(config: &authz::Config) -> Value {
    let precedences = authz::precedence(config);
    let rules: Vec<Value> = config
        .rules
        .iter()
        .zip(&precedences)
        .map(|(rule, precedence)| rule_document(config, rule, precedence))
        .collect();
    json!({ "rules": rules, "default": access(config.default) })
}

fn rule_document(config: &authz::Config, rule: &RuleConfig, precedence: &Precedence) -> Value {
    let paths = |paths: &[PathPattern]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    let behind = precedence.behind.iter().map(|behind| {
        json!({
            "rule": config.rules.get(behind.rule).map(|rule| &rule.name),
            "takes": match &behind.takes {
                Takes::All => json!("all"),
                Takes::Paths(taken) => json!(paths(taken)),
            },
        })
    });
    json!({
        "name": rule.name,
        "mode": mode(rule.mode),
        "hosts": rule.hosts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "methods": rule.methods,
        "paths": paths(&rule.paths),
        "access": access(rule.access),
        "groups": names(&rule.groups, Group::as_str),
        "emails": names(&rule.emails, Email::as_str),
        "service_accounts": rule.service_accounts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "further": how(rule),
        "never_reached": precedence.is_never_reached,
        "behind": behind.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURATION: &str = r"
keys: {root: [/nowhere/root], assertion: [/nowhere/assertion]}
sessions: {store: {type: memory}}
providers: [{name: dex, issuer: 'https://dex.example.com', client_id: portcullis, client_secret: {file: /nowhere}}]
origins: [{url: 'https://kf.example.com', provider: dex}]
hosts: ['*.models.example.com']
service_accounts: {audiences: [portcullis], issuers: ['https://kubernetes.default.svc']}
assertion: {issuer: 'https://portcullis.example.com', audience: kubeflow}
access_reviews: {}
rules:
  - {name: assets, paths: [{prefix: /assets}, {exact: /favicon.ico}], access: public}
  - name: notebooks
    paths: [{template: '/notebook/*/*/**'}]
    captures: [{path: ['/notebook/{namespace}/{name}/**']}]
    reviews:
      - {verb: create, resource: pods, subresource: exec, namespace: '{namespace}', name: '{name}-0'}
      - {resource: secrets, namespace: '{namespace}', only_where: [{query: secret}], optional: true}
  - {name: proxies, only_where: [{header: referer, contains: /_proxy/}], access: deny}
  - {name: runs, methods: [GET], paths: [{prefix: /pipeline/runs}], bearer: application, preflight: allow}
  - name: pipelines
    paths: [{prefix: /pipeline}]
    groups: ['cn=admins,o=corp', ops]
    service_accounts: [team-a/*, ci/robot]
    further_audience: {audience: pipelines.kubeflow.org, until: 2027-01-31}
    audience: pipelines
  - name: removals
    methods: [DELETE]
    paths: [{prefix: /members}]
    captures: [{path: ['/members/{namespace}']}]
    reviews: [{resource: rolebindings, group: rbac.authorization.k8s.io, namespace: '{namespace}'}]
    revoke_service_accounts_of: '{namespace}'
    login: {max_age: 15m, acr: [gold], amr: [otp, hwk]}
  - {name: models, hosts: ['*.models.example.com'], keep_bearer: true, headers: {user: x-user}}
  - {name: later, mode: shadow, paths: [{prefix: /later}], access: deny}
  - {name: versions, methods: [GET], paths: [{prefix: /pipeline/versions}], access: deny}
";

    #[test]
    fn rules_are_told_as_the_snapshot_says() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("portcullis.yaml");
        std::fs::write(&file, CONFIGURATION).unwrap();
        let settings = config::without_files(&file, &[]).unwrap();
        insta::assert_snapshot!("rules", format!("{}\n\n{:#}", told(&settings.rules), document(&settings.rules)));
    }
}
