//! Revocations of ServiceAccount tokens, for administrators.

use std::{future::Future, sync::Arc};

use tonic::{Request, Response, Status};

use super::{
    audit::Act,
    caller::Caller,
    wire::{
        AcceptRevocationsRequest, AcceptRevocationsResponse, ListRevocationsRequest, ListRevocationsResponse,
        RemoveRevocationRequest, RemoveRevocationResponse, Revocation, RevocationTarget, RevokeTokensRequest,
        RevokeTokensResponse, ServiceAccount, revocation_service_server::RevocationService, revocation_target::Target,
    },
};
use crate::{
    clock::Timestamp,
    principal::{Namespace, ServiceAccountName},
    revocation::{self, Measure, PodUid, Reopening, Revocations, RevokeError, TokenId},
    store::StoreError,
};

/// Makes, lists and lifts revocations.
#[derive(Debug)]
pub(super) struct TokenRevocations {
    revocations: Arc<Revocations>,
}

impl TokenRevocations {
    pub(super) const fn new(revocations: Arc<Revocations>) -> Self {
        Self { revocations }
    }

    async fn revoke(&self, request: RevokeTokensRequest) -> Result<RevokeTokensResponse, Status> {
        let target = parse(request.target)?;
        let before = request.before_ms.map(Timestamp::from_unix_millis);
        let measure = match before {
            Some(_) if request.deny => {
                return Err(Status::invalid_argument("either the tokens before a time are refused, or all are"));
            }
            Some(before) => Measure::Before(before),
            None if request.deny || target.is_denied_whole() => Measure::Deny,
            None => Measure::BeforeNow,
        };
        let revocations = Arc::clone(&self.revocations);
        let revocation = to_its_end(async move { revocations.revoke(target, measure).await }).await?;
        Ok(RevokeTokensResponse { revocation: Some(revocation.into()) })
    }

    async fn remove(&self, request: RemoveRevocationRequest) -> Result<RemoveRevocationResponse, Status> {
        let target = parse(request.target)?;
        let reopening = if request.for_new_tokens_only { Reopening::ForNewTokens } else { Reopening::ForAllTokens };
        let (revocations, lifted) = (Arc::clone(&self.revocations), target.clone());
        let left = to_its_end(async move { revocations.lift(&lifted, reopening).await }).await?;
        let left = left.ok_or_else(|| Status::not_found(format!("nothing is revoked of {target}")))?;
        Ok(RemoveRevocationResponse { left: left.not_before().is_some().then(|| left.into()) })
    }
}

/// Carries a change out, whatever becomes of the caller.
async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, RevokeError>> + Send + 'static,
) -> Result<T, Status> {
    let outcome = tokio::spawn(change).await.map_err(|_| Status::internal("something failed inside"))?;
    outcome.map_err(|error| match error {
        RevokeError::Future | RevokeError::WholeOnly(_) => Status::invalid_argument(error.to_string()),
        RevokeError::Contended => Status::aborted(error.to_string()),
        RevokeError::NotWhole => Status::failed_precondition(error.to_string()),
        RevokeError::Store(StoreError::Full(_)) => Status::resource_exhausted(error.to_string()),
        RevokeError::Store(_) => Status::unavailable(error.to_string()),
    })
}

