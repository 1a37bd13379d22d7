//! What makes a token the provider's logout token for us (OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.6).

use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use crate::{
    clock::Timestamp,
    jose::{
        self, Algorithm, ByKnownKeys, Expectation, NotByKnownKeys, Sender, TokenError, TokenType, UnverifiedToken,
        VerifiedToken, VerifyError,
    },
    providers::Provider,
};

/// The member of `events` that makes a logout token (section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// The longest `sub` or `sid` that a provider's logout may name, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 255;
/// How long a logout token may be valid from now on: its mark is kept for so long.
const LONGEST_LIFETIME: Duration = Duration::from_hours(24);
/// What names the setting that takes such tokens.
const NO_EXP: &str = "it has no `exp`; `logout.logout_token_without_exp: true` takes such for 2 min from their `iat`";
/// How long one without an end counts from its `iat` on, where that is allowed.
const LIFETIME_WITHOUT_EXP: Duration = Duration::from_mins(2);

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
    /// It is signed by another algorithm than the provider's.
    #[error("the logout token is refused: it is signed by {found}, and `id_token_signing_algorithms` are {taken}")]
    Algorithm {
        /// What the token says.
        found: String,
        /// What is taken.
        taken: String,
    },
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
            Self::UnknownProvider | Self::Token(_) | Self::Algorithm { .. } | Self::Claims(_) => "refused",
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
    without_exp: bool,
}

/// What the keys that are known say of a token.
pub(super) enum Known {
    Verified(LogoutToken),
    /// They do not verify it, or nothing is known of the provider yet; newer ones may.
    Not(Option<NotByKnownKeys>),
}

impl Candidate {
    /// What can be refused without a key needs none.
    pub(super) fn read(provider: &Provider, text: &str, now: Timestamp) -> Result<Self, BackChannelError> {
        let token = jose::peek(text)?;
        let without_exp = provider.config.logout.logout_token_without_exp;
        let known = provider.known_now();
        let expectation = Expectation {
            algorithms: known.map_or_else(|| Algorithm::ALL.to_vec(), |known| known.algorithms.clone()),
            token_type: TokenType::Logout,
            must_expire: !without_exp,
            ..Expectation::new(provider.issuer.as_str(), vec![provider.config.client_id.clone()])
        };
        expectation.check(&token, now).map_err(|error| match error {
            TokenError::NoExpiry => BackChannelError::Claims(NO_EXP),
            TokenError::Algorithm => algorithm(token.algorithm_name(), &expectation.algorithms),
            error => error.into(),
        })?;
        Ok(Self { token, expectation, now, without_exp })
    }

    pub(super) fn verify_with_known_keys(&self, provider: &Provider) -> Result<Known, BackChannelError> {
        let Some(known) = provider.known_now() else { return Ok(Known::Not(None)) };
        match known.keys.verify_with_known(&self.token, &self.expectation)? {
            ByKnownKeys::Verified(token) => Ok(Known::Verified(self.as_logout_token(&token)?)),
            ByKnownKeys::Not(before) => Ok(Known::Not(Some(before))),
        }
    }

    /// Waits for newer keys than those of `before`. Where the provider does not answer, nothing is known about the
    /// token; where there are no newer ones, it is refused as before.
    pub(super) async fn verify_with_newer_keys(
        &self,
        provider: &Provider,
        before: Option<NotByKnownKeys>,
    ) -> Result<LogoutToken, BackChannelError> {
        let known = provider.discovery.known().await.ok_or(BackChannelError::KeysUnavailable)?;
        let (token, expectation) = (&self.token, &self.expectation);
        let token = match before {
            Some(before) => known.keys.verify_with_newer(token, expectation, Sender::Anybody, before).await,
            None => known.keys.verify(token, expectation, Sender::Anybody).await,
        };
        let token = token?;
        // Where nothing was known when it came.
        if !token.algorithm().is_some_and(|algorithm| known.algorithms.contains(&algorithm)) {
            return Err(algorithm(token.algorithm_name(), &known.algorithms));
        }
        self.as_logout_token(&token)
    }

    fn as_logout_token(&self, token: &VerifiedToken) -> Result<LogoutToken, BackChannelError> {
        LogoutToken::read(token, self.now, self.without_exp)
    }
}

fn algorithm(found: &str, taken: &[Algorithm]) -> BackChannelError {
    let taken: Vec<_> = taken.iter().map(|algorithm| algorithm.name()).collect();
    BackChannelError::Algorithm { found: found.chars().take(20).collect(), taken: taken.join(" ") }
}

impl From<VerifyError> for BackChannelError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Rejected(error) => Self::Token(error),
            VerifyError::KeysUnavailable => Self::KeysUnavailable,
        }
    }
}

impl LogoutToken {
    /// What makes a token a logout token (section 2.4 and section 2.6, steps 3 to 6).
    fn read(token: &VerifiedToken, now: Timestamp, without_exp: bool) -> Result<Self, BackChannelError> {
        let refused = BackChannelError::Claims;
        let issued_at = token.issued_at().ok_or(refused("it has no `iat`"))?;
        let expires_at = match token.expires_at() {
            Some(expires_at) => expires_at,
            None if !without_exp => return Err(refused(NO_EXP)),
            None if issued_at.plus(LIFETIME_WITHOUT_EXP + Expectation::DEFAULT_LEEWAY) <= now => {
                return Err(refused("it has no `exp`, and its `iat` is more than 2 min ago"));
            }
            None => issued_at.plus(LIFETIME_WITHOUT_EXP),
        };
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
