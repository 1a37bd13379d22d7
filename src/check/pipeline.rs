//! A check from its request to its answer and its record.

use std::{sync::Arc, time::Duration};

use super::{
    checker::Checker,
    evaluation::Evaluation,
    problem_page,
    record::{Asked, CheckRecord, Who},
};
use crate::{
    authn::{Authenticated, Look},
    decision::{Decision, Refusal, Respond},
    panics::{Panicked, caught, caught_call},
    reason::Reason,
    request::{Kind, RawRequest, Request, Unreadable},
    visit::Visit,
};

/// A decided check.
#[derive(Debug)]
#[must_use]
pub struct Checked {
    /// What it ends in.
    pub decision: Decision,
    /// What the log and the metrics say.
    pub record: CheckRecord,
    /// Who asks, which decides how a refusal is spelled.
    pub kind: Kind,
}

/// A decision, and what the record says of how it came.
struct Decided {
    decision: Decision,
    kind: Kind,
    rule: Option<Arc<str>>,
    who: Who,
}

impl Checker {
    /// Decides a check and writes its record. `time` is what the gateway gives, where it sets a limit: our own answer
    /// comes before the gateway's, and what an endpoint of ours does goes on in its task. A panic costs this check alone: it
    /// is refused as `internal`.
    pub async fn check(&self, raw: RawRequest, time: Option<Duration>) -> Checked {
        let started = self.0.clock.monotonic();
        let checked = match caught_call(|| Request::parse(raw)) {
            Ok(Ok(request)) => {
                let decided = caught(self.check_in_time(&request, time)).await;
                let decided = decided.unwrap_or_else(|Panicked| self.unfinished(&request, Reason::Internal));
                decided.about(Asked::Read(request))
            }
            Err(Panicked) => Decided::unread(Respond::new(Reason::Internal), Kind::Script).about(Asked::nothing()),
            Ok(Err(Unreadable { error, raw, kind, id })) => {
                tracing::debug!(%error, "a request that cannot be read");
                let respond = problem_page::without_origin(kind, &id, Respond::new(Reason::MalformedRequest));
                Decided::unread(respond, kind).about(Asked::Unread(raw, id))
            }
        };
        self.finished(checked, started)
    }

    /// Refuses a check whose message was not read: nothing is known of its request.
    pub fn refuse_unread(&self, reason: Reason) -> Checked {
        let started = self.0.clock.monotonic();
        self.finished(Decided::unread(Respond::new(reason), Kind::Script).about(Asked::nothing()), started)
    }

    async fn check_in_time(&self, request: &Request, time: Option<Duration>) -> Decided {
        let visit = Visit::new(request, &self.0.origins);
        let Some(time) = time else { return self.check_visit(&visit).await };
        let decided = tokio::time::timeout(time, self.check_visit(&visit)).await;
        decided.unwrap_or_else(|_| self.unfinished(request, Reason::DeadlineExceeded))
    }

    /// One check is lost, and no other.
    fn unfinished(&self, request: &Request, reason: Reason) -> Decided {
        let visit = Visit::new(request, &self.0.origins);
        Decided::unread(problem_page::if_wanted(&visit, Respond::new(reason), None), visit.kind())
    }

    fn finished(&self, checked: Checked, started: Duration) -> Checked {
        let elapsed = self.0.clock.monotonic().saturating_sub(started);
        self.0.metrics.count(checked.record.outcome(), checked.record.reason, elapsed);
        checked.record.log(&self.0.log, elapsed);
        checked
    }

    async fn check_visit(&self, visit: &Visit<'_>) -> Decided {
        let evaluation = self.evaluate(visit).await;
        let rule = evaluation.rule().map(|rule| Arc::clone(rule.name()));
        let (decision, who) = self.carry_out(visit, evaluation).await;
        Decided { decision, kind: visit.kind(), rule, who }
    }

    // A check is moved with all that it may come to need, so what is rare has a box of its own.
    async fn carry_out(&self, visit: &Visit<'_>, evaluation: Evaluation<'_>) -> (Decision, Who) {
        let (respond, who) = match evaluation {
            Evaluation::Allow { allow, who, .. } => return (Decision::Allow(allow), who.into()),
            Evaluation::Endpoint { addressed, browser } => {
                let respond = Box::pin(self.0.endpoints.answer(&addressed, visit, &browser)).await;
                (problem_page::if_wanted(visit, respond, browser.userid()), Who::Browser(browser))
            }
            Evaluation::SignIn { reason, .. } => (Box::pin(self.sign_in(visit, reason)).await, Who::Nobody),
            Evaluation::Refuse { refusal, who, missing, .. } => {
                let name = Box::pin(self.signed_in_as(visit, who.as_ref())).await;
                let detail = missing.map(|missing| missing.to_string());
                let respond = Respond { detail, ..refusal.into() };
                (problem_page::if_wanted(visit, respond, name.as_deref()), who.into())
            }
        };
        (Decision::Respond(respond), who)
    }

    /// Who is signed in, to be told on a page that refuses something.
    async fn signed_in_as(&self, visit: &Visit<'_>, who: Option<&Authenticated>) -> Option<String> {
        if let Some(who) = who {
            return Some(who.principal().userid().into_owned());
        }
        if !visit.kind().wants_page() {
            return None;
        }
        self.0.authenticators.browser_session(visit, Look::Stored).await.userid().map(str::to_owned)
    }

    /// Sends a navigation to sign in.
    async fn sign_in(&self, visit: &Visit<'_>, reason: Reason) -> Respond {
        let respond = match (visit.origin(), visit.kind()) {
            (None, _) => Refusal::unauthenticated(reason).into(),
            (Some(origin), Kind::FramedNavigation) => self.0.endpoints.sign_in_in_frame(origin, visit, reason),
            (Some(origin), Kind::PassedOn | Kind::FetchedPage) => {
                self.0.endpoints.sign_in_behind_worker(origin, visit, reason)
            }
            (Some(origin), _) => self.0.endpoints.start_login(origin, visit).await,
        };
        problem_page::if_wanted(visit, respond, None)
    }
}

impl Decided {
    /// Nothing was found out of the request.
    const fn unread(respond: Respond, kind: Kind) -> Self {
        Self { decision: Decision::Respond(respond), kind, rule: None, who: Who::Nobody }
    }

    fn about(self, asked: Asked) -> Checked {
        let Self { decision, kind, rule, who } = self;
        Checked { record: CheckRecord::new(asked, &decision, rule, who), decision, kind }
    }
}
