//! Service workers that stand between a browser and us: they pass navigations on as requests of their own, whose answers
//! cannot always lead the browser to sign in.

use super::common::{Endpoints, back_here, back_where_asked, login_cookies, refuse_other_than_get};
use crate::{
    decision::{Location, LocationError, Refusal, Respond},
    oidc::{LoginAsk, ReturnTarget},
    origin::{Origin, TOKEN_PARAMETER},
    pages,
    reason::{Disposition, Reason},
    request::Kind,
    visit::Visit,
};

/// The form that clears what the browser keeps for the origin.
const CLEAR: &str = "clear-site-data";

/// Whether this is a navigation, or what a service worker of this very origin may have made of one.
pub(super) fn may_be_a_navigation(visit: &Visit<'_>) -> bool {
    let by_script = matches!(visit.kind(), Kind::FetchedPage | Kind::Script);
    visit.kind().follows_redirects() || (by_script && is_of_this_origin(visit))
}

/// By the browser's own word.
fn is_of_this_origin(visit: &Visit<'_>) -> bool {
    visit.request().headers().single("sec-fetch-site") == Some("same-origin")
}

impl Endpoints {
    /// What a page that a service worker asked for gets: sign-in must leave the worker.
    pub fn sign_in_behind_worker(&self, origin: &Origin, visit: &Visit<'_>, reason: Reason, ask: &LoginAsk) -> Respond {
        let target = back_here(origin, visit);
        let sign_in = origin.login_url_asking(target.as_str(), &ask.link_parameters());
        match (sign_in, origin.service_worker_url(target.as_str(), None)) {
            (Ok(sign_in), Ok(way_out)) => {
                Respond::page(Refusal::unauthenticated(reason), pages::sign_in_behind_worker(&sign_in, &way_out))
            }
            _ => Respond::new(Reason::Internal),
        }
    }

    /// `GET service-worker?return=…` asks; the button's address, with the form's token, has the browser forget what it
    /// keeps for this origin, its service workers among it (Clear Site Data, section 3.1). The button is a link, since
    /// some workers make a GET of everything; its token is good in this browser alone, since a worker hides whose page
    /// asks.
    pub(super) fn service_worker(&self, origin: &Origin, visit: &Visit<'_>) -> Respond {
        if let Some(refusal) = refuse_other_than_get(visit) {
            return refusal;
        }
        if matches!(visit.kind(), Kind::Prefetch | Kind::FramedNavigation) {
            return Respond::new(Reason::NotANavigation);
        }
        let target = back_where_asked(origin, visit);
        let login_cookies = login_cookies(origin, visit);
        let is_form = |token: &str| self.oidc.browser_forms.is_form(&origin.login, &login_cookies, CLEAR, token);
        let token = visit.request().query().parameter(TOKEN_PARAMETER).ok().flatten();
        if is_of_this_origin(visit) && token.is_some_and(|token| is_form(&token)) {
            return match origin.login_url(target.as_str()) {
                Ok(sign_in) => {
                    let page = Respond::page(Reason::Page, pages::site_data_cleared(&sign_in));
                    Respond { clear_site_data: true, ..page }
                }
                Err(_) => Respond::new(Reason::Internal),
            };
        }
        self.way_out(origin, visit, &target)
    }

    /// The page that asks whether to clear what stands between.
    pub(super) fn way_out(&self, origin: &Origin, visit: &Visit<'_>, target: &ReturnTarget) -> Respond {
        let Ok(form) = self.oidc.browser_forms.form(&origin.login, &login_cookies(origin, visit), CLEAR) else {
            return Respond::new(Reason::Internal);
        };
        let places = || -> Result<(Location, Location), LocationError> {
            Ok((origin.service_worker_url(target.as_str(), Some(&form.token))?, origin.login_url(target.as_str())?))
        };
        match places() {
            Ok((clear, sign_in)) => {
                let page = Respond::page(Reason::Page, pages::service_worker_between(&clear, &sign_in));
                Respond { set_cookie: form.set_cookie, ..page }
            }
            Err(_) => Respond::new(Reason::Internal),
        }
    }

    /// A redirect as it leads the browser on: one that a service worker would follow itself is a page with a link.
    pub(super) fn lead_on(
        &self,
        origin: &Origin,
        visit: &Visit<'_>,
        target: &ReturnTarget,
        respond: Respond,
    ) -> Respond {
        if visit.kind().follows_redirects() {
            return respond;
        }
        match &respond.location {
            None => respond,
            // A page that names the provider's address would show a login's state to every script of this origin.
            Some(_) if matches!(respond.reason, Reason::LoginStarted | Reason::LoginRestarted) => {
                self.way_out(origin, visit, target)
            }
            Some(location) => {
                let refusal = Refusal::new(respond.reason).instead(Disposition::Ok);
                let page = Respond::page(refusal, pages::go_on(location));
                Respond { set_cookie: respond.set_cookie, ..page }
            }
        }
    }
}
