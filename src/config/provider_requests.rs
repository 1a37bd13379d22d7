//! What a provider is asked, and where.

use std::collections::BTreeMap;

use super::written::{optional, visible};
use crate::{
    config_file::{FieldError, FieldPath, forms},
    config_values::{
        Context,
        names::{self, PlainHttp},
    },
    jose::Algorithm,
    providers::{EndpointsConfig, Scopes},
};

/// The parameters of an authorization request that are ours, or that would take its meaning (RFC 6749 section 4.1.1, RFC
/// 7636, RFC 9101, OpenID Connect Core section 3.1.2.1).
const OURS: [&str; 14] = [
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
];

/// A place of the provider's, whatever its query.
pub(super) fn endpoint(context: &mut Context<'_>, at: &FieldPath, text: &str, plain_http: PlainHttp) -> Option<String> {
    let place = text.split_once('?').map_or(text, |(place, _)| place);
    names::url(context, at, place, plain_http).map(|_| text.to_owned())
}

pub(super) fn endpoints(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &forms::ProviderEndpoints,
    plain_http: PlainHttp,
) -> Option<EndpointsConfig> {
    let mut read = |name: &str, text: &Option<String>| {
        optional(text.as_ref(), |text| endpoint(context, &at.key(name), text, plain_http))
    };
    let authorization = read("authorization", &written.authorization);
    let token = read("token", &written.token);
    let jwks = read("jwks", &written.jwks);
    let userinfo = read("userinfo", &written.userinfo);
    let end_session = read("end_session", &written.end_session);
    let revocation = read("revocation", &written.revocation);
    let introspection = read("introspection", &written.introspection);
    Some(EndpointsConfig {
        authorization: authorization?,
        token: token?,
        jwks: jwks?,
        userinfo: userinfo?,
        end_session: end_session?,
        revocation: revocation?,
        introspection: introspection?,
    })
}

/// The scopes (RFC 6749 section 3.3), `openid` among them.
pub(super) fn scopes(context: &mut Context<'_>, at: &FieldPath, written: Option<&[String]>) -> Option<Scopes> {
    let Some(written) = written else { return Some(Scopes::Usual) };
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
    (context.errors() == before).then_some(Scopes::Written(scopes))
}

/// Parameters beside ours.
pub(super) fn parameters(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &BTreeMap<String, String>,
) -> Option<Vec<(String, String)>> {
    let before = context.errors();
    for (name, value) in written {
        let at = at.key(name);
        if OURS.contains(&name.as_str()) {
            context.report(
                FieldError::new(&at, "this parameter is ours to say")
                    .found(name)
                    .write("leave it out; `scopes` has a setting of its own"),
            );
        }
        visible(context, &at, name);
        visible(context, &at, value);
    }
    (context.errors() == before).then(|| written.clone().into_iter().collect())
}

pub(super) fn algorithms(context: &mut Context<'_>, at: &FieldPath, written: &[String]) -> Option<Vec<Algorithm>> {
    let before = context.errors();
    let mut algorithms = Vec::with_capacity(written.len());
    for (index, name) in written.iter().enumerate() {
        match Algorithm::from_name(name) {
            Some(algorithm) => algorithms.push(algorithm),
            None => context.report(
                FieldError::new(&at.index(index), "it is no signature algorithm that is taken")
                    .found(name)
                    .write("write names such as `RS256` and `ES256`: never `none`, and no shared secret (`HS256`)"),
            ),
        }
    }
    if algorithms.is_empty() && context.errors() == before {
        context.report(FieldError::new(at, "the list is empty").write("write one at least, or leave it out"));
    }
    (context.errors() == before).then_some(algorithms)
}
