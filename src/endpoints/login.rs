//! The way to sign in.

use super::{
    common::{Endpoints, back_here, back_where_asked, refuse_other_than_get},
    service_worker::may_be_a_navigation,
};
use crate::{
    decision::{Refusal, Respond},
    oidc::{ACR_VALUES, LoginAsk, LoginError, MAX_AGE},
    origin::Origin,
    pages,
    reason::Reason,
    visit::Visit,
};

impl Endpoints {
    /// Sends a browser to sign in, as is asked for, and come back to where it wants to go.
    pub async fn start_login(&self, origin: &Origin, visit: &Visit<'_>, ask: LoginAsk) -> Respond {
        self.begin(origin, visit, back_here(origin, visit), 0, Reason::LoginStarted, ask).await
    }

    /// Why [`Endpoints::start_login`] would begin no sign-in now; none where it would.
    pub async fn login_refusal(&self, origin: &Origin) -> Option<Reason> {
        self.oidc.sign_in.can_begin(&origin.login).await.err().map(|LoginError { reason }| reason)
    }

    /// What a navigation inside a frame gets: sign-in must leave the frame.
    pub fn sign_in_in_frame(&self, origin: &Origin, visit: &Visit<'_>, reason: Reason, ask: &LoginAsk) -> Respond {
        match origin.login_url_asking(back_here(origin, visit).as_str(), &ask.link_parameters()) {
            Ok(location) => Respond::page(Refusal::unauthenticated(reason), pages::sign_in_in_frame(&location)),
            Err(_) => Respond::new(Reason::Internal),
        }
    }

    /// `GET login?return=…`: for links of pages and applications. With `max_age` and `acr_values`, as a challenge names them
    /// (RFC 9470 section 3), the person signs in so; what comes of it the rule of the target judges.
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
        let query = visit.request().query();
        let parameter = |name| query.parameter(name).ok().flatten();
        let ask = LoginAsk::of_link(parameter(MAX_AGE).as_deref(), parameter(ACR_VALUES).as_deref());
        self.begin(origin, visit, target, 0, Reason::LoginStarted, ask).await
    }
}
