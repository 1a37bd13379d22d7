//! Origins: public addresses with their provider, cookie and endpoints.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    context::Context,
    names::{self, PlainHttp},
};
use crate::{
    config::{
        error::{FieldError, FieldPath},
        raw,
        settings::Origin,
    },
    principal::ProviderName,
};

pub(super) fn resolve(
    context: &mut Context<'_>,
    at: &FieldPath,
    raw: &[raw::Origin],
    providers: &[raw::Provider],
) -> Option<Vec<Origin>> {
    let before = context.errors();
    let origins: Vec<Option<Origin>> =
        raw.iter().enumerate().map(|(index, raw)| origin(context, &at.index(index), raw, providers)).collect();
    refuse_collisions(context, at, &origins);
    let origins = origins.into_iter().collect();
    if context.errors() == before { origins } else { None }
}

fn origin(context: &mut Context<'_>, at: &FieldPath, raw: &raw::Origin, providers: &[raw::Provider]) -> Option<Origin> {
    let public = public_url(context, &at.key("url"), &raw.url);
    let provider = provider(context, &at.key("provider"), &raw.provider, providers);
    let cookie = cookie(context, &at.key("cookie"), &raw.cookie);
    let path_prefix = path_prefix(context, &at.key("path_prefix"), &raw.path_prefix);
    let after_logout_url = match &raw.after_logout_url {
        Some(target) => after_logout(context, &at.key("after_logout_url"), target),
        None => path_prefix.as_ref().map(|prefix| format!("{prefix}/signed-out")),
    };
    let aliases = aliases(context, &at.key("aliases"), &raw.aliases, path_prefix.as_deref());
    let (origin, host, port) = public?;
    let [logout_aliases, callback_aliases, login_aliases] = aliases?;
    let cookie = cookie?;
    Some(Origin {
        origin,
        host,
        port,
        provider: provider?,
        session_cookie: format!("__Host-{cookie}"),
        login_cookie: format!("__Host-{cookie}-login"),
        path_prefix: path_prefix?,
        after_logout_url: after_logout_url?,
        logout_aliases,
        callback_aliases,
        login_aliases,
    })
}

/// The origin, its host and its port.
fn public_url(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<(String, String, u16)> {
    if text.starts_with("http://") {
        return context.refuse(
            FieldError::new(at, "browsers take our cookies over `https://` only (`__Host-` needs Secure)")
                .found(text)
                .write("write the `https://` address that browsers use, with the gateway's certificate"),
        );
    }
    let url = names::url(context, at, text, PlainHttp::Never)?;
    let origin = url.origin().ascii_serialization();
    let host = url.host().map(|host| host.to_string())?;
    if origin != text || host.ends_with('.') {
        return context.refuse(
            FieldError::new(at, "an origin is scheme, host and port alone, in lower case")
                .found(text)
                .write(format!("write `{}`", origin.trim_end_matches('.'))),
        );
    }
    Some((origin, host, url.port_or_known_default()?))
}

fn provider(
    context: &mut Context<'_>,
    at: &FieldPath,
    name: &str,
    providers: &[raw::Provider],
) -> Option<ProviderName> {
    if providers.iter().any(|provider| provider.name == name) {
        // A name that is none was told at the provider.
        return ProviderName::parse(name).ok();
    }
    let names: Vec<&str> = providers.iter().map(|provider| provider.name.as_str()).collect();
    let advice = if names.is_empty() {
        "describe it in `providers`".to_owned()
    } else {
        format!("write one of: {}", names.join(", "))
    };
    context.refuse(FieldError::new(at, "there is no such provider").found(name).write(advice))
}

/// A cookie's name (a token of RFC 9110 section 5.6.2), without its prefix.
fn cookie(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let prefixed = text.starts_with("__");
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) && !prefixed {
        return Some(text.to_owned());
    }
    context.refuse(
        FieldError::new(at, "it is no cookie name")
            .found(text)
            .write("write 1 to 64 letters, digits, `-`, `_` or `.`; `__Host-` is put in front of it"),
    )
}

fn path_prefix(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<String> {
    let path = names::clean_path(context, at, text)?;
    if path.len() > 1 && !path.ends_with('/') && path.len() <= 128 {
        return Some(path);
    }
    context.refuse(
        FieldError::new(at, "our endpoints need a path of their own")
            .found(text)
            .write("write a path such as `/portcullis`, without a slash at its end"),
    )
}

fn after_logout(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<String> {
    if text.starts_with('/') {
        names::clean_path(context, at, text)
    } else {
        names::url(context, at, text, PlainHttp::Never).map(|url| url.to_string())
    }
}

/// The aliases of logout, callback and login, none twice and none below our own prefix.
fn aliases(
    context: &mut Context<'_>,
    at: &FieldPath,
    raw: &raw::Aliases,
    path_prefix: Option<&str>,
) -> Option<[Vec<String>; 3]> {
    let before = context.errors();
    let mut taken = BTreeSet::new();
    let lists = [("logout", &raw.logout), ("callback", &raw.callback), ("login", &raw.login)];
    let resolved = lists.map(|(name, paths)| {
        let mut resolved = Vec::new();
        for (index, path) in paths.iter().enumerate() {
            let at = at.key(name).index(index);
            let Some(path) = names::clean_path(context, &at, path) else { continue };
            let ours = path_prefix.is_some_and(|prefix| {
                path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
            if ours || path == "/" || !taken.insert(path.clone()) {
                context.report(
                    FieldError::new(&at, "an alias is named once, is not `/` and not below `path_prefix`")
                        .found(&path)
                        .write("write another path, or remove it"),
                );
            } else {
                resolved.push(path);
            }
        }
        resolved
    });
    (context.errors() == before).then_some(resolved)
}

/// No origin twice; and since cookies do not know ports, no cookie twice on one host.
fn refuse_collisions(context: &mut Context<'_>, at: &FieldPath, origins: &[Option<Origin>]) {
    let mut urls = BTreeSet::new();
    let mut cookies: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (index, origin) in origins.iter().enumerate() {
        let Some(origin) = origin else { continue };
        if !urls.insert(&origin.origin) {
            context.report(
                FieldError::new(&at.index(index).key("url"), "two origins cannot share an address")
                    .found(&origin.origin)
                    .write("remove one of the two"),
            );
            continue;
        }
        for cookie in [&origin.session_cookie, &origin.login_cookie] {
            if let Some(other) = cookies.insert((&origin.host, cookie), index) {
                context.report(
                    FieldError::new(
                        &at.index(index).key("cookie"),
                        format!(
                            "`{cookie}` is a cookie of origins[{other}] on the same host, and cookies do not know ports"
                        ),
                    )
                    .write("write another name"),
                );
                break;
            }
        }
    }
}
