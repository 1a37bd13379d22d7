//! One refresh of one session: its access token is replaced, once on all replicas.
//!
//! While the access token is good nobody waits: the refresh runs in a task. After its end a request waits for the
//! refresh, and what the provider then says decides. Only its word that the grant is gone, or that the person has no
//! usable name any more, ends a session; whatever else fails is tried again. So a new refresh token is stored before
//! anything else of an answer is judged: the one that was brought may be spent. A logout wins against a refresh: what
//! comes back for a session that has ended is revoked, not stored, and whoever waited looks again whether it is there.

use std::{sync::Arc, time::Duration};

use super::{
    due,
    exchange::Exchange,
    exchange_error::ExchangeError,
    kept_tokens::kept,
    metrics::Metrics,
    refresh_grant::Brought,
    session_calls::{Outcome, lapsed},
    vouchers::Vouchers,
};
use crate::{
    calls::{CallFailure as _, Closed, Lane, Patience},
    clock::SharedClock,
    logout::TokenRevocation,
    providers::{Known, Provider, ProviderCall, RefreshConfig, Trouble, for_log},
    reason::Reason,
    secret::SecretString,
    session::{Current, Handle, Renewal, Renewed, Session, Sessions, Tokens},
    store::{LeaseHolder, StoreError},
};

/// How long all of a refresh may take: shorter than the gateway waits.
const DEADLINE: Duration = Duration::from_secs(8);
/// How long a lease lasts unless it is renewed, so that a replica that dies is not waited for, and how often it is
/// renewed while a call runs.
const LEASE: Duration = Duration::from_secs(3);
const LEASE_RENEWAL: Duration = Duration::from_secs(1);
/// How often whoever waits for another replica reads again.
const POLL: Duration = Duration::from_millis(50);
/// How often new tokens are tried to be stored, and the first pause; it doubles: some three seconds, in which a store
/// that fails over is back.
const ATTEMPTS: u32 = 7;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What every refresh needs.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) sessions: Arc<Sessions>,
    pub(super) clock: SharedClock,
    pub(super) metrics: Metrics,
    pub(super) token_revocation: TokenRevocation,
    pub(super) vouchers: Arc<Vouchers>,
}

/// Refreshes at one provider.
#[derive(Debug)]
pub(super) struct AtProvider {
    pub(super) provider: Arc<Provider>,
    pub(super) config: RefreshConfig,
    pub(super) lane: Lane,
}

/// One refresh of one session.
pub(super) struct Refresh {
    pub(super) at: Arc<AtProvider>,
    pub(super) shared: Arc<Shared>,
    pub(super) ticket: SecretString,
    pub(super) origin: String,
    pub(super) session: Arc<Session>,
    pub(super) at_once: bool,
    /// Monotonic.
    pub(super) began_at: Duration,
}

impl Refresh {
    pub(super) async fn run(self) -> Outcome {
        let holder = LeaseHolder::random();
        if let Some(outcome) = self.wait_for_lease(&holder).await {
            return outcome;
        }
        // The lease is renewed for as long as the provider takes.
        let outcome = tokio::select! {
            outcome = self.refresh() => outcome,
            never = self.hold_lease(&holder) => match never {},
        };
        if self.shared.sessions.release_lease(&self.session, &holder).await.is_err() {
            tracing::debug!(session = %self.session.handle(), "a lease was not given back; it ends by itself");
        }
        outcome
    }

    /// Waits until this process alone may refresh the session; the outcome where another one did so meanwhile.
    async fn wait_for_lease(&self, holder: &LeaseHolder) -> Option<Outcome> {
        loop {
            match self.shared.sessions.take_lease(&self.session, holder, LEASE).await {
                Ok(true) => return None,
                Ok(false) => {}
                Err(_) => return Some(Err(Reason::StoreUnavailable)),
            }
            if self.time_left().is_zero() {
                return Some(Err(Reason::ProviderUnavailable));
            }
            tokio::time::sleep(POLL).await;
            if let Some(outcome) = self.read_if_fresh().await {
                return Some(outcome);
            }
        }
    }

