//! What a request would be answered, for administrators.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tonic::{Request, Response, Status};

use super::{
    audit::{Act, Administrator},
    wire::{AccessReview, ExplainRequest, ExplainResponse, decision_service_server::DecisionService},
};
use crate::{
    check::{Checker, Explanation, ReviewExplained},
    request::RawRequest,
};

/// Tells what checks would decide.
#[derive(Debug)]
pub(super) struct Decisions {
    checker: Arc<ArcSwap<Checker>>,
}

impl Decisions {
    pub(super) const fn new(checker: Arc<ArcSwap<Checker>>) -> Self {
        Self { checker }
    }
}

#[tonic::async_trait]
impl DecisionService for Decisions {
    async fn explain(&self, request: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        let administrator = Administrator::of(&request)?;
        let raw = raw_request(request.get_ref());
        let path = raw.path().split(['?', '#']).next().unwrap_or_default();
        let act = Act { act: "explain", target: format!("{} {}{path}", raw.method(), raw.host()) };
        let checker = self.checker.load_full();
        let explained = async move { Ok(ExplainResponse::from(checker.explain(raw).await)) };
        let found = |answer: &ExplainResponse| format!("{}: {}", answer.verdict, answer.reason);
        administrator.carry_out(act, explained, found).await
    }
}

/// The request as the gateway would show it: names of headers are in lower case there.
fn raw_request(request: &ExplainRequest) -> RawRequest {
    let ExplainRequest { method, host, path, headers } = request;
    headers.iter().fold(RawRequest::new(method, host, path), |raw, line| raw.header(&line.name, &line.value))
}

impl From<Explanation> for ExplainResponse {
    fn from(explanation: Explanation) -> Self {
        Self {
            verdict: explanation.verdict.as_str().to_owned(),
            reason: explanation.reason.as_str().to_owned(),
            summary: explanation.reason.summary().to_owned(),
            rule: explanation.rule.unwrap_or_default(),
            authenticator: explanation.authenticator.unwrap_or_default().to_owned(),
            userid: explanation.userid.unwrap_or_default(),
            groups: explanation.groups,
            wanted_groups: explanation.wanted_groups,
            hints: explanation.hints,
            reviews: explanation.reviews.into_iter().map(AccessReview::from).collect(),
        }
    }
}

impl From<ReviewExplained> for AccessReview {
    fn from(ReviewExplained { question, answer, age, advice }: ReviewExplained) -> Self {
        let age_ms = age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        Self { question, answer: answer.to_owned(), age_ms, advice: advice.unwrap_or_default() }
    }
}
