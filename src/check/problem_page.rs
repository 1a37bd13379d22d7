//! Refusals as people see them: a page for a navigation. A program gets the document that stands in its place.

use crate::{
    decision::{Body, Location, Respond},
    pages::{self, Problem},
    request::{Kind, RequestId},
    visit::Visit,
};

/// The page of a refusal of which no more is known than the request's id.
pub(super) fn without_origin(kind: Kind, id: &RequestId, respond: Respond) -> Respond {
    if !kind.wants_page() {
        return respond;
    }
    let problem = Problem::new(respond.disposition, respond.reason);
    let page = pages::problem(&Problem { request_id: Some(id.as_str()), ..problem });
    Respond { body: Body::Page(page), ..respond }
}

/// Turns a refusal of a navigation into a page that says what happened, to whom, and what to do.
pub(super) fn if_wanted(visit: &Visit<'_>, respond: Respond, who: Option<&str>) -> Respond {
    if respond.body != Body::Problem || !visit.kind().wants_page() {
        return respond;
    }
    let (request, origin) = (visit.request(), visit.origin());
    let place = |path: &str| origin.and_then(|origin| Location::on_origin(&origin.login.url, path).ok());
    let home = place("/");
    let another = origin.filter(|_| who.is_some()).and_then(|origin| origin.logout_url().ok());
    // What failed for a while is worth another try at the same address.
    let again = if respond.retry_after.is_some() { place(request.target()) } else { None };
    let page = pages::problem(&Problem {
        request_id: Some(request.request_id().as_str()),
        detail: respond.detail.as_deref(),
        signed_in_as: who,
        retry_after: respond.retry_after,
        try_again: again.as_ref(),
        use_another_account: another.as_ref(),
        home: home.as_ref(),
        ..Problem::new(respond.disposition, respond.reason)
    });
    Respond { body: Body::Page(page), ..respond }
}
