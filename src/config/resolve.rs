//! The whole of the settings, from the whole of the file.

use std::{collections::BTreeSet, time::Duration};

use super::{
    identity,
    issuers::Issuers,
    keys, listeners, origins, providers, reviews, rule_files, rules, service_accounts, sessions,
    settings::{Drain, Settings},
};
use crate::{
    authz::{self, Access},
    config_file::{ConfigError, FieldError, FieldPath, Written, forms},
    config_values::{Context, context::MINUTE, names},
    logging,
    request::HostPattern,
};

/// Checks every field, and the fields against each other.
///
/// # Errors
/// All that is wrong.
pub(super) fn resolve(written: &Written) -> Result<Settings, ConfigError> {
    let mut context = Context::new(&written.material);
    let settings = whole(&mut context, &written.file);
    let errors = context.into_errors();
    match settings {
        Some(settings) if errors.is_empty() => Ok(settings),
        _ => Err(ConfigError::Fields(errors)),
    }
}

/// Checks all but what the file refers to, of which nothing was read.
///
/// # Errors
/// All that is wrong with what is written.
pub(super) fn check_alone(written: &Written) -> Result<(), ConfigError> {
    let mut context = Context::new(&written.material);
    let _ = whole(&mut context, &written.file);
    let errors = context.into_errors_but_unread();
    if errors.is_empty() { Ok(()) } else { Err(ConfigError::Fields(errors)) }
}

fn whole(context: &mut Context<'_>, file: &forms::File) -> Option<Settings> {
    let root = FieldPath::root();
    let listeners = listeners::resolve(context, &root.key("listeners"), &file.listeners);
    let drain = drain(context, &root.key("drain"), &file.drain);
    let at = root.key("sessions");
    let store = sessions::store(context, &at.key("store"), &file.sessions.store);
    let sessions = sessions::resolve(context, &at, &file.sessions);
    let keys = keys::resolve(context, &root.key("keys"), &file.keys, store.as_ref());
    let providers = providers::resolve(context, &root.key("providers"), &file.providers);
    let origins = origins::resolve(context, &root.key("origins"), &file.origins, &file.providers);
    let hosts = hosts(context, &root, file);
    let issuers = Issuers::of(file);
    let service_accounts = file
        .service_accounts
        .as_ref()
        .map(|accounts| service_accounts::resolve(context, &root.key("service_accounts"), accounts, &issuers));
    let headers = identity::headers(context, &root.key("identity"), &file.identity);
    let assertion = identity::assertion(context, &root.key("assertion"), &file.assertion, &issuers);
    let at = root.key("access_reviews");
    let asked = file.access_reviews.as_ref();
    let access_reviews =
        asked.map(|written| reviews::access_reviews(context, &at, written, file.service_accounts.as_ref()));
    let around = rules::Around {
        served: &hosts,
        headers: &file.identity.headers,
        tokens: file.service_accounts.as_ref(),
        asks_kubernetes: asked.is_some(),
    };
    let written_rules = rule_files::all(context, &root, file);
    let rules = rules::resolve(context, &written_rules, &around);
    let default_access = default_access(context, &root.key("default").key("access"), file.default.access);
    let wide = wide_hosts(&root.key("hosts"), &file.hosts);
    let rules = authz::Config { hosts: hosts.into_iter().collect(), rules: rules?, default: default_access? };
    Some(Settings {
        listeners: listeners?,
        drain: drain?,
        keys: keys?,
        sessions: sessions?,
        store: store?,
        providers: providers?,
        origins: origins?,
        service_accounts: match service_accounts {
            Some(resolved) => Some(resolved?.with_further(rules.further_audiences())),
            None => None,
        },
        access_reviews: match access_reviews {
            Some(resolved) => Some(resolved?),
            None => None,
        },
        headers: headers?,
        assertion: assertion?,
        warnings: rules::warnings(&written_rules, &rules)
            .into_iter()
            .chain(wide)
            .chain(gateways_in_shadow(&root, &file.shadow))
            .collect(),
        rules,
        gateways_in_shadow: file.shadow.gateways,
        logging: log(&file.logging),
    })
}

