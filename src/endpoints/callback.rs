//! Where the provider sends browsers back to.

use std::net::IpAddr;

use super::{Endpoints, Origin, failed, on_origin, refuse_other_than_get};
use crate::{
    decision::{Body, Disposition, Respond, SetCookie},
    oidc::{CallbackOutcome, CallbackRequest, ReturnTarget},
    pages::{self, Problem},
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
            .oidc
            .sign_in
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
            CallbackOutcome::StaleState { target, attempts } => {
                self.resume_or_restart(origin, request, target, attempts).await
            }
            CallbackOutcome::Failed { reason, target } => {
                self.failed_login(origin, request, reason, target.as_ref()).await
            }
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
        match self.live_session(origin, request).await {
            Ok(Some(_)) => return go_on(origin, &target, Reason::LoginResumed),
            Ok(None) => {}
            // To start again would send the browser round in circles while the store is down.
            Err(_) => return self.failed_login(origin, request, Reason::StoreUnavailable, Some(&target)).await,
        }
        if attempts >= MAX_RESTARTS {
            return self.failed_login(origin, request, Reason::LoginLoop, Some(&target)).await;
        }
        self.begin(origin, request, target, attempts + 1, Reason::LoginRestarted).await
    }

    /// The refusal, as a page that says who is signed in all the same, with a link that tries again.
    async fn failed_login(
        &self,
        origin: &Origin,
        request: &Request,
        reason: Reason,
        target: Option<&ReturnTarget>,
    ) -> Respond {
        let refusal = failed(reason);
        let session = self.live_session(origin, request).await.ok().flatten();
        let (try_again, another) = (origin.login_url(target.unwrap_or(&ReturnTarget::root())), origin.logout_url());
        let page = pages::problem(&Problem {
            request_id: Some(request.request_id().as_str()),
            signed_in_as: session.as_ref().map(|session| session.user().userid.as_str()),
            retry_after: refusal.retry_after,
            try_again: try_again.ok().as_ref(),
            use_another_account: another.ok().filter(|_| session.is_some()).as_ref(),
            ..Problem::new(refusal.disposition, reason)
        });
        Respond { body: Body::Page(page), ..refusal }
    }
}

fn go_on(origin: &Origin, target: &ReturnTarget, reason: Reason) -> Respond {
    match on_origin(origin, target.as_str()) {
        Some(location) => Respond::redirect(reason, Disposition::SeeOther, location),
        None => Respond::new(Reason::Internal, Disposition::Internal),
    }
}
