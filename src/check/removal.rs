//! A removal that passes takes along what was issued before it: whoever is removed from a namespace may have kept tokens of
//! its ServiceAccounts.

use std::sync::Arc;

use super::checker::Checker;
use crate::{
    authn::Authenticated,
    authz::Rule,
    decision::Refusal,
    logging::Audited,
    principal::Namespace,
    reason::Reason,
    revocation::{Measure, Revocations, Target},
    visit::Visit,
};

impl Checker {
    /// Revokes what the accounts of the namespace were issued until now that a request names, where the rule says so. In
    /// force everywhere within a second. Done before the request goes on, and recorded in the audit log: a removal of
    /// which that cannot be said does not happen, and can be tried again.
    pub(super) async fn revoke_with_removal(
        &self,
        visit: &Visit<'_>,
        rule: &Rule,
        who: Option<&Authenticated>,
    ) -> Result<(), Refusal> {
        let Some(namespace) = rule.revokes(visit.request())? else { return Ok(()) };
        let by = who.map(|who| who.principal().userid().into_owned()).unwrap_or_default();
        let request_id = visit.request().request_id().as_str().to_owned();
        let (log, revocations) = (self.0.log.clone(), Arc::clone(&self.0.revocations));
        // What has begun goes to its end, whatever becomes of the caller.
        let whole = async move { log.audited(revoke(&revocations, namespace, &by, &request_id)).await };
        tokio::spawn(whole).await.unwrap_or(Err(Reason::Internal)).map_err(Refusal::from)
    }
}

async fn revoke(revocations: &Revocations, namespace: Namespace, by: &str, request_id: &str) -> Result<(), Reason> {
    let target = Target::Namespace(namespace);
    let about = target.to_string();
    let outcome = revocations.revoke(target, Measure::BeforeNow).await;
    let detail = match &outcome {
        Ok(_) => format!("with the removal that request {request_id} asks for"),
        Err(error) => error.to_string(),
    };
    Audited { act: "revoke_with_removal", about: &about, is_done: outcome.is_ok(), detail: &detail }.record(&by);
    // Nothing else can be the matter: the moment is now, and a namespace has further tokens.
    outcome.map(drop).map_err(|_| Reason::RevocationsUnknown)
}
