//! Sessions follow their provider.

use std::sync::Arc;

use super::{
    metrics::Metrics,
    refreshes::Refreshes,
    session_calls::{Outcome, Presented, lapsed},
    strict::StrictChecks,
    vouchers::Vouchers,
};
use crate::{
    clock::SharedClock,
    logout::TokenRevocation,
    providers::Providers,
    session::{Session, Sessions},
};

/// Keeps sessions as fresh as their providers want them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Freshness {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    providers: Providers,
    sessions: Arc<Sessions>,
    refreshes: Arc<Refreshes>,
    strict: StrictChecks,
}

impl Freshness {
    pub(super) fn new(
        providers: &Providers,
        sessions: &Arc<Sessions>,
        clock: &SharedClock,
        metrics: &Metrics,
        token_revocation: &TokenRevocation,
        vouchers: &Arc<Vouchers>,
    ) -> Self {
        let refreshes = Refreshes::new(providers, sessions, clock, metrics, token_revocation, vouchers);
        let refreshes = Arc::new(refreshes);
        let strict = StrictChecks::new(providers, sessions, clock, metrics, &refreshes, vouchers);
        let (providers, sessions) = (providers.clone(), Arc::clone(sessions));
        Self { inner: Arc::new(Inner { providers, sessions, refreshes, strict }) }
    }

    /// Whether the session counts as it is, and nothing is to be done about it now.
    #[must_use]
    pub fn is_fresh(&self, presented: Presented<'_>, session: &Session) -> bool {
        self.inner.refreshes.is_fresh(presented, session) && self.inner.strict.is_fresh(presented, session)
    }

    /// The session as it counts now: refreshed where its access token has ended. Where that is about to, the refresh
    /// begins and nobody waits. A session without a refresh token, or of a provider for which nothing is configured,
    /// lives by its own lifetimes. Whoever calls may give up; a refresh that has begun is completed.
    ///
    /// # Errors
    /// Where it ended, also while the provider was waited for, or its access token has ended and no other one can be had
    /// now.
    pub async fn keep_fresh(&self, presented: Presented<'_>, session: Arc<Session>) -> Outcome {
        let inner = &*self.inner;
        let mut waited = false;
        let session = inner.refreshes.keep(presented, session, &mut waited).await?;
        let session = inner.strict.keep(presented, session, &mut waited).await?;
        let Some(registration) = inner.providers.registration(presented.provider).filter(|_| waited) else {
            return Ok(session);
        };
        // The provider's yes is about the moment at which it was asked: a logout that was acknowledged since then wins.
        inner.sessions.open(presented.ticket, presented.origin, registration).await.map_err(lapsed)
    }
}
