//! Tells people and scripts who they are here.

use super::common::{Endpoints, for_people, refuse_other_than_get};
use crate::{
    authn::BrowserSession,
    decision::Respond,
    oidc::{LoginAsk, ReturnTarget},
    origin::Origin,
    pages::{self, LogoutForm, WhoAmI},
    principal::{Email, Group},
    reason::Reason,
    request::{Kind, Provenance},
    session::Session,
    visit::Visit,
};

impl Endpoints {
    pub(super) async fn who_am_i(&self, origin: &Origin, visit: &Visit<'_>, browser: &BrowserSession) -> Respond {
        if let Some(refusal) = refuse_other_than_get(visit) {
            return refusal;
        }
        // A sibling's page must not learn who its visitor is.
        let foreign = visit.provenance(&[]) == Provenance::CrossOrigin;
        match browser.session().filter(|_| !foreign || visit.kind() == Kind::Navigation) {
            Some(session) if visit.kind().wants_page() => self.who_am_i_page(origin, session),
            Some(session) => document(session),
            None if visit.kind() == Kind::Navigation => {
                let target = ReturnTarget::root();
                self.begin(origin, visit, target, 0, Reason::LoginStarted, LoginAsk::nothing()).await
            }
            None => Respond::new(Reason::NotSignedIn),
        }
    }

    fn who_am_i_page(&self, origin: &Origin, session: &Session) -> Respond {
        let (Ok(action), Ok(sessions)) = (origin.logout_url(), origin.sessions_url()) else {
            return Respond::new(Reason::Internal);
        };
        let through = self.oidc.rp_initiated_logout.end_session_endpoint(&origin.login);
        let user = session.user();
        let groups: Vec<String> = user.groups.names().iter().map(|group| group.as_str().to_owned()).collect();
        let page = pages::who_am_i(&WhoAmI {
            user: user.userid.as_str(),
            email: user.email.as_ref().map(Email::as_str),
            groups: &groups,
            method: user.provider.as_str(),
            created: &for_people(session.created_at()),
            last_seen: &for_people(session.last_seen()),
            expires: &for_people(session.expires_at()),
            sessions: &sessions,
            logout: LogoutForm { action: &action, leads_to: Some(&origin.after_logout), through: through.as_ref() },
        });
        Respond::page(Reason::Page, page)
    }
}

fn document(session: &Session) -> Respond {
    let user = session.user();
    let body = serde_json::json!({
        "userid": user.userid.as_str(),
        "email": user.email.as_ref().map(Email::as_str),
        "groups": user.groups.names().iter().map(Group::as_str).collect::<Vec<_>>(),
        "signed_in_at": session.created_at().as_unix_seconds(),
        "last_seen_at": session.last_seen().as_unix_seconds(),
        "expires_at": session.expires_at().as_unix_seconds(),
    });
    Respond::json(Reason::Page, body.to_string())
}
