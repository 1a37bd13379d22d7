//! The trusted headers and the assertion.

use super::issuers::Issuers;
use crate::{
    config_file::{FieldError, FieldPath, forms},
    config_values::{
        Context,
        context::{MINUTE, SECOND},
        names::{self, PlainHttp},
    },
    decision::FurtherHeaders,
    identity::{AssertionConfig, HeaderConfig, HeaderConfigError, identity_header_name},
    jose::Audience,
    request::variant_form,
};

pub(super) fn headers(context: &mut Context<'_>, at: &FieldPath, written: &forms::Identity) -> Option<HeaderConfig> {
    let before = context.errors();
    let names = at.key("headers");
    let forms::IdentityHeaders { user, groups, method, assertion } = &written.headers;
    let mut taken = Vec::new();
    for (field, name) in [("user", user), ("groups", groups), ("method", method), ("assertion", assertion)] {
        header(context, &names.key(field), name, &mut taken);
    }
    for (index, name) in written.strip.iter().enumerate() {
        header(context, &at.key("strip").index(index), name, &mut taken);
    }
    if context.errors() > before {
        return None;
    }
    match HeaderConfig::new(user, groups, method, assertion, &written.strip) {
        Ok(headers) => Some(headers),
        Err(error) => context.refuse(FieldError::new(at, error.to_string())),
    }
}

/// A header that may be set or stripped, and no variant of one that was named before.
fn header(context: &mut Context<'_>, at: &FieldPath, text: &str, taken: &mut Vec<String>) {
    let problem = match identity_header_name(text) {
        Err(HeaderConfigError::NotAName(_)) => "it is no header name",
        Err(_) => "this header carries the message itself, and cannot tell an identity",
        Ok(_) if taken.contains(&variant_form(text)) => "this header, or a variant of it, is named already",
        Ok(_) => {
            taken.push(variant_form(text));
            return;
        }
    };
    context.report(FieldError::new(at, problem).found(text).write("write another name, such as `kubeflow-userid`"));
}

/// A rule's further headers. None may be one of the usual, or another one of the rule.
pub(super) fn further_headers(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &forms::FurtherHeaders,
    usual: &forms::IdentityHeaders,
) -> Option<FurtherHeaders> {
    let before = context.errors();
    let mut taken: Vec<String> =
        [&usual.user, &usual.groups, &usual.method, &usual.assertion].map(|name| variant_form(name)).into();
    let mut read = |context: &mut Context<'_>, field: &str, name: &Option<String>| {
        let name = name.as_deref()?;
        header(context, &at.key(field), name, &mut taken);
        identity_header_name(name).ok()
    };
    let headers = FurtherHeaders {
        user: read(context, "user", &written.user),
        email: read(context, "email", &written.email),
        groups: read(context, "groups", &written.groups),
    };
    (context.errors() == before).then_some(headers)
}

pub(super) fn assertion(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &forms::Assertion,
    known: &Issuers,
) -> Option<AssertionConfig> {
    let issuer_at = at.key("issuer");
    let issuer = names::url(context, &issuer_at, &written.issuer, PlainHttp::Loopback).and_then(|_| {
        if written.issuer.ends_with('/') {
            return context.refuse(
                FieldError::new(&issuer_at, "an issuer of ours has no slash at its end")
                    .found(&written.issuer)
                    .write(format!("write `{}`", written.issuer.trim_end_matches('/'))),
            );
        }
        if known.providers.contains(&written.issuer) {
            return context.refuse(
                FieldError::new(&issuer_at, "it is an identity provider's issuer: each must stand for one thing")
                    .found(&written.issuer)
                    .write("write the address under which Portcullis publishes its own keys"),
            );
        }
        Some(written.issuer.clone())
    });
    let audience = audience(context, &at.key("audience"), &written.audience);
    let lifetime = context.duration(&at.key("lifetime"), &written.lifetime, SECOND..=10 * MINUTE);
    Some(AssertionConfig { issuer: issuer?, audience: audience?, lifetime: lifetime? })
}

/// The `aud` of assertions.
pub(super) fn audience(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<Audience> {
    if let Ok(audience) = Audience::parse(text) {
        return Some(audience);
    }
    context.refuse(
        FieldError::new(at, "it is no audience")
            .found(text)
            .write("write 1 to 256 visible ASCII characters without spaces, such as `kubeflow`"),
    )
}
