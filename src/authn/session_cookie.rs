//! The session's cookie.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    authenticator::{Attempt, Authenticator, Look},
    outcome::{Authenticated, BrowserSession, Outcome},
};
use crate::{
    oidc::{Freshness, Presented},
    principal::{Method, Principal},
    providers::Providers,
    reason::{Disposition, Reason},
    request::Kind,
    session::{Session, Sessions},
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

impl SessionAuthenticator {
    /// The session of a request's one cookie, as it is stored; none where no cookie came along.
    async fn open<'a>(&self, visit: &Visit<'a>) -> Result<Option<(Presented<'a>, Arc<Session>)>, Reason> {
        let Some(presented) = presented(visit)? else { return Ok(None) };
        let registration = self.providers.registration(presented.provider).ok_or(Reason::TicketInvalid)?;
        let session = self.sessions.open(presented.ticket, presented.origin, registration).await?;
        Ok(Some((presented, session)))
    }

    async fn open_fresh(&self, visit: &Visit<'_>) -> Result<Option<Arc<Session>>, Reason> {
        let Some((presented, session)) = self.open(visit).await? else { return Ok(None) };
        self.freshness.keep_fresh(presented, session).await.map(Some)
    }
}

fn presented<'a>(visit: &Visit<'a>) -> Result<Option<Presented<'a>>, Reason> {
    let Some(origin) = visit.origin() else { return Ok(None) };
    match visit.session_cookie() {
        SessionCookie::Absent => Ok(None),
        SessionCookie::Several => Err(Reason::TicketInvalid),
        SessionCookie::One(ticket) => {
            Ok(Some(Presented { ticket, origin: &origin.login.url, provider: &origin.login.provider }))
        }
    }
}

/// Whether a cookie counts as none for this reason; else nobody can tell.
fn counts_as_none(reason: Reason) -> bool {
    reason.disposition() == Disposition::Unauthorized
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
            Ok(Some(session)) => Outcome::Authenticated(authenticated(&session, is_cross_origin)),
            Ok(None) => Outcome::NotPresented,
            Err(reason) if counts_as_none(reason) => Outcome::NotCounted(reason),
            Err(reason) => Outcome::rejected(reason),
        }
    }

    async fn browser_session(&self, visit: &Visit<'_>, look: Look) -> BrowserSession {
        let found = match look {
            Look::Stored => self.open(visit).await.map(|found| found.map(|(_, session)| session)),
            Look::Fresh => self.open_fresh(visit).await,
        };
        match found {
            Ok(Some(session)) => BrowserSession::SignedIn(session),
            Ok(None) => BrowserSession::Nobody,
            Err(reason) if counts_as_none(reason) => BrowserSession::Nobody,
            Err(reason) => BrowserSession::Unknown(reason.into()),
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
