//! What a check would be decided as, told in words.

use super::{checker::Checker, evaluation::Evaluation};
use crate::{
    authn::Authenticated,
    principal::{Group, Method},
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
    /// The groups that the caller is in.
    pub groups: Vec<String>,
    /// The groups that the rule wants, one of which permits; none where it wants none.
    pub wanted_groups: Vec<String>,
    /// What to look at, in sentences for people.
    pub hints: Vec<String>,
}

impl Checker {
    /// Tells what a check of this request would be decided as. Starts no sign-in and counts no check; a session or a
    /// token that comes along is judged as ever.
    pub async fn explain(&self, raw: RawRequest) -> Explanation {
        let Ok(request) = Request::parse(raw) else {
            return explanation(Verdict::Refused, Reason::MalformedRequest, None);
        };
        let evaluation = self.evaluate(&Visit::new(&request, &self.0.origins)).await;
        let kind = |who: &Option<Authenticated>| who.as_ref().map(Authenticated::method);
        let explanation = match &evaluation {
            Evaluation::Allow { allow, who, .. } => explanation(Verdict::Allowed, allow.reason(), kind(who)),
            Evaluation::Endpoint { browser, .. } => {
                explanation(Verdict::Answered, Reason::Page, browser.session().map(|_| Method::SESSION))
            }
            Evaluation::SignIn { reason, .. } => explanation(Verdict::SignIn, *reason, None),
            Evaluation::Refuse { refusal, who, .. } => explanation(Verdict::Refused, refusal.reason(), kind(who)),
        };
        let (rule, userid) = (evaluation.rule().map(ToString::to_string), evaluation.userid());
        with_groups(Explanation { rule, userid, ..explanation }, &evaluation)
    }
}

/// Which groups the caller has and which the rule wants.
fn with_groups(explanation: Explanation, evaluation: &Evaluation<'_>) -> Explanation {
    let (rule, who) = match evaluation {
        Evaluation::Allow { rule, who, .. } => (Some(*rule), who.as_ref()),
        Evaluation::SignIn { rule, .. } => (Some(*rule), None),
        Evaluation::Refuse { rule, who, .. } => (*rule, who.as_ref()),
        Evaluation::Endpoint { .. } => (None, None),
    };
    let names = |groups: &[Group]| groups.iter().map(|group| group.as_str().to_owned()).collect();
    let groups = who.map(|who| who.principal().groups());
    let near_misses = || Some(rule?.near_misses(groups?).iter().map(ToString::to_string).collect());
    Explanation {
        groups: groups.map(|groups| names(groups.names())).unwrap_or_default(),
        wanted_groups: rule.map(|rule| names(rule.wanted_groups())).unwrap_or_default(),
        hints: near_misses().unwrap_or_default(),
        ..explanation
    }
}

fn explanation(verdict: Verdict, reason: Reason, method: Option<Method>) -> Explanation {
    Explanation {
        verdict,
        reason,
        rule: None,
        authenticator: method.map(Method::name),
        userid: None,
        groups: Vec::new(),
        wanted_groups: Vec::new(),
        hints: Vec::new(),
    }
}
