//! Why a server was not taken.

use thiserror::Error;

/// A server that must not be used as it is, or that does not let us in: waiting mends nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{problem}")]
pub struct Refused {
    /// What is wrong, and with which server.
    pub problem: String,
}
