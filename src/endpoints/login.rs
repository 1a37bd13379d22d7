//! The way to sign in.

use super::{
    common::{Endpoints, refuse_other_than_get},
    service_worker::may_be_passed_on,
};
use crate::{
    decision::{Refusal, Respond},
    oidc::ReturnTarget,
    origin::{Origin, RETURN_PARAMETER},
    pages,
    reason::Reason,
    visit::Visit,
};

impl Endpoints {
    /// Sends a browser to sign in and come back to where it wants to go.
    pub async fn start_login(&self, origin: &Origin, visit: &Visit<'_>) -> Respond {
        let target = ReturnTarget::parse(visit.request().target(), |path| origin.owns(path));
        self.begin(origin, visit, target, 0, Reason::LoginStarted).await
    }

    /// What a navigation inside a frame gets: sign-in must leave the frame.
    pub fn sign_in_in_frame(&self, origin: &Origin, visit: &Visit<'_>, reason: Reason) -> Respond {
        let target = ReturnTarget::parse(visit.request().target(), |path| origin.owns(path));
        match origin.login_url(target.as_str()) {
            Ok(location) => Respond::page(Refusal::unauthenticated(reason), pages::sign_in_in_frame(&location)),
            Err(_) => Respond::new(Reason::Internal),
        }
    }

    /// `GET login?return=…`: for links of pages and applications.
    pub(super) async fn login(&self, origin: &Origin, visit: &Visit<'_>) -> Respond {
        if let Some(refusal) = refuse_other_than_get(visit) {
            return refusal;
        }
        if !visit.kind().follows_redirects() && !may_be_passed_on(visit) {
            return Respond::new(Reason::NotANavigation);
        }
        let wanted = visit.request().query().parameter(RETURN_PARAMETER).ok().flatten();
        let target = ReturnTarget::parse(wanted.as_deref().unwrap_or("/"), |path| origin.owns(path));
        if !visit.kind().follows_redirects() {
            return self.way_out(origin, visit, &target);
        }
        self.begin(origin, visit, target, 0, Reason::LoginStarted).await
    }
}
