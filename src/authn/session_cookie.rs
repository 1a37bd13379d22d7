//! The session's cookie.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{Authenticated, Authenticator, Outcome, Rejected};
use crate::{
    oidc::{Login, NotFresh, Presented},
    principal::{Method, Principal, ProviderName},
    reason::Reason,
    request::Request,
    session::{OpenError, Session, Sessions},
};

/// When to try again where the store or the provider does not answer.
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
    login: Login,
    origins: HashMap<String, SessionOrigin>,
}

impl SessionAuthenticator {
    /// Judges the cookies of these origins.
    #[must_use]
    pub fn new(sessions: Arc<Sessions>, login: Login, origins: impl IntoIterator<Item = SessionOrigin>) -> Self {
        Self { sessions, login, origins: origins.into_iter().map(|origin| (origin.host.clone(), origin)).collect() }
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

impl SessionAuthenticator {
    /// The session of a request as it is, whatever the provider says of it by now.
    ///
    /// # Errors
    /// What else was found.
    pub async fn open(&self, request: &Request) -> Result<Authenticated, Outcome> {
        let presented = self.presented(request)?;
        Ok(authenticated(self.open_presented(presented).await?))
    }

    fn presented<'a>(&'a self, request: &'a Request) -> Result<Presented<'a>, Outcome> {
        let origin = self.origin(request).ok_or(Outcome::nothing())?;
        let cookies = request.cookies();
        let mut tickets = cookies.values(&origin.cookie);
        let ticket = tickets.next().ok_or(Outcome::nothing())?;
        if tickets.next().is_some() {
            // A sibling or a script may have planted one: nobody can say which counts.
            return Err(Outcome::rejected(Reason::TicketInvalid));
        }
        Ok(Presented { ticket, origin: &origin.url, provider: &origin.provider })
    }

    async fn open_presented(&self, presented: Presented<'_>) -> Result<Arc<Session>, Outcome> {
        let session = self.sessions.open(presented.ticket, presented.origin, presented.provider).await;
        session.map_err(|error| match error {
            OpenError::NotOurs => Outcome::rejected(Reason::TicketInvalid),
            OpenError::Ended => Outcome::rejected(Reason::SessionEnded),
            OpenError::Unavailable => unavailable(Reason::StoreUnavailable),
        })
    }
}

#[async_trait]
impl Authenticator for SessionAuthenticator {
    async fn authenticate(&self, request: &Request) -> Outcome {
        let presented = match self.presented(request) {
            Ok(presented) => presented,
            Err(outcome) => return outcome,
        };
        let session = match self.open_presented(presented).await {
            Ok(session) => session,
            Err(outcome) => return outcome,
        };
        match self.login.keep_fresh(presented, session).await {
            Ok(session) => Outcome::Authenticated(authenticated(session)),
            Err(NotFresh::Ended) => Outcome::rejected(Reason::SessionEnded),
            Err(NotFresh::StoreUnavailable) => unavailable(Reason::StoreUnavailable),
            Err(NotFresh::ProviderUnavailable) => unavailable(Reason::ProviderUnavailable),
        }
    }
}

fn authenticated(session: Arc<Session>) -> Authenticated {
    Authenticated {
        principal: Principal::User(session.user().clone()),
        method: Method::Session,
        reason: Reason::Session,
        credential: session.handle().as_str().as_bytes().to_vec(),
        version: session.version(),
        session: Some(session),
    }
}

const fn unavailable(reason: Reason) -> Outcome {
    Outcome::Rejected(Rejected { reason, retry_after: Some(RETRY_AFTER) })
}
