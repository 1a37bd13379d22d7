//! Why a store did not do what it was asked.

use thiserror::Error;

/// Why a store did not do what it was asked. The outcome is unknown then; nothing may be concluded from it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// There is no space left.
    #[error("the session store is full: {0}")]
    Full(String),
    /// It cannot be written.
    #[error("the session store cannot be written: {0}")]
    ReadOnly(String),
    /// What it holds is damaged.
    #[error("the session store is damaged: {0}")]
    Damaged(String),
    /// It cannot be reached, or failed in another way.
    #[error("the session store is unavailable: {0}")]
    Unavailable(String),
}
