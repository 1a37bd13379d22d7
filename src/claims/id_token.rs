//! ID tokens: what must hold before one is believed (OpenID Connect Core section 3.1.3.7).
//!
//! [`jose`] reads the token and verifies its signature, issuer, audience, authorized party and dates, as of every token
//! that comes in; what only ID tokens have is checked here. What decides is read strictly, and each refusal says what was
//! found and what was wanted; what decides nothing is not looked at.

use std::{fmt, fmt::Write as _};

use serde_json::Value;
use thiserror::Error;

use super::person::Claims;
use crate::{
    clock::Timestamp,
    jose::{
        self, Algorithm, Expectation, FetchError, JwksCache, Sender, TokenError, TokenType, UnverifiedToken,
        VerifiedToken, VerifyError,
    },
    providers::{for_log, told_times},
    secret::{SecretString, constant_time_eq},
};

/// The most of a value of the token that a refusal tells, in characters.
const TOLD_CHARACTERS: usize = 60;

/// Why an ID token is not believed. The text is for the log: of the token it holds who issued it, for whom and when, as
/// far as that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum IdTokenError {
    /// It is not the provider's word for us, now.
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
pub(crate) enum NonceRule<'a> {
    /// This one (OpenID Connect Core section 3.1.3.7, step 11).
    Required(&'a SecretString),
    /// None, or the one of the sign-in (OpenID Connect Core section 12.2).
    NoneOr(Option<&'a SecretString>),
}

/// What an ID token is held to.
pub(crate) struct IdTokenRules<'a> {
    /// The provider's issuer identifier.
    pub(crate) issuer: &'a str,
    /// Our client id there.
    pub(crate) client_id: &'a str,
    pub(crate) nonce: NonceRule<'a>,
    /// The access token that came beside it.
    pub(crate) access_token: &'a str,
    /// The code that it was exchanged for, where it was one.
    pub(crate) code: Option<&'a str>,
    /// What the provider may sign with.
    pub(crate) algorithms: &'a [Algorithm],
    pub(crate) now: Timestamp,
}

/// An ID token that was found to be its provider's word for us. Made by [`IdTokenRules::verify`] alone.
pub(crate) struct IdToken(VerifiedToken);

impl fmt::Debug for IdToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("IdToken [redacted]")
    }
}

impl IdToken {
    /// The token itself. It is a credential: whoever calls this answers for where it goes.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// `sub`; it may still be empty.
    pub(crate) fn subject(&self) -> &str {
        self.0.subject().unwrap_or_default()
    }

    /// `exp`.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.0.expires_at()
    }

    /// The claim of this name.
    pub(crate) fn claim(&self, name: &str) -> Option<&Value> {
        self.0.claim(name)
    }

    /// Every claim.
    pub(crate) fn claims(&self) -> &Claims {
        self.0.claims()
    }
}

