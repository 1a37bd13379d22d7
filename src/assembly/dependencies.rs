//! What `/readyz` tells of those whom the product asks.

use std::sync::Arc;

use super::wiring::Built;
use crate::{
    http::{Dependency, DependencyState},
    providers::ProviderFailure,
    store::StoreReach,
};

/// Each of them, by its name.
pub(super) fn dependencies(built: &Built) -> Vec<Dependency> {
    let state = |answering| if answering { DependencyState::Answering } else { DependencyState::Failing };
    let providers = built.oidc.providers.known().map(|(name, _)| {
        let (providers, wanted) = (built.oidc.providers.clone(), name.clone());
        let state = move || match providers.failure(&wanted) {
            Some(ProviderFailure { since, problem }) => {
                DependencyState::FailingSince { since, problem: problem.into() }
            }
            None => state(providers.known().any(|(name, known)| *name == wanted && known)),
        };
        Dependency { name: format!("provider {}", name.as_str()), state: Arc::new(state) }
    });
    let api_server = built.accounts.iter().map(|accounts| {
        let tokens = accounts.tokens.clone();
        Dependency { name: "API server".to_owned(), state: Arc::new(move || state(tokens.is_answered())) }
    });
    let audiences = built.accounts.iter().map(|accounts| {
        let tokens = accounts.tokens.clone();
        let state = move || state(tokens.known_audiences().may_judge());
        Dependency { name: "audiences of tokens".to_owned(), state: Arc::new(state) }
    });
    let access = built.access.iter().map(|access| {
        let reviewer = access.reviewer.clone();
        Dependency { name: "access reviews".to_owned(), state: Arc::new(move || state(reviewer.is_answered())) }
    });
    let store = built.sessions.store_reach().map(|_| {
        let sessions = Arc::clone(&built.sessions);
        let state = move || match sessions.store_reach() {
            Some(StoreReach::Lost { since, problem }) => {
                DependencyState::FailingSince { since, problem: problem.into() }
            }
            Some(StoreReach::Reached) | None => DependencyState::Answering,
        };
        Dependency { name: "session store".to_owned(), state: Arc::new(state) }
    });
    let revocations = Arc::clone(&built.revocations);
    let revocations =
        Dependency { name: "list of revocations".to_owned(), state: Arc::new(move || state(revocations.is_current())) };
    providers.chain(api_server).chain(audiences).chain(access).chain(store).chain([revocations]).collect()
}
