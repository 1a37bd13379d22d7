//! The ordered authenticators: each turns a credential of one kind into a principal.
//!
//! A credential that is ours to judge and is rejected never falls through to the next one.

mod bearer;
mod session_cookie;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

pub use bearer::{BearerAuthenticator, BearerClass};
pub use session_cookie::{SessionAuthenticator, SessionOrigin};

use crate::{
    principal::{Method, Principal},
    reason::Reason,
    request::Request,
    session::Session,
};

/// Turns a credential of one kind into a principal.
#[async_trait]
pub trait Authenticator: std::fmt::Debug + Send + Sync {
    /// Looks for its credential in a request and judges it. Has no effect that a second call would repeat.
    async fn authenticate(&self, request: &Request) -> Outcome;
}

/// What an authenticator found.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// No credential of its kind.
    NotPresented {
        /// What was there instead, to be told to who is refused for want of a credential.
        seen: Option<Reason>,
    },
    /// A good credential.
    Authenticated(Authenticated),
    /// A credential of its kind that is not good.
    Rejected(Rejected),
}

impl Outcome {
    /// Nothing at all.
    pub const fn nothing() -> Self {
        Self::NotPresented { seen: None }
    }

    pub(crate) const fn rejected(reason: Reason) -> Self {
        Self::Rejected(Rejected { reason, retry_after: None })
    }
}

/// A good credential, and whose it is. Only an authenticator makes one.
#[derive(Clone, Debug)]
pub struct Authenticated {
    principal: Principal,
    method: Method,
    reason: Reason,
    credential: Vec<u8>,
    version: u64,
    session: Option<Arc<Session>>,
}

impl Authenticated {
    /// Whose credential it is.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// How it was presented.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The reason of a request that passes with it.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// A name of the credential that no other one has.
    #[must_use]
    pub fn credential(&self) -> &[u8] {
        &self.credential
    }

    /// Counts up whenever what it says of the principal changes.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The session, where it is one.
    #[must_use]
    pub const fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }
}

/// A credential that is not good, or that nobody could judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Why.
    pub reason: Reason,
    /// When to try again, where something that is needed does not answer.
    pub retry_after: Option<Duration>,
}
