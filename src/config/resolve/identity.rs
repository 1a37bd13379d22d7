//! The trusted headers and the assertion.

use http::HeaderName;

use super::{
    Issuers, MINUTE, SECOND,
    context::Context,
    names::{self, PlainHttp},
};
use crate::config::{
    error::{FieldError, FieldPath},
    raw,
    settings::{Assertion, Identity},
};

/// Headers that route, frame or authenticate a request, or that every request needs: to set or strip one would break
/// requests, or change where they go.
const NEVER: [&str; 32] = [
    "accept",
    "accept-encoding",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "location",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "www-authenticate",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-http-method-override",
    "x-request-id",
];
const NEVER_BEGINNING: [&str; 5] = ["sec-", "x-envoy-", "grpc-", "access-control-", "if-"];

pub(super) fn headers(context: &mut Context<'_>, at: &FieldPath, raw: &raw::Identity) -> Option<Identity> {
    let names = at.key("headers");
    let mut taken = Vec::new();
    let user = header(context, &names.key("user"), &raw.headers.user, &mut taken);
    let groups = header(context, &names.key("groups"), &raw.headers.groups, &mut taken);
    let method = header(context, &names.key("method"), &raw.headers.method, &mut taken);
    let assertion = header(context, &names.key("assertion"), &raw.headers.assertion, &mut taken);
    let strip: Vec<Option<HeaderName>> = raw
        .strip
        .iter()
        .enumerate()
        .map(|(index, name)| header(context, &at.key("strip").index(index), name, &mut taken))
        .collect();
    Some(Identity {
        user: user?,
        groups: groups?,
        method: method?,
        assertion: assertion?,
        strip: strip.into_iter().collect::<Option<_>>()?,
    })
}

/// A header that may be set or stripped, and no variant of one that was named before.
fn header(context: &mut Context<'_>, at: &FieldPath, text: &str, taken: &mut Vec<String>) -> Option<HeaderName> {
    let folded = folded(text);
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        return context.refuse(
            FieldError::new(at, "it is no header name").found(text).write("write a name such as `kubeflow-userid`"),
        );
    };
    if NEVER.contains(&folded.as_str()) || NEVER_BEGINNING.iter().any(|beginning| folded.starts_with(beginning)) {
        return context.refuse(
            FieldError::new(at, "this header routes, frames or authenticates requests: it cannot be ours")
                .found(text)
                .write("write another name"),
        );
    }
    if taken.contains(&folded) {
        return context.refuse(
            FieldError::new(at, "this header, or a variant of it, is named already")
                .found(text)
                .write("remove it, or write another name"),
        );
    }
    taken.push(folded);
    Some(name)
}

/// The name as services may see it that fold every other byte than letters and digits into one.
fn folded(name: &str) -> String {
    let fold = |character: char| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '-' };
    name.chars().map(fold).collect()
}

pub(super) fn assertion(
    context: &mut Context<'_>,
    at: &FieldPath,
    raw: &raw::Assertion,
    known: &Issuers,
) -> Option<Assertion> {
    let issuer_at = at.key("issuer");
    let issuer = names::url(context, &issuer_at, &raw.issuer, PlainHttp::Never).and_then(|url| {
        if raw.issuer.ends_with('/') {
            return context.refuse(
                FieldError::new(&issuer_at, "an issuer of ours has no slash at its end")
                    .found(&raw.issuer)
                    .write(format!("write `{}`", raw.issuer.trim_end_matches('/'))),
            );
        }
        if known.providers.contains(&raw.issuer) {
            return context.refuse(
                FieldError::new(&issuer_at, "it is an identity provider's issuer: each must stand for one thing")
                    .found(&raw.issuer)
                    .write("write the address under which Portcullis publishes its own keys"),
            );
        }
        Some(url)
    });
    let audience = audience(context, &at.key("audience"), &raw.audience);
    let lifetime = context.duration(&at.key("lifetime"), &raw.lifetime, SECOND..=10 * MINUTE);
    Some(Assertion { issuer: issuer?, audience: audience?, lifetime: lifetime? })
}

/// The `aud` of assertions.
pub(super) fn audience(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<String> {
    if (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(text.to_owned());
    }
    context.refuse(
        FieldError::new(at, "it is no audience")
            .found(text)
            .write("write 1 to 256 visible ASCII characters without spaces, such as `kubeflow`"),
    )
}