fn drain(context: &mut Context<'_>, at: &FieldPath, written: &forms::Drain) -> Option<Drain> {
    let delay = context.duration(&at.key("delay"), &written.delay, Duration::ZERO..=10 * MINUTE);
    let timeout = context.duration(&at.key("timeout"), &written.timeout, Duration::ZERO..=10 * MINUTE);
    Some(Drain { delay: delay?, timeout: timeout? })
}

fn gateways_in_shadow(root: &FieldPath, shadow: &forms::Shadow) -> Option<FieldError> {
    let at = root.key("shadow").key("gateways");
    let told = "whoever may call the check listener may ask in shadow, and is answered that everything is allowed";
    shadow
        .gateways
        .then(|| FieldError::new(&at, told).found("true").write("remove it once no gateway asks so any more"))
}

/// Hosts that may be strangers', where the domain is none of the operator's own.
fn wide_hosts(at: &FieldPath, hosts: &[String]) -> Vec<FieldError> {
    let patterns = hosts.iter().enumerate().filter_map(|(index, host)| Some((index, HostPattern::parse(host).ok()?)));
    let wide = patterns.filter(|(_, pattern)| pattern.may_be_wide());
    let warning = |(index, pattern): (usize, HostPattern)| {
        FieldError::new(
            &at.index(index),
            "it stands for hosts of strangers where the domain is no one's own (`*.co.uk`)",
        )
        .found(&pattern.to_string())
        .write("leave it so where the domain is yours alone, or write one with a label more")
    };
    wide.map(warning).collect()
}

/// The hosts that are served: those of the origins (where they can be read; if not, that is told there) and others.
fn hosts(context: &mut Context<'_>, root: &FieldPath, file: &forms::File) -> BTreeSet<HostPattern> {
    let of_origins = file.origins.iter().filter_map(|origin| names::host_of_origin(&origin.url));
    let mut hosts: BTreeSet<HostPattern> = of_origins.map(HostPattern::One).collect();
    for (index, host) in file.hosts.iter().enumerate() {
        let at = root.key("hosts").index(index);
        if let Some(host) = names::hosts(context, &at, host)
            && !hosts.insert(host.clone())
        {
            context.report(
                FieldError::new(&at, "this host is named twice, or is an origin's already")
                    .found(&host.to_string())
                    .write("remove it here"),
            );
        }
    }
    if file.origins.is_empty() && file.hosts.is_empty() {
        context.report(
            FieldError::new(&root.key("origins"), "no host is served: every request would be answered with 421")
                .write("name the public address in `origins` (with sign-in) or in `hosts` (tokens only)"),
        );
    }
    hosts
}

fn default_access(context: &mut Context<'_>, at: &FieldPath, access: forms::Access) -> Option<Access> {
    match access {
        forms::Access::Authenticated => Some(Access::Authenticated),
        forms::Access::Deny => Some(Access::Deny),
        forms::Access::Public | forms::Access::Optional => context.refuse(
            FieldError::new(at, "whatever no rule names must not be open to everybody")
                .found(if access == forms::Access::Public { "public" } else { "optional" })
                .write("write `authenticated` or `deny`, and a rule for each path that is open"),
        ),
    }
}

fn log(written: &forms::Logging) -> logging::Config {
    logging::Config {
        level: match written.level {
            forms::LogLevel::Error => tracing::Level::ERROR,
            forms::LogLevel::Warn => tracing::Level::WARN,
            forms::LogLevel::Info => tracing::Level::INFO,
            forms::LogLevel::Debug => tracing::Level::DEBUG,
            forms::LogLevel::Trace => tracing::Level::TRACE,
        },
        format: match written.format {
            forms::LogFormat::Json => logging::Format::Json,
            forms::LogFormat::Text => logging::Format::Text,
        },
    }
}
