//! Verifying a token: everything that must hold before what it says is believed.

use std::{sync::Arc, time::Duration};

use super::{
    algorithm::Algorithm,
    jwks::{Jwks, KeyLookupError},
    token::{Token, TokenError, UnverifiedToken, claims_of},
};
use crate::clock::Timestamp;

/// A token that `verify` found to be its issuer's, for us, and valid now.
#[derive(Clone)]
pub struct VerifiedToken(Arc<Token>);

claims_of!(VerifiedToken);

/// What a token must be to be believed.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The algorithms that the issuer may sign with.
    pub algorithms: Vec<Algorithm>,
    /// The issuer, compared byte for byte.
    pub issuer: String,
    /// The token must be meant for one of these at least.
    pub audiences: Vec<String>,
    /// The client that the token must have been issued to (OpenID Connect Core section 3.1.3.7, steps 4 and 5): an
    /// `azp` must name it, and a token for others beside us must have one. Not asked where this is nothing.
    pub authorized_party: Option<String>,
    /// The kind of token.
    pub token_type: TokenType,
    /// Whether the token must say when it ends. One that does is judged by it in any case.
    pub must_expire: bool,
    /// How far the issuer's clock and ours may be apart.
    pub leeway: Duration,
}

/// The kind of a token, as its header's `typ` says it (RFC 7519 section 5.1, RFC 8725 section 3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// A ServiceAccount token: `JWT`, or nothing.
    Jwt,
    /// An ID token, or userinfo as a JWT: `JWT`, `JOSE` (RFC 7515 section 4.1.9), or nothing.
    OpenId,
    /// A logout token: `logout+jwt`, `JWT`, or nothing (OpenID Connect Back-Channel Logout section 2.4).
    Logout,
}

impl TokenType {
    /// Media types are compared without regard to case, and `application/` may be left out (RFC 7515 section 4.1.9).
    fn accepts(self, named: Option<&str>) -> bool {
        let Some(named) = named else { return true };
        let named = named.to_ascii_lowercase();
        let named = named.strip_prefix("application/").unwrap_or(&named);
        match self {
            Self::Jwt => named == "jwt",
            Self::OpenId => matches!(named, "jwt" | "jose"),
            Self::Logout => matches!(named, "jwt" | "logout+jwt"),
        }
    }
}

impl Expectation {
    /// How far clocks may be apart where nothing else is said.
    pub const DEFAULT_LEEWAY: Duration = Duration::from_mins(1);

    /// A plain JWT of `issuer` for one of `audiences`, signed with any algorithm that is known.
    #[must_use]
    pub fn new(issuer: impl Into<String>, audiences: Vec<String>) -> Self {
        Self {
            algorithms: Algorithm::ALL.to_vec(),
            issuer: issuer.into(),
            audiences,
            authorized_party: None,
            token_type: TokenType::Jwt,
            must_expire: true,
            leeway: Self::DEFAULT_LEEWAY,
        }
    }

    /// Whether everything but the signature is as expected at `now`; returns the algorithm to verify that with.
    ///
    /// Needs no key, and so refuses what can be refused without asking the issuer for any.
    ///
    /// # Errors
    /// The first thing that is not as expected.
    pub fn check(&self, token: &UnverifiedToken, now: Timestamp) -> Result<Algorithm, TokenError> {
        let algorithm =
            token.algorithm().filter(|algorithm| self.algorithms.contains(algorithm)).ok_or(TokenError::Algorithm)?;
        if !self.token_type.accepts(token.token_type()) {
            return Err(TokenError::Type);
        }
        if token.issuer() != Some(self.issuer.as_str()) {
            return Err(TokenError::Issuer);
        }
        if !token.audiences().iter().any(|audience| self.audiences.contains(audience)) {
            return Err(TokenError::Audience);
        }
        self.check_authorized_party(token)?;
        self.check_times(token, now)?;
        Ok(algorithm)
    }

    fn check_authorized_party(&self, token: &UnverifiedToken) -> Result<(), TokenError> {
        let Some(expected) = &self.authorized_party else { return Ok(()) };
        match token.claim("azp").filter(|party| !party.is_null()) {
            Some(party) if party == expected => Ok(()),
            None if token.audiences().iter().all(|audience| self.audiences.contains(audience)) => Ok(()),
            _ => Err(TokenError::AuthorizedParty),
        }
    }

    fn check_times(&self, token: &UnverifiedToken, now: Timestamp) -> Result<(), TokenError> {
        match token.expires_at() {
            Some(expires_at) if expires_at.plus(self.leeway) <= now => return Err(TokenError::Expired),
            None if self.must_expire => return Err(TokenError::NoExpiry),
            _ => {}
        }
        let latest_start = now.plus(self.leeway);
        let starts = [token.not_before(), token.issued_at()];
        if starts.into_iter().flatten().any(|start| start > latest_start) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }
}

/// Verifies `token` at `now` with its issuer's `keys`.
///
/// The clock of the signature library is not asked: time comes in from outside.
///
/// # Errors
/// The first thing that is not as `expectation` says; [`TokenError::UnknownKey`] where the set has no such key.
pub(super) fn verify(
    token: &UnverifiedToken,
    keys: &Jwks,
    expectation: &Expectation,
    now: Timestamp,
) -> Result<VerifiedToken, TokenError> {
    let algorithm = expectation.check(token, now)?;
    let key = keys.find(token.key_id(), algorithm).map_err(TokenError::from)?;
    key.verify(&token.0, algorithm)?;
    Ok(VerifiedToken(Arc::clone(&token.0)))
}

impl From<KeyLookupError> for TokenError {
    fn from(error: KeyLookupError) -> Self {
        match error {
            KeyLookupError::Unknown | KeyLookupError::Ambiguous => Self::UnknownKey,
            KeyLookupError::OtherAlgorithm => Self::Algorithm,
        }
    }
}

#[cfg(test)]
mod tests;
