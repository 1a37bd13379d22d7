//! A person's own sessions: a list, and a button to end each.

use std::sync::Arc;

use super::common::{Endpoints, for_people, is_same_origin};
use crate::{
    authn::BrowserSession,
    decision::{Location, LocationError, Respond},
    oidc::{LoginAsk, ReturnTarget},
    origin::{END_PARAMETER, Origin, TOKEN_PARAMETER},
    pages::{self, LogoutForm, OwnSession, OwnSessions},
    panics::passed_on,
    reason::Reason,
    request::{Kind, Request},
    session::{Handle, Session, SessionListing},
    store::StoreError,
    visit::Visit,
};

/// The value that names all sessions but the one that asks. No handle: those have 12 characters.
const OTHERS: &str = "others";

impl Endpoints {
    /// `GET` as a navigation shows the sessions; `POST` of a form of that page ends what it names.
    pub(super) async fn own_sessions(&self, origin: &Origin, visit: &Visit<'_>, browser: &BrowserSession) -> Respond {
        let (kind, request) = (visit.kind(), visit.request());
        match (request.method(), browser.session()) {
            ("GET" | "HEAD", Some(session)) if kind == Kind::Navigation => self.list_own(origin, session).await,
            ("GET" | "HEAD", None) if kind == Kind::Navigation => {
                let (target, ask) = (ReturnTarget::root(), LoginAsk::nothing());
                self.begin(origin, visit, target, 0, Reason::LoginStarted, ask).await
            }
            ("GET" | "HEAD", Some(_)) => Respond::new(Reason::NotANavigation),
            ("POST", _) if !is_same_origin(visit) => Respond::new(Reason::CrossOrigin),
            ("POST", Some(session)) => self.end_own(origin, request, session).await,
            ("GET" | "HEAD" | "POST", None) => Respond::new(Reason::NotSignedIn),
            _ => Respond::method_not_allowed("GET, HEAD, POST"),
        }
    }

    async fn list_own(&self, origin: &Origin, session: &Session) -> Respond {
        let user = session.user();
        let Ok(listed) = self.sessions.list_subject(&user.issuer, &user.subject).await else {
            return Respond::new(Reason::StoreUnavailable);
        };
        let page = self.page(origin, session, &listed);
        page.unwrap_or_else(|_| Respond::new(Reason::Internal))
    }

    fn page(&self, origin: &Origin, session: &Session, listed: &[SessionListing]) -> Result<Respond, LocationError> {
        let is_own = |listing: &SessionListing| listing.handle == *session.handle();
        let form = |end: &str| origin.end_session_url(end, &self.sessions.form_token(session, end));
        // That of this browser first, then the youngest.
        let mut listed: Vec<_> = listed.iter().rev().collect();
        listed.sort_by_key(|listing| !is_own(listing));
        let texts = listed.iter().map(|listing| {
            let end = if is_own(listing) { None } else { Some(form(listing.handle.as_str())?) };
            Ok((listing, for_people(listing.created_at), for_people(listing.last_seen), end))
        });
        let texts = texts.collect::<Result<Vec<_>, LocationError>>()?;
        let rows = texts.iter().map(|(listing, created, last_seen, end)| OwnSession {
            source: &listing.source,
            created,
            last_seen,
            end: end.as_ref(),
        });
        let rows: Vec<_> = rows.collect();
        let others: Option<Location> = if rows.len() > 1 { Some(form(OTHERS)?) } else { None };
        let action = origin.logout_url()?;
        let through = self.oidc.rp_initiated_logout.end_session_endpoint(&origin.login);
        let page = pages::own_sessions(&OwnSessions {
            user: session.user().userid.as_str(),
            sessions: &rows,
            end_others: others.as_ref(),
            logout: LogoutForm { action: &action, leads_to: Some(&origin.after_logout), through: through.as_ref() },
        });
        Ok(Respond::page(Reason::Page, page))
    }

    async fn end_own(&self, origin: &Origin, request: &Request, session: &Arc<Session>) -> Respond {
        let parameter = |name| request.query().parameter(name).ok().flatten();
        let (Some(end), Some(token)) = (parameter(END_PARAMETER), parameter(TOKEN_PARAMETER)) else {
            return Respond::new(Reason::CrossOrigin);
        };
        if !self.sessions.is_form_token(session, &end, &token) {
            return Respond::new(Reason::CrossOrigin);
        }
        if self.end_chosen(session, end).await.is_err() {
            return Respond::new(Reason::StoreUnavailable);
        }
        match origin.sessions_url() {
            Ok(list) => Respond::redirect(Reason::SignedOut, list),
            Err(_) => Respond::new(Reason::Internal),
        }
    }

    /// Ends what a form names, whatever becomes of the caller.
    async fn end_chosen(&self, session: &Arc<Session>, end: String) -> Result<(), StoreError> {
        let (sessions, session) = (Arc::clone(&self.sessions), Arc::clone(session));
        let ended = tokio::spawn(async move {
            if end == OTHERS {
                sessions.end_others_of_same_person(&session).await.map(drop)
            } else if let Some(handle) = Handle::parse(&end) {
                sessions.end_one_of_same_person(&session, &handle).await.map(drop)
            } else {
                Ok(())
            }
        });
        passed_on(ended.await).unwrap_or_else(|cancelled| Err(StoreError::Unavailable(cancelled.to_string())))
    }
}
