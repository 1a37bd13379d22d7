//! What a check would be decided as, told in words.

use super::{checker::Checker, evaluation::Evaluation};
use crate::{
    authn::Authenticated,
    principal::Method,
    reason::Reason,
    request::{RawRequest, Request},
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
        let Ok(request) = Request::parse(raw) else {
            let (verdict, reason) = (Verdict::Refused, Reason::MalformedRequest);
            return Explanation { verdict, reason, rule: None, authenticator: None, userid: None };
        };
        let evaluation = self.evaluate(&Visit::new(&request, &self.0.origins)).await;
        let kind = |who: &Option<Authenticated>| who.as_ref().map(Authenticated::method);
        let (verdict, reason, method) = match &evaluation {
            Evaluation::Allow { allow, who, .. } => (Verdict::Allowed, allow.reason(), kind(who)),
            Evaluation::Endpoint { browser, .. } => {
                (Verdict::Answered, Reason::Page, browser.session().map(|_| Method::SESSION))
            }
            Evaluation::SignIn { reason, .. } => (Verdict::SignIn, *reason, None),
            Evaluation::Refuse { refusal, who, .. } => (Verdict::Refused, refusal.reason(), kind(who)),
        };
        let (rule, userid) = (evaluation.rule().map(ToString::to_string), evaluation.userid());
        Explanation { verdict, reason, rule, authenticator: method.map(Method::name), userid }
    }
}
