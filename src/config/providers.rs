//! Identity providers, one by one and against each other.

use std::{collections::BTreeSet, path::Path, time::Duration};

use super::{
    context::{Context, MINUTE, SECOND},
    names::{self, PlainHttp},
    tls, weak_secrets,
};
use crate::{
    config_file::{FieldError, FieldPath, forms},
    principal::ProviderName,
    providers::{ClaimsConfig, LogoutConfig, Outbound, ProviderConfig, RefreshConfig, StrictAsk, StrictConfig},
    secret::SecretString,
};

pub(super) fn resolve(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &[forms::Provider],
) -> Option<Vec<ProviderConfig>> {
    let mut taken = BTreeSet::new();
    for (index, provider) in written.iter().enumerate() {
        if !taken.insert(&provider.name) {
            context.report(
                FieldError::new(&at.index(index).key("name"), "two providers cannot share a name")
                    .found(&provider.name)
                    .write("write another name"),
            );
        }
    }
    let providers: Vec<Option<ProviderConfig>> =
        written.iter().enumerate().map(|(index, written)| provider(context, &at.index(index), written)).collect();
    let providers: Option<Vec<ProviderConfig>> = providers.into_iter().collect();
    if let Some(providers) = &providers {
        refuse_shared_userids(context, at, providers);
    }
    providers
}

fn provider(context: &mut Context<'_>, at: &FieldPath, written: &forms::Provider) -> Option<ProviderConfig> {
    let name = names::name(context, &at.key("name"), &written.name).and_then(|name| ProviderName::parse(&name).ok());
    let plain_http = if written.allow_http { PlainHttp::Allowed } else { PlainHttp::Unless("allow_http: true") };
    let issuer = names::url(context, &at.key("issuer"), &written.issuer, plain_http);
    let client_id = visible(context, &at.key("client_id"), &written.client_id);
    let client_secret = optional(written.client_secret.as_ref(), |secret| {
        client_secret(context, &at.key("client_secret"), secret, &written.client_id)
    });
    let scopes = scopes(context, &at.key("scopes"), &written.scopes);
    let ca_pem = optional(written.ca_file.as_ref(), |path| authorities(context, &at.key("ca_file"), path));
    let timeout = context.duration(&at.key("timeout"), &written.timeout, Duration::from_millis(100)..=MINUTE);
    let claims = claims(context, at, written);
    let refresh = optional(written.refresh.as_ref(), |refresh| {
        let ahead = context.duration(&at.key("refresh").key("ahead"), &refresh.ahead, SECOND..=60 * MINUTE);
        ahead.map(|ahead| RefreshConfig { ahead })
    });
    let strict = optional(written.strict.as_ref(), |strict| {
        let every = context.duration(&at.key("strict").key("every"), &strict.every, SECOND..=60 * MINUTE);
        every.map(|every| StrictConfig { every, ask: ask(strict.ask) })
    });
    Some(ProviderConfig {
        name: name?,
        issuer: issuer.map(|_| written.issuer.clone())?,
        client_id: client_id?,
        client_secret: client_secret?,
        scopes: scopes?,
        timeout: timeout?,
        allow_http: written.allow_http,
        claims: claims?,
        refresh: refresh?,
        strict: strict?,
        logout: logout(&written.logout),
        outbound: Outbound::Own { ca_pem: ca_pem? },
    })
}

/// What may be left out: nothing where what is written is wrong, `Some(None)` where nothing is written.
#[expect(clippy::option_option, reason = "nothing can be told, or there is nothing")]
fn optional<Written, Value>(
    written: Option<Written>,
    read: impl FnOnce(Written) -> Option<Value>,
) -> Option<Option<Value>> {
    match written {
        Some(written) => read(written).map(Some),
        None => Some(None),
    }
}

fn authorities(context: &mut Context<'_>, at: &FieldPath, path: &Path) -> Option<Vec<u8>> {
    tls::certificates(context, at, path)?;
    context.file(at, path).map(|pem| pem.expose().to_vec())
}

/// How a person's names are read of the claims.
fn claims(context: &mut Context<'_>, at: &FieldPath, written: &forms::Provider) -> Option<ClaimsConfig> {
    let userid_claim = visible(context, &at.key("userid_claim"), &written.userid_claim);
    let userid_prefix = prefix(context, &at.key("userid_prefix"), &written.userid_prefix);
    let groups_claim = visible(context, &at.key("groups_claim"), &written.groups_claim);
    let email_domains = domains(context, &at.key("email_domains"), &written.email_domains);
    if written.trust_unverified_email && written.email_domains.is_empty() {
        context.report(
            FieldError::new(
                &at.key("email_domains"),
                "it is missing beside `trust_unverified_email`: the provider could name anybody",
            )
            .write("list the domains whose addresses this provider may tell"),
        );
    }
    Some(ClaimsConfig {
        userid_claim: userid_claim?,
        userid_prefix: userid_prefix?,
        groups_claim: Some(groups_claim?),
        trust_unverified_email: written.trust_unverified_email,
        email_domains: email_domains?.into_iter().collect(),
    })
}

