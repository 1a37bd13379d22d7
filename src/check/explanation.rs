//! What a check would be decided as, told in words.

use super::{CheckRecord, Checker, Evaluation};
use crate::{
    decision::Disposition,
    principal::Principal,
    reason::Reason,
    request::{RawRequest, Request, Unreadable},
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
    /// Which authenticator told who it is: `session` or `bearer`.
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
        let evaluation = self.evaluate(&request).await;
        let record = CheckRecord::of(&request, &evaluation);
        match &evaluation {
            Evaluation::Allow { allow, principal, .. } => {
                explanation(Verdict::Allowed, allow.reason(), principal.as_ref().map(authenticator), record)
            }
            Evaluation::Endpoint { session, .. } => {
                explanation(Verdict::Answered, Reason::Page, session.as_ref().map(|_| "session"), record)
            }
            Evaluation::SignIn { reason, .. } => explanation(Verdict::SignIn, *reason, None, record),
            Evaluation::Refuse { refusal, principal, .. } => {
                explanation(Verdict::Refused, refusal.reason(), principal.as_ref().map(authenticator), record)
            }
        }
    }
}

const fn authenticator(principal: &Principal) -> &'static str {
    match principal {
        Principal::User(_) => "session",
        Principal::ServiceAccount(_) => "bearer",
    }
}

fn explanation(
    verdict: Verdict,
    reason: Reason,
    authenticator: Option<&'static str>,
    record: CheckRecord,
) -> Explanation {
    Explanation { verdict, reason, rule: record.rule, authenticator, userid: record.principal }
}