#[tonic::async_trait]
impl RevocationService for TokenRevocations {
    async fn revoke_tokens(
        &self,
        request: Request<RevokeTokensRequest>,
    ) -> Result<Response<RevokeTokensResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let act = Act {
            act: "revoke_tokens",
            target: request.target.as_ref().map_or_else(String::new, RevocationTarget::name),
        };
        let outcome = self.revoke(request).await;
        act.record(&caller, outcome, |answer| answer.revocation.as_ref().map_or_else(String::new, summary))
    }

    async fn list_revocations(
        &self,
        request: Request<ListRevocationsRequest>,
    ) -> Result<Response<ListRevocationsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let listed = self.revocations.list().await.map_err(|error| Status::unavailable(error.to_string()));
        let outcome = listed
            .map(|listed| ListRevocationsResponse { revocations: listed.into_iter().map(Revocation::from).collect() });
        let act = Act { act: "list_revocations", target: String::new() };
        act.record(&caller, outcome, |answer| format!("{} listed", answer.revocations.len()))
    }

    async fn remove_revocation(
        &self,
        request: Request<RemoveRevocationRequest>,
    ) -> Result<Response<RemoveRevocationResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let act = Act {
            act: "remove_revocation",
            target: request.target.as_ref().map_or_else(String::new, RevocationTarget::name),
        };
        let outcome = self.remove(request).await;
        act.record(&caller, outcome, |answer| answer.left.as_ref().map_or_else(|| "lifted".to_owned(), summary))
    }

    async fn accept_revocations(
        &self,
        request: Request<AcceptRevocationsRequest>,
    ) -> Result<Response<AcceptRevocationsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let revocations = Arc::clone(&self.revocations);
        let accepted = to_its_end(async move { revocations.accept().await }).await;
        let outcome = accepted
            .map(|in_force| AcceptRevocationsResponse { in_force: u64::try_from(in_force).unwrap_or(u64::MAX) });
        let act = Act { act: "accept_revocations", target: String::new() };
        act.record(&caller, outcome, |answer| format!("{} in force", answer.in_force))
    }
}

/// The target of a request, whose names keep the rules of Kubernetes.
fn parse(target: Option<RevocationTarget>) -> Result<revocation::Target, Status> {
    let invalid = |error: &dyn std::error::Error| Status::invalid_argument(error.to_string());
    let target = target.and_then(|target| target.target);
    Ok(match target.ok_or_else(|| Status::invalid_argument("the request names no tokens"))? {
        Target::Namespace(name) => {
            revocation::Target::Namespace(Namespace::parse(&name).map_err(|error| invalid(&error))?)
        }
        Target::ServiceAccount(ServiceAccount { namespace, name }) => revocation::Target::ServiceAccount(
            ServiceAccountName::new(&namespace, &name).map_err(|error| invalid(&error))?,
        ),
        Target::PodUid(uid) => revocation::Target::Pod(PodUid::parse(&uid).map_err(|error| invalid(&error))?),
        Target::TokenId(id) => revocation::Target::Token(TokenId::parse(&id).map_err(|error| invalid(&error))?),
    })
}

impl RevocationTarget {
    /// The target as the commands name it, and as it came.
    pub(crate) fn name(&self) -> String {
        match &self.target {
            Some(Target::Namespace(name)) => format!("namespace {name}"),
            Some(Target::ServiceAccount(account)) => format!("service-account {}/{}", account.namespace, account.name),
            Some(Target::PodUid(uid)) => format!("pod {uid}"),
            Some(Target::TokenId(id)) => format!("token {id}"),
            None => String::new(),
        }
    }
}

fn summary(revocation: &Revocation) -> String {
    let not_before = revocation.not_before_ms.map(Timestamp::from_unix_millis);
    match (revocation.denied, not_before) {
        (true, _) => "denied".to_owned(),
        (false, Some(not_before)) => format!("not before {not_before:?}"),
        (false, None) => "nothing".to_owned(),
    }
}

impl From<revocation::Revocation> for Revocation {
    fn from(revocation: revocation::Revocation) -> Self {
        let target = match revocation.target() {
            revocation::Target::Namespace(namespace) => Target::Namespace(namespace.to_string()),
            revocation::Target::ServiceAccount(account) => Target::ServiceAccount(ServiceAccount {
                namespace: account.namespace().to_string(),
                name: account.name().to_owned(),
            }),
            revocation::Target::Pod(uid) => Target::PodUid(uid.as_str().to_owned()),
            revocation::Target::Token(id) => Target::TokenId(id.as_str().to_owned()),
        };
        Self {
            target: Some(RevocationTarget { target: Some(target) }),
            not_before_ms: revocation.not_before().map(Timestamp::as_unix_millis),
            denied: revocation.is_denied(),
            updated_at_ms: revocation.updated_at().as_unix_millis(),
        }
    }
}
