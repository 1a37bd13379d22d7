//! Our own endpoints, answered from the check itself, so that the gateway needs no route for them.
//!
//! They live below a prefix on each origin (`/portcullis/` unless configured), by exact path and method; anything else
//! below the prefix is our 404.

mod callback;
mod front_channel;
mod logout;
mod origin;
mod own_sessions;
mod whoami;

use std::{collections::HashMap, sync::Arc};

pub use origin::{Endpoint, Origin};

use crate::{
    clock::{SharedClock, Timestamp},
    decision::{Disposition, HeaderText, Location, RETRY_AFTER, Respond},
    oidc::{LoginError, LoginStart, Oidc, ReturnTarget},
    pages,
    reason::Reason,
    request::{Kind, Provenance, Request},
    session::{OpenError, Session, Sessions},
};

/// What answers at our own addresses.
#[derive(Debug)]
pub struct Endpoints {
    origins: HashMap<String, Arc<Origin>>,
    oidc: Oidc,
    sessions: Arc<Sessions>,
    clock: SharedClock,
}

/// Where a request of ours goes.
#[derive(Debug)]
pub struct Addressed {
    origin: Arc<Origin>,
    endpoint: Endpoint,
}

impl Addressed {
    /// Whether the answer depends on who is signed in, so that there is none while that cannot be told.
    #[must_use]
    pub fn needs_session(&self) -> bool {
        matches!(self.endpoint, Endpoint::WhoAmI | Endpoint::Sessions)
    }
}

impl Endpoints {
    /// The endpoints of these origins.
    #[must_use]
    pub fn new(
        origins: impl IntoIterator<Item = Origin>,
        oidc: Oidc,
        sessions: Arc<Sessions>,
        clock: SharedClock,
    ) -> Self {
        let origins = origins.into_iter().map(|origin| (origin.host.clone(), Arc::new(origin))).collect();
        Self { origins, oidc, sessions, clock }
    }

    /// The origin that a request is for, where its host has one.
    #[must_use]
    pub fn origin(&self, request: &Request) -> Option<&Arc<Origin>> {
        self.origins.get(request.host().name())
    }

    /// Whether the request is for us.
    #[must_use]
    pub fn addressed(&self, request: &Request) -> Option<Addressed> {
        let origin = self.origin(request)?;
        let endpoint = origin.endpoint(request.path())?;
        Some(Addressed { origin: Arc::clone(origin), endpoint })
    }

    /// Answers a request that is for us. `session` is the caller's, where the cookie opened one.
    pub async fn answer(&self, addressed: &Addressed, request: &Request, session: Option<&Arc<Session>>) -> Respond {
        let origin = &addressed.origin;
        match addressed.endpoint {
            Endpoint::Login => self.login(origin, request).await,
            Endpoint::Callback => self.callback(origin, request).await,
            Endpoint::Logout => self.logout(origin, request, session).await,
            Endpoint::FrontChannelLogout => self.front_channel_logout(origin, request).await,
            Endpoint::SignedOut => get(request, || self.signed_out(origin, request)),
            Endpoint::Sessions => self.own_sessions(origin, request, session).await,
            Endpoint::WhoAmI => self.who_am_i(origin, request, session).await,
            Endpoint::Nothing => Respond::new(Reason::NotFound, Disposition::NotFound),
        }
    }

    /// Sends a browser to sign in and come back to where it wants to go.
    pub async fn start_login(&self, origin: &Origin, request: &Request) -> Respond {
        let target = ReturnTarget::parse(&request.target(), |path| origin.owns(path));
        self.begin(origin, request, target, 0, Reason::LoginStarted).await
    }

    /// What a navigation inside a frame gets: sign-in must leave the frame.
    pub fn sign_in_in_frame(&self, origin: &Origin, request: &Request, reason: Reason) -> Respond {
        let target = ReturnTarget::parse(&request.target(), |path| origin.owns(path));
        match origin.login_url(&target) {
            Ok(location) => {
                let page = pages::sign_in_in_frame(&location);
                Respond { challenge: Some(challenge(reason)), ..Respond::page(reason, Disposition::Unauthorized, page) }
            }
            Err(_) => Respond::new(Reason::Internal, Disposition::Internal),
        }
    }

