//! What somebody may do in the cluster: the API server's SubjectAccessReview is the truth, and is not asked twice.
//!
//! An answer counts for the whole question, and for the time that the configuration gives it: a yes longer than a no, so
//! that who was just let in need not wait. One call is made for all who ask the same; calls are bounded apart from the
//! reviews of tokens, have a deadline, and stop for a while where none is answered. Without an answer nobody passes.

mod cache;
mod config;
mod question;
mod reviewer;

pub use config::AccessConfig;
pub use question::{AccessAttributes, AccessQuestion, AccessSubject};
pub use reviewer::{AccessAllowed, AccessReviewer, AccessTold};

use async_trait::async_trait;

use super::reviews::ReviewError;

/// What we ask of the Kubernetes API server about what somebody may do.
///
/// As for [`super::Reviews`], an implementation makes one call per method call.
#[async_trait]
pub trait AccessReviews: std::fmt::Debug + Send + Sync {
    /// Asks whether somebody may do something (SubjectAccessReview, `authorization.k8s.io/v1`).
    ///
    /// # Errors
    /// Where there is no answer. A no is an answer, and no error.
    async fn review_access(&self, question: &AccessQuestion) -> Result<AccessAnswer, ReviewError>;
}

/// The status of a SubjectAccessReview, as the API server said it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessAnswer {
    /// Whether an authorizer allows it.
    pub allowed: bool,
    /// Whether an authorizer denies it, whatever others say.
    pub denied: bool,
}

impl AccessAnswer {
    /// Whether it may be done.
    #[must_use]
    pub const fn is_yes(&self) -> bool {
        self.allowed && !self.denied
    }
}

#[cfg(test)]
mod tests;
