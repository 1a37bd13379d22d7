//! Where the provider sends browsers back to.

use std::net::IpAddr;

use super::{
    common::{Endpoints, failed_sign_in, login_cookies, on_origin, refuse_other_than_get},
    service_worker::may_be_a_navigation,
};
use crate::{
    authn::BrowserSession,
    authz::LoginRequirement,
    decision::{Respond, SetCookie},
    oidc::{CallbackOutcome, CallbackRequest, LoginAsk, ReturnTarget},
    origin::Origin,
    pages::{self, Problem},
    reason::Reason,
    session::Session,
    visit::Visit,
};

/// How often a login that could not be completed starts again by itself.
const MAX_RESTARTS: u8 = 2;

impl Endpoints {
    /// Completes a login. Only a top-level navigation may, or what could be one that a service worker passes on: another
    /// site's script, a frame or a prerender spends nothing.
    pub(super) async fn callback(&self, origin: &Origin, visit: &Visit<'_>, browser: &BrowserSession) -> Respond {
        if let Some(refusal) = refuse_other_than_get(visit) {
            return refusal;
        }
        if !may_be_a_navigation(visit) {
            return Respond::new(Reason::NotANavigation);
        }
        let request = visit.request();
        let outcome = self
            .oidc
            .sign_in
            .callback(CallbackRequest {
                origin: &origin.login,
                query: request.query().raw().unwrap_or_default(),
                login_cookies: &login_cookies(origin, visit),
                previous_ticket: visit.session_cookie().ticket(),
                source: request.source().and_then(|source| source.parse::<IpAddr>().ok()),
            })
            .await;
        match outcome {
            CallbackOutcome::SignedIn { ticket, target, session } => {
                let lifetime = session.expires_at().since(self.clock.now());
                let Ok(cookie) = SetCookie::new(&origin.session_cookie, ticket.expose(), Some(lifetime)) else {
                    return Respond::new(Reason::Internal);
                };
                let answer = go_on(origin, &target, Reason::SignedIn).with_cookie(cookie);
                self.lead_on(origin, visit, &target, answer)
            }
            CallbackOutcome::StaleState { target, attempts, required } => {
                let goes_on = (target.clone(), required.as_ref());
                let answer = self.resume_or_restart(origin, visit, browser, goes_on, attempts).await;
                self.lead_on(origin, visit, &target, answer)
            }
            CallbackOutcome::Failed { reason, target } => {
                // A sign-in that came so far has ended the session before it.
                let has_ended = reason == Reason::SessionEnded || reason == Reason::StoreUnavailable;
                let who = if has_ended { None } else { browser.userid() };
                failed_login(origin, visit, who, reason, target.as_ref())
            }
        }
    }

    /// A state of ours that is old, spent or another browser's: nobody is signed in by it. Whoever is signed in goes on;
    /// whoever is not starts again, and so does whoever was sent for a better login and has it not: to go on would lead there
    /// and back without an end.
    async fn resume_or_restart(
        &self,
        origin: &Origin,
        visit: &Visit<'_>,
        browser: &BrowserSession,
        (target, required): (ReturnTarget, Option<&LoginRequirement>),
        attempts: u8,
    ) -> Respond {
        let is_enough = |session: &Session| {
            required.is_none_or(|required| required.lacking(session.login(), self.clock.now()).is_none())
        };
        match browser {
            BrowserSession::SignedIn(session) if is_enough(session) => go_on(origin, &target, Reason::LoginResumed),
            // To start again would send the browser round in circles while the store is down.
            BrowserSession::Unknown(refusal) => failed_login(origin, visit, None, refusal.reason(), Some(&target)),
            BrowserSession::SignedIn(_) | BrowserSession::Nobody if attempts >= MAX_RESTARTS => {
                failed_login(origin, visit, browser.userid(), Reason::LoginLoop, Some(&target))
            }
            BrowserSession::SignedIn(_) | BrowserSession::Nobody => {
                let ask = required.map_or_else(LoginAsk::nothing, LoginAsk::once_more);
                self.begin(origin, visit, target, attempts + 1, Reason::LoginRestarted, ask).await
            }
        }
    }
}

/// The refusal, as a page that says who is signed in all the same, with a link that tries again.
fn failed_login(
    origin: &Origin,
    visit: &Visit<'_>,
    who: Option<&str>,
    reason: Reason,
    target: Option<&ReturnTarget>,
) -> Respond {
    let refusal = failed_sign_in(reason);
    let (try_again, another) = (origin.login_url(target.map_or("/", ReturnTarget::as_str)), origin.logout_url());
    let page = pages::problem(&Problem {
        request_id: Some(visit.request().request_id().as_str()),
        signed_in_as: who,
        retry_after: refusal.retry_after(),
        try_again: try_again.ok().as_ref(),
        use_another_account: another.ok().filter(|_| who.is_some()).as_ref(),
        ..Problem::new(refusal.disposition(), reason)
    });
    Respond::page(refusal, page)
}

fn go_on(origin: &Origin, target: &ReturnTarget, reason: Reason) -> Respond {
    match on_origin(origin, target.as_str()) {
        Some(location) => Respond::redirect(reason, location),
        None => Respond::new(Reason::Internal),
    }
}
