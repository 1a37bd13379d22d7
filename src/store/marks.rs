//! The contract of what remembers what was spent.

use std::fmt;

use async_trait::async_trait;

use super::{error::StoreError, keys::MarkKeys};
use crate::clock::Timestamp;

/// Where it is marked that something that works once was spent.
///
/// # The contract
/// - **Once.** Of any number of [`spend`](Self::spend) calls with one mark, on all replicas, one returns `true`.
/// - **Durable before it is told**, as sessions are.
/// - **A mark outlives what it marks** by [`MARK_GRACE`](super::MARK_GRACE), so that a clock that steps back by less finds it.
/// - **No answer is made up.** A store that cannot tell returns an error, and the mark must be taken for spent.
#[async_trait]
pub trait MarkStore: fmt::Debug + Send + Sync {
    /// Leaves a mark until `until`, unless it is there; whether it was not.
    async fn spend(&self, mark: &MarkKeys, until: Timestamp) -> Result<bool, StoreError>;
}
