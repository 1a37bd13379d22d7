//! ID tokens: what must hold before one is believed (OpenID Connect Core section 3.1.3.7).
//!
//! [`jose`] reads the token and verifies its signature, issuer, audience, authorized party and dates, as of every token
//! that comes in; what only ID tokens have is checked here. What lacks something that every ID token has, or holds it as
//! another type, is no ID token at all: the provider's answer cannot be used. What is one and does not hold is refused.

use std::fmt;

use serde_json::Value;
use thiserror::Error;

use super::claims::{self, Claims};
use crate::{
    clock::Timestamp,
    jose::{
        self, Expectation, FetchError, JwksCache, Sender, TokenError, TokenType, UnverifiedToken, VerifiedToken,
        VerifyError,
    },
    providers::told_times,
    secret::{SecretString, constant_time_eq},
};

/// Names of RFC 7518 section 3.1 that are known and never accepted: no signature, and shared secrets.
const NEVER_ACCEPTED: [&str; 4] = ["none", "HS256", "HS384", "HS512"];

/// Why an ID token is not believed. The text is for the log: it holds nothing of the token.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum IdTokenError {
    /// It is no ID token.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It is one, and not the provider's word for us, now.
    #[error("{0}")]
    Refused(String),
    /// Nothing is known about it: the keys cannot be had.
    #[error("the provider's keys cannot be fetched")]
    KeysUnavailable,
    /// Nothing is known about it: the provider answers with something else than its keys.
    #[error("the provider's keys cannot be used: {0}")]
    KeysUnusable(FetchError),
}

/// Which nonce an ID token must have.
pub(super) enum NonceRule<'a> {
    /// This one (OpenID Connect Core section 3.1.3.7, step 11).
    Required(&'a SecretString),
    /// None, or the one of the sign-in (OpenID Connect Core section 12.2).
    NoneOr(Option<&'a SecretString>),
}

/// What an ID token is held to.
pub(super) struct IdTokenRules<'a> {
    /// The provider's issuer identifier.
    pub(super) issuer: &'a str,
    /// Our client id there.
    pub(super) client_id: &'a str,
    pub(super) nonce: NonceRule<'a>,
    /// The access token that came beside it.
    pub(super) access_token: &'a str,
    /// The code that it was exchanged for, where it was one.
    pub(super) code: Option<&'a str>,
    pub(super) now: Timestamp,
}

/// An ID token that was found to be its provider's word for us. Made by [`IdTokenRules::verify`] alone.
pub(super) struct IdToken(VerifiedToken);

impl fmt::Debug for IdToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("IdToken [redacted]")
    }
}

impl IdToken {
    /// The token itself. It is a credential: whoever calls this answers for where it goes.
    pub(super) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// `sub`; it may still be empty.
    pub(super) fn subject(&self) -> &str {
        self.0.subject().unwrap_or_default()
    }

    /// `aud`.
    pub(super) fn audiences(&self) -> &[String] {
        self.0.audiences()
    }

    /// `exp`.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        self.0.expires_at()
    }

    /// The claim of this name.
    pub(super) fn claim(&self, name: &str) -> Option<&Value> {
        self.0.claim(name)
    }
}

