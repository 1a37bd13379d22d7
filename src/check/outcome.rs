//! What came of a check, in one of four words.

use crate::reason::Disposition;

/// What came of a check, as logs and metrics say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The request goes on.
    Allowed,
    /// An endpoint of ours answered, or sent the browser to sign in.
    Answered,
    /// The request was refused.
    Denied,
    /// Something did not answer, or there was too much of it.
    Failed,
}

impl Outcome {
    /// Every outcome there is.
    pub const ALL: [Self; 4] = [Self::Allowed, Self::Answered, Self::Denied, Self::Failed];

    /// What came of a check that was answered so; `None` where its request goes on.
    #[must_use]
    pub const fn of(disposition: Option<Disposition>) -> Self {
        match disposition {
            None => Self::Allowed,
            Some(Disposition::Ok | Disposition::Created | Disposition::Found | Disposition::SeeOther) => Self::Answered,
            Some(Disposition::Unavailable | Disposition::TooManyRequests | Disposition::Internal) => Self::Failed,
            Some(
                Disposition::BadRequest
                | Disposition::Unauthorized
                | Disposition::InvalidToken
                | Disposition::InsufficientAuthentication
                | Disposition::Forbidden
                | Disposition::NotFound
                | Disposition::MethodNotAllowed
                | Disposition::Misdirected,
            ) => Self::Denied,
        }
    }

    /// The outcome as a metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Answered => "answered",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}
