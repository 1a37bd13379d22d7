//! The authenticators in their order.

use super::{
    authenticator::{Attempt, Authenticator, Look},
    outcome::{Authenticated, BrowserSession, Outcome},
};
use crate::{decision::Refusal, reason::Reason, visit::Visit};

/// The authenticators, in the order in which they are asked.
#[derive(Debug)]
pub struct Authenticators(Vec<Box<dyn Authenticator>>);

/// Whose request it is, as far as all authenticators together can tell.
#[derive(Debug)]
#[must_use]
pub enum Identified {
    /// Somebody's.
    As(Authenticated),
    /// Nobody's, with what came instead of a credential.
    Nobody(Option<Reason>),
    /// A credential was not good, or nobody could judge it.
    Refused(Refusal),
}

impl Authenticators {
    /// These, in this order.
    #[must_use]
    pub fn new(ordered: Vec<Box<dyn Authenticator>>) -> Self {
        Self(ordered)
    }

    /// Asks one after the other. A credential that is rejected does not fall through; what counts as none does, and the
    /// first of it is told.
    pub async fn identify(&self, attempt: Attempt<'_, '_>) -> Identified {
        let mut instead = None;
        for authenticator in &self.0 {
            let outcome = match authenticator.at_once(attempt) {
                Some(outcome) => outcome,
                None => authenticator.authenticate(attempt).await,
            };
            match outcome {
                Outcome::Authenticated(authenticated) => return Identified::As(authenticated),
                Outcome::Rejected(refusal) => return Identified::Refused(refusal),
                Outcome::NotCounted(reason) => instead = instead.or(Some(reason)),
                Outcome::NotPresented => {}
            }
        }
        Identified::Nobody(instead)
    }

    /// Whether the `authorization` header holds a credential that one of them judges.
    #[must_use]
    pub fn own_authorization(&self, visit: &Visit<'_>) -> bool {
        self.0.iter().any(|authenticator| authenticator.owns_authorization(visit))
    }

    /// What is kept of a request's credential has grown: whoever keeps it weighs it anew.
    pub fn weigh(&self, visit: &Visit<'_>) {
        self.0.iter().for_each(|authenticator| authenticator.weigh(visit));
    }

    /// The browser's session.
    pub async fn browser_session(&self, visit: &Visit<'_>, look: Look) -> BrowserSession {
        for authenticator in &self.0 {
            match authenticator.browser_session(visit, look).await {
                BrowserSession::Nobody => {}
                found @ (BrowserSession::SignedIn(_) | BrowserSession::Unknown(_)) => return found,
            }
        }
        BrowserSession::Nobody
    }
}
