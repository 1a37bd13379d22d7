//! Revocations of ServiceAccount tokens, for administrators.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{
    audit::{Act, Administrator},
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
#[derive(Clone, Debug)]
pub(super) struct TokenRevocations {
    revocations: Arc<Revocations>,
}

impl TokenRevocations {
    pub(super) const fn new(revocations: Arc<Revocations>) -> Self {
        Self { revocations }
    }

    async fn revoke(self, request: RevokeTokensRequest) -> Result<RevokeTokensResponse, Status> {
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
        let revocation = self.revocations.revoke(target, measure).await.map_err(|error| failed(&error))?;
        Ok(RevokeTokensResponse { revocation: Some(revocation.into()) })
    }

    async fn list(self) -> Result<ListRevocationsResponse, Status> {
        let listed = self.revocations.list().await.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(ListRevocationsResponse { revocations: listed.into_iter().map(Revocation::from).collect() })
    }

    async fn remove(self, request: RemoveRevocationRequest) -> Result<RemoveRevocationResponse, Status> {
        let target = parse(request.target)?;
        let reopening = if request.for_new_tokens_only { Reopening::ForNewTokens } else { Reopening::ForAllTokens };
        let left = self.revocations.lift(&target, reopening).await.map_err(|error| failed(&error))?;
        let left = left.ok_or_else(|| Status::not_found(format!("nothing is revoked of {target}")))?;
        Ok(RemoveRevocationResponse { left: left.not_before().is_some().then(|| left.into()) })
    }

    async fn accept(self) -> Result<AcceptRevocationsResponse, Status> {
        let in_force = self.revocations.accept().await.map_err(|error| failed(&error))?;
        Ok(AcceptRevocationsResponse { in_force: u64::try_from(in_force).unwrap_or(u64::MAX) })
    }
}

fn failed(error: &RevokeError) -> Status {
    match error {
        RevokeError::Future | RevokeError::WholeOnly(_) => Status::invalid_argument(error.to_string()),
        RevokeError::Contended => Status::aborted(error.to_string()),
        RevokeError::NotWhole => Status::failed_precondition(error.to_string()),
        RevokeError::Store(StoreError::Full(_)) => Status::resource_exhausted(error.to_string()),
        RevokeError::Store(_) => Status::unavailable(error.to_string()),
    }
}

#[tonic::async_trait]
impl RevocationService for TokenRevocations {
    async fn revoke_tokens(
        &self,
        request: Request<RevokeTokensRequest>,
    ) -> Result<Response<RevokeTokensResponse>, Status> {
        let administrator = Administrator::of(&request)?;
        let request = request.into_inner();
        let act = Act {
            act: "revoke_tokens",
            target: request.target.as_ref().map_or_else(String::new, RevocationTarget::name),
        };
        let found = |answer: &RevokeTokensResponse| answer.revocation.as_ref().map_or_else(String::new, summary);
        administrator.carry_out(act, self.clone().revoke(request), found).await
    }

    async fn list_revocations(
        &self,
        request: Request<ListRevocationsRequest>,
    ) -> Result<Response<ListRevocationsResponse>, Status> {
        let administrator = Administrator::of(&request)?;
        let act = Act { act: "list_revocations", target: String::new() };
        let found = |answer: &ListRevocationsResponse| format!("{} listed", answer.revocations.len());
        administrator.carry_out(act, self.clone().list(), found).await
    }

    async fn remove_revocation(
        &self,
        request: Request<RemoveRevocationRequest>,
    ) -> Result<Response<RemoveRevocationResponse>, Status> {
        let administrator = Administrator::of(&request)?;
        let request = request.into_inner();
        let act = Act {
            act: "remove_revocation",
            target: request.target.as_ref().map_or_else(String::new, RevocationTarget::name),
        };
        let found =
            |answer: &RemoveRevocationResponse| answer.left.as_ref().map_or_else(|| "lifted".to_owned(), summary);
        administrator.carry_out(act, self.clone().remove(request), found).await
    }

    async fn accept_revocations(
        &self,
        request: Request<AcceptRevocationsRequest>,
    ) -> Result<Response<AcceptRevocationsResponse>, Status> {
        let administrator = Administrator::of(&request)?;
        let act = Act { act: "accept_revocations", target: String::new() };
        let found = |answer: &AcceptRevocationsResponse| format!("{} in force", answer.in_force);
        administrator.carry_out(act, self.clone().accept(), found).await
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
