//! Rules: names, patterns, and no field that would do nothing.

use std::{collections::BTreeSet, time::Duration};

use super::{
    identity, reviews,
    rule_files::Standing,
    written::{each, optional},
};
use crate::{
    authz::{
        self, Access, BearerUse, FurtherAudience, LoginRequirement, LoginRequirementError, Mode, Opening, PathPattern,
        Preflight, RuleConfig, Separator, ServiceAccountPattern,
    },
    clock::Timestamp,
    config_file::{FieldError, FieldPath, forms},
    config_values::{
        Context,
        context::{DAY, MINUTE},
        names,
    },
    kubernetes,
    principal::{Email, Group},
    request::HostPattern,
};

/// What the rest of the file says that rules must agree with.
pub(super) struct Around<'a> {
    /// The hosts that are served.
    pub(super) served: &'a BTreeSet<HostPattern>,
    /// The headers that every service is told by.
    pub(super) headers: &'a forms::IdentityHeaders,
    /// How ServiceAccount tokens are judged, where they are.
    pub(super) tokens: Option<&'a forms::ServiceAccounts>,
    /// Whether it says how Kubernetes is asked what somebody may do.
    pub(super) asks_kubernetes: bool,
}

pub(super) fn resolve(
    context: &mut Context<'_>,
    written: &[Standing<'_>],
    around: &Around<'_>,
) -> Option<Vec<RuleConfig>> {
    let before = context.errors();
    let mut taken = BTreeSet::new();
    let mut rules = Vec::with_capacity(written.len());
    for Standing { at, rule: written } in written {
        if !taken.insert(&written.name) {
            context.report(
                FieldError::new(&at.key("name"), "two rules cannot share a name")
                    .found(&written.name)
                    .write("write another name"),
            );
        }
        refuse_idle_fields(context, at, written, around.tokens.is_some());
        rules.extend(rule(context, at, written, around));
    }
    (context.errors() == before).then_some(rules)
}

/// Rules that may close less than they seem to.
pub(super) fn warnings(written: &[Standing<'_>], rules: &authz::Config) -> Vec<FieldError> {
    let warning = |Opening { rule, path }| {
        let Standing { at, rule } = written.get(rule)?;
        let exact = rule.paths.get(path)?.exact.as_deref()?;
        let warning = FieldError::new(
            &at.key("paths").index(path).key("exact"),
            "it closes this path alone, and what lies below it asks less: a service that takes the one for the other \
             serves what is closed",
        )
        .found(exact)
        .write(format!("write `{{prefix: {exact}}}`, which closes all below it too"));
        Some(warning)
    };
    let bridge = |Standing { at, rule }: &Standing<'_>| {
        let further = rule.further_audience.as_ref()?;
        let told = format!("tokens that are meant for another service pass here until {}", further.until);
        let at = at.key("further_audience");
        Some(FieldError::new(&at, told).found(&further.audience).write("remove it once the scripts' tokens are for us"))
    };
    let in_shadow = |Standing { at, rule }: &Standing<'_>| {
        FieldError::new(&at.key("mode"), "this rule is in shadow: it decides nothing")
            .found(&rule.name)
            .write("write `mode: enforce` once `portcullis shadow report` tells nothing that should pass")
    };
    let shadows = written.iter().filter(|written| written.rule.mode == forms::RuleMode::Shadow).map(in_shadow);
    let bridges = written.iter().filter_map(bridge);
    authz::openings(rules).into_iter().filter_map(warning).chain(shadows).chain(bridges).collect()
}

