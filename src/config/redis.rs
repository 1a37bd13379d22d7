//! The servers of a `redis` store.

use std::time::Duration;

use url::{Host, Url};

use crate::{
    config_file::{
        FieldError, FieldPath,
        forms::{self, RedisMode},
    },
    config_values::Context,
    redis_store::{RedisAddress, RedisConfig, RedisServers, RedisTls},
};

const DEFAULT_PORT: u16 = 6379;
const MAX_REPLICAS: u32 = 16;
const MAX_PREFIX: usize = 64;
const WANTED: &str = "write `redis://host:port`, or `rediss://host:port` for TLS";

pub(super) fn resolve(context: &mut Context<'_>, at: &FieldPath, written: &forms::Redis) -> Option<RedisConfig> {
    let errors = context.errors();
    let servers = servers(context, at, written);
    let tls = tls(context, at, written);
    let prefix = prefix(context, &at.key("prefix"), &written.prefix);
    let username = written.username.as_ref().and_then(|name| username(context, &at.key("username"), name));
    let mut file = |name: &str, path: &Option<std::path::PathBuf>| {
        path.as_ref().and_then(|path| context.absolute(&at.key(name), path))
    };
    let password_file = file("password_file", &written.password_file);
    let timeout =
        context.duration(&at.key("timeout"), &written.timeout, Duration::from_millis(100)..=Duration::from_secs(10));
    let cache_lifetime =
        context.duration(&at.key("cache_lifetime"), &written.cache_lifetime, Duration::ZERO..=Duration::from_mins(10));
    if let (Some(_), None) = (&written.username, &written.password_file) {
        context.report(
            FieldError::new(&at.key("password_file"), "it is missing: a user of its own has a password")
                .write("write the path of a file that holds the password"),
        );
    }
    if let Some(replicas) = written.replicas.filter(|replicas| *replicas > MAX_REPLICAS) {
        context.report(
            FieldError::new(&at.key("replicas"), "no Redis has that many replicas")
                .found(&replicas.to_string())
                .write(format!("write at most `{MAX_REPLICAS}`, or leave it out")),
        );
    }
    if context.errors() > errors {
        return None;
    }
    Some(RedisConfig {
        servers: servers?,
        prefix: prefix?,
        username,
        password_file,
        tls: tls?,
        timeout: timeout?,
        replicas: written.replicas,
        cache_lifetime: cache_lifetime?,
    })
}

fn servers(context: &mut Context<'_>, at: &FieldPath, written: &forms::Redis) -> Option<RedisServers> {
    let urls = at.key("urls");
    let addresses: Vec<_> =
        written.urls.iter().enumerate().filter_map(|(index, url)| address(context, &urls.index(index), url)).collect();
    let is_sentinel = written.mode == RedisMode::Sentinel;
    let of_sentinels = [
        ("master_name", written.master_name.is_some()),
        ("sentinel_password_file", written.sentinel_password_file.is_some()),
    ];
    for (name, _) in of_sentinels.iter().filter(|(_, written)| *written && !is_sentinel) {
        context.report(
            FieldError::new(&at.key(name), "it is about sentinels").write("remove it, or write `mode: sentinel`"),
        );
    }
    let mut addresses = addresses.into_iter();
    match written.mode {
        _ if written.urls.is_empty() => context.refuse(FieldError::new(&urls, "no server is named").write(WANTED)),
        RedisMode::Standalone if written.urls.len() > 1 => context.refuse(
            FieldError::new(&urls, "a standalone server has one address")
                .write("write one URL, or `mode: sentinel` or `mode: cluster`"),
        ),
        RedisMode::Standalone => addresses.next().map(RedisServers::Standalone),
        RedisMode::Cluster => Some(RedisServers::Cluster(addresses.collect())),
        RedisMode::Sentinel => match written.master_name.as_deref() {
            Some(name) if !name.is_empty() => {
                let file = written.sentinel_password_file.as_ref();
                let password_file = file.and_then(|path| context.absolute(&at.key("sentinel_password_file"), path));
                Some(RedisServers::Sentinel { name: name.to_owned(), sentinels: addresses.collect(), password_file })
            }
            _ => context.refuse(
                FieldError::new(&at.key("master_name"), "it is missing: sentinels know a primary by its name")
                    .write("write the name in `sentinel monitor NAME …`"),
            ),
        },
    }
}

/// The address of one URL. What does not belong there is not shown: it may be a password.
fn address(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<RedisAddress> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "redis" | "rediss"));
    let Some(url) = url else {
        return context.refuse(FieldError::new(at, "it is no URL of a Redis server").write(WANTED));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return context.refuse(
            FieldError::new(at, "a user or a password stands in the URL")
                .write("write them as `username` and `password_file`"),
        );
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return context.refuse(FieldError::new(at, "there is more than a host and a port in the URL").write(WANTED));
    }
    // The parser knows no hosts of this scheme: a name must still be one.
    let host = match url.host() {
        Some(Host::Domain(name)) => match name.parse::<std::net::IpAddr>() {
            Ok(ip) => Some(ip.to_string()),
            Err(_) => Host::parse(name).ok().map(|host| host.to_string()),
        },
        Some(Host::Ipv4(ip)) => Some(ip.to_string()),
        Some(Host::Ipv6(ip)) => Some(ip.to_string()),
        None => None,
    };
    let Some(host) = host else {
        return context.refuse(FieldError::new(at, "there is no host in the URL").write(WANTED));
    };
    Some(RedisAddress { host, port: url.port().unwrap_or(DEFAULT_PORT) })
}

/// Whether TLS is spoken, and what is trusted then.
#[expect(clippy::option_option, reason = "nothing can be told, or there is no TLS")]
fn tls(context: &mut Context<'_>, at: &FieldPath, written: &forms::Redis) -> Option<Option<RedisTls>> {
    let encrypted = written.urls.iter().filter(|url| url.starts_with("rediss:")).count();
    if encrypted > 0 && encrypted < written.urls.len() {
        return context.refuse(
            FieldError::new(&at.key("urls"), "some servers are to speak TLS, and some are not")
                .write("write `rediss://` for all of them"),
        );
    }
    let ca_file = match &written.ca_file {
        Some(path) => Some(context.absolute(&at.key("ca_file"), path)?),
        None => None,
    };
    if encrypted > 0 {
        return Some(Some(RedisTls { ca_file }));
    }
    if ca_file.is_some() {
        return context.refuse(
            FieldError::new(&at.key("ca_file"), "nothing is encrypted that it could certify")
                .write("write `rediss://` in `urls`"),
        );
    }
    Some(None)
}

fn prefix(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !text.is_empty() && text.len() <= MAX_PREFIX && text.bytes().all(plain) {
        return Some(text.to_owned());
    }
    context.refuse(
        FieldError::new(at, "it is no prefix of keys")
            .found(text)
            .write(format!("write up to {MAX_PREFIX} letters, digits, `-`, `_` and `.`")),
    )
}

fn username(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(text.to_owned());
    }
    context.refuse(FieldError::new(at, "it is no name of an ACL user").write("write its name, or leave it out"))
}
