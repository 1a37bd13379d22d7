//! Tokens that are meant for another service, which a rule takes until a day: a bridge for scripts whose tokens are not for
//! us yet.

use std::sync::Arc;

use crate::clock::Timestamp;

/// Another service's audience, and until when its tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FurtherAudience {
    /// The audience. Never the API server's own.
    pub audience: Arc<str>,
    /// From when on they are refused.
    pub ends_at: Timestamp,
}

impl FurtherAudience {
    /// The audience, as long as its tokens are taken.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Option<&str> {
        (now < self.ends_at).then_some(&self.audience)
    }
}
