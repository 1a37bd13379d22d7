//! Origins: public addresses with their provider, cookie and endpoints.

use std::collections::BTreeSet;

use url::Url;

use crate::{
    config_file::{FieldError, FieldPath, forms},
    config_values::{
        Context,
        names::{self, PlainHttp},
    },
    decision::Location,
    origin::{LoginOrigin, Origin},
    principal::ProviderName,
    request::PlainPath,
};

pub(super) fn resolve(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &[forms::Origin],
    providers: &[forms::Provider],
) -> Option<Vec<Origin>> {
    let before = context.errors();
    let origins: Vec<Option<Origin>> = written
        .iter()
        .enumerate()
        .map(|(index, written)| origin(context, &at.index(index), written, providers))
        .collect();
    refuse_collisions(context, at, &origins);
    let origins = origins.into_iter().collect();
    if context.errors() == before { origins } else { None }
}

fn origin(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &forms::Origin,
    providers: &[forms::Provider],
) -> Option<Origin> {
    let public = public_url(context, &at.key("url"), &written.url);
    let provider = provider(context, &at.key("provider"), &written.provider, providers);
    let cookie = cookie(context, &at.key("cookie"), &written.cookie);
    let path_prefix = path_prefix(context, &at.key("path_prefix"), &written.path_prefix);
    let aliases = aliases(context, &at.key("aliases"), &written.aliases, path_prefix.as_ref());
    let (url, cookie, path_prefix) = (public?, cookie?, path_prefix?);
    let after_logout = after_logout(context, &at.key("after_logout_url"), written, &path_prefix);
    let [logout_aliases, callback_aliases, login_aliases] = aliases?;
    let host = names::host_of_origin(&written.url)?;
    let address = |name: &str| url.join(&format!("{}/{name}", path_prefix.as_str())).ok();
    let (redirect_uri, post_logout_redirect_uri) = (address("callback")?, address("signed-out")?);
    Some(Origin {
        host,
        login: LoginOrigin {
            url: written.url.clone(),
            provider: provider?,
            login_cookie: format!("__Host-{cookie}-login"),
            redirect_uri,
            post_logout_redirect_uri,
        },
        session_cookie: format!("__Host-{cookie}"),
        path_prefix,
        after_logout: after_logout?,
        logout_aliases,
        callback_aliases,
        login_aliases,
    })
}

/// An origin's URL: scheme, host and port alone.
fn public_url(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<Url> {
    if text.starts_with("http://") {
        return context.refuse(
            FieldError::new(at, "browsers take our cookies over `https://` only (`__Host-` needs Secure)")
                .found(text)
                .write("write the `https://` address that browsers use, with the gateway's certificate"),
        );
    }
    let url = names::url(context, at, text, PlainHttp::Never)?;
    let origin = url.origin().ascii_serialization();
    if origin != text || origin.ends_with('.') {
        return context.refuse(
            FieldError::new(at, "an origin is scheme, host and port alone, in lower case")
                .found(text)
                .write(format!("write `{}`", origin.trim_end_matches('.'))),
        );
    }
    Some(url)
}

fn provider(
    context: &mut Context<'_>,
    at: &FieldPath,
    name: &str,
    providers: &[forms::Provider],
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

fn path_prefix(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<PlainPath> {
    let path = names::plain_path(context, at, text)?;
    if !path.as_str().ends_with('/') && path.as_str().len() <= 128 {
        return Some(path);
    }
    context.refuse(
        FieldError::new(at, "our endpoints need a path of their own")
            .found(text)
            .write("write a path such as `/portcullis`, without a slash at its end"),
    )
}

/// Where a browser goes once it is signed out: our own page, unless another place is named.
fn after_logout(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &forms::Origin,
    path_prefix: &PlainPath,
) -> Option<Location> {
    let own = format!("{}/signed-out", path_prefix.as_str());
    let text = written.after_logout_url.as_deref().unwrap_or(&own);
    let location = if text.starts_with('/') {
        Location::on_origin(&written.url, names::plain_path(context, at, text)?.as_str())
    } else {
        Location::new(&names::url(context, at, text, PlainHttp::Never)?)
    };
    match location {
        Ok(location) => Some(location),
        Err(error) => context.refuse(FieldError::new(at, error.to_string()).found(text)),
    }
}

/// The aliases of logout, callback and login, none twice and none below our own prefix.
fn aliases(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &forms::Aliases,
    path_prefix: Option<&PlainPath>,
) -> Option<[Vec<PlainPath>; 3]> {
    let before = context.errors();
    let mut taken = BTreeSet::new();
    let lists = [("logout", &written.logout), ("callback", &written.callback), ("login", &written.login)];
    let resolved = lists.map(|(name, paths)| {
        let mut resolved = Vec::new();
        for (index, path) in paths.iter().enumerate() {
            let at = at.key(name).index(index);
            let Some(path) = names::plain_path(context, &at, path) else { continue };
            let ours = path_prefix.is_some_and(|prefix| prefix.covers(path.as_str()));
            if ours || path.as_str() == "/" || !taken.insert(path.clone()) {
                context.report(
                    FieldError::new(&at, "an alias is named once, is not `/` and not below `path_prefix`")
                        .found(path.as_str())
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

/// A host has one origin: cookies and rules do not know ports.
fn refuse_collisions(context: &mut Context<'_>, at: &FieldPath, origins: &[Option<Origin>]) {
    let mut hosts = BTreeSet::new();
    for (index, origin) in origins.iter().enumerate() {
        if let Some(origin) = origin
            && !hosts.insert(&origin.host)
        {
            context.report(
                FieldError::new(
                    &at.index(index).key("url"),
                    "two origins cannot share a host: cookies do not know ports",
                )
                .found(&origin.login.url)
                .write("remove one of the two"),
            );
        }
    }
}
