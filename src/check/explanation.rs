//! What a check would be decided as, told in words.

use super::{checker::Checker, evaluation::Evaluation};
use crate::{
    authn::{Authenticated, BrowserSession},
    authz::{LoginInsufficient, Rule},
    clock::Timestamp,
    principal::{Group, Method},
    reason::Reason,
    request::{Kind, RawRequest, Request},
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
    /// What an evaluation comes to, and why.
    pub(super) const fn of(evaluation: &Evaluation<'_>) -> (Self, Reason) {
        match evaluation {
            Evaluation::Allow { allow, .. } => (Self::Allowed, allow.reason()),
            Evaluation::Endpoint { .. } => (Self::Answered, Reason::Page),
            Evaluation::SignIn { reason, .. } => (Self::SignIn, *reason),
            Evaluation::Refuse { refusal, .. } => (Self::Refused, refusal.reason()),
        }
    }

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
            return Explanation::of_nothing(Verdict::Refused, Reason::MalformedRequest);
        };
        let visit = Visit::new(&request, &self.0.origins);
        let evaluation = self.evaluate(&visit).await;
        let (rule, who) = (evaluation.rule(), evaluation.who());
        let (verdict, reason) = match (Verdict::of(&evaluation), self.no_login(&visit, &evaluation).await) {
            (_, Some(instead)) => (Verdict::Refused, instead),
            (found, None) => found,
        };
        let browser = match &evaluation {
            Evaluation::Endpoint { browser, .. } => Some(browser),
            _ => None,
        };
        let session = browser.and_then(BrowserSession::session).map(|_| Method::SESSION);
        let names = |groups: &[Group]| groups.iter().map(|group| group.as_str().to_owned()).collect();
        let groups = who.map(|who| who.principal().groups());
        let near_misses = || Some(rule?.near_misses(groups?).iter().map(ToString::to_string).collect());
        let mut hints: Vec<String> = near_misses().unwrap_or_default();
        if let (Some(rule), Some(who)) = (rule, who) {
            hints.extend(lacks(rule, who, self.0.clock.now()));
        }
        Explanation {
            rule: rule.map(|rule| rule.name().to_string()),
            authenticator: who.map(Authenticated::method).or(session).map(Method::name),
            userid: match who {
                Some(who) => Some(who.principal().userid().into_owned()),
                None => browser.and_then(BrowserSession::userid).map(str::to_owned),
            },
            // Which groups the caller has and which the rule wants.
            groups: groups.map(|groups| names(groups.names())).unwrap_or_default(),
            wanted_groups: rule.map(|rule| names(rule.wanted_groups())).unwrap_or_default(),
            hints,
            ..Explanation::of_nothing(verdict, reason)
        }
    }

    /// Why a navigation that is to sign in would not be sent to the provider: nothing may be known of it.
    async fn no_login(&self, visit: &Visit<'_>, evaluation: &Evaluation<'_>) -> Option<Reason> {
        if !matches!(evaluation, Evaluation::SignIn { .. }) {
            return None;
        }
        let origin = visit.origin().filter(|_| visit.kind() == Kind::Navigation)?;
        self.0.endpoints.login_refusal(origin).await
    }
}

/// What the caller's login lacks of what the rule asks for.
fn lacks(rule: &Rule, who: &Authenticated, now: Timestamp) -> Vec<String> {
    match (rule.judge_login(who.login(), || now), who.login()) {
        (Ok(_), _) => Vec::new(),
        (Err(LoginInsufficient { wanted, lacking: Some(lacking) }), Some(login)) => {
            lacking.sentences(login, wanted).collect()
        }
        (Err(_), _) => vec!["the rule asks for somebody who signed in: no token counts for that".to_owned()],
    }
}

impl Explanation {
    /// Nothing was found out of the request.
    const fn of_nothing(verdict: Verdict, reason: Reason) -> Self {
        Self {
            verdict,
            reason,
            rule: None,
            authenticator: None,
            userid: None,
            groups: Vec::new(),
            wanted_groups: Vec::new(),
            hints: Vec::new(),
        }
    }
}
