//! What would be decided where nothing of ours decides: of a gateway that asks in shadow, and by rules in shadow.
//!
//! It is evaluated after the answer, in a task of its own, so that neither the answer nor its time depends on it; and like
//! every evaluation it has no effect but on caches. What it comes to is counted, and one record of the log, which
//! `portcullis shadow report` adds up.

mod difference;
mod metrics;
mod reminders;

use std::borrow::Cow;

use self::difference::Source;
pub use self::difference::{Differs, TARGET};
pub(super) use self::{metrics::ShadowMetrics, reminders::Reminders};
use super::{
    checker::Checker,
    evaluation::Evaluation,
    explanation::Verdict,
    pipeline::Checked,
    record::{Asked, outside},
};
use crate::{
    authn::Authenticated,
    decision::Decision,
    panics::{Panicked, caught},
    reason::Reason,
    request::{RawRequest, Request, Unreadable},
    visit::Visit,
};

/// What would be decided.
struct Foreseen {
    source: Source,
    differs: Differs,
    verdict: Verdict,
    reason: Reason,
    rule: String,
    principal: Option<String>,
    /// Who it is for the gate in force, where that tells.
    in_force: Option<String>,
}

impl Checker {
    /// Whether rules in shadow may have a word about checks.
    #[must_use]
    pub fn has_rules_in_shadow(&self) -> bool {
        self.0.rules.with_shadow().is_some()
    }

    /// Whether gateways may ask in shadow: what they ask is then not decided.
    #[must_use]
    pub const fn lets_gateways_ask_in_shadow(&self) -> bool {
        self.0.gateways_in_shadow
    }

    /// Tells what rules in shadow would have decided of a check that is answered.
    pub async fn tell_rules_in_shadow(&self, checked: Checked) {
        let (now, asked) = (checked.decision, checked.record.into_asked());
        let (Some(rules), Asked::Read(request)) = (self.0.rules.with_shadow(), &asked) else { return };
        let told = caught(async {
            let visit = Visit::new(request, &self.0.origins);
            let evaluation = match rules.choose(request) {
                Ok(rule) if !rule.is_in_shadow() => return,
                Ok(_) => self.evaluate_by(rules, &visit).await,
                Err(reason) if reason == now.reason() => return,
                Err(reason) => Evaluation::refuse(reason),
            };
            if matches!(evaluation, Evaluation::Endpoint { .. }) {
                return;
            }
            let would_pass = matches!(evaluation, Evaluation::Allow { .. });
            let differs = match (matches!(now, Decision::Allow(_)), would_pass) {
                (true, false) if comes_of_signing_in(request, &evaluation) => Differs::SignIn,
                (true, false) => Differs::Refused,
                (false, true) => Differs::Allowed,
                (true, true) | (false, false) => Differs::No,
            };
            self.tell(&asked, &Foreseen::of(Source::Rule, differs, &evaluation, None));
        });
        let (Ok(()) | Err(Panicked)) = told.await;
    }

    /// Tells what we would have decided of a request that passes a gateway by another gate's decision.
    pub async fn tell_gateway_in_shadow(&self, raw: RawRequest) {
        let told = caught(async {
            let request = match Request::parse(raw) {
                Ok(request) => request,
                Err(Unreadable { raw, id, .. }) => {
                    let refused = Evaluation::refuse(Reason::MalformedRequest);
                    let foreseen = Foreseen::of(Source::Gateway, Differs::Refused, &refused, None);
                    return self.tell(&Asked::Unread(raw, id), &foreseen);
                }
            };
            let visit = Visit::new(&request, &self.0.origins);
            let evaluation = self.evaluate(&visit).await;
            let in_force = request.headers().single(self.0.identity.userid_header()).map(str::to_owned);
            let differs = differs_at_gateway(&request, &evaluation, in_force.as_deref());
            let foreseen = Foreseen::of(Source::Gateway, differs, &evaluation, in_force);
            drop(evaluation);
            self.tell(&Asked::Read(request), &foreseen);
        });
        let (Ok(()) | Err(Panicked)) = told.await;
    }

    fn tell(&self, asked: &Asked, foreseen: &Foreseen) {
        self.0.metrics.shadow().count(foreseen.source, foreseen.differs, foreseen.reason, &foreseen.rule);
        if self.1.is_due(foreseen.source, self.0.clock.monotonic()) {
            match foreseen.source {
                Source::Gateway => {
                    tracing::warn!("a gateway asks in shadow: another gate decides, and what it lets pass passes");
                }
                Source::Rule => {
                    let rules = self.0.rules.in_shadow().collect::<Vec<_>>().join(", ");
                    tracing::warn!(%rules, "rules are in shadow, and decide nothing");
                }
            }
        }
        self.0.log.info(TARGET, "would be decided", |line| {
            line.text("source", foreseen.source.as_str());
            line.text("differs", foreseen.differs.as_str());
            line.text("would", foreseen.verdict.as_str());
            line.text("reason", foreseen.reason.as_str());
            line.text("rule", &foreseen.rule);
            line.text("principal", foreseen.principal.as_deref().unwrap_or_default());
            line.text("in_force", &foreseen.in_force.as_deref().map_or(Cow::Borrowed(""), outside));
            line.text("request_id", asked.request_id());
            line.text("method", &outside(asked.method()));
            line.text("host", &outside(asked.host()));
            line.text("path", &outside(asked.path()));
        });
    }
}

impl Foreseen {
    fn of(source: Source, differs: Differs, evaluation: &Evaluation<'_>, in_force: Option<String>) -> Self {
        let (verdict, reason) = Verdict::of(evaluation);
        Self {
            source,
            differs,
            verdict,
            reason,
            rule: evaluation.rule().map(|rule| rule.name().to_string()).unwrap_or_default(),
            principal: evaluation.who().map(|who| who.principal().userid().into_owned()),
            in_force,
        }
    }
}

/// How our decision would differ from that of a gate which lets a request pass.
fn differs_at_gateway(request: &Request, evaluation: &Evaluation<'_>, in_force: Option<&str>) -> Differs {
    match evaluation {
        Evaluation::Allow { who, .. } => {
            let same = |who: &Authenticated| in_force.is_none_or(|name| name == who.principal().userid());
            if who.as_ref().is_none_or(same) { Differs::No } else { Differs::Name }
        }
        Evaluation::Endpoint { .. } => Differs::Answered,
        Evaluation::SignIn { .. } | Evaluation::Refuse { .. } if comes_of_signing_in(request, evaluation) => {
            Differs::SignIn
        }
        Evaluation::SignIn { .. } | Evaluation::Refuse { .. } => Differs::Refused,
    }
}

/// Whether a browser would pass, or be told more, once its person has signed in here. What a gate before us writes into
/// `authorization` for whoever has signed in there is an ID token of the same provider, which is no credential here.
fn comes_of_signing_in(request: &Request, evaluation: &Evaluation<'_>) -> bool {
    let reason = match evaluation {
        Evaluation::SignIn { .. } => return true,
        Evaluation::Refuse { refusal, .. } => refusal.reason(),
        Evaluation::Allow { .. } | Evaluation::Endpoint { .. } => return false,
    };
    // Browsers alone send it (Fetch Metadata), and no script can take it away.
    let by_person =
        matches!(reason, Reason::NotSignedIn | Reason::BearerNotAccepted | Reason::InsufficientUserAuthentication);
    by_person && request.headers().contains("sec-fetch-site")
}