fn rule(context: &mut Context<'_>, at: &FieldPath, written: &forms::Rule, around: &Around<'_>) -> Option<RuleConfig> {
    let name = names::name(context, &at.key("name"), &written.name);
    let hosts = each(context, &at.key("hosts"), &written.hosts, |context, at, host| {
        let host = names::hosts(context, at, host)?;
        if around.served.iter().any(|served| served.meets(&host)) {
            return Some(host);
        }
        context.refuse(
            FieldError::new(at, "this host is not served")
                .found(&host.to_string())
                .write("name it in `origins` or in `hosts` too"),
        )
    });
    let methods =
        each(context, &at.key("methods"), &written.methods, |context, at, text: &String| method(context, at, text));
    let paths = each(context, &at.key("paths"), &written.paths, path);
    let only_where = reviews::conditions(context, &at.key("only_where"), &written.only_where);
    let reviews = reviews::resolve(context, at, written, around.asks_kubernetes);
    let revokes = reviews::revokes(context, at, written);
    let groups = each(context, &at.key("groups"), &written.groups, |context, at, text: &String| {
        Group::parse_kubernetes(text).map_or_else(
            |error| {
                context.refuse(
                    FieldError::new(at, error.to_string())
                        .found(text)
                        .write("write a group's name without controls and characters that nobody sees"),
                )
            },
            Some,
        )
    });
    let emails = each(context, &at.key("emails"), &written.emails, |context, at, text: &String| {
        Email::parse(text).map_or_else(
            |error| context.refuse(FieldError::new(at, error.to_string()).found(text).write("write `name@host`")),
            Some,
        )
    });
    let service_accounts =
        each(context, &at.key("service_accounts"), &written.service_accounts, |context, at, text: &String| {
            account(context, at, text)
        });
    let login = optional(written.login.as_ref(), |written| login(context, &at.key("login"), written));
    let audience =
        optional(written.audience.as_ref(), |audience| identity::audience(context, &at.key("audience"), audience));
    let further_audience = optional(written.further_audience.as_ref(), |further| {
        further_audience(context, at, written, further, around.tokens)
    });
    let further_headers = identity::further_headers(context, &at.key("headers"), &written.headers, around.headers);
    let allowed_origins =
        each(context, &at.key("allowed_origins"), &written.allowed_origins, |context, at, text: &String| {
            names::origin(context, at, text)
        });
    Some(RuleConfig {
        name: name?,
        mode: match written.mode {
            forms::RuleMode::Enforce => Mode::Enforce,
            forms::RuleMode::Shadow => Mode::Shadow,
        },
        hosts: hosts?,
        methods: methods?,
        paths: paths?,
        only_where: only_where?,
        reviews: reviews?,
        revokes: revokes?,
        access: access(written.access),
        groups: groups?,
        emails: emails?,
        service_accounts: service_accounts?,
        login: login?,
        bearer: bearer(written),
        further_audience: further_audience?,
        further_headers: further_headers?,
        audience: audience?,
        allowed_origins: allowed_origins?,
        preflight: match written.preflight {
            forms::Preflight::Deny => Preflight::Deny,
            forms::Preflight::Allow => Preflight::Allow,
        },
    })
}

