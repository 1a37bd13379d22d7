//! The way of a check: match, authenticate, authorize, inject; and its one record.
//!
//! [`Checker::evaluate`] has no effect on anything but caches: what a check would be decided as can be asked without
//! starting a login. [`Checker::check`] evaluates, carries out what our own endpoints do, and writes the record.

mod evaluation;
mod explanation;
mod metrics;
mod record;
mod refusal;

use std::{sync::Arc, time::Duration};

pub use evaluation::Evaluation;
pub use explanation::{Explanation, Verdict};
pub use metrics::Metrics;
pub use record::CheckRecord;

use refusal::Refusal;

use crate::{
    authn::{BearerAuthenticator, Outcome, SessionAuthenticator},
    authz::RuleSet,
    clock::SharedClock,
    decision::{Decision, Disposition, RETRY_AFTER, Respond},
    endpoints::{Endpoints, Origin},
    identity::Identity,
    panics::{Panicked, caught, caught_call},
    reason::Reason,
    request::{Kind, RawRequest, Request, RequestId, Unreadable},
    session::Session,
};

/// Decides checks. A reload makes a new one; checks that run keep the one that they began with.
#[derive(Debug)]
pub struct Checker {
    rules: RuleSet,
    bearer: BearerAuthenticator,
    session: SessionAuthenticator,
    identity: Identity,
    endpoints: Endpoints,
    clock: SharedClock,
    metrics: Metrics,
}

