//! What every kind of credential has to tell.

use async_trait::async_trait;

use super::outcome::{BrowserSession, Outcome};
use crate::{request::Provenance, visit::Visit};

/// Turns credentials of one kind into principals.
#[async_trait]
pub trait Authenticator: std::fmt::Debug + Send + Sync {
    /// Looks for its credential in a request and judges it. Has no effect that a second call would repeat.
    async fn authenticate(&self, attempt: Attempt<'_, '_>) -> Outcome;

    /// The same, where nobody need be waited for: most checks end here, and an answer to wait for costs an allocation.
    fn at_once(&self, attempt: Attempt<'_, '_>) -> Option<Outcome> {
        let _ = attempt;
        None
    }

    /// What is kept of the request's credential ([`Told`](crate::told::Told)) has grown.
    fn weigh(&self, visit: &Visit<'_>) {
        let _ = visit;
    }

    /// Whether the `authorization` header holds a credential of this kind, good or not: whoever runs a service could use it
    /// here or at its issuer, so no service gets it unless the rule says so.
    fn owns_authorization(&self, visit: &Visit<'_>) -> bool {
        let _ = visit;
        false
    }

    /// The browser's session, where sessions are this kind.
    async fn browser_session(&self, visit: &Visit<'_>, look: Look) -> BrowserSession {
        let _ = (visit, look);
        BrowserSession::Nobody
    }
}

/// A request that wants to pass a rule.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a, 'r> {
    /// The request.
    pub visit: &'a Visit<'r>,
    /// The origins whose pages may act for their visitors, by the rule.
    pub allowed_origins: &'a [String],
    /// Whether a bearer token may be a credential, by the rule.
    pub bearer_counts: bool,
    /// Another service's audience whose tokens count too, by the rule.
    pub further_audience: Option<&'a str>,
    /// Whether the rule asks something of the login behind the credential.
    pub asks_of_login: bool,
}

impl Attempt<'_, '_> {
    /// Whether another site's page made the browser ask.
    #[must_use]
    pub fn is_cross_origin(&self) -> bool {
        self.visit.provenance(self.allowed_origins) == Provenance::CrossOrigin
    }
}

/// How closely a session is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// As it is stored, whatever the provider says of it by now. Waits for nobody but the store.
    Stored,
    /// As it counts, which may wait for the provider.
    Fresh,
}
