//! A check from its request to its answer and its record.

use std::time::Duration;

use super::{checker::Checker, evaluation::Evaluation, problem_page, record::CheckRecord};
use crate::{
    authn::{Authenticated, Look},
    decision::{Decision, Refusal, Respond},
    panics::{Panicked, caught, caught_call},
    reason::Reason,
    request::{Kind, RawRequest, Request, RequestId, Unreadable},
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

impl Checker {
    /// Decides a check and writes its record. `time` is what the gateway gives, where it sets a limit: our own answer
    /// comes before the gateway's, and what an endpoint of ours does goes on in its task. A panic costs this check alone: it
    /// is refused as `internal`.
    pub async fn check(&self, raw: RawRequest, time: Option<Duration>) -> Checked {
        let started = self.0.clock.monotonic();
        let checked = match caught_call(|| Request::parse(raw)) {
            Ok(Ok(request)) => match caught(self.check_in_time(&request, time)).await {
                Ok(checked) => checked,
                Err(Panicked) => self.panicked(&request),
            },
            Err(Panicked) => Checked {
                decision: Decision::Respond(Respond::new(Reason::Internal)),
                record: CheckRecord::of_nothing(),
                kind: Kind::Script,
            },
            Ok(Err(Unreadable { error, raw, kind, id })) => {
                tracing::debug!(%error, "a request that cannot be read");
                let respond = Respond::new(Reason::MalformedRequest);
                let record = CheckRecord::of_raw(&raw, &id, respond.reason, respond.disposition);
                let respond = problem_page::without_origin(kind, &id, respond);
                Checked { decision: Decision::Respond(respond), record, kind }
            }
        };
        self.finished(checked, started)
    }

    /// Refuses a check whose message was not read: nothing is known of its request.
    pub fn refuse_unread(&self, reason: Reason) -> Checked {
        let started = self.0.clock.monotonic();
        let (raw, id) = (RawRequest::default(), RequestId::generate());
        let respond = Respond::new(reason);
        let record = CheckRecord::of_raw(&raw, &id, respond.reason, respond.disposition);
        self.finished(Checked { decision: Decision::Respond(respond), record, kind: Kind::Script }, started)
    }

    async fn check_in_time(&self, request: &Request, time: Option<Duration>) -> Checked {
        let visit = Visit::new(request, &self.0.origins);
        let Some(time) = time else { return self.check_visit(&visit).await };
        if let Ok(checked) = tokio::time::timeout(time, self.check_visit(&visit)).await {
            return checked;
        }
        let mut record = CheckRecord::of_request(request);
        let respond = problem_page::if_wanted(&visit, Respond::new(Reason::DeadlineExceeded), None);
        let decision = Decision::Respond(respond);
        record.decided(&decision);
        Checked { decision, record, kind: visit.kind() }
    }

    /// One check is lost, and no other.
    fn panicked(&self, request: &Request) -> Checked {
        let visit = Visit::new(request, &self.0.origins);
        let respond = problem_page::if_wanted(&visit, Respond::new(Reason::Internal), None);
        Checked { decision: Decision::Respond(respond), record: CheckRecord::of_request(request), kind: visit.kind() }
    }

    fn finished(&self, checked: Checked, started: Duration) -> Checked {
        let elapsed = self.0.clock.monotonic().saturating_sub(started);
        self.0.metrics.count(&checked.record, elapsed);
        checked.record.log(elapsed);
        checked
    }

    async fn check_visit(&self, visit: &Visit<'_>) -> Checked {
        let evaluation = self.evaluate(visit).await;
        let mut record = evaluation.record(visit.request());
        let decision = self.carry_out(visit, evaluation).await;
        record.decided(&decision);
        Checked { decision, record, kind: visit.kind() }
    }

    async fn carry_out(&self, visit: &Visit<'_>, evaluation: Evaluation<'_>) -> Decision {
        Decision::Respond(match evaluation {
            Evaluation::Allow { allow, .. } => return Decision::Allow(allow),
            Evaluation::Endpoint { addressed, browser } => {
                let respond = self.0.endpoints.answer(&addressed, visit, &browser).await;
                problem_page::if_wanted(visit, respond, browser.userid())
            }
            Evaluation::SignIn { reason, .. } => self.sign_in(visit, reason).await,
            Evaluation::Refuse { refusal, who, .. } => {
                let who = self.signed_in_as(visit, who.as_ref()).await;
                problem_page::if_wanted(visit, refusal.into(), who.as_deref())
            }
        })
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
            (Some(origin), _) => self.0.endpoints.start_login(origin, visit).await,
        };
        problem_page::if_wanted(visit, respond, None)
    }
}
