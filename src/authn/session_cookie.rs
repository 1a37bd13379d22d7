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

    /// The session of a request's one cookie, where it is in memory and counts as it is.
    fn open_at_once(&self, visit: &Visit<'_>) -> Option<Arc<Session>> {
        let presented = presented(visit).ok()??;
        let registration = self.providers.registration(presented.provider)?;
        let session = self.sessions.find(presented.ticket, presented.origin, registration)?;
        if !self.freshness.is_fresh(presented, &session) {
            return None;
        }
        self.sessions.use_found(&session);
        Some(session)
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
    async fn authenticate(&self, attempt: Attempt<'_, '_>) -> Outcome {
        let holds_to_method = match guarded(attempt) {
            Ok(holds_to_method) => holds_to_method,
            Err(outcome) => return outcome,
        };
        match self.open_fresh(attempt.visit).await {
            Ok(Some(session)) => Outcome::Authenticated(authenticated(&session, attempt, holds_to_method)),
            Ok(None) => Outcome::NotPresented,
            Err(reason) if counts_as_none(reason) => Outcome::NotCounted(reason),
            Err(reason) => Outcome::rejected(reason),
        }
    }

    fn at_once(&self, attempt: Attempt<'_, '_>) -> Option<Outcome> {
        match guarded(attempt) {
            Err(outcome) => Some(outcome),
            Ok(holds_to_method) => {
                let session = self.open_at_once(attempt.visit)?;
                Some(Outcome::Authenticated(authenticated(&session, attempt, holds_to_method)))
            }
        }
    }

    fn weigh(&self, visit: &Visit<'_>) {
        if let Some(ticket) = visit.session_cookie().ticket() {
            self.sessions.weigh(ticket);
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

/// Whether a cookie that came along counts for the request's method alone. With a cookie of ours, another site's page may
/// only navigate here: whatever else it sends is not its visitor's word.
fn guarded(attempt: Attempt<'_, '_>) -> Result<bool, Outcome> {
    let Attempt { visit, .. } = attempt;
    if visit.session_cookie() == SessionCookie::Absent {
        return Err(Outcome::NotPresented);
    }
    if !attempt.is_cross_origin() {
        return Ok(false);
    }
    if visit.request().method() != "GET" || visit.kind() == Kind::WebSocket {
        return Err(Outcome::rejected(Reason::CrossOrigin));
    }
    if visit.kind() == Kind::Navigation { Ok(true) } else { Err(Outcome::NotCounted(Reason::CrossOrigin)) }
}

/// `holds_to_method`: another site's page may navigate here, which is a GET.
fn authenticated(session: &Arc<Session>, attempt: Attempt<'_, '_>, holds_to_method: bool) -> Authenticated {
    Authenticated {
        principal: Principal::User(Arc::clone(session.shared_user())),
        method: Method::SESSION,
        reason: Reason::Session,
        told: Arc::clone(session.told()),
        owns_authorization: false,
        holds_to_method,
        session: attempt.asks_of_login.then(|| Arc::clone(session)),
    }
}
