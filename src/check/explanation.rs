//! What a check would be decided as, told in words.

use std::time::Duration;

use futures::future::join_all;

use super::{checker::Checker, evaluation::Evaluation};
use crate::{
    authn::{Authenticated, BrowserSession},
    authz::{Missing, Permission, Rule},
    kubernetes::AccessTold,
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
    /// What Kubernetes was asked, and what it said.
    pub reviews: Vec<ReviewExplained>,
    /// What to look at, in sentences for people.
    pub hints: Vec<String>,
}

/// A question to Kubernetes, and what is known of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewExplained {
    /// The question, as `kubectl auth can-i` has it.
    pub question: String,
    /// `yes`, `no`, or the reason for which there is no answer.
    pub answer: &'static str,
    /// How old the answer is, where there is one.
    pub age: Option<Duration>,
    /// What to ask for, where the answer is not yes.
    pub advice: Option<String>,
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
        let reviews = match (rule, who) {
            (Some(rule), Some(who)) => self.explain_reviews(rule, who, &request).await,
            _ => Vec::new(),
        };
        let in_shadow = self.explain_rules_in_shadow(&visit).await;
        let near_misses =
            || -> Option<Vec<String>> { Some(rule?.near_misses(groups?).iter().map(ToString::to_string).collect()) };
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
            reviews,
            hints: near_misses().unwrap_or_default().into_iter().chain(in_shadow).collect(),
            ..Explanation::of_nothing(verdict, reason)
        }
    }

    /// What a rule asks Kubernetes about somebody, and what is known of the answers.
    async fn explain_reviews(&self, rule: &Rule, who: &Authenticated, request: &Request) -> Vec<ReviewExplained> {
        let (Some(reviewer), Ok(Permission::Asks(unreviewed))) =
            (&self.0.access_reviewer, rule.permit(who.principal()))
        else {
            return Vec::new();
        };
        let questions = unreviewed.questions(request, reviewer).unwrap_or_default();
        let told = questions.into_iter().map(async |(review, question)| {
            let (answer, age) = match reviewer.tell(&question).await {
                AccessTold::Answered { is_yes: true, age } => ("yes", Some(age)),
                AccessTold::Answered { is_yes: false, age } => ("no", Some(age)),
                AccessTold::Unanswered(reason) => (reason.as_str(), None),
            };
            let advice = (answer != "yes").then(|| Missing::of(review, &question).to_string());
            ReviewExplained { question: question.attributes.to_string(), answer, age, advice }
        });
        join_all(told).await
    }

    /// What a rule in shadow would decide instead, where one would.
    async fn explain_rules_in_shadow(&self, visit: &Visit<'_>) -> Option<String> {
        let rules = self.0.rules.with_shadow()?;
        let rule = rules.choose(visit.request()).ok().filter(|rule| rule.is_in_shadow())?;
        let (verdict, reason) = Verdict::of(&self.evaluate_by(rules, visit).await);
        let (name, verdict) = (rule.name(), verdict.as_str());
        Some(format!("the rule `{name}` is in shadow: if it was enforced, this request would be {verdict} ({reason})"))
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
            reviews: Vec::new(),
            hints: Vec::new(),
        }
    }
}