impl IdTokenRules<'_> {
    /// The ID token, where it is the provider's word for us. Keys are fetched anew where those that there are do not
    /// verify it: a provider may change its key and keep its `kid`, or have none (OpenID Connect Core section 10.1).
    pub(super) async fn verify(&self, text: &str, keys: &JwksCache) -> Result<IdToken, IdTokenError> {
        let token = jose::peek(text)?;
        must_be_an_id_token(&token)?;
        let verified = keys.verify(&token, &self.expectation(), Sender::Issuer).await;
        let verified = verified.map_err(|error| match error {
            VerifyError::Rejected(error) => error.into(),
            VerifyError::KeysUnavailable => without_keys(keys),
        })?;
        self.check(&verified).map_err(|text| IdTokenError::Refused(text.to_owned()))?;
        Ok(IdToken(verified))
    }

    fn expectation(&self) -> Expectation {
        Expectation {
            token_type: TokenType::OpenId,
            authorized_party: Some(self.client_id.to_owned()),
            ..Expectation::new(self.issuer, vec![self.client_id.to_owned()])
        }
    }

    /// What only ID tokens are held to.
    fn check(&self, token: &VerifiedToken) -> Result<(), &'static str> {
        // Another audience could bring its copy of these claims to us.
        if token.audiences().iter().any(|audience| audience != self.client_id) {
            return Err("it has another audience beside us");
        }
        told_times::issued_recently(token.issued_at().ok_or("it has no `iat`")?, self.now)?;
        if !self.nonce.allows(text(token.claims(), "nonce")) {
            return Err("the nonce is missing or another one");
        }
        if !is_hash_of(token, "at_hash", Some(self.access_token)) {
            return Err("at_hash is not the access token's");
        }
        if !is_hash_of(token, "c_hash", self.code) {
            return Err("c_hash is not the code's");
        }
        Ok(())
    }
}

impl NonceRule<'_> {
    fn allows(&self, found: Option<&str>) -> bool {
        let is =
            |expected: &SecretString, found: &str| constant_time_eq(expected.expose().as_bytes(), found.as_bytes());
        match (self, found) {
            (Self::Required(expected) | Self::NoneOr(Some(expected)), Some(found)) => is(expected, found),
            (Self::Required(_), None) | (Self::NoneOr(None), Some(_)) => false,
            (Self::NoneOr(_), None) => true,
        }
    }
}

/// What every ID token has, of the right type (OpenID Connect Core section 2).
fn must_be_an_id_token(token: &UnverifiedToken) -> Result<(), IdTokenError> {
    let unreadable = |name: &str| IdTokenError::Unreadable(format!("`{name}` is missing or of another type"));
    if token.algorithm().is_none() && !NEVER_ACCEPTED.contains(&token.algorithm_name()) {
        return Err(unreadable("alg"));
    }
    for (name, is_there) in [
        ("iss", token.issuer().is_some_and(|issuer| !issuer.is_empty())),
        ("sub", token.subject().is_some()),
        ("exp", token.expires_at().is_some()),
        ("iat", token.issued_at().is_some()),
    ] {
        if !is_there {
            return Err(unreadable(name));
        }
    }
    let is_text = |value: &Value| value.is_string() || value.is_null();
    for name in ["nonce", "azp", "at_hash", "c_hash"] {
        if !token.claim(name).is_none_or(is_text) {
            return Err(unreadable(name));
        }
    }
    // As a text it is a date to some providers, and not told to us.
    if !token.claim("auth_time").is_none_or(|told| told.is_number() || is_text(told)) {
        return Err(unreadable("auth_time"));
    }
    claims::check_types(token.claims()).map_err(unreadable)
}

/// Whether the claim of this name, where there is one, is the hash of `value`, where that is known here.
fn is_hash_of(token: &VerifiedToken, name: &str, value: Option<&str>) -> bool {
    match (text(token.claims(), name), value, token.algorithm()) {
        (None, ..) | (_, None, _) => true,
        (Some(told), Some(value), Some(algorithm)) => told == algorithm.half_hash(value),
        (Some(_), Some(_), None) => false,
    }
}

fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

fn without_keys(keys: &JwksCache) -> IdTokenError {
    match keys.last_failure() {
        Some(failure) if failure.is_an_answer() => IdTokenError::KeysUnusable(failure),
        _ => IdTokenError::KeysUnavailable,
    }
}

impl From<TokenError> for IdTokenError {
    fn from(error: TokenError) -> Self {
        match error {
            // A `kid` that no key can have is that of no key.
            TokenError::Malformed("kid") => Self::Refused(TokenError::UnknownKey.to_string()),
            TokenError::NotJwt | TokenError::Encrypted | TokenError::Malformed(_) => {
                Self::Unreadable(error.to_string())
            }
            error => Self::Refused(error.to_string()),
        }
    }
}

#[cfg(test)]
mod second_opinion;
