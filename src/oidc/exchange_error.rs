//! Why an exchange with the provider brought nobody, and what whoever waits for it is told.

use thiserror::Error;

use crate::{
    calls::CallFailure,
    claims::{IdTokenError, IdentityError, UserinfoError},
    providers::{CallError, Provider, Refused, TokenEndpointError, Trouble},
    reason::Reason,
};

/// Why an exchange brought nobody. The text is for the log: it holds no code, token or secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum ExchangeError {
    #[error("the provider does not answer: {0}")]
    Unavailable(String),
    /// `invalid_grant` (RFC 6749 section 5.2): of the code at a sign-in, of the refresh token later.
    #[error("the provider refuses the grant: {0}")]
    GrantRefused(Refused),
    /// In words that OAuth does not have for a grant.
    #[error("the provider refuses: {0}")]
    OtherwiseRefused(Refused),
    /// It refuses us, whoever signs in.
    #[error("the provider refuses this client: {0}")]
    ClientRefused(Refused),
    /// Something is missing or does not fit, there or here, whoever signs in.
    #[error("sign-in is not set up: {0}")]
    NotSetUp(String),
    #[error("the provider's answer cannot be used: {0}")]
    Answer(String),
    #[error("the ID token is refused: {0}")]
    IdToken(String),
    #[error("the claims name nobody: {0}")]
    Identity(#[from] IdentityError),
}

impl ExchangeError {
    pub(super) const fn reason(&self) -> Reason {
        match self {
            Self::Unavailable(_) => Reason::ProviderUnavailable,
            Self::GrantRefused(_) => Reason::ProviderDenied,
            Self::ClientRefused(_) | Self::NotSetUp(_) => Reason::SignInNotSetUp,
            Self::OtherwiseRefused(_) | Self::Answer(_) => Reason::ProviderAnswerInvalid,
            Self::IdToken(_) => Reason::IdTokenInvalid,
            Self::Identity(_) => Reason::IdentityUnusable,
        }
    }

    /// Why a session does not count for now, which lives on for when it does again.
    pub(super) const fn reason_of_session(&self) -> Reason {
        match self {
            Self::Unavailable(_) => Reason::ProviderUnavailable,
            Self::ClientRefused(_) | Self::NotSetUp(_) => Reason::SignInNotSetUp,
            Self::GrantRefused(_)
            | Self::OtherwiseRefused(_)
            | Self::Answer(_)
            | Self::IdToken(_)
            | Self::Identity(_) => Reason::ProviderAnswerInvalid,
        }
    }

    /// What the provider says where it does not take a refresh token any more.
    pub(super) fn refuses_the_token(&self) -> Option<&Refused> {
        match self {
            Self::GrantRefused(refused) => Some(refused),
            Self::OtherwiseRefused(refused) => Some(refused).filter(|refused| refused.is_of_the_token()),
            _ => None,
        }
    }

    /// Nothing is known of the provider.
    pub(super) fn unknown(provider: &Provider) -> Self {
        if provider.discovery.is_not_set_up() {
            Self::NotSetUp("its discovery and its configuration do not fit".to_owned())
        } else {
            Self::Unavailable("it is not known yet".to_owned())
        }
    }

    /// What it means for everybody; none where it is about one person.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Unavailable(text) => Some(Trouble::Unanswered(text.clone())),
            Self::ClientRefused(refused) => Some(Trouble::Refused(refused.clone())),
            Self::NotSetUp(text) => Some(Trouble::NotSetUp(text.clone())),
            Self::Answer(text) => Some(Trouble::Unusable(text.clone())),
            Self::OtherwiseRefused(refused) if !refused.is_of_the_token() => {
                Some(Trouble::Unusable(refused.to_string()))
            }
            Self::IdToken(_) => Some(Trouble::Unusable(self.to_string())),
            Self::GrantRefused(_) | Self::OtherwiseRefused(_) | Self::Identity(_) => None,
        }
    }

    /// Whether the call that met it has told it, once for all who meet it.
    pub(super) const fn is_told_by_its_call(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::ClientRefused(_) | Self::NotSetUp(_))
    }
}

impl CallFailure for ExchangeError {
    fn out_of_time() -> Self {
        Self::Unavailable("our deadline passed".to_owned())
    }

    fn is_unanswered(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<CallError> for ExchangeError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unavailable(text) => Self::Unavailable(text),
            CallError::Unusable(text) => Self::Answer(text.to_owned()),
            CallError::NotSetUp(text) => Self::NotSetUp(text.to_owned()),
        }
    }
}

impl From<IdTokenError> for ExchangeError {
    fn from(error: IdTokenError) -> Self {
        match error {
            IdTokenError::Refused(text) => Self::IdToken(text),
            IdTokenError::KeysUnavailable => Self::Unavailable(error.to_string()),
            IdTokenError::KeysUnusable(_) => Self::Answer(error.to_string()),
        }
    }
}

impl From<TokenEndpointError> for ExchangeError {
    fn from(error: TokenEndpointError) -> Self {
        match error {
            TokenEndpointError::Call(error) => error.into(),
            TokenEndpointError::Refused(refused) if refused.error == "invalid_grant" => Self::GrantRefused(refused),
            TokenEndpointError::Refused(refused) if refused.setting().is_some() => Self::ClientRefused(refused),
            TokenEndpointError::Refused(refused) => Self::OtherwiseRefused(refused),
            TokenEndpointError::Answer(text) => Self::Answer(text),
        }
    }
}

impl From<UserinfoError> for ExchangeError {
    fn from(error: UserinfoError) -> Self {
        match error {
            UserinfoError::Call(error) => error.into(),
            UserinfoError::KeysUnavailable => Self::Unavailable(error.to_string()),
            UserinfoError::NoEndpoint => Self::NotSetUp(error.to_string()),
            error => Self::Answer(error.to_string()),
        }
    }
}