const fn ask(written: forms::StrictAsk) -> StrictAsk {
    match written {
        forms::StrictAsk::Introspection => StrictAsk::Introspection,
        forms::StrictAsk::Userinfo => StrictAsk::Userinfo,
    }
}

const fn logout(written: &forms::ProviderLogout) -> LogoutConfig {
    let &forms::ProviderLogout { at_provider, revoke_tokens, back_channel, front_channel } = written;
    LogoutConfig { at_provider, revoke_tokens, back_channel, front_channel }
}

fn visible(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<String> {
    if !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && text.trim() == text {
        return Some(text.to_owned());
    }
    context.refuse(
        FieldError::new(at, "it is empty, or holds something else than visible ASCII")
            .found(text)
            .write("write visible ASCII characters"),
    )
}

fn client_secret(
    context: &mut Context<'_>,
    at: &FieldPath,
    secret: &forms::Secret,
    client_id: &str,
) -> Option<SecretString> {
    let (at, contents) = match (&secret.file, &secret.env) {
        (Some(path), None) => {
            let at = at.key("file");
            let contents = context.file(&at, path)?;
            (at, contents)
        }
        (None, Some(name)) => {
            let at = at.key("env");
            let contents = context.env(&at, name)?;
            (at, contents)
        }
        _ => {
            return context.refuse(
                FieldError::new(at, "a secret is read from one place")
                    .write("write either `{file: /path}` or `{env: NAME}`"),
            );
        }
    };
    let Ok(text) = std::str::from_utf8(contents.expose()) else {
        return context.refuse(FieldError::new(&at, "the secret is no UTF-8 text").write("store the secret as text"));
    };
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    let weakness =
        if text == client_id { Some("the secret is the client_id") } else { weak_secrets::weakness(text.as_bytes()) };
    match weakness {
        None => Some(SecretString::new(text.to_owned())),
        Some(weakness) => context.refuse(FieldError::new(&at, weakness).write(format!(
            "have the provider make a random one of {} bytes or more (`openssl rand -base64 32`)",
            weak_secrets::MIN_BYTES
        ))),
    }
}

/// The scopes (RFC 6749 section 3.3), `openid` among them.
fn scopes(context: &mut Context<'_>, at: &FieldPath, written: &[String]) -> Option<Vec<String>> {
    let mut scopes = vec!["openid".to_owned()];
    let before = context.errors();
    for (index, scope) in written.iter().enumerate() {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if scope.is_empty() || !scope.bytes().all(plain) {
            context.report(
                FieldError::new(&at.index(index), "it is no scope")
                    .found(scope)
                    .write("write one scope without spaces"),
            );
        } else if !scopes.contains(scope) {
            scopes.push(scope.clone());
        }
    }
    (context.errors() == before).then_some(scopes)
}

fn prefix(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<String> {
    let reserved = text.to_ascii_lowercase().starts_with("system:");
    if text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic()) && !reserved {
        return Some(text.to_owned());
    }
    context.refuse(
        FieldError::new(at, "it is no prefix of a user id").found(text).write(
            "write at most 64 visible ASCII characters that do not begin with `system:`, which is Kubernetes' own",
        ),
    )
}

fn domains(context: &mut Context<'_>, at: &FieldPath, written: &[String]) -> Option<BTreeSet<String>> {
    let before = context.errors();
    let mut domains = BTreeSet::new();
    for (index, domain) in written.iter().enumerate() {
        if let Some(domain) = names::host(context, &at.index(index), domain) {
            domains.insert(domain.as_str().to_owned());
        }
    }
    (context.errors() == before).then_some(domains)
}

/// Nobody must be able to become somebody else by signing in at the other provider.
fn refuse_shared_userids(context: &mut Context<'_>, at: &FieldPath, providers: &[ProviderConfig]) {
    for (index, later) in providers.iter().enumerate() {
        if let Some(earlier) = providers.iter().take(index).find(|earlier| may_share(earlier, later)) {
            context.report(
                FieldError::new(
                    &at.index(index).key("userid_prefix"),
                    format!(
                        "a person of this provider could have the user id of a person of `{}`",
                        earlier.name.as_str()
                    ),
                )
                .write(
                    "write a `userid_prefix` for both (neither the beginning of the other), \
                     or `email_domains` for both that do not overlap",
                ),
            );
        }
    }
}

fn may_share(one: &ProviderConfig, other: &ProviderConfig) -> bool {
    let same_authority = one.issuer == other.issuer;
    let (one, other) = (&one.claims, &other.claims);
    // The same authority may be named twice, for two clients.
    if same_authority && one.userid_claim == other.userid_claim && one.userid_prefix == other.userid_prefix {
        return false;
    }
    let prefixed =
        !one.userid_prefix.starts_with(&other.userid_prefix) && !other.userid_prefix.starts_with(&one.userid_prefix);
    let by_domain =
        [one, other].iter().all(|claims| claims.userid_claim == "email" && !claims.email_domains.is_empty())
            && !one.email_domains.iter().any(|domain| other.email_domains.contains(domain));
    !prefixed && !by_domain
}
