//! The session's cookie.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;

use super::{Authenticated, Authenticator, Outcome, Rejected};
use crate::{
    decision::RETRY_AFTER,
    oidc::{Freshness, Lapsed, Presented},
    principal::{Method, Principal, ProviderName},
    providers::Providers,
    reason::Reason,
    request::Request,
    session::{OpenError, Session, Sessions},
};

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
    providers: Providers,
    freshness: Freshness,
    origins: HashMap<String, SessionOrigin>,
}

impl SessionAuthenticator {
    /// Judges the cookies of these origins.
    #[must_use]
    pub fn new(
        sessions: Arc<Sessions>,
        providers: Providers,
        freshness: Freshness,
        origins: impl IntoIterator<Item = SessionOrigin>,
    ) -> Self {
        let origins = origins.into_iter().map(|origin| (origin.host.clone(), origin)).collect();
        Self { sessions, providers, freshness, origins }
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

/// Why a request has no session.
enum NoSession {
    NotPresented,
    Rejected(Rejected),
}

impl From<NoSession> for Outcome {
    fn from(none: NoSession) -> Self {
        match none {
            NoSession::NotPresented => Self::nothing(),
            NoSession::Rejected(rejected) => Self::Rejected(rejected),
        }
    }
}

impl SessionAuthenticator {
    /// The session of a request as it is, whatever the provider says of it by now.
    pub async fn open(&self, request: &Request) -> Outcome {
        match self.open_presented(request).await {
            Ok((_, session)) => Outcome::Authenticated(authenticated(session)),
            Err(none) => none.into(),
        }
    }

    async fn open_presented<'a>(&'a self, request: &'a Request) -> Result<(Presented<'a>, Arc<Session>), NoSession> {
        let presented = self.presented(request)?;
        let registration = self.providers.registration(presented.provider).ok_or(rejected(Reason::TicketInvalid))?;
        let session = self.sessions.open(presented.ticket, presented.origin, registration).await;
        let session = session.map_err(|error| match error {
            OpenError::NotOurs => rejected(Reason::TicketInvalid),
            OpenError::Ended => rejected(Reason::SessionEnded),
            OpenError::Unavailable => unavailable(Reason::StoreUnavailable),
        })?;
        Ok((presented, session))
    }

    fn presented<'a>(&'a self, request: &'a Request) -> Result<Presented<'a>, NoSession> {
        let origin = self.origin(request).ok_or(NoSession::NotPresented)?;
        let cookies = request.cookies();
        let mut tickets = cookies.values(&origin.cookie);
        let ticket = tickets.next().ok_or(NoSession::NotPresented)?;
        if tickets.next().is_some() {
            // A sibling or a script may have planted one: nobody can say which counts.
            return Err(rejected(Reason::TicketInvalid));
        }
        Ok(Presented { ticket, origin: &origin.url, provider: &origin.provider })
    }

    async fn open_fresh(&self, request: &Request) -> Result<Arc<Session>, NoSession> {
        let (presented, session) = self.open_presented(request).await?;
        self.freshness.keep_fresh(presented, session).await.map_err(|error| match error {
            Lapsed::Ended => rejected(Reason::SessionEnded),
            Lapsed::StoreUnavailable => unavailable(Reason::StoreUnavailable),
            Lapsed::ProviderUnavailable => unavailable(Reason::ProviderUnavailable),
        })
    }
}

#[async_trait]
impl Authenticator for SessionAuthenticator {
    async fn authenticate(&self, request: &Request) -> Outcome {
        match self.open_fresh(request).await {
            Ok(session) => Outcome::Authenticated(authenticated(session)),
            Err(none) => none.into(),
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

const fn rejected(reason: Reason) -> NoSession {
    NoSession::Rejected(Rejected { reason, retry_after: None })
}

const fn unavailable(reason: Reason) -> NoSession {
    NoSession::Rejected(Rejected { reason, retry_after: Some(RETRY_AFTER) })
}
