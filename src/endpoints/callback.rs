//! Where the provider sends browsers back to.

use std::net::IpAddr;

use super::{Endpoints, Origin, failed, on_origin, refuse_other_than_get};
use crate::{
    decision::{Disposition, Respond, SetCookie},
    oidc::{CallbackOutcome, CallbackRequest, ReturnTarget},
    reason::Reason,
    request::{Kind, Request},
};

/// How often a login that could not be completed starts again by itself.
const MAX_RESTARTS: u8 = 2;

impl Endpoints {
    /// Completes a login. Only a top-level navigation may: a script, a frame or a prerender spends nothing.
    pub(super) async fn callback(&self, origin: &Origin, request: &Request) -> Respond {
        if let Some(refusal) = refuse_other_than_get(request) {
            return refusal;
        }
        if request.kind() != Kind::Navigation {
            return Respond::new(Reason::NotANavigation, Disposition::BadRequest);
        }
        let cookies = request.cookies();
        let login_cookies: Vec<&str> = cookies.values(&origin.login.login_cookie).collect();
        let tickets: Vec<&str> = cookies.values(&origin.session_cookie).collect();
        let outcome = self
            .login
            .callback(CallbackRequest {
                origin: &origin.login,
                query: request.query().raw().unwrap_or_default(),
                login_cookies: &login_cookies,
                previous_ticket: if let [ticket] = tickets.as_slice() { Some(ticket) } else { None },
                source: request.source().and_then(|source| source.parse::<IpAddr>().ok()),
            })
            .await;
        match outcome {
            CallbackOutcome::SignedIn { ticket, target, session } => {
                let lifetime = session.expires_at().since(self.clock.now());
                let Ok(cookie) = SetCookie::new(&origin.session_cookie, ticket.expose(), Some(lifetime)) else {
                    return Respond::new(Reason::Internal, Disposition::Internal);
                };
                go_on(origin, &target, Reason::SignedIn).with_cookie(cookie)
            }
            CallbackOutcome::NotFresh { target, attempts } => {
                self.resume_or_restart(origin, request, target, attempts).await
            }
            CallbackOutcome::Failed { reason, target } => failed_login(origin, request, reason, target.as_ref()),
        }
    }

    /// A state of ours that is old, spent or another browser's: nobody is signed in by it. Whoever is signed in goes on;
    /// whoever is not starts again.
    async fn resume_or_restart(
        &self,
        origin: &Origin,
        request: &Request,
        target: ReturnTarget,
        attempts: u8,
    ) -> Respond {
        if self.live_session(origin, request).await.is_some() {
            return go_on(origin, &target, Reason::LoginResumed);
        }
        if attempts >= MAX_RESTARTS {
            return failed_login(origin, request, Reason::LoginLoop, Some(&target));
        }
        self.begin(origin, request, target, attempts + 1, Reason::LoginRestarted).await
    }
}

/// The refusal, as a page with a link that tries again.
fn failed_login(origin: &Origin, request: &Request, reason: Reason, target: Option<&ReturnTarget>) -> Respond {
    let root = ReturnTarget::root();
    let refusal = failed(reason);
    let page = crate::pages::problem(&crate::pages::Problem {
        request_id: Some(request.request_id().as_str()),
        retry_after: refusal.retry_after,
        try_again: origin.login_url(target.unwrap_or(&root)).ok().as_ref(),
        ..crate::pages::Problem::new(refusal.disposition, reason)
    });
    Respond { body: crate::decision::Body::Page(page), ..refusal }
}

fn go_on(origin: &Origin, target: &ReturnTarget, reason: Reason) -> Respond {
    match on_origin(origin, target.as_str()) {
        Some(location) => Respond::redirect(reason, Disposition::SeeOther, location),
        None => Respond::new(Reason::Internal, Disposition::Internal),
    }
}
