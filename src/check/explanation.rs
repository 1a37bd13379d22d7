//! What a check would be decided as, told in words.

use super::{checker::Checker, evaluation::Evaluation, record::CheckRecord};
use crate::{
    authn::Authenticated,
    principal::Method,
    reason::{Disposition, Reason},
    request::{RawRequest, Request, Unreadable},
    visit::Visit,
};

/// What a check would end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request would go on.
    Allowed,
    /// An endpoint of ours would answer.
    Answered,
    /// The browser would be sent to sign in.
    SignIn,
    /// The request would be refused.
    Refused,
}

impl Verdict {
    /// The verdict in `snake_case`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Answered => "answered",
            Self::SignIn => "sign_in",
            Self::Refused => "refused",
        }
    }
}

/// What a check would be decided as, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What it would end in.
    pub verdict: Verdict,
    /// Why. For an endpoint of ours, whose own reason comes of what it does: [`Reason::Page`].
    pub reason: Reason,
    /// The name of the rule, where one was chosen.
    pub rule: Option<String>,
    /// By which kind of credential it was told who it is: `session`, `bearer`.
    pub authenticator: Option<&'static str>,
    /// The name that services would know the caller by.
    pub userid: Option<String>,
}

impl Checker {
    /// Tells what a check of this request would be decided as. Starts no sign-in and counts no check; a session or a
    /// token that comes along is judged as ever.
    pub async fn explain(&self, raw: RawRequest) -> Explanation {
        let request = match Request::parse(raw) {
            Ok(request) => request,
            Err(Unreadable { raw, id, .. }) => {
                let record = CheckRecord::of_raw(&raw, &id, Reason::MalformedRequest, Disposition::BadRequest);
                return explanation(Verdict::Refused, Reason::MalformedRequest, None, record);
            }
        };
        let evaluation = self.evaluate(&Visit::new(&request, &self.0.origins)).await;
        let record = evaluation.record(&request);
        let kind = |who: &Option<Authenticated>| who.as_ref().map(Authenticated::method);
        match &evaluation {
            Evaluation::Allow { allow, who, .. } => explanation(Verdict::Allowed, allow.reason(), kind(who), record),
            Evaluation::Endpoint { browser, .. } => {
                let session = browser.session().map(|_| Method::SESSION);
                explanation(Verdict::Answered, Reason::Page, session, record)
            }
            Evaluation::SignIn { reason, .. } => explanation(Verdict::SignIn, *reason, None, record),
            Evaluation::Refuse { refusal, who, .. } => {
                explanation(Verdict::Refused, refusal.reason(), kind(who), record)
            }
        }
    }
}

fn explanation(verdict: Verdict, reason: Reason, method: Option<Method>, record: CheckRecord) -> Explanation {
    let authenticator = method.map(Method::name);
    Explanation { verdict, reason, rule: record.rule, authenticator, userid: record.principal }
}
