//! Which endpoint answers.

use std::sync::Arc;

use super::common::{Endpoints, get};
use crate::{
    authn::BrowserSession,
    decision::Respond,
    origin::{Endpoint, Origin},
    reason::Reason,
    visit::Visit,
};

/// Where a request of ours goes.
#[derive(Debug)]
pub struct Addressed {
    origin: Arc<Origin>,
    endpoint: Endpoint,
}

impl Addressed {
    /// Where a request goes, where it is for us.
    #[must_use]
    pub fn of(visit: &Visit<'_>) -> Option<Self> {
        let origin = visit.origin()?;
        let endpoint = origin.endpoint(visit.request().path())?;
        Some(Self { origin: Arc::clone(origin), endpoint })
    }

    /// Whether the answer depends on who is signed in, so that there is none while that cannot be told.
    #[must_use]
    pub const fn needs_session(&self) -> bool {
        matches!(self.endpoint, Endpoint::WhoAmI | Endpoint::Sessions)
    }
}

impl Endpoints {
    /// Answers a request that is for us, from the browser whose session was found to be `browser`.
    pub async fn answer(&self, addressed: &Addressed, visit: &Visit<'_>, browser: &BrowserSession) -> Respond {
        let origin = &addressed.origin;
        match addressed.endpoint {
            Endpoint::Login => self.login(origin, visit).await,
            Endpoint::Callback => self.callback(origin, visit, browser).await,
            Endpoint::Logout => self.logout(origin, visit, browser).await,
            Endpoint::FrontChannelLogout => self.front_channel_logout(origin, visit).await,
            Endpoint::SignedOut => get(visit, || self.signed_out(origin, visit)),
            Endpoint::Sessions => self.own_sessions(origin, visit, browser).await,
            Endpoint::WhoAmI => self.who_am_i(origin, visit, browser).await,
            Endpoint::ServiceWorker => self.service_worker(origin, visit),
            Endpoint::Nothing => Respond::new(Reason::NotFound),
        }
    }
}
