//! What a check ends in. There is no empty decision: an empty `CheckResponse` would mean "allowed".

mod further_headers;
mod header;
mod refusal;
mod respond;

pub use further_headers::FurtherHeaders;
pub use header::{HeaderName, HeaderText, HeaderTextError, Mutations};
pub use refusal::Refusal;
pub use respond::{Body, CookieError, Location, LocationError, Page, Respond, SetCookie};

use crate::reason::Reason;

/// The outcome of a check.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a decision that is dropped is a request without an answer"]
pub enum Decision {
    /// The request goes on, with these changes to its headers.
    Allow(Allow),
    /// We answer ourselves.
    Respond(Respond),
}

impl Decision {
    /// Why.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Allow(allow) => allow.reason,
            Self::Respond(respond) => respond.reason,
        }
    }
}

/// The request goes on.
#[derive(Debug, PartialEq, Eq)]
pub struct Allow {
    reason: Reason,
    mutations: Mutations,
}

impl Allow {
    /// Lets a request go on. Whoever calls this has stripped the protected headers: `mutations` says so for each.
    #[must_use]
    pub const fn new(reason: Reason, mutations: Mutations) -> Self {
        Self { reason, mutations }
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The headers that are set and removed.
    #[must_use]
    pub const fn mutations(&self) -> &Mutations {
        &self.mutations
    }
}