fn method(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<String> {
    let upper = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if upper && http::Method::from_bytes(text.as_bytes()).is_ok() {
        return Some(text.to_owned());
    }
    context.refuse(FieldError::new(at, "it is no method").found(text).write("write upper case, such as `GET`"))
}

fn path(context: &mut Context<'_>, at: &FieldPath, written: &forms::PathPattern) -> Option<PathPattern> {
    let (at, text, pattern) = match (&written.exact, &written.prefix, &written.template) {
        (Some(exact), None, None) => (at.key("exact"), exact, PathPattern::exact(exact)),
        (None, Some(prefix), None) => (at.key("prefix"), prefix, PathPattern::prefix(prefix)),
        (None, None, Some(text)) => {
            return reviews::template(context, &at.key("template"), text, Separator::Path).map(PathPattern::Template);
        }
        _ => {
            return context.refuse(
                FieldError::new(at, "a pattern is one of the three")
                    .write("write one of `{exact: /path}`, `{prefix: /path/}` and `{template: \"/path/*/x/**\"}`"),
            );
        }
    };
    match pattern {
        Ok(pattern) => Some(pattern),
        Err(error) => context.refuse(FieldError::new(&at, "it is no plain path").found(text).write(error.to_string())),
    }
}

fn account(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<ServiceAccountPattern> {
    match ServiceAccountPattern::parse(text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            context.refuse(FieldError::new(at, "it names no service account").found(text).write(format!("{error}")))
        }
    }
}

/// A bridge: for named paths, for tokens that are meant for somebody, and with an end.
fn further_audience(
    context: &mut Context<'_>,
    at: &FieldPath,
    rule: &forms::Rule,
    written: &forms::FurtherAudience,
    tokens: Option<&forms::ServiceAccounts>,
) -> Option<FurtherAudience> {
    let at = at.key("further_audience");
    let before = context.errors();
    let forms::FurtherAudience { audience, until } = written;
    let Some(tokens) = tokens else {
        return context.refuse(
            FieldError::new(&at, "ServiceAccount tokens are not accepted at all")
                .write("describe `service_accounts` at the top of the file, or remove it"),
        );
    };
    if rule.paths.is_empty() {
        context.report(
            FieldError::new(&at, "it would hold for every path")
                .write("name the `paths` that scripts ask for, such as `[{prefix: /pipeline}]`"),
        );
    }
    if !matches!(rule.access, forms::Access::Authenticated | forms::Access::Optional)
        || rule.bearer == forms::Bearer::Application
    {
        context.report(FieldError::new(&at, "no token is judged by this rule").write("remove it"));
    }
    let name = at.key("audience");
    if kubernetes::is_api_servers_audience(audience, &tokens.issuers) {
        context.report(
            FieldError::new(&name, "it is the API server's own audience: the token of every pod would pass")
                .found(audience)
                .write("write the audience that the scripts' tokens have, such as `pipelines.kubeflow.org`"),
        );
    } else if audience.is_empty() || audience.trim() != audience || tokens.audiences.contains(audience) {
        context.report(
            FieldError::new(&name, "it is empty, has spaces around it or is one of `service_accounts.audiences`")
                .found(audience)
                .write("write another service's audience, byte for byte, or remove it"),
        );
    }
    let day = humantime::parse_rfc3339(&format!("{until}T00:00:00Z")).ok().map(Timestamp::from_system_time);
    if day.is_none() {
        context.report(
            FieldError::new(&at.key("until"), "it is no day").found(until).write("write one such as `2027-01-31`"),
        );
    }
    let ends_at = day?.plus(Duration::from_hours(24));
    (context.errors() == before).then(|| FurtherAudience { audience: audience.as_str().into(), ends_at })
}

/// What is asked of logins: something, within bounds, that a provider can be asked for.
fn login(context: &mut Context<'_>, at: &FieldPath, written: &forms::Login) -> Option<LoginRequirement> {
    let forms::Login { max_age, acr, amr } = written;
    let before = context.errors();
    let age = max_age.as_ref().and_then(|age| context.duration(&at.key("max_age"), age, MINUTE..=DAY));
    for (name, values) in [("acr", acr), ("amr", amr)] {
        let at = at.key(name);
        for (index, value) in values.iter().enumerate() {
            if let Err(error) = LoginRequirement::new(None, vec![value.clone()], Vec::new()) {
                let error =
                    FieldError::new(&at.index(index), "it cannot be asked for").found(value).write(error.to_string());
                context.report(error);
            }
        }
    }
    if context.errors() > before {
        return None;
    }
    match LoginRequirement::new(age, acr.clone(), amr.clone()) {
        Ok(login) => Some(login),
        Err(error @ LoginRequirementError::Nothing) => context.refuse(
            FieldError::new(at, error.to_string())
                .write("write one of `max_age`, `acr` and `amr`, such as `{max_age: 15m}`, or remove it"),
        ),
        Err(error) => context.refuse(FieldError::new(at, "it is too much").write(error.to_string())),
    }
}

const fn bearer(written: &forms::Rule) -> BearerUse {
    match (written.bearer, written.keep_bearer) {
        (forms::Bearer::Application, _) => BearerUse::Application,
        (forms::Bearer::Judged, true) => BearerUse::Kept,
        (forms::Bearer::Judged, false) => BearerUse::Judged,
    }
}

const fn access(written: forms::Access) -> Access {
    match written {
        forms::Access::Public => Access::Public,
        forms::Access::Optional => Access::Optional,
        forms::Access::Authenticated => Access::Authenticated,
        forms::Access::Deny => Access::Deny,
    }
}

/// A list that is written but never asked looks like a lock and is none.
fn refuse_idle_fields(context: &mut Context<'_>, at: &FieldPath, written: &forms::Rule, tokens_accepted: bool) {
    let lists =
        [("groups", &written.groups), ("emails", &written.emails), ("service_accounts", &written.service_accounts)];
    for (name, list) in lists {
        if !list.is_empty() && written.access != forms::Access::Authenticated {
            context.report(
                FieldError::new(&at.key(name), "it is asked on `access: authenticated` only")
                    .write("write `access: authenticated`, or remove the list"),
            );
        }
    }
    if !written.only_where.is_empty() && written.access != forms::Access::Deny {
        // Whoever leaves out what it looks at would pass another rule.
        context.report(
            FieldError::new(&at.key("only_where"), "it narrows rules with `access: deny` only")
                .write("write `access: deny`, or remove it"),
        );
    }
    if !written.service_accounts.is_empty() && !tokens_accepted {
        context.report(
            FieldError::new(&at.key("service_accounts"), "ServiceAccount tokens are not accepted at all")
                .write("describe `service_accounts` at the top of the file, or remove the list"),
        );
    }
    if written.login.is_some() {
        refuse_idle_beside_login(context, at, written);
    }
    let application = written.bearer == forms::Bearer::Application;
    let forms::FurtherHeaders { user, email, groups } = &written.headers;
    let tells = user.is_some() || email.is_some() || groups.is_some();
    for (field, is_written, idle) in [
        ("keep_bearer", written.keep_bearer, &[forms::Access::Deny][..]),
        ("bearer", application, &[forms::Access::Deny]),
        ("audience", written.audience.is_some(), &[forms::Access::Deny]),
        ("headers", tells, &[forms::Access::Deny, forms::Access::Public]),
    ] {
        if is_written && idle.contains(&written.access) {
            let access = if written.access == forms::Access::Deny { "deny" } else { "public" };
            context.report(
                FieldError::new(&at.key(field), format!("it does nothing beside `access: {access}`"))
                    .write("remove it"),
            );
        }
    }
    for (field, is_written) in
        [("keep_bearer", written.keep_bearer), ("service_accounts", !written.service_accounts.is_empty())]
    {
        if application && is_written {
            context.report(
                FieldError::new(&at.key(field), "with `bearer: application` no token is judged here")
                    .write("remove it, or `bearer: application`"),
            );
        }
    }
}

/// No token is a login: what is about tokens would do nothing.
fn refuse_idle_beside_login(context: &mut Context<'_>, at: &FieldPath, written: &forms::Rule) {
    if written.access != forms::Access::Authenticated {
        context.report(
            FieldError::new(&at.key("login"), "it is asked on `access: authenticated` only")
                .write("write `access: authenticated`, or remove it"),
        );
    }
    for (field, is_written) in [
        ("service_accounts", !written.service_accounts.is_empty()),
        ("keep_bearer", written.keep_bearer),
        ("further_audience", written.further_audience.is_some()),
    ] {
        if is_written {
            context.report(
                FieldError::new(&at.key(field), "no token passes a rule with `login`")
                    .write("remove it, or write a rule of its own for what tokens may"),
            );
        }
    }
}