    async fn hold_lease(&self, holder: &LeaseHolder) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(LEASE_RENEWAL).await;
            // Where that fails, the store's own "replace what was read" still keeps two refreshes apart.
            let _ = self.shared.sessions.take_lease(&self.session, holder, LEASE).await;
        }
    }

    /// The session as the store has it, where it has ended or is not due any more.
    async fn read_if_fresh(&self) -> Option<Outcome> {
        match self.read().await {
            Ok(current) if self.is_due(current.session()) => None,
            Ok(_) => Some(self.reopen().await),
            Err(error) => Some(Err(error)),
        }
    }

    async fn read(&self) -> Result<Current, Reason> {
        let current = self.shared.sessions.current(self.ticket.expose(), &self.origin, &self.at.provider.registration);
        current.await.map_err(lapsed)
    }

    async fn reopen(&self) -> Outcome {
        let session = self.shared.sessions.open(self.ticket.expose(), &self.origin, &self.at.provider.registration);
        session.await.map_err(lapsed)
    }

    /// Refreshes what the store has, with the lease.
    async fn refresh(&self) -> Outcome {
        let current = self.read().await?;
        if !self.is_due(current.session()) {
            return self.reopen().await;
        }
        let (outcome, told) = self.bring(current).await;
        self.shared.metrics.refreshed(self.at.provider.name(), told);
        outcome
    }

    /// Brings the refresh token, keeps the one that comes in its place, and only then judges the answer.
    async fn bring(&self, mut current: Current) -> (Outcome, &'static str) {
        let brought_token = current.tokens().refresh_token.clone();
        let place = self.at.lane.enter(self.time_left()).await.map_err(|closed| match closed {
            Closed::Failing => unavailable("it did not answer just now"),
            Closed::Full => {
                self.at.provider.troubles.crowded(ProviderCall::Refresh);
                unavailable("too many refreshes at once")
            }
        });
        let _place = match place {
            Ok(place) => place,
            Err(error) => return self.failed(&current, None, &error).await,
        };
        let Some(known) = self.at.provider.discovery.known().await else {
            return self.failed(&current, None, &ExchangeError::unknown(&self.at.provider)).await;
        };
        let asked_at = self.shared.clock.monotonic();
        let answer = self.ask(&known, current.tokens()).await;
        if let Some(token) = answer.rotated(current.tokens()).cloned() {
            current = match self.keep(current, &token).await {
                Ok(current) => current,
                Err(over) => return over,
            };
        }
        let exchange = self.exchange(&known);
        let judging = exchange.judge(current.session().user(), current.tokens(), answer);
        let judged = self.at.lane.call(self.time_left(), judging).await;
        match judged {
            Ok(renewal) => self.store(current, renewal, asked_at).await,
            Err(error) => self.failed(&current, brought_token.as_ref(), &error).await,
        }
    }

    /// Brings the refresh token. Whether that was answered counts when the answer is judged.
    async fn ask(&self, known: &Known, tokens: &Tokens) -> Brought {
        let exchange = self.exchange(known);
        let brought = tokio::time::timeout(self.time_left(), exchange.bring(tokens)).await;
        brought.unwrap_or_else(|_| Brought::nothing(ExchangeError::out_of_time()))
    }

    fn exchange<'a>(&'a self, known: &'a Known) -> Exchange<'a> {
        Exchange::at(&self.at.provider, known, self.shared.clock.now())
    }

    /// Stores the refresh token that came in the place of the last one; else what becomes of the refresh. A store that
    /// stumbles is asked again.
    async fn keep(&self, mut current: Current, token: &SecretString) -> Result<Current, (Outcome, &'static str)> {
        let mut patience = Patience::new(ATTEMPTS, FIRST_PAUSE);
        loop {
            match self.shared.sessions.keep_refresh_token(&mut current, token).await {
                Ok(Renewed::Done(())) => return Ok(current),
                Ok(Renewed::Ended) => {
                    let tokens = Tokens { refresh_token: Some(token.clone()), ..current.tokens().clone() };
                    self.shared.token_revocation.revoke(self.at.provider.name(), &tokens);
                    return Err((Err(Reason::SessionEnded), "logged_out"));
                }
                Ok(Renewed::Superseded) => {
                    let now = self.read().await.map_err(|error| (Err(error), "failure"))?;
                    // It was us, where the store's answer was lost.
                    if now.tokens().refresh_token.as_ref() == Some(token) {
                        return Ok(now);
                    }
                    return Err((self.as_another_left_it().await, "superseded"));
                }
                Err(_) if patience.lasts().await => {}
                Err(_) => return Err((Err(Reason::StoreUnavailable), "failure")),
            }
        }
    }

    /// Stores what the provider gave, which was asked at `asked_at` (monotonic). The refresh token that was brought is
    /// spent, so a store that stumbles is asked again.
    async fn store(&self, current: Current, renewal: Renewal, asked_at: Duration) -> (Outcome, &'static str) {
        let dropped = renewal.user.groups.dropped();
        if dropped > 0 {
            self.shared.metrics.groups_dropped(self.at.provider.name(), dropped);
        }
        if renewal.user.userid != current.session().user().userid {
            // Whoever looks for the session by its person's name would not find it any more.
            return self.end("the provider gives the person another name").await;
        }
        let revocable = renewal.tokens.clone();
        let renewal = Renewal { tokens: kept(renewal.tokens, &self.at.provider.config), ..renewal };
        let mut patience = Patience::new(ATTEMPTS, FIRST_PAUSE);
        loop {
            match self.shared.sessions.renew(&current, &renewal).await {
                Ok(Renewed::Done(session)) => {
                    self.at.provider.troubles.succeeded(ProviderCall::RefreshAnswer);
                    self.shared.vouchers.vouched(&self.at.provider.config, session.handle(), asked_at);
                    return (Ok(session), "success");
                }
                Ok(Renewed::Ended) => {
                    self.shared.token_revocation.revoke(self.at.provider.name(), &revocable);
                    return (Err(Reason::SessionEnded), "logged_out");
                }
                Ok(Renewed::Superseded) => return (self.as_another_left_it().await, "superseded"),
                Err(_) if patience.lasts().await => {}
                Err(_) => return (Err(Reason::StoreUnavailable), "failure"),
            }
        }
    }

    /// The session where somebody else changed it first: as it is now, where that is fresh.
    async fn as_another_left_it(&self) -> Outcome {
        self.read_if_fresh().await.unwrap_or(Err(Reason::ProviderUnavailable))
    }

    /// `brought` is the refresh token that the provider was given, if it was.
    async fn failed(
        &self,
        current: &Current,
        brought: Option<&SecretString>,
        error: &ExchangeError,
    ) -> (Outcome, &'static str) {
        self.tell(current.session().handle(), error);
        if let Some(refused) = error.refuses_the_token() {
            return match self.read().await {
                // Another replica whose lease was thought lost may have brought the token first.
                Ok(now) if now.tokens().refresh_token.as_ref() != brought => {
                    (self.as_another_left_it().await, "superseded")
                }
                Ok(now) if !self.is_due(now.session()) => (self.reopen().await, "superseded"),
                Ok(_) => self.end(&format!("the provider has ended the grant: {refused}")).await,
                Err(error) => (Err(error), "failure"),
            };
        }
        match error {
            ExchangeError::Identity(why) => self.end(&format!("the person has no usable name any more: {why}")).await,
            error => (Err(error.reason_of_session()), "failure"),
        }
    }

    /// Tells why a session is not refreshed. What is wrong for many is told once for all of them: by the call that met it,
    /// or here, where the answer came and is none that can be used.
    fn tell(&self, session: &Handle, error: &ExchangeError) {
        let provider = &self.at.provider;
        tracing::debug!(provider = provider.name().as_str(), %session, error = for_log(error), "a session is not refreshed");
        if let Some(Trouble::Unusable(text)) = error.trouble() {
            let url = provider.known_now().map(|known| known.token.url().to_string()).unwrap_or_default();
            let trouble = Trouble::Unusable(format!("{text} (session {session})"));
            provider.troubles.failed(ProviderCall::RefreshAnswer, &url, &trouble);
        }
    }

    async fn end(&self, why: &str) -> (Outcome, &'static str) {
        let (provider, session) = (self.at.provider.name().as_str(), self.session.handle());
        tracing::info!(provider, %session, why = for_log(&why), "a session ends");
        match self.shared.sessions.end(self.ticket.expose()).await {
            Ok(_) => (Err(Reason::SessionEnded), "ended"),
            Err(
                StoreError::Full(_) | StoreError::ReadOnly(_) | StoreError::Damaged(_) | StoreError::Unavailable(_),
            ) => (Err(Reason::StoreUnavailable), "failure"),
        }
    }

    fn is_due(&self, session: &Session) -> bool {
        // Somebody else may have refreshed it since it was opened.
        let same = session.version() == self.session.version();
        (self.at_once && same) || due::is_due(self.at.config, session, self.shared.clock.now())
    }

    fn time_left(&self) -> Duration {
        DEADLINE.saturating_sub(self.shared.clock.monotonic().saturating_sub(self.began_at))
    }
}

fn unavailable(text: &str) -> ExchangeError {
    ExchangeError::Unavailable(text.to_owned())
}