impl IdTokenRules<'_> {
    /// The ID token, where it is the provider's word for us. Keys are fetched anew where those that there are do not
    /// verify it: a provider may change its key and keep its `kid`, or have none (OpenID Connect Core section 10.1).
    pub(crate) async fn verify(&self, text: &str, keys: &JwksCache) -> Result<IdToken, IdTokenError> {
        let token = jose::peek_issued(text).map_err(|error| IdTokenError::Refused(unread(error)))?;
        must_be_an_id_token(&token)?;
        let verified = keys.verify(&token, &self.expectation(), Sender::Issuer).await;
        let verified = verified.map_err(|error| match error {
            VerifyError::Rejected(error) => IdTokenError::Refused(self.explained(&token, error)),
            VerifyError::KeysUnavailable => without_keys(keys),
        })?;
        self.check(&verified).map_err(|text| IdTokenError::Refused(text.to_owned()))?;
        Ok(IdToken(verified))
    }

    fn expectation(&self) -> Expectation {
        Expectation {
            algorithms: self.algorithms.to_vec(),
            token_type: TokenType::OpenId,
            authorized_party: Some(self.client_id.to_owned()),
            ..Expectation::new(self.issuer, vec![self.client_id.to_owned()])
        }
    }

    /// Why a token is refused, with what was found and what was wanted.
    fn explained(&self, token: &UnverifiedToken, error: TokenError) -> String {
        let mut text = error.to_string();
        let found = |name: &str| token.claim(name).map_or_else(|| "missing".to_owned(), quoted);
        let ours = quoted(&Value::from(self.client_id));
        let now = self.now.as_unix_seconds();
        // A text takes any words.
        let _ = match error {
            TokenError::Issuer => {
                write!(text, ": `iss` is {}, and `issuer` {}", found("iss"), quoted(&Value::from(self.issuer)))
            }
            TokenError::Audience => write!(text, ": `aud` is {}, and our client id {ours}", found("aud")),
            TokenError::AuthorizedParty => {
                write!(text, ": `azp` is {}, `aud` {}, and our client id {ours}", found("azp"), found("aud"))
            }
            TokenError::Algorithm => {
                let accepted: Vec<_> = self.algorithms.iter().map(|algorithm| algorithm.name()).collect();
                let named = quoted(&Value::from(token.algorithm_name()));
                write!(text, ": it is {named}, and `id_token_signing_algorithms` are {}", accepted.join(" "))
            }
            TokenError::UnknownKey => {
                write!(
                    text,
                    ": `kid` is {}",
                    token.key_id().map_or_else(|| "missing".to_owned(), |id| quoted(&id.into()))
                )
            }
            TokenError::Type => write!(text, ": `typ` is {}", quoted(&token.token_type().unwrap_or_default().into())),
            TokenError::Expired => write!(text, ": `exp` is {}, and our clock says {now}", found("exp")),
            TokenError::NotYetValid => {
                write!(text, ": `iat` is {}, `nbf` {}, and our clock says {now}", found("iat"), found("nbf"))
            }
            _ => Ok(()),
        };
        text
    }

    /// What only ID tokens are held to. Further audiences are the provider's to name, where it says that the token was
    /// issued to us (`azp`): to whom else it is meant takes nothing from the nonce, which only our sign-in has.
    fn check(&self, token: &VerifiedToken) -> Result<(), &'static str> {
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

/// What every ID token has, and what decides where it is there, of the right type (OpenID Connect Core section 2).
fn must_be_an_id_token(token: &UnverifiedToken) -> Result<(), IdTokenError> {
    let refused = |name: &str| IdTokenError::Refused(format!("`{name}` is missing or of another type"));
    for (name, is_there) in [
        ("iss", token.issuer().is_some_and(|issuer| !issuer.is_empty())),
        ("sub", token.subject().is_some()),
        ("exp", token.expires_at().is_some()),
        ("iat", token.issued_at().is_some()),
    ] {
        if !is_there {
            return Err(refused(name));
        }
    }
    for name in ["nonce", "azp", "at_hash", "c_hash"] {
        if !token.claim(name).is_none_or(|value| value.is_string() || value.is_null()) {
            return Err(refused(name));
        }
    }
    Ok(())
}

/// A value of the token, fit for a log and cut short.
fn quoted(value: &Value) -> String {
    let text = for_log(value);
    let cut: String = text.chars().take(TOLD_CHARACTERS).collect();
    if cut.len() < text.len() { format!("{cut}...") } else { cut }
}

/// Why a text is no token that can be looked at.
fn unread(error: TokenError) -> String {
    match error {
        // A `kid` that no key can have is that of no key.
        TokenError::Malformed("kid") => TokenError::UnknownKey.to_string(),
        TokenError::Encrypted => "it is encrypted, which is not supported: switch that off for this client".to_owned(),
        error => error.to_string(),
    }
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

#[cfg(test)]
mod second_opinion;
