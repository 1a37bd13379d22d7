//! The session's cookie.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{Authenticated, Authenticator, Outcome, Rejected};
use crate::{
    principal::{Method, Principal, ProviderName},
    reason::Reason,
    request::Request,
    session::{OpenError, Sessions},
};

/// When to try again where the store does not answer.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Where a session counts.
#[derive(Clone, Debug)]
pub struct SessionOrigin {
    /// The host, in lower case, without port.
    pub host: String,
    /// The origin's URL, as configured, without a trailing slash.
    pub url: String,
    /// The provider that its people sign in at.
    pub provider: ProviderName,
    /// The session cookie's name, `__Host-…`.
    pub cookie: String,
}

/// Judges session cookies.
#[derive(Debug)]
pub struct SessionAuthenticator {
    sessions: Arc<Sessions>,
    origins: HashMap<String, SessionOrigin>,
}

impl SessionAuthenticator {
    /// Judges the cookies of these origins.
    #[must_use]
    pub fn new(sessions: Arc<Sessions>, origins: impl IntoIterator<Item = SessionOrigin>) -> Self {
        Self { sessions, origins: origins.into_iter().map(|origin| (origin.host.clone(), origin)).collect() }
    }

    /// Whether a request brings a cookie with the session's name, good or not.
    #[must_use]
    pub fn is_presented(&self, request: &Request) -> bool {
        self.origin(request).is_some_and(|origin| request.cookies().values(&origin.cookie).next().is_some())
    }

    fn origin(&self, request: &Request) -> Option<&SessionOrigin> {
        self.origins.get(request.host().name())
    }
}

#[async_trait]
impl Authenticator for SessionAuthenticator {
    async fn authenticate(&self, request: &Request) -> Outcome {
        let Some(origin) = self.origin(request) else { return Outcome::nothing() };
        let cookies = request.cookies();
        let mut tickets = cookies.values(&origin.cookie);
        let Some(ticket) = tickets.next() else { return Outcome::nothing() };
        if tickets.next().is_some() {
            // A sibling or a script may have planted one: nobody can say which counts.
            return Outcome::rejected(Reason::TicketInvalid);
        }
        match self.sessions.open(ticket, &origin.url, &origin.provider).await {
            Ok(session) => Outcome::Authenticated(Authenticated {
                principal: Principal::User(session.user().clone()),
                method: Method::Session,
                reason: Reason::Session,
                credential: session.handle().as_str().as_bytes().to_vec(),
                version: session.version(),
                session: Some(session),
            }),
            Err(OpenError::NotOurs) => Outcome::rejected(Reason::TicketInvalid),
            Err(OpenError::Ended) => Outcome::rejected(Reason::SessionEnded),
            Err(OpenError::Unavailable) => {
                Outcome::Rejected(Rejected { reason: Reason::StoreUnavailable, retry_after: Some(RETRY_AFTER) })
            }
        }
    }
}
