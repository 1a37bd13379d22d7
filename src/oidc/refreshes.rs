//! Refreshes of sessions, each once for all who ask.

use std::sync::Arc;

use super::{
    due,
    metrics::Metrics,
    refresh::{AtProvider, Refresh, Shared},
    session_calls::{Answer, Outcome, Presented, SessionCalls},
    vouchers::Vouchers,
};
use crate::{
    calls::Lane,
    clock::SharedClock,
    logout::TokenRevocation,
    providers::{PerProvider, Providers},
    secret::SecretString,
    session::{Session, Sessions},
};

/// How many sessions of one provider are refreshed at once; more wait.
const AT_ONCE: usize = 16;

/// Refreshes at every provider whose sessions follow it.
#[derive(Debug)]
pub(super) struct Refreshes {
    at: PerProvider<Arc<AtProvider>>,
    shared: Arc<Shared>,
    calls: SessionCalls,
}

impl Refreshes {
    pub(super) fn new(
        providers: &Providers,
        sessions: &Arc<Sessions>,
        clock: &SharedClock,
        metrics: &Metrics,
        token_revocation: &TokenRevocation,
        vouchers: &Arc<Vouchers>,
    ) -> Self {
        let at = providers.each(|provider| {
            let lane = Lane::new(AT_ONCE, &provider.token_endpoint, clock);
            let config = provider.config.refresh?;
            Some(Arc::new(AtProvider { provider: Arc::clone(provider), config, lane }))
        });
        let shared = Shared {
            sessions: Arc::clone(sessions),
            clock: Arc::clone(clock),
            metrics: metrics.clone(),
            token_revocation: token_revocation.clone(),
            vouchers: Arc::clone(vouchers),
        };
        Self { at, shared: Arc::new(shared), calls: SessionCalls::new() }
    }

    /// The session, refreshed where that is due; a refresh for which nobody need wait begins. `waited` says whether
    /// the provider was waited for.
    pub(super) async fn keep(&self, presented: Presented<'_>, session: Arc<Session>, waited: &mut bool) -> Outcome {
        let Some(at) = self.at.get(presented.provider) else { return Ok(session) };
        let now = self.shared.clock.now();
        if !due::is_due(at.config, &session, now) {
            return Ok(session);
        }
        let is_good = session.renewable().is_none_or(|life| due::is_good(life, now));
        let answer = self.begin(at, presented, &session, false);
        if is_good {
            return Ok(session);
        }
        *waited = true;
        answer.outcome().await
    }

    /// Whether no refresh is due.
    pub(super) fn is_fresh(&self, presented: Presented<'_>, session: &Session) -> bool {
        let at = self.at.get(presented.provider);
        at.is_none_or(|at| !due::is_due(at.config, session, self.shared.clock.now()))
    }

    /// Refreshes a session whether or not that is due; `None` where its provider's are not refreshed.
    pub(super) async fn at_once(&self, presented: Presented<'_>, session: &Arc<Session>) -> Option<Outcome> {
        let at = self.at.get(presented.provider)?;
        Some(self.begin(at, presented, session, true).outcome().await)
    }

    /// Begins a refresh, which runs from now on, or takes part in the one that runs.
    fn begin(&self, at: &Arc<AtProvider>, presented: Presented<'_>, session: &Arc<Session>, at_once: bool) -> Answer {
        self.calls.share(session.handle(), || {
            let refresh = Refresh {
                at: Arc::clone(at),
                shared: Arc::clone(&self.shared),
                ticket: SecretString::new(presented.ticket.to_owned()),
                origin: presented.origin.to_owned(),
                session: Arc::clone(session),
                at_once,
                began_at: self.shared.clock.monotonic(),
            };
            refresh.run()
        })
    }
}
