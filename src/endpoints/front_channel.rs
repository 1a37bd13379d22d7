//! The frame of a provider's page that signs people out here, where that is switched on.

use super::{Endpoints, Origin};
use crate::{
    decision::{Disposition, HeaderText, RETRY_AFTER, Respond},
    oidc::FrontChannelError,
    pages,
    reason::Reason,
    request::Request,
};

impl Endpoints {
    /// `GET …/frontchannel-logout?iss=…&sid=…` (OpenID Connect Front-Channel Logout 1.0 section 2). The answer is the same
    /// whether there was such a session or not.
    pub(super) async fn front_channel_logout(&self, origin: &Origin, request: &Request) -> Respond {
        if !self.oidc.front_channel.is_open(&origin.login) {
            return Respond::new(Reason::NotFound, Disposition::NotFound);
        }
        if request.method() != "GET" {
            let refusal = Respond::new(Reason::MethodNotAllowed, Disposition::MethodNotAllowed);
            return Respond { allow_methods: Some(HeaderText::from_static("GET")), ..refusal };
        }
        let query = request.query();
        // A parameter that occurs twice means nothing.
        let parameter = |name| query.parameter(name).ok().flatten();
        if let (Some(iss), Some(sid)) = (parameter("iss"), parameter("sid"))
            && let Err(error) = self.oidc.front_channel.log_out(&origin.login, &iss, &sid).await
        {
            return failed(error);
        }
        let page = pages::signed_out_by_provider(&self.oidc.front_channel.pages(&origin.login));
        Respond::page(Reason::FrontChannelLogout, Disposition::Ok, page)
    }
}

/// The answer where it is not known whether the sessions ended.
pub(super) fn failed(error: FrontChannelError) -> Respond {
    let (reason, disposition) = match error {
        FrontChannelError::Busy => (Reason::TooManyLogouts, Disposition::TooManyRequests),
        FrontChannelError::StoreUnavailable => (Reason::StoreUnavailable, Disposition::Unavailable),
    };
    Respond::new(reason, disposition).with_retry_after(RETRY_AFTER)
}
