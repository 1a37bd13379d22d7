//! The sessions of people, for administrators.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tonic::{Request, Response, Status};

use super::{
    audit::{Act, Administrator},
    wire::{
        ListSessionsRequest, ListSessionsResponse, OneSession, ProviderSession, RevokeSessionsRequest,
        RevokeSessionsResponse, Session, revoke_sessions_request::Target, session_service_server::SessionService,
    },
};
use crate::{
    principal::Userid,
    providers::{Providers, SharedProviders},
    session::{Handle, SessionListing, Sessions},
    store::StoreError,
};

/// Lists and ends the sessions of people.
#[derive(Clone, Debug)]
pub(super) struct PeopleSessions {
    sessions: Arc<ArcSwap<Sessions>>,
    providers: SharedProviders,
}

impl PeopleSessions {
    pub(super) const fn new(sessions: Arc<ArcSwap<Sessions>>, providers: SharedProviders) -> Self {
        Self { sessions, providers }
    }

    async fn list(self, userid: String) -> Result<ListSessionsResponse, Status> {
        let listed = self.sessions.load_full().list_userid(&parse_userid(&userid)?).await;
        let sessions = listed.map_err(|error| failed(&error))?.into_iter().map(Session::from).collect();
        Ok(ListSessionsResponse { sessions })
    }

    /// Ends what `target` names.
    async fn revoke(self, target: Option<Target>) -> Result<RevokeSessionsResponse, Status> {
        let target = target.ok_or_else(|| Status::invalid_argument("the request names no sessions"))?;
        let (sessions, providers) = (self.sessions.load_full(), self.providers.load_full());
        let ended = end(&sessions, &providers, target).await?;
        Ok(RevokeSessionsResponse { ended: ended as u64 })
    }
}

async fn end(sessions: &Sessions, providers: &Providers, target: Target) -> Result<usize, Status> {
    let ended = match target {
        Target::Userid(userid) => sessions.end_userid(&parse_userid(&userid)?).await,
        Target::Session(OneSession { userid, handle }) => {
            let handle = parse_handle(&handle)?;
            let ended = match userid {
                Some(userid) => sessions.end_one_of_userid(&parse_userid(&userid)?, &handle).await,
                None => sessions.end_one(&handle).await,
            };
            if let Ok(false) = ended {
                return Err(Status::not_found("there is no such session: it has ended, or is another person's"));
            }
            ended.map(usize::from)
        }
        Target::ProviderSession(ProviderSession { issuer, sid }) => {
            if sid.is_empty() || issuer.as_ref().is_some_and(String::is_empty) {
                return Err(Status::invalid_argument("the issuer or the sid is empty"));
            }
            end_provider_session(sessions, providers, issuer.as_deref(), &sid).await
        }
    };
    ended.map_err(|error| failed(&error))
}

/// Ends what came of `sid` at one issuer, or at each that is configured.
async fn end_provider_session(
    sessions: &Sessions,
    providers: &Providers,
    issuer: Option<&str>,
    sid: &str,
) -> Result<usize, StoreError> {
    let issuers: Vec<&str> = issuer.map_or_else(|| providers.issuers().collect(), |issuer| vec![issuer]);
    let mut ended = 0;
    for issuer in issuers {
        ended += sessions.end_provider_session(issuer, sid).await?;
    }
    Ok(ended)
}

#[tonic::async_trait]
impl SessionService for PeopleSessions {
    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let administrator = Administrator::of(&request)?;
        let ListSessionsRequest { userid } = request.into_inner();
        let act = Act { act: "list_sessions", target: format!("user {userid}") };
        let found = |answer: &ListSessionsResponse| format!("{} listed", answer.sessions.len());
        administrator.carry_out(act, self.clone().list(userid), found).await
    }

    async fn revoke_sessions(
        &self,
        request: Request<RevokeSessionsRequest>,
    ) -> Result<Response<RevokeSessionsResponse>, Status> {
        let administrator = Administrator::of(&request)?;
        let RevokeSessionsRequest { target } = request.into_inner();
        let act = Act { act: "revoke_sessions", target: target.as_ref().map(describe).unwrap_or_default() };
        let found = |answer: &RevokeSessionsResponse| format!("{} ended", answer.ended);
        administrator.carry_out(act, self.clone().revoke(target), found).await
    }
}

impl From<SessionListing> for Session {
    fn from(listing: SessionListing) -> Self {
        Self {
            handle: listing.handle.as_str().to_owned(),
            userid: listing.userid.as_str().to_owned(),
            issuer: listing.issuer,
            subject: listing.subject,
            source: listing.source,
            created_at_ms: listing.created_at.as_unix_millis(),
            last_seen_ms: listing.last_seen.as_unix_millis(),
        }
    }
}

fn describe(target: &Target) -> String {
    match target {
        Target::Userid(userid) => format!("user {userid}"),
        Target::Session(OneSession { userid: Some(userid), handle }) => format!("session {handle} of user {userid}"),
        Target::Session(OneSession { userid: None, handle }) => format!("session {handle}"),
        Target::ProviderSession(ProviderSession { issuer: Some(issuer), sid }) => format!("sid {sid} of {issuer}"),
        Target::ProviderSession(ProviderSession { issuer: None, sid }) => format!("sid {sid}"),
    }
}

fn parse_userid(text: &str) -> Result<Userid, Status> {
    Userid::parse(text).map_err(|error| Status::invalid_argument(format!("the user id: {error}")))
}

fn parse_handle(text: &str) -> Result<Handle, Status> {
    Handle::parse(text).ok_or_else(|| Status::invalid_argument("the session: it is no handle, as lists show it"))
}

/// The store's failure: nothing is known of what it kept.
fn failed(error: &StoreError) -> Status {
    Status::unavailable(error.to_string())
}