/// What a checker is made of.
#[derive(Debug)]
pub struct Parts {
    /// The rules.
    pub rules: RuleSet,
    /// Who judges bearer tokens.
    pub bearer: BearerAuthenticator,
    /// Who judges session cookies.
    pub session: SessionAuthenticator,
    /// What services are told.
    pub identity: Identity,
    /// Our own endpoints.
    pub endpoints: Endpoints,
    /// The time.
    pub clock: SharedClock,
    /// The counters.
    pub metrics: Metrics,
}

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
    /// A checker of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { rules, bearer, session, identity, endpoints, clock, metrics } = parts;
        Self { rules, bearer, session, identity, endpoints, clock, metrics }
    }

    /// Decides a check and writes its record. `time` is what the gateway gives, where it sets a limit: our own answer
    /// comes before the gateway's, and what an endpoint of ours does goes on in its task. A panic costs this check alone: it
    /// is refused as `internal`.
    pub async fn check(&self, raw: RawRequest, time: Option<Duration>) -> Checked {
        let started = self.clock.monotonic();
        let checked = match caught_call(|| Request::parse(raw)) {
            Ok(Ok(request)) => match caught(self.check_in_time(&request, time)).await {
                Ok(checked) => checked,
                Err(Panicked) => self.panicked(&request),
            },
            Err(Panicked) => Checked {
                decision: Decision::Respond(Respond::new(Reason::Internal, Disposition::Internal)),
                record: CheckRecord::of_nothing(),
                kind: Kind::Script,
            },
            Ok(Err(Unreadable { error, raw, kind, id })) => {
                tracing::debug!(%error, "a request that cannot be read");
                let respond = Respond::new(Reason::MalformedRequest, Disposition::BadRequest);
                let record = CheckRecord::of_raw(&raw, &id, respond.reason, respond.disposition);
                let respond = refusal::page_without_origin(kind, &id, respond);
                Checked { decision: Decision::Respond(respond), record, kind }
            }
        };
        self.finished(checked, started)
    }

    /// Refuses a check whose message was not read: nothing is known of its request.
    pub fn refuse_unread(&self, reason: Reason) -> Checked {
        let started = self.clock.monotonic();
        let refusal = match reason {
            Reason::MalformedRequest => Refusal::new(reason, Disposition::BadRequest),
            _ => Refusal::of_overload(RETRY_AFTER),
        };
        let (raw, id) = (RawRequest::default(), RequestId::generate());
        let respond = refusal.into_respond();
        let record = CheckRecord::of_raw(&raw, &id, respond.reason, respond.disposition);
        self.finished(Checked { decision: Decision::Respond(respond), record, kind: Kind::Script }, started)
    }

    async fn check_in_time(&self, request: &Request, time: Option<Duration>) -> Checked {
        let Some(time) = time else { return self.check_request(request).await };
        if let Ok(checked) = tokio::time::timeout(time, self.check_request(request)).await {
            return checked;
        }
        let refusal = Refusal::late(RETRY_AFTER);
        let mut record = CheckRecord::of_request(request);
        let decision = Decision::Respond(self.page_if_wanted(request, refusal.into_respond(), None));
        record.decided(&decision);
        Checked { decision, record, kind: request.kind() }
    }

    /// One check is lost, and no other.
    fn panicked(&self, request: &Request) -> Checked {
        let respond = Respond::new(Reason::Internal, Disposition::Internal);
        let decision = Decision::Respond(self.page_if_wanted(request, respond, None));
        Checked { decision, record: CheckRecord::of_request(request), kind: request.kind() }
    }

    fn finished(&self, checked: Checked, started: Duration) -> Checked {
        let elapsed = self.clock.monotonic().saturating_sub(started);
        self.metrics.count(&checked.record, elapsed);
        checked.record.log(elapsed);
        checked
    }

    async fn check_request(&self, request: &Request) -> Checked {
        let evaluation = self.evaluate(request).await;
        let mut record = CheckRecord::of(request, &evaluation);
        let decision = self.carry_out(request, evaluation).await;
        record.decided(&decision);
        Checked { decision, record, kind: request.kind() }
    }

    async fn carry_out(&self, request: &Request, evaluation: Evaluation<'_>) -> Decision {
        match evaluation {
            Evaluation::Allow { allow, .. } => Decision::Allow(allow),
            Evaluation::Endpoint { addressed, session } => {
                let respond = self.endpoints.answer(&addressed, request, session.as_ref()).await;
                Decision::Respond(self.finish(request, respond, session.as_deref()))
            }
            Evaluation::SignIn { reason, .. } => Decision::Respond(self.sign_in(request, reason).await),
            Evaluation::Refuse { refusal, principal, .. } => {
                let who = match principal {
                    Some(principal) => Some(principal.userid()),
                    None if request.kind().wants_page() => self.signed_in_as(request).await,
                    None => None,
                };
                Decision::Respond(self.page_if_wanted(request, refusal.into_respond(), who.as_deref()))
            }
        }
    }

    /// Who is signed in, to be told on a page that refuses something for another reason.
    async fn signed_in_as(&self, request: &Request) -> Option<String> {
        match self.session.open(request).await {
            Outcome::Authenticated(authenticated) => Some(authenticated.principal().userid()),
            _ => None,
        }
    }

    /// Sends a navigation to sign in.
    async fn sign_in(&self, request: &Request, reason: Reason) -> Respond {
        let Some(origin) = self.endpoints.origin(request).map(Arc::clone) else {
            return self.finish(request, refusal::unauthorized(reason), None);
        };
        let respond = match request.kind() {
            Kind::FramedNavigation => self.endpoints.sign_in_in_frame(&origin, request, reason),
            _ => self.endpoints.start_login(&origin, request).await,
        };
        self.finish(request, respond, None)
    }

    fn finish(&self, request: &Request, respond: Respond, session: Option<&Session>) -> Respond {
        self.page_if_wanted(request, respond, session.map(|session| session.user().userid.as_str()))
    }

    /// Turns a refusal of a navigation into a page.
    fn page_if_wanted(&self, request: &Request, respond: Respond, who: Option<&str>) -> Respond {
        let origin: Option<&Origin> = self.endpoints.origin(request).map(Arc::as_ref);
        refusal::page_if_wanted(request, respond, origin, who)
    }
}

#[cfg(test)]
mod tests;
