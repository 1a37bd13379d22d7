//! Logout: the session is gone before the answer.

use std::sync::Arc;

use super::{Endpoints, Origin, RETRY_AFTER, is_same_origin, on_origin};
use crate::{
    decision::{Body, Disposition, HeaderText, Respond, SetCookie},
    pages::{self, LogoutForm},
    reason::Reason,
    request::{Kind, Request},
    session::{Session, StoreError},
};

impl Endpoints {
    /// `POST` from a page of this origin ends the session; so does `GET` from a link on one. Any other `GET` gets a page
    /// with a button, any other `POST` is refused: a sibling host must not be able to sign people out.
    pub(super) async fn logout(&self, origin: &Origin, request: &Request, session: Option<&Arc<Session>>) -> Respond {
        match request.method() {
            "POST" if is_same_origin(origin, request) => self.end(origin, request).await,
            "POST" => Respond::new(Reason::CrossOrigin, Disposition::Forbidden),
            "GET" if request.headers().single("sec-fetch-site") == Some("same-origin") && is_top_level(request) => {
                self.end(origin, request).await
            }
            "GET" | "HEAD" => ask(origin, session),
            _ => Respond {
                allow_methods: Some(HeaderText::from_static("GET, HEAD, POST")),
                ..Respond::new(Reason::MethodNotAllowed, Disposition::MethodNotAllowed)
            },
        }
    }

    async fn end(&self, origin: &Origin, request: &Request) -> Respond {
        let cookies = request.cookies();
        let tickets: Vec<String> = cookies.values(&origin.session_cookie).map(str::to_owned).collect();
        if self.end_all(tickets).await.is_err() {
            return Respond::new(Reason::StoreUnavailable, Disposition::Unavailable).with_retry_after(RETRY_AFTER);
        }
        let answer = if is_top_level(request) {
            Respond::redirect(Reason::SignedOut, Disposition::SeeOther, origin.after_logout.clone())
        } else {
            let body = serde_json::json!({ "afterLogoutURL": origin.after_logout.as_str() }).to_string();
            Respond { body: Body::Json(body), ..Respond::new(Reason::SignedOut, Disposition::Created) }
        };
        match SetCookie::deletion(&origin.session_cookie) {
            Ok(cookie) => answer.with_cookie(cookie),
            Err(_) => answer,
        }
    }

    /// Ends the sessions of these tickets, whatever becomes of the caller: a gateway that gives up must not leave a
    /// session behind.
    async fn end_all(&self, tickets: Vec<String>) -> Result<(), StoreError> {
        let sessions = Arc::clone(&self.sessions);
        let ended = tokio::spawn(async move {
            for ticket in tickets {
                sessions.end(&ticket).await?;
            }
            Ok(())
        });
        ended.await.unwrap_or_else(|panic| Err(StoreError::Unavailable(panic.to_string())))
    }
}

fn ask(origin: &Origin, session: Option<&Arc<Session>>) -> Respond {
    let (Ok(action), Some(stay)) = (origin.logout_url(), on_origin(origin, "/")) else {
        return Respond::new(Reason::Internal, Disposition::Internal);
    };
    let form = LogoutForm { action: &action, leads_to: Some(&origin.after_logout) };
    let who = session.map(|session| session.user().userid.as_str());
    Respond::page(Reason::Page, Disposition::Ok, pages::confirm_logout(form, who, &stay))
}

/// Whether a browser shows what we answer: by Fetch Metadata, or by what it accepts where it sends none.
fn is_top_level(request: &Request) -> bool {
    matches!(request.kind(), Kind::Navigation | Kind::Submission)
}
