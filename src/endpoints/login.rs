//! The way to sign in.

use super::{
    common::{Endpoints, back_here, back_where_asked, refuse_other_than_get},
    service_worker::may_be_a_navigation,
};
use crate::{
    decision::{Refusal, Respond},
    oidc::LoginError,
    origin::Origin,
    pages,
    reason::Reason,
    visit::Visit,
};

impl Endpoints {
    /// Sends a browser to sign in and come back to where it wants to go.
    pub async fn start_login(&self, origin: &Origin, visit: &Visit<'_>) -> Respond {
        self.begin(origin, visit, back_here(origin, visit), 0, Reason::LoginStarted).await
    }

    /// Why [`Endpoints::start_login`] would begin no sign-in now; none where it would.
    pub async fn login_refusal(&self, origin: &Origin) -> Option<Reason> {
        self.oidc.sign_in.can_begin(&origin.login).await.err().map(|LoginError { reason }| reason)
    }

    /// What a navigation inside a frame gets: sign-in must leave the frame.
    pub fn sign_in_in_frame(&self, origin: &Origin, visit: &Visit<'_>, reason: Reason) -> Respond {
        match origin.login_url(back_here(origin, visit).as_str()) {
            Ok(location) => Respond::page(Refusal::unauthenticated(reason), pages::sign_in_in_frame(&location)),
            Err(_) => Respond::new(Reason::Internal),
        }
    }

    /// `GET login?return=…`: for links of pages and applications.
    pub(super) async fn login(&self, origin: &Origin, visit: &Visit<'_>) -> Respond {
        if let Some(refusal) = refuse_other_than_get(visit) {
            return refusal;
        }
        if !may_be_a_navigation(visit) {
            return Respond::new(Reason::NotANavigation);
        }
        let target = back_where_asked(origin, visit);
        if !visit.kind().follows_redirects() {
            return self.way_out(origin, visit, &target);
        }
        self.begin(origin, visit, target, 0, Reason::LoginStarted).await
    }
}
