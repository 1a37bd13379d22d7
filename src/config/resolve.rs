//! From what was written and read to checked settings. Pure: everything outside was read before.

mod context;
mod identity;
mod keys;
mod listeners;
mod names;
mod origins;
mod providers;
mod redis;
mod rules;
mod service_accounts;
mod tls;
mod weak_secrets;

use std::{collections::BTreeSet, time::Duration};

use self::context::Context;
pub(super) use self::keys::root_key;
use super::{
    error::{FieldError, FieldPath},
    material::Material,
    raw,
    settings::{Drain, Settings},
};
use crate::{
    authz::{self, Access},
    logging, session,
    session::StoreConfig,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// Checks every field, and the fields against each other.
///
/// # Errors
/// All that is wrong.
pub(super) fn resolve(file: &raw::File, material: &Material) -> Result<Settings, Vec<FieldError>> {
    let mut context = Context::new(material);
    let settings = whole(&mut context, file);
    let errors = context.into_errors();
    match settings {
        Some(settings) if errors.is_empty() => Ok(settings),
        _ => Err(errors),
    }
}

fn whole(context: &mut Context<'_>, file: &raw::File) -> Option<Settings> {
    let root = FieldPath::root();
    let listeners = listeners::resolve(context, &root.key("listeners"), &file.listeners);
    let drain = drain(context, &root.key("drain"), &file.drain);
    let sessions = sessions(context, &root.key("sessions"), &file.sessions);
    let keys = keys::resolve(context, &root.key("keys"), &file.keys, sessions.as_ref().map(|sessions| &sessions.store));
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
    let rules = rules::resolve(context, &root.key("rules"), &file.rules, &hosts, file.service_accounts.is_some());
    let default_access = default_access(context, &root.key("default").key("access"), file.default.access);
    let rules = authz::Config { hosts: hosts.into_iter().collect(), rules: rules?, default: default_access? };
    Some(Settings {
        listeners: listeners?,
        drain: drain?,
        keys: keys?,
        sessions: sessions?,
        providers: providers?,
        origins: origins?,
        service_accounts: match service_accounts {
            Some(resolved) => Some(resolved?),
            None => None,
        },
        headers: headers?,
        assertion: assertion?,
        warnings: rules::warnings(&root.key("rules"), &file.rules, &rules),
        rules,
        logging: log(&file.logging),
    })
}

/// The issuers that the configuration names, of which each must stand for one thing.
struct Issuers {
    assertion: String,
    providers: Vec<String>,
    clusters: Vec<String>,
}

impl Issuers {
    fn of(file: &raw::File) -> Self {
        Self {
            assertion: file.assertion.issuer.clone(),
            providers: file.providers.iter().map(|provider| provider.issuer.clone()).collect(),
            clusters: file.service_accounts.iter().flat_map(|accounts| accounts.issuers.clone()).collect(),
        }
    }
}

fn drain(context: &mut Context<'_>, at: &FieldPath, raw: &raw::Drain) -> Option<Drain> {
    let delay = context.duration(&at.key("delay"), &raw.delay, Duration::ZERO..=10 * MINUTE);
    let timeout = context.duration(&at.key("timeout"), &raw.timeout, Duration::ZERO..=10 * MINUTE);
    Some(Drain { delay: delay?, timeout: timeout? })
}

fn sessions(context: &mut Context<'_>, at: &FieldPath, raw: &raw::Sessions) -> Option<session::Config> {
    let store = store(context, &at.key("store"), &raw.store);
    let absolute = context.duration(&at.key("absolute_lifetime"), &raw.absolute_lifetime, SECOND..=30 * DAY);
    let idle = context.duration(&at.key("idle_lifetime"), &raw.idle_lifetime, SECOND..=30 * DAY);
    let (store, absolute_lifetime, idle_lifetime) = (store?, absolute?, idle?);
    if idle_lifetime > absolute_lifetime {
        context.report(
            FieldError::new(&at.key("idle_lifetime"), "must not be longer than absolute_lifetime")
                .found(&raw.idle_lifetime.0)
                .write(format!("write at most `{}`", raw.absolute_lifetime.0)),
        );
        return None;
    }
    Some(session::Config { store, absolute_lifetime, idle_lifetime })
}

fn store(context: &mut Context<'_>, at: &FieldPath, raw: &raw::Store) -> Option<StoreConfig> {
    if raw.redis.is_some() && raw.kind != raw::StoreKind::Redis {
        return context.refuse(
            FieldError::new(&at.key("redis"), "this store is not in Redis").write("remove it, or write `type: redis`"),
        );
    }
    match (raw.kind, &raw.path) {
        (raw::StoreKind::Redis, None) => match &raw.redis {
            Some(servers) => redis::resolve(context, &at.key("redis"), servers).map(StoreConfig::Redis),
            None => context.refuse(
                FieldError::new(&at.key("redis"), "it is missing: a `redis` store needs a server")
                    .write("write for example `redis: {urls: ['rediss://redis.example.com:6379']}`"),
            ),
        },
        (raw::StoreKind::Redis, Some(_)) => context.refuse(
            FieldError::new(&at.key("path"), "a `redis` store has no file")
                .write("remove it, or write `type: embedded`"),
        ),
        (raw::StoreKind::Memory, None) => Some(StoreConfig::Memory),
        (raw::StoreKind::Embedded, Some(path)) => {
            context.absolute(&at.key("path"), path).map(|path| StoreConfig::Embedded { path })
        }
        (raw::StoreKind::Memory, Some(_)) => context.refuse(
            FieldError::new(&at.key("path"), "a `memory` store has no file")
                .write("remove it, or write `type: embedded`"),
        ),
        (raw::StoreKind::Embedded, None) => context.refuse(
            FieldError::new(&at.key("path"), "it is missing: an `embedded` store needs a file")
                .write("write an absolute path, such as `/var/lib/portcullis/sessions/sessions.redb`"),
        ),
    }
}

/// The hosts that are served: those of the origins (where they can be read; if not, that is told there) and others.
fn hosts(context: &mut Context<'_>, root: &FieldPath, file: &raw::File) -> BTreeSet<String> {
    let mut hosts: BTreeSet<String> =
        file.origins.iter().filter_map(|origin| names::host_of_origin(&origin.url)).collect();
    for (index, host) in file.hosts.iter().enumerate() {
        let at = root.key("hosts").index(index);
        if let Some(host) = names::host(context, &at, host)
            && !hosts.insert(host.clone())
        {
            context.report(
                FieldError::new(&at, "this host is named twice, or is an origin's already")
                    .found(&host)
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

fn default_access(context: &mut Context<'_>, at: &FieldPath, access: raw::Access) -> Option<Access> {
    match access {
        raw::Access::Authenticated => Some(Access::Authenticated),
        raw::Access::Deny => Some(Access::Deny),
        raw::Access::Public | raw::Access::Optional => context.refuse(
            FieldError::new(at, "whatever no rule names must not be open to everybody")
                .found(if access == raw::Access::Public { "public" } else { "optional" })
                .write("write `authenticated` or `deny`, and a rule for each path that is open"),
        ),
    }
}

fn log(raw: &raw::Logging) -> logging::Config {
    logging::Config {
        level: match raw.level {
            raw::LogLevel::Error => tracing::Level::ERROR,
            raw::LogLevel::Warn => tracing::Level::WARN,
            raw::LogLevel::Info => tracing::Level::INFO,
            raw::LogLevel::Debug => tracing::Level::DEBUG,
            raw::LogLevel::Trace => tracing::Level::TRACE,
        },
        format: match raw.format {
            raw::LogFormat::Json => logging::Format::Json,
            raw::LogFormat::Text => logging::Format::Text,
        },
    }
}
