//! The frame of a provider's page that signs people out here, where that is switched on.

use super::common::Endpoints;
use crate::{decision::Respond, logout::FrontChannelError, origin::Origin, pages, reason::Reason, visit::Visit};

impl Endpoints {
    /// `GET …/frontchannel-logout?iss=…&sid=…` (OpenID Connect Front-Channel Logout 1.0 section 2). The answer is the same
    /// whether there was such a session or not; without both there is nothing to answer.
    pub(super) async fn front_channel_logout(&self, origin: &Origin, visit: &Visit<'_>) -> Respond {
        let request = visit.request();
        if !self.oidc.front_channel.is_open(&origin.login) {
            return Respond::new(Reason::NotFound);
        }
        if request.method() != "GET" {
            return Respond::method_not_allowed("GET");
        }
        let query = request.query();
        // A parameter that occurs twice means nothing.
        let parameter = |name| query.parameter(name).ok().flatten();
        let named = |name| parameter(name).filter(|value| !value.is_empty());
        let (Some(iss), Some(sid)) = (named("iss"), named("sid")) else {
            // Nobody's session is named: no page says that one ended.
            return Respond::new(Reason::MalformedRequest);
        };
        if let Err(error) = self.oidc.front_channel.log_out(&origin.login, &iss, &sid).await {
            return failed(error);
        }
        let page = pages::signed_out_by_provider(&self.oidc.front_channel.pages(&origin.login));
        Respond::page(Reason::FrontChannelLogout, page)
    }
}

/// The answer where it is not known whether the sessions ended.
pub(super) fn failed(error: FrontChannelError) -> Respond {
    Respond::new(match error {
        FrontChannelError::Busy => Reason::TooManyLogouts,
        FrontChannelError::StoreUnavailable => Reason::StoreUnavailable,
    })
}
