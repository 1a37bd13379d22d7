//! What our endpoints share.

use std::sync::Arc;

use crate::{
    clock::{SharedClock, Timestamp},
    decision::{Location, Refusal, Respond},
    oidc::{LoginAsk, LoginError, LoginStart, Oidc, ReturnTarget},
    origin::{FORMER_RETURN_PARAMETER, Origin, RETURN_PARAMETER},
    reason::{Disposition, Reason},
    request::Provenance,
    session::Sessions,
    visit::Visit,
};

/// What answers at our own addresses.
#[derive(Debug)]
pub struct Endpoints {
    pub(super) oidc: Oidc,
    pub(super) sessions: Arc<Sessions>,
    pub(super) clock: SharedClock,
}

impl Endpoints {
    /// The endpoints of all origins.
    #[must_use]
    pub const fn new(oidc: Oidc, sessions: Arc<Sessions>, clock: SharedClock) -> Self {
        Self { oidc, sessions, clock }
    }

    /// Sends a browser to its provider, which is asked for more. `attempts` counts how often this sign-in was started before.
    pub(super) async fn begin(
        &self,
        origin: &Origin,
        visit: &Visit<'_>,
        target: ReturnTarget,
        attempts: u8,
        reason: Reason,
        ask: LoginAsk,
    ) -> Respond {
        match self.oidc.sign_in.begin(&origin.login, target, &login_cookies(origin, visit), attempts, ask).await {
            Ok(LoginStart { location, set_cookie }) => Respond { set_cookie, ..Respond::redirect(reason, location) },
            Err(LoginError { reason }) => failed_sign_in(reason).into(),
        }
    }
}

/// The browser's login cookies. Two of them mean that none is to be believed.
pub(super) fn login_cookies<'a>(origin: &'a Origin, visit: &'a Visit<'_>) -> Vec<&'a str> {
    visit.request().cookies().values(&origin.login.login_cookie).collect()
}

/// Back to what was asked for.
pub(super) fn back_here(origin: &Origin, visit: &Visit<'_>) -> ReturnTarget {
    ReturnTarget::parse(visit.request().target(), |path| origin.owns(path))
}

/// Back to where the query says: by our own parameter, else by the one that links of before have, whole or not.
pub(super) fn back_where_asked(origin: &Origin, visit: &Visit<'_>) -> ReturnTarget {
    let query = visit.request().query();
    let mut names = [RETURN_PARAMETER, FORMER_RETURN_PARAMETER].into_iter();
    let asked = names.find_map(|name| query.parameter(name).ok().flatten()).unwrap_or_else(|| "/".to_owned());
    let here = asked.strip_prefix(origin.login.url.as_str()).filter(|rest| rest.starts_with('/'));
    ReturnTarget::parse(here.unwrap_or(&asked), |path| origin.owns(path))
}

pub(super) fn get(visit: &Visit<'_>, answer: impl FnOnce() -> Respond) -> Respond {
    refuse_other_than_get(visit).unwrap_or_else(answer)
}

pub(super) fn refuse_other_than_get(visit: &Visit<'_>) -> Option<Respond> {
    let is_get = matches!(visit.request().method(), "GET" | "HEAD");
    (!is_get).then(|| Respond::method_not_allowed("GET, HEAD"))
}

/// A sign-in that came to nothing. One whose person was signed out meanwhile is no request without a credential.
pub(super) fn failed_sign_in(reason: Reason) -> Refusal {
    Refusal::new(reason).instead(Disposition::Forbidden)
}

/// Whether a page of this very host asks: the caller's own word for what changes something.
pub(super) fn is_same_origin(visit: &Visit<'_>) -> bool {
    visit.provenance(&[]) == Provenance::SameOrigin
        && visit.request().headers().single("sec-fetch-site") != Some("none")
}

/// A moment as people read it, to the minute, in UTC.
pub(super) fn for_people(moment: Timestamp) -> String {
    let text = humantime::format_rfc3339_seconds(moment.to_system_time()).to_string();
    text.get(..16).map_or(text.clone(), |minutes| format!("{} UTC", minutes.replace('T', " ")))
}

/// A place on an origin of ours.
pub(super) fn on_origin(origin: &Origin, path: &str) -> Option<Location> {
    Location::on_origin(&origin.login.url, path).ok()
}
