//! What makes a token the provider's logout token for us (OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.6).

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use thiserror::Error;

use super::claims::MAX_NAME_BYTES;
use crate::{
    clock::Timestamp,
    jose::{self, Expectation, TokenError, TokenType, UnverifiedToken, VerifiedToken},
    providers::{KeySet, Origin, Provider},
};

/// The member of `events` that makes a logout token (section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// How long a logout token may be valid from now on: its mark is kept for so long.
const LONGEST_LIFETIME: Duration = Duration::from_hours(24);

/// Why a logout token ended nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BackChannelError {
    /// No such provider may end sessions here.
    #[error("no provider of this name may end sessions here")]
    UnknownProvider,
    /// Too many are being judged.
    #[error("too many logout tokens at once")]
    Busy,
    /// The token is no good JWT of the provider for us.
    #[error("the logout token is refused: {0}")]
    Token(#[from] TokenError),
    /// The token is no logout token.
    #[error("the logout token is refused: {0}")]
    Claims(&'static str),
    /// The provider's keys cannot be had.
    #[error("the provider's keys cannot be fetched")]
    KeysUnavailable,
    /// The sessions may live.
    #[error("the session store is unavailable")]
    StoreUnavailable,
    /// Something failed inside.
    #[error("something failed inside")]
    Internal,
}

impl BackChannelError {
    pub(super) const fn outcome(&self) -> &'static str {
        match self {
            Self::UnknownProvider | Self::Token(_) | Self::Claims(_) => "refused",
            Self::Busy | Self::KeysUnavailable | Self::StoreUnavailable | Self::Internal => "failed",
        }
    }
}

/// A verified logout token: whose sessions end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LogoutToken {
    pub(super) whose: Whose,
    /// `jti`.
    pub(super) id: String,
    pub(super) expires_at: Timestamp,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Those of one session at the provider (`sid`), and those of the person (`sub`) of which it named none.
    ProviderSession { session: String, subject: Option<String> },
    /// All of a person (`sub`).
    Subject(String),
}

/// A token that says that it is the provider's and for us.
pub(super) struct Candidate {
    token: UnverifiedToken,
    expectation: Expectation,
    now: Timestamp,
}

/// What the keys that are known say of a token.
pub(super) enum Known {
    Verified(LogoutToken),
    /// These do not verify it, or there are none; newer ones may.
    NotWith {
        seen: Option<Arc<KeySet>>,
        refused: BackChannelError,
    },
}

impl Candidate {
    /// What can be refused without a key needs none.
    pub(super) fn read(provider: &Provider, text: &str, now: Timestamp) -> Result<Self, BackChannelError> {
        let token = jose::peek(text)?;
        let expectation = Expectation {
            token_type: TokenType::Logout,
            ..Expectation::new(provider.issuer.as_str(), vec![provider.config.client_id.clone()])
        };
        expectation.check(&token, now)?;
        Ok(Self { token, expectation, now })
    }

    pub(super) fn verify_with_known_keys(&self, provider: &Provider) -> Result<Known, BackChannelError> {
        let Some(known) = provider.known_now() else {
            return Ok(Known::NotWith { seen: None, refused: BackChannelError::KeysUnavailable });
        };
        let keys = known.keys.current();
        match self.verify_with(&keys) {
            Ok(token) => Ok(Known::Verified(token)),
            Err(BackChannelError::Token(error)) if error.newer_keys_may_help() => {
                Ok(Known::NotWith { seen: Some(keys), refused: error.into() })
            }
            Err(error) => Err(error),
        }
    }

    /// Waits for keys that are not `seen`. Where the provider does not answer, nothing is known about the token; where
    /// there are no newer ones, it is `refused`.
    pub(super) async fn verify_with_newer_keys(
        &self,
        provider: &Provider,
        seen: Option<Arc<KeySet>>,
        refused: BackChannelError,
    ) -> Result<LogoutToken, BackChannelError> {
        let known = provider.discovery.known().await.ok_or(BackChannelError::KeysUnavailable)?;
        let newer = known.keys.newer_than(seen.as_ref(), Origin::Anybody).await;
        let newer = newer.map_err(|_| BackChannelError::KeysUnavailable)?;
        newer.map_or(Err(refused), |keys| self.verify_with(&keys))
    }

    /// The logout token, where it is the provider's and for us (section 2.6, steps 1 to 6).
    fn verify_with(&self, keys: &KeySet) -> Result<LogoutToken, BackChannelError> {
        let keys = keys.for_logout_tokens.as_ref().ok_or(BackChannelError::KeysUnavailable)?;
        LogoutToken::read(&jose::verify(&self.token, keys, &self.expectation, self.now)?, self.now)
    }
}

impl LogoutToken {
    /// What makes a token a logout token (section 2.4 and section 2.6, steps 3 to 6).
    fn read(token: &VerifiedToken, now: Timestamp) -> Result<Self, BackChannelError> {
        let refused = BackChannelError::Claims;
        if token.audiences().len() != 1 {
            return Err(refused("it has another audience beside us"));
        }
        if token.issued_at().is_none() {
            return Err(refused("it has no `iat`"));
        }
        let expires_at = token.expires_at().ok_or(refused("it has no `exp`"))?;
        if expires_at > now.plus(LONGEST_LIFETIME) {
            return Err(refused("its `exp` is more than 24 h ahead"));
        }
        let id = token.token_id().filter(|id| !id.is_empty()).ok_or(refused("it has no `jti`"))?.to_owned();
        if !token.claim("events").and_then(|events| events.get(EVENT)).is_some_and(Value::is_object) {
            return Err(refused("its `events` hold no back-channel logout"));
        }
        if token.claim("nonce").is_some() {
            return Err(refused("it has a `nonce`, as ID tokens have"));
        }
        let name = |claim: &str| match token.claim(claim) {
            None => Ok(None),
            Some(Value::String(name)) if (1..=MAX_NAME_BYTES).contains(&name.len()) => Ok(Some(name.clone())),
            Some(_) => Err(refused("its `sub` or `sid` is no name")),
        };
        let whose = match (name("sid")?, name("sub")?) {
            (Some(session), subject) => Whose::ProviderSession { session, subject },
            (None, Some(subject)) => Whose::Subject(subject),
            (None, None) => return Err(refused("it has neither `sub` nor `sid`")),
        };
        Ok(Self { whose, id, expires_at })
    }
}
