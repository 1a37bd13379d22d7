//! The provider ends sessions here: OpenID Connect Back-Channel Logout 1.0.
//!
//! Anybody may send something that looks like a logout token, so nothing is written before all of section 2.6 holds,
//! the signature included, and what is not our provider's word for us costs no key.

use std::{sync::Arc, time::Duration};

use openidconnect::core::CoreJsonWebKeySet;
use serde_json::Value;
use thiserror::Error;

use super::{login::Login, outside_text::for_log, provider::Provider};
use crate::{
    clock::Timestamp,
    jose::{self, Expectation, Jwks, TokenError, TokenType, UnverifiedToken, VerifiedToken},
    principal::ProviderName,
    secret::sha256,
    session::StoreError,
};

/// The member of `events` that makes a logout token (section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// How long a logout token may be valid from now on: its mark is kept for so long.
const LONGEST_LIFETIME: Duration = Duration::from_hours(24);
/// The longest `sub` or `sid`, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// The largest key set, in bytes.
const MAX_KEYS_BYTES: usize = 1024 * 1024;
/// How often the end of the sessions is tried once the token is spent, and the first pause; it doubles.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

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
    /// It came before.
    #[error("the logout token was used before")]
    Replayed,
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
    const fn outcome(&self) -> &'static str {
        match self {
            Self::UnknownProvider | Self::Token(_) | Self::Claims(_) => "refused",
            Self::Replayed => "replayed",
            Self::Busy | Self::KeysUnavailable | Self::StoreUnavailable | Self::Internal => "failed",
        }
    }
}

/// A verified logout token: whose sessions end.
#[derive(Debug, PartialEq, Eq)]
struct LogoutToken {
    whose: Whose,
    /// `jti`.
    id: String,
    expires_at: Timestamp,
}

#[derive(Debug, PartialEq, Eq)]
enum Whose {
    /// Those of one session at the provider (`sid`).
    ProviderSession(String),
    /// All of a person (`sub`).
    Subject(String),
}

impl Login {
    /// Ends the sessions that a logout token of this provider names; how many there were. Whoever calls may give up: a
    /// logout that has begun is completed.
    ///
    /// # Errors
    /// Where the token is not good, or the sessions could not be ended.
    pub async fn back_channel_logout(&self, provider: &str, token: String) -> Result<usize, BackChannelError> {
        let provider = ProviderName::parse(provider).ok().and_then(|name| self.provider(&name).cloned());
        let provider = provider.filter(|provider| provider.config.logout.back_channel);
        let provider = provider.ok_or(BackChannelError::UnknownProvider)?;
        let login = self.clone();
        let name = provider.config.name.clone();
        let place = Arc::clone(&provider.logouts).try_acquire_owned().map_err(|_| BackChannelError::Busy);
        let outcome = match place {
            Ok(place) => tokio::spawn(async move {
                let _place = place;
                login.end_named(&provider, &token).await
            })
            .await
            .unwrap_or(Err(BackChannelError::Internal)),
            Err(busy) => Err(busy),
        };
        match &outcome {
            Ok(ended) => {
                tracing::info!(provider = name.as_str(), ended, "the provider ended sessions");
                self.inner.metrics.back_channel(&name, "accepted");
            }
            Err(error) => {
                tracing::warn!(provider = name.as_str(), error = for_log(error), "a logout token ended nothing");
                self.inner.metrics.back_channel(&name, error.outcome());
            }
        }
        outcome
    }

    async fn end_named(&self, provider: &Provider, token: &str) -> Result<usize, BackChannelError> {
        let now = self.inner.clock.now();
        let token = LogoutToken::read(&verify(provider, token, now).await?, now)?;
        let issuer = provider.issuer.as_str();
        // Before anything ends: whoever replays the token must not end what began since.
        let mark = sha256(format!("backchannel-logout\0{issuer}\0{}", token.id).as_bytes());
        let until = token.expires_at.plus(Expectation::DEFAULT_LEEWAY);
        match self.inner.sessions.spend(&mark, until).await {
            Ok(true) => {}
            Ok(false) => return Err(BackChannelError::Replayed),
            Err(_) => return Err(BackChannelError::StoreUnavailable),
        }
        // The token is spent, so that the provider cannot send it again: a store that stumbles is asked again here.
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            if let Ok(ended) = self.end_once(issuer, &token.whose).await {
                return Ok(ended);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.end_once(issuer, &token.whose).await.map_err(|_| BackChannelError::StoreUnavailable)
    }

    async fn end_once(&self, issuer: &str, whose: &Whose) -> Result<usize, StoreError> {
        match whose {
            Whose::ProviderSession(session) => self.inner.sessions.end_provider_session(issuer, session).await,
            Whose::Subject(subject) => self.inner.sessions.end_subject(issuer, subject).await,
        }
    }
}

/// The token, where it is the provider's and for us (section 2.6, steps 1 to 3).
async fn verify(provider: &Provider, text: &str, now: Timestamp) -> Result<VerifiedToken, BackChannelError> {
    let token = jose::peek(text)?;
    let expectation = Expectation {
        token_type: TokenType::Logout,
        ..Expectation::new(provider.issuer.as_str(), vec![provider.config.client_id.clone()])
    };
    // What can be refused without a key needs none.
    expectation.check(&token, now)?;
    let known = provider.discovery.known().await.ok_or(BackChannelError::KeysUnavailable)?;
    let keys = known.keys.current();
    match verify_with(&keys, &token, &expectation, now) {
        Err(BackChannelError::Token(TokenError::UnknownKey)) => {}
        outcome => return outcome,
    }
    let newer = known.keys.newer_than(&keys, provider.discovery.http()).await;
    match newer.map_err(|_| BackChannelError::KeysUnavailable)? {
        Some(newer) => verify_with(&newer, &token, &expectation, now),
        None => Err(TokenError::UnknownKey.into()),
    }
}

fn verify_with(
    keys: &CoreJsonWebKeySet,
    token: &UnverifiedToken,
    expectation: &Expectation,
    now: Timestamp,
) -> Result<VerifiedToken, BackChannelError> {
    let document = serde_json::to_vec(keys).map_err(|_| BackChannelError::Internal)?;
    let keys = Jwks::parse(&document, MAX_KEYS_BYTES).map_err(|_| BackChannelError::KeysUnavailable)?;
    Ok(jose::verify(token, &keys, expectation, now)?)
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
            (Some(session), _) => Whose::ProviderSession(session),
            (None, Some(subject)) => Whose::Subject(subject),
            (None, None) => return Err(refused("it has neither `sub` nor `sid`")),
        };
        Ok(Self { whose, id, expires_at })
    }
}
