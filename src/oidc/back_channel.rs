//! The provider ends sessions here: OpenID Connect Back-Channel Logout 1.0.
//!
//! Anybody may send something that looks like a logout token, so nothing is written before all of section 2.6 holds,
//! the signature included, and what is not our provider's word for us costs no key. A token that the known keys verify
//! waits for nobody: those that want newer keys have places of their own, and share one fetch.
//!
//! A logout and the mark that its token is spent are one step of the store, so that none is spent and not done. A token
//! that comes again, because our answer was lost, ends nothing that began since, and is told that all is well.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use thiserror::Error;

use super::{login::Login, provider::Provider};
use crate::{
    clock::Timestamp,
    jose::{self, Expectation, TokenError, TokenType, UnverifiedToken, VerifiedToken},
    principal::ProviderName,
    providers::{KeySet, Origin, for_log},
    secret::sha256,
    session::{LogoutOf, ProviderLogout},
};

/// The member of `events` that makes a logout token (section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// How long a logout token may be valid from now on: its mark is kept for so long.
const LONGEST_LIFETIME: Duration = Duration::from_hours(24);
/// The longest `sub` or `sid` that a provider's logout may name, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 255;
/// How often the end of the sessions is tried, since a provider need not send its token again, and the first pause; it
/// doubles.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What a good logout token did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackChannelLogout {
    /// It ended so many sessions.
    Ended(usize),
    /// It was carried out before. What began since goes on.
    DoneBefore,
}

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
    const fn outcome(&self) -> &'static str {
        match self {
            Self::UnknownProvider | Self::Token(_) | Self::Claims(_) => "refused",
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
    /// Those of one session at the provider (`sid`), and those of the person (`sub`) of which it named none.
    ProviderSession { session: String, subject: Option<String> },
    /// All of a person (`sub`).
    Subject(String),
}

impl Login {
    /// Ends the sessions that a logout token of this provider names. Whoever calls may give up: a logout that has begun
    /// is completed.
    ///
    /// # Errors
    /// Where the token is not good, or the sessions could not be ended.
    pub async fn back_channel_logout(
        &self,
        provider: &str,
        token: String,
    ) -> Result<BackChannelLogout, BackChannelError> {
        let provider = ProviderName::parse(provider).ok().and_then(|name| self.provider(&name).cloned());
        let provider = provider.filter(|provider| provider.config.logout.back_channel);
        let provider = provider.ok_or(BackChannelError::UnknownProvider)?;
        let outcome = self.judge(&provider, &token).await;
        let name = &provider.config.name;
        match &outcome {
            Ok(BackChannelLogout::Ended(ended)) => {
                tracing::info!(provider = name.as_str(), ended, "the provider ended sessions");
                self.inner.metrics.back_channel(name, "accepted");
            }
            Ok(BackChannelLogout::DoneBefore) => {
                tracing::info!(provider = name.as_str(), "a logout token came again");
                self.inner.metrics.back_channel(name, "replayed");
            }
            Err(error) => {
                tracing::warn!(provider = name.as_str(), error = for_log(error), "a logout token ended nothing");
                self.inner.metrics.back_channel(name, error.outcome());
            }
        }
        outcome
    }

    async fn judge(&self, provider: &Arc<Provider>, text: &str) -> Result<BackChannelLogout, BackChannelError> {
        let candidate = Candidate::read(provider, text, self.inner.clock.now())?;
        let (login, provider) = (self.clone(), Arc::clone(provider));
        let logout = match candidate.verify_with_known_keys(&provider)? {
            Known::Verified(token) => tokio::spawn(async move { login.end_named(&provider, &token).await }),
            Known::NotWith { seen, refused } => {
                let place = Arc::clone(&provider.waiting_logout_tokens).try_acquire_owned();
                let place = place.map_err(|_| BackChannelError::Busy)?;
                tokio::spawn(async move {
                    let token = candidate.verify_with_newer_keys(&provider, seen, refused).await?;
                    drop(place);
                    login.end_named(&provider, &token).await
                })
            }
        };
        logout.await.unwrap_or(Err(BackChannelError::Internal))
    }

    async fn end_named(&self, provider: &Provider, token: &LogoutToken) -> Result<BackChannelLogout, BackChannelError> {
        let _place = provider.logouts.try_acquire().map_err(|_| BackChannelError::Busy)?;
        let issuer = provider.issuer.as_str();
        let whose = match &token.whose {
            Whose::ProviderSession { session, subject } => {
                LogoutOf::ProviderSession { session, subject: subject.as_deref() }
            }
            Whose::Subject(subject) => LogoutOf::Subject(subject),
        };
        let mark = sha256(format!("backchannel-logout\0{issuer}\0{}", token.id).as_bytes());
        let mark_until = token.expires_at.plus(Expectation::DEFAULT_LEEWAY);
        let logout = ProviderLogout { issuer, whose, mark: &mark, mark_until };
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=ATTEMPTS {
            match self.inner.sessions.log_out_once(&logout).await {
                Ok(Some(ended)) => return Ok(BackChannelLogout::Ended(ended)),
                Ok(None) => return Ok(BackChannelLogout::DoneBefore),
                Err(_) if attempt < ATTEMPTS => tokio::time::sleep(pause).await,
                Err(_) => {}
            }
            pause *= 2;
        }
        Err(BackChannelError::StoreUnavailable)
    }
}

/// A token that says that it is the provider's and for us.
struct Candidate {
    token: UnverifiedToken,
    expectation: Expectation,
    now: Timestamp,
}

/// What the keys that are known say of a token.
enum Known {
    Verified(LogoutToken),
    /// These do not verify it, or there are none; newer ones may.
    NotWith {
        seen: Option<Arc<KeySet>>,
        refused: BackChannelError,
    },
}

impl Candidate {
    /// What can be refused without a key needs none.
    fn read(provider: &Provider, text: &str, now: Timestamp) -> Result<Self, BackChannelError> {
        let token = jose::peek(text)?;
        let expectation = Expectation {
            token_type: TokenType::Logout,
            ..Expectation::new(provider.issuer.as_str(), vec![provider.config.client_id.clone()])
        };
        expectation.check(&token, now)?;
        Ok(Self { token, expectation, now })
    }

    fn verify_with_known_keys(&self, provider: &Provider) -> Result<Known, BackChannelError> {
        let Some(known) = provider.discovery.known_now() else {
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
    async fn verify_with_newer_keys(
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