    /// `GET login?return=…`: for links of pages and applications.
    async fn login(&self, origin: &Origin, request: &Request) -> Respond {
        if let Some(refusal) = refuse_other_than_get(request) {
            return refusal;
        }
        if request.kind() != Kind::Navigation {
            return Respond::new(Reason::NotANavigation, Disposition::BadRequest);
        }
        let wanted = request.query().parameter(origin::RETURN_PARAMETER).ok().flatten();
        let target = ReturnTarget::parse(wanted.as_deref().unwrap_or("/"), |path| origin.owns(path));
        self.begin(origin, request, target, 0, Reason::LoginStarted).await
    }

    async fn begin(
        &self,
        origin: &Origin,
        request: &Request,
        target: ReturnTarget,
        attempts: u8,
        reason: Reason,
    ) -> Respond {
        let cookies = request.cookies();
        let login_cookies: Vec<&str> = cookies.values(&origin.login.login_cookie).collect();
        match self.oidc.sign_in.begin(&origin.login, target, &login_cookies, attempts).await {
            Ok(LoginStart { location, set_cookie }) => {
                let redirect = Respond::redirect(reason, Disposition::Found, location);
                Respond { set_cookie, ..redirect }
            }
            Err(LoginError { reason }) => failed(reason),
        }
    }

    /// The session of the browser that asks, where its one cookie opens one.
    ///
    /// An error means that nobody can tell.
    async fn live_session(&self, origin: &Origin, request: &Request) -> Result<Option<Arc<Session>>, OpenError> {
        let cookies = request.cookies();
        let mut tickets = cookies.values(&origin.session_cookie);
        let (Some(ticket), None) = (tickets.next(), tickets.next()) else { return Ok(None) };
        let Some(registration) = self.oidc.providers.registration(&origin.login.provider) else { return Ok(None) };
        match self.sessions.open(ticket, &origin.login.url, registration).await {
            Ok(session) => Ok(Some(session)),
            Err(OpenError::NotOurs | OpenError::Ended) => Ok(None),
            Err(unavailable) => Err(unavailable),
        }
    }
}

fn get(request: &Request, answer: impl FnOnce() -> Respond) -> Respond {
    refuse_other_than_get(request).unwrap_or_else(answer)
}

fn refuse_other_than_get(request: &Request) -> Option<Respond> {
    if matches!(request.method(), "GET" | "HEAD") {
        return None;
    }
    let refusal = Respond::new(Reason::MethodNotAllowed, Disposition::MethodNotAllowed);
    Some(Respond { allow_methods: Some(HeaderText::from_static("GET, HEAD")), ..refusal })
}

/// The challenge of a 401 (RFC 6750 section 3).
#[must_use]
pub fn challenge(reason: Reason) -> HeaderText {
    match reason {
        Reason::NotSignedIn | Reason::SessionEnded | Reason::TicketInvalid | Reason::CrossOrigin => {
            HeaderText::from_static("Bearer realm=\"portcullis\"")
        }
        _ => HeaderText::from_static("Bearer realm=\"portcullis\", error=\"invalid_token\""),
    }
}

/// The answer to a sign-in that came to nothing.
pub fn failed(reason: Reason) -> Respond {
    let disposition = match reason {
        Reason::StateInvalid | Reason::LoginLoop => Disposition::BadRequest,
        Reason::TooManyLogins => Disposition::TooManyRequests,
        Reason::ProviderUnavailable | Reason::StoreUnavailable | Reason::ProviderAnswerInvalid => {
            Disposition::Unavailable
        }
        Reason::Internal => Disposition::Internal,
        _ => Disposition::Forbidden,
    };
    let respond = Respond::new(reason, disposition);
    match disposition {
        Disposition::TooManyRequests | Disposition::Unavailable => respond.with_retry_after(RETRY_AFTER),
        _ => respond,
    }
}

/// Whether a page of this very host asks: the caller's own word for what changes something.
fn is_same_origin(origin: &Origin, request: &Request) -> bool {
    request.provenance(Some(&origin.login.url), &[]) == Provenance::SameOrigin
        && request.headers().single("sec-fetch-site") != Some("none")
}

/// A moment as people read it, to the minute, in UTC.
fn for_people(moment: Timestamp) -> String {
    let text = humantime::format_rfc3339_seconds(moment.to_system_time()).to_string();
    text.get(..16).map_or(text.clone(), |minutes| format!("{} UTC", minutes.replace('T', " ")))
}

/// A place on an origin of ours.
fn on_origin(origin: &Origin, path: &str) -> Option<Location> {
    Location::on_origin(&origin.login.url, path).ok()
}

#[cfg(test)]
mod tests;
