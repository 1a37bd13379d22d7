//! The session's cookie.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    authenticator::{Attempt, Authenticator, Look},
    outcome::{Authenticated, BrowserSession, Outcome},
};
use crate::{
    oidc::{Freshness, Lapsed, Presented},
    principal::{Method, Principal},
    providers::Providers,
    reason::Reason,
    request::Kind,
    session::{OpenError, Session, Sessions},
    visit::{SessionCookie, Visit},
};

/// Judges session cookies.
#[derive(Debug)]
pub struct SessionAuthenticator {
    sessions: Arc<Sessions>,
    providers: Providers,
    freshness: Freshness,
}

impl SessionAuthenticator {
    /// Judges the session cookies of all origins.
    #[must_use]
    pub const fn new(sessions: Arc<Sessions>, providers: Providers, freshness: Freshness) -> Self {
        Self { sessions, providers, freshness }
    }
}

/// Why a request has no session.
enum NoSession {
    NotPresented,
    /// There was a cookie, and it counts as none.
    NotCounted(Reason),
    /// Nobody can tell.
    Unknown(Reason),
}

impl SessionAuthenticator {
    async fn open<'a>(&self, visit: &Visit<'a>) -> Result<(Presented<'a>, Arc<Session>), NoSession> {
        let presented = presented(visit)?;
        let registration = self.providers.registration(presented.provider);
        let registration = registration.ok_or(NoSession::NotCounted(Reason::TicketInvalid))?;
        let session = self.sessions.open(presented.ticket, presented.origin, registration).await;
        let session = session.map_err(|error| match error {
            OpenError::NotOurs => NoSession::NotCounted(Reason::TicketInvalid),
            OpenError::Ended => NoSession::NotCounted(Reason::SessionEnded),
            OpenError::Unavailable => NoSession::Unknown(Reason::StoreUnavailable),
        })?;
        Ok((presented, session))
    }

    async fn open_fresh(&self, visit: &Visit<'_>) -> Result<Arc<Session>, NoSession> {
        let (presented, session) = self.open(visit).await?;
        self.freshness.keep_fresh(presented, session).await.map_err(|error| match error {
            Lapsed::Ended => NoSession::NotCounted(Reason::SessionEnded),
            Lapsed::StoreUnavailable => NoSession::Unknown(Reason::StoreUnavailable),
            Lapsed::ProviderUnavailable => NoSession::Unknown(Reason::ProviderUnavailable),
        })
    }
}

fn presented<'a>(visit: &Visit<'a>) -> Result<Presented<'a>, NoSession> {
    let origin = visit.origin().ok_or(NoSession::NotPresented)?;
    match visit.session_cookie() {
        SessionCookie::Absent => Err(NoSession::NotPresented),
        SessionCookie::Several => Err(NoSession::NotCounted(Reason::TicketInvalid)),
        SessionCookie::One(ticket) => {
            Ok(Presented { ticket, origin: &origin.login.url, provider: &origin.login.provider })
        }
    }
}

#[async_trait]
impl Authenticator for SessionAuthenticator {
    /// With a cookie of ours, another site's page may only navigate here: whatever else it sends is not its visitor's word.
    async fn authenticate(&self, attempt: Attempt<'_, '_>) -> Outcome {
        let Attempt { visit, .. } = attempt;
        if visit.session_cookie() == SessionCookie::Absent {
            return Outcome::NotPresented;
        }
        let is_cross_origin = attempt.is_cross_origin();
        if is_cross_origin {
            if visit.request().method() != "GET" || visit.kind() == Kind::WebSocket {
                return Outcome::rejected(Reason::CrossOrigin);
            }
            if visit.kind() != Kind::Navigation {
                return Outcome::NotCounted(Reason::CrossOrigin);
            }
        }
        match self.open_fresh(visit).await {
            Ok(session) => Outcome::Authenticated(authenticated(&session, is_cross_origin)),
            Err(NoSession::NotPresented) => Outcome::NotPresented,
            Err(NoSession::NotCounted(reason)) => Outcome::NotCounted(reason),
            Err(NoSession::Unknown(reason)) => Outcome::rejected(reason),
        }
    }

    async fn browser_session(&self, visit: &Visit<'_>, look: Look) -> BrowserSession {
        let found = match look {
            Look::Stored => self.open(visit).await.map(|(_, session)| session),
            Look::Fresh => self.open_fresh(visit).await,
        };
        match found {
            Ok(session) => BrowserSession::SignedIn(session),
            Err(NoSession::NotPresented | NoSession::NotCounted(_)) => BrowserSession::Nobody,
            Err(NoSession::Unknown(reason)) => BrowserSession::Unknown(reason.into()),
        }
    }
}

/// `holds_to_method`: another site's page may navigate here, which is a GET.
fn authenticated(session: &Session, holds_to_method: bool) -> Authenticated {
    Authenticated {
        principal: Principal::User(session.user().clone()),
        method: Method::SESSION,
        reason: Reason::Session,
        credential: session.handle().as_str().as_bytes().to_vec(),
        version: session.version(),
        owns_authorization: false,
        holds_to_method,
    }
}
