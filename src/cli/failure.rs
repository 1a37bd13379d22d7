//! Why an administrator's command came to nothing, and whose fault that is.

use std::io;

use thiserror::Error;
use tonic::{Code, Status};

use super::{connection::ConnectError, explain::ExplainError};

/// Why a command came to nothing.
#[derive(Debug, Error)]
pub(super) enum AdministrationError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Explain(#[from] ExplainError),
    #[error("the command cannot run: {0}")]
    System(#[from] io::Error),
    #[error("the connection was closed: Portcullis ended, or your certificate bears none of the names that it admits")]
    Closed,
    #[error("Portcullis refused: {}", .0.message())]
    Refused(Status),
}

impl From<Status> for AdministrationError {
    fn from(status: Status) -> Self {
        // Only what the channel itself makes of a failure has a source.
        if std::error::Error::source(&status).is_some() { Self::Closed } else { Self::Refused(status) }
    }
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The command line's.
    Usage,
    /// The process, or what it needs, does not answer.
    Unavailable,
    /// Anything else.
    Internal,
}

impl AdministrationError {
    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::Connect(error) if error.is_usage() => Fault::Usage,
            Self::Explain(_) => Fault::Usage,
            Self::Connect(_) | Self::Closed => Fault::Unavailable,
            Self::Refused(status) => match status.code() {
                Code::InvalidArgument | Code::NotFound => Fault::Usage,
                Code::Unavailable | Code::DeadlineExceeded => Fault::Unavailable,
                _ => Fault::Internal,
            },
            Self::System(_) => Fault::Internal,
        }
    }
}
