//! Protected headers: the names that only we may set, and every spelling of them.

use http::HeaderName;
use thiserror::Error;

use crate::{
    decision::Mutations,
    request::{Request, is_variant_below, is_variant_of, variant_form},
};

/// Names that other authenticators set and services still believe, in the form of [`variant_form`].
const ALWAYS_PROTECTED: &[&str] = &[
    "x-auth-request-access-token",
    "x-auth-request-email",
    "x-auth-request-groups",
    "x-auth-request-preferred-username",
    "x-auth-request-user",
    "x-forwarded-access-token",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-user",
];
/// What they begin with, where all of a family is meant.
const PROTECTED_FAMILY: &str = "x-auth-request-";
/// Headers that make some servers act on another path than the one that the rule saw.
const PATH_OVERRIDES: &[&str] = &["x-original-url", "x-rewrite-url"];
/// Headers that make some servers act on another method than the one that the rule saw.
const METHOD_OVERRIDES: &[&str] = &["x-http-method", "x-http-method-override", "x-method-override"];
/// Names that carry the message itself: to set or strip one would break or redirect the request.
const NEVER: &[&str] = &[
    "accept",
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
    "via",
    "www-authenticate",
    "x-envoy-original-path",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// Why a header cannot be used for identity.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeaderConfigError {
    /// It is no header name.
    #[error("`{0}` is no header name")]
    NotAName(String),
    /// The message itself needs it.
    #[error("`{0}` carries the message itself and cannot tell an identity; choose another name")]
    Reserved(String),
    /// A server behind could take two of the names for one.
    #[error("`{0}` and `{1}` are one header to servers that fold `_` and `-`")]
    Alike(String, String),
}

/// The names of the identity headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderConfig {
    pub(super) user: HeaderName,
    pub(super) groups: HeaderName,
    pub(super) method: HeaderName,
    pub(super) assertion: HeaderName,
    strip: Vec<HeaderName>,
}

impl HeaderConfig {
    /// The name of the assertion's header.
    #[must_use]
    pub const fn assertion(&self) -> &HeaderName {
        &self.assertion
    }

    /// Reads the names: the user's, the groups', the method's and the assertion's header, and further ones that are
    /// stripped.
    ///
    /// # Errors
    /// Where one is no header name, carries the message itself, or two could be taken for one.
    pub fn new(
        user: &str,
        groups: &str,
        method: &str,
        assertion: &str,
        strip: &[String],
    ) -> Result<Self, HeaderConfigError> {
        let names = [user, groups, method, assertion];
        for (index, name) in names.iter().enumerate() {
            if let Some(other) = names.iter().take(index).find(|other| variant_form(other) == variant_form(name)) {
                return Err(HeaderConfigError::Alike((*other).to_owned(), (*name).to_owned()));
            }
        }
        Ok(Self {
            user: identity_header_name(user)?,
            groups: identity_header_name(groups)?,
            method: identity_header_name(method)?,
            assertion: identity_header_name(assertion)?,
            strip: strip.iter().map(|name| identity_header_name(name)).collect::<Result<_, _>>()?,
        })
    }

    /// The same, with further names that are stripped as all of these are.
    #[must_use]
    pub fn stripping<'a>(mut self, names: impl IntoIterator<Item = &'a HeaderName>) -> Self {
        for name in names {
            if !self.strip.contains(name) {
                self.strip.push(name.clone());
            }
        }
        self
    }
}

impl Default for HeaderConfig {
    /// Kubeflow's names.
    fn default() -> Self {
        Self {
            user: HeaderName::from_static("kubeflow-userid"),
            groups: HeaderName::from_static("kubeflow-groups"),
            method: HeaderName::from_static("auth-method"),
            assertion: HeaderName::from_static("portcullis-assertion"),
            strip: Vec::new(),
        }
    }
}

/// Reads the name of a header that may be set or stripped.
///
/// # Errors
/// Where it is no header name, or carries the message itself.
pub fn identity_header_name(text: &str) -> Result<HeaderName, HeaderConfigError> {
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| HeaderConfigError::NotAName(text.to_owned()))?;
    let form = variant_form(name.as_str());
    let reserved = NEVER.contains(&form.as_str())
        || ["sec-", "x-envoy-", "access-control-", "grpc-", "if-"].iter().any(|family| form.starts_with(family));
    if reserved { Err(HeaderConfigError::Reserved(text.to_owned())) } else { Ok(name) }
}

/// Removes every spelling of the headers that make some servers act on another method.
pub(super) fn remove_method_overrides(request: &Request, mutations: &mut Mutations) {
    for name in request.headers().names() {
        if METHOD_OVERRIDES.iter().any(|form| is_variant_of(name, form)) {
            mutations.remove(name);
        }
    }
}

/// The protected headers.
#[derive(Debug)]
pub(super) struct Protected {
    headers: HeaderConfig,
    /// Every protected name in its folded form, by its length: most names that are received have one that none has.
    forms: Vec<Vec<String>>,
    /// The names that are removed on every request, received or not, in their order.
    always: Vec<HeaderName>,
}

impl Protected {
    pub(super) fn new(headers: HeaderConfig, remove_method_overrides: bool) -> Self {
        let own = [&headers.user, &headers.groups, &headers.method, &headers.assertion];
        let mut always: Vec<HeaderName> = own.into_iter().chain(&headers.strip).cloned().collect();
        always.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        let overrides = if remove_method_overrides { METHOD_OVERRIDES } else { &[] };
        let further = ALWAYS_PROTECTED.iter().chain(PATH_OVERRIDES).chain(overrides).map(|name| (*name).to_owned());
        let mut forms: Vec<Vec<String>> = Vec::new();
        for form in always.iter().map(|name| variant_form(name.as_str())).chain(further) {
            forms.resize_with(forms.len().max(form.len() + 1), Vec::new);
            forms.get_mut(form.len()).into_iter().for_each(|of_length| of_length.push(form.clone()));
        }
        Self { headers, forms, always }
    }

    pub(super) const fn headers(&self) -> &HeaderConfig {
        &self.headers
    }

    /// How many names are removed on every request.
    pub(super) const fn always(&self) -> usize {
        self.always.len()
    }

    /// Whether a name, in any spelling, is protected.
    pub(super) fn covers(&self, name: &str) -> bool {
        let is_of = |forms: &Vec<String>| forms.iter().any(|form| is_variant_of(name, form));
        self.forms.get(name.len()).is_some_and(is_of) || is_variant_below(name, PROTECTED_FAMILY)
    }

    /// Removes the protected headers: ours always, and every spelling of any that was received.
    pub(super) fn remove_from(&self, request: &Request, mutations: &mut Mutations) {
        for name in &self.always {
            mutations.remove_known(name);
        }
        for name in request.headers().names() {
            if self.covers(name) {
                mutations.remove(name);
            }
        }
    }
}
