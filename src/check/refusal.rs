//! Refusals: a page for a navigation, a document for a program.

use std::time::Duration;

use crate::{
    authn::Rejected,
    decision::{Body, Disposition, Location, Respond},
    endpoints::{Origin, challenge},
    pages::{self, Problem},
    reason::Reason,
    request::{Kind, Request, RequestId},
};

/// A request that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    reason: Reason,
    disposition: Disposition,
    retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) const fn new(reason: Reason, disposition: Disposition) -> Self {
        Self { reason, disposition, retry_after: None }
    }

    /// The gateway's deadline left no time to decide.
    pub(super) const fn late(retry_after: Duration) -> Self {
        let refusal = Self::new(Reason::DeadlineExceeded, Disposition::Unavailable);
        Self { retry_after: Some(retry_after), ..refusal }
    }

    /// The checks that are under way take all the memory that there is for them.
    pub(super) const fn of_overload(retry_after: Duration) -> Self {
        let refusal = Self::new(Reason::TooManyChecks, Disposition::Unavailable);
        Self { retry_after: Some(retry_after), ..refusal }
    }

    pub(super) const fn unauthorized(reason: Reason) -> Self {
        Self::new(reason, Disposition::Unauthorized)
    }

    /// The refusal of a credential: 401 where it is not good, 503 where nobody could judge it.
    pub(super) const fn of_credential(rejected: Rejected) -> Self {
        let Rejected { reason, retry_after } = rejected;
        let disposition = match reason {
            Reason::StoreUnavailable
            | Reason::RevocationsUnknown
            | Reason::ApiServerUnavailable
            | Reason::AudienceShared
            | Reason::TooManyReviews
            | Reason::ProviderUnavailable => Disposition::Unavailable,
            Reason::Internal => Disposition::Internal,
            _ => Disposition::Unauthorized,
        };
        Self { reason, disposition, retry_after }
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    pub(super) fn into_respond(self) -> Respond {
        let respond = match self.disposition {
            Disposition::Unauthorized => unauthorized(self.reason),
            disposition => Respond::new(self.reason, disposition),
        };
        Respond { retry_after: self.retry_after, ..respond }
    }
}

/// A 401 with its challenge.
pub(super) fn unauthorized(reason: Reason) -> Respond {
    let respond = Respond::new(reason, Disposition::Unauthorized);
    Respond { challenge: Some(challenge(reason)), ..respond }
}

/// The page of a refusal of which no more is known than the request's id.
pub(super) fn page_without_origin(kind: Kind, id: &RequestId, respond: Respond) -> Respond {
    if !kind.wants_page() {
        return respond;
    }
    let problem = Problem::new(respond.disposition, respond.reason);
    let page = pages::problem(&Problem { request_id: Some(id.as_str()), ..problem });
    Respond { body: Body::Page(page), ..respond }
}

/// Turns a refusal of a navigation into a page that says what happened, to whom, and what to do.
pub(super) fn page_if_wanted(
    request: &Request,
    respond: Respond,
    origin: Option<&Origin>,
    who: Option<&str>,
) -> Respond {
    if respond.body != Body::Problem || !request.kind().wants_page() {
        return respond;
    }
    let place = |path: &str| origin.and_then(|origin| Location::on_origin(&origin.login.url, path).ok());
    let home = place("/");
    let another = origin.filter(|_| who.is_some()).and_then(|origin| place(&format!("{}/logout", origin.path_prefix)));
    // What failed for a while is worth another try at the same address.
    let again = if respond.retry_after.is_some() { place(&request.target()) } else { None };
    let page = pages::problem(&Problem {
        request_id: Some(request.request_id().as_str()),
        signed_in_as: who,
        retry_after: respond.retry_after,
        try_again: again.as_ref(),
        use_another_account: another.as_ref(),
        home: home.as_ref(),
        ..Problem::new(respond.disposition, respond.reason)
    });
    Respond { body: Body::Page(page), ..respond }
}
