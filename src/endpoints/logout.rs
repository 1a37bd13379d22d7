//! Logout: the session is gone before the answer, which then leads through the provider's logout, where there is one.

use std::{collections::HashSet, sync::Arc};

use super::common::{Endpoints, is_same_origin, on_origin};
use crate::{
    authn::BrowserSession,
    decision::{Location, Refusal, Respond, SetCookie},
    origin::Origin,
    pages::{self, LogoutForm},
    panics::passed_on,
    reason::{Disposition, Reason},
    request::Kind,
    session::Tokens,
    store::StoreError,
    visit::Visit,
};

/// The parameter of the signed-out address that leads on to the provider.
const CONTINUE_PARAMETER: &str = "continue";
/// The parameter with which the provider sends browsers back (OpenID Connect RP-Initiated Logout 1.0 section 3).
const STATE_PARAMETER: &str = "state";
/// How many sessions one sign-out ends at most. A browser keeps one cookie of our name: a second one was planted.
const MAX_SESSIONS: usize = 4;

impl Endpoints {
    /// `POST` from a page of this origin ends the session; so does `GET` from a link on one. Any other `GET` gets a page
    /// with a button, any other `POST` is refused: a sibling host must not be able to sign people out.
    pub(super) async fn logout(&self, origin: &Origin, visit: &Visit<'_>, browser: &BrowserSession) -> Respond {
        let request = visit.request();
        match request.method() {
            "POST" if is_same_origin(visit) => self.end(origin, visit).await,
            "POST" => Respond::new(Reason::CrossOrigin),
            "GET" if is_own_link(visit) => self.end(origin, visit).await,
            "GET" | "HEAD" => self.ask(origin, browser.userid()),
            _ => Respond::method_not_allowed("GET, HEAD, POST"),
        }
    }

    /// The page after a logout. A browser that a script sends here goes on to the provider first; one that comes back
    /// from there goes on to where the configuration wants it.
    pub(super) fn signed_out(&self, origin: &Origin, visit: &Visit<'_>) -> Respond {
        let query = visit.request().query();
        let parameter = |name| query.parameter(name).ok().flatten();
        let logout = &self.oidc.rp_initiated_logout;
        if visit.kind().follows_redirects() {
            let suspended = parameter(CONTINUE_PARAMETER);
            let provider = suspended.and_then(|parameter| logout.resumed_logout(&origin.login, &parameter));
            if let Some(location) = provider {
                return Respond::redirect(Reason::SignedOut, location);
            }
        }
        let state = parameter(STATE_PARAMETER);
        let is_back = logout.is_back_from_logout(&origin.login, state.as_deref());
        let goes_on = origin.after_logout.as_str() != origin.login.post_logout_redirect_uri.as_str();
        if visit.kind().follows_redirects() && is_back && goes_on {
            return Respond::redirect(Reason::SignedOut, origin.after_logout.clone());
        }
        match origin.login_url("/") {
            Ok(sign_in) => {
                // A state of ours that the provider brings back says that the browser was there. Without one, nobody knows.
                let was_there = state.is_some() && is_back;
                Respond::page(Reason::Page, pages::signed_out(&sign_in, !was_there))
            }
            Err(_) => Respond::new(Reason::Internal),
        }
    }

    async fn end(&self, origin: &Origin, visit: &Visit<'_>) -> Respond {
        let cookies = visit.request().cookies();
        let mut tickets = self.tickets(cookies.values(&origin.session_cookie));
        let first: Vec<String> = tickets.by_ref().take(MAX_SESSIONS).map(str::to_owned).collect();
        let more = tickets.next().is_some();
        let Ok(tokens) = self.end_all(origin, first).await else {
            return Respond::new(Reason::StoreUnavailable);
        };
        let answer = if more {
            // Not "signed out": the session that was meant may be one of those that live on.
            Refusal::new(Reason::TicketInvalid).instead(Disposition::BadRequest).into()
        } else if is_top_level(visit) {
            let location = self
                .oidc
                .rp_initiated_logout
                .end_session_url(&origin.login, tokens.as_ref().map(|tokens| &tokens.id_token));
            let location = location.unwrap_or_else(|| origin.after_logout.clone());
            Respond::redirect(Reason::SignedOut, location)
        } else {
            let location = self.address_for_script(origin, tokens.as_ref());
            let body = serde_json::json!({ "afterLogoutURL": location.as_str() }).to_string();
            Respond::json(Refusal::new(Reason::SignedOut).instead(Disposition::Created), body)
        };
        match SetCookie::deletion(&origin.session_cookie) {
            Ok(cookie) => answer.with_cookie(cookie),
            Err(_) => answer,
        }
    }

    /// Where a script takes its page. It is an address of ours that leads on: scripts of every owner on this origin
    /// could read a hint.
    fn address_for_script(&self, origin: &Origin, tokens: Option<&Tokens>) -> Location {
        let suspended =
            self.oidc.rp_initiated_logout.suspended_logout(&origin.login, tokens.map(|tokens| &tokens.id_token));
        let through_provider = suspended.and_then(|parameter| {
            let mut url = origin.login.post_logout_redirect_uri.clone();
            url.query_pairs_mut().append_pair(CONTINUE_PARAMETER, &parameter);
            Location::new(&url).ok()
        });
        through_provider.unwrap_or_else(|| origin.after_logout.clone())
    }

    /// Those of a request's cookies that are tickets of ours, each once: one that is said a hundred times is one, and
    /// one that was made up costs a MAC and no call to the store.
    fn tickets<'a>(&self, values: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
        let mut seen = HashSet::new();
        values.filter(move |value| seen.insert(*value)).filter(|value| self.sessions.made(value))
    }

    /// Ends the sessions of these tickets, whatever becomes of the caller: a gateway that gives up must not leave a
    /// session behind. What the provider issued is revoked, and returned for the first of them.
    async fn end_all(&self, origin: &Origin, tickets: Vec<String>) -> Result<Option<Tokens>, StoreError> {
        let (sessions, revocation) = (Arc::clone(&self.sessions), self.oidc.token_revocation.clone());
        let provider = origin.login.provider.clone();
        let (url, registration) =
            (origin.login.url.clone(), self.oidc.providers.registration(&origin.login.provider).cloned());
        let ended = tokio::spawn(async move {
            let mut first = None;
            for ticket in tickets {
                // A session whose tokens cannot be read ends all the same.
                let tokens = match &registration {
                    Some(registration) => sessions.tokens(&ticket, &url, registration).await.ok(),
                    None => None,
                };
                sessions.end(&ticket).await?;
                if let Some(tokens) = tokens {
                    revocation.revoke(&provider, &tokens);
                    first.get_or_insert(tokens);
                }
            }
            Ok(first)
        });
        passed_on(ended.await).unwrap_or_else(|cancelled| Err(StoreError::Unavailable(cancelled.to_string())))
    }

    fn ask(&self, origin: &Origin, who: Option<&str>) -> Respond {
        let (Ok(action), Some(stay)) = (origin.logout_url(), on_origin(origin, "/")) else {
            return Respond::new(Reason::Internal);
        };
        let through = self.oidc.rp_initiated_logout.end_session_endpoint(&origin.login);
        let form = LogoutForm { action: &action, leads_to: Some(&origin.after_logout), through: through.as_ref() };
        Respond::page(Reason::Page, pages::confirm_logout(form, who, &stay))
    }
}

/// Whether a link of a page of ours was followed. What a service worker passes on looks like it, whosever the link was, but
/// for the destination.
fn is_own_link(visit: &Visit<'_>) -> bool {
    let headers = visit.request().headers();
    visit.kind() == Kind::Navigation
        && headers.single("sec-fetch-site") == Some("same-origin")
        && headers.single("sec-fetch-dest") == Some("document")
}

/// Whether a browser shows what we answer: by Fetch Metadata, or by what it accepts where it sends none.
fn is_top_level(visit: &Visit<'_>) -> bool {
    visit.kind().follows_redirects() || visit.kind() == Kind::Submission
}
