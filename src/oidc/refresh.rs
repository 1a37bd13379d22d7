//! Sessions follow the provider: access tokens are replaced before they end, once for all who ask and on all replicas.
//!
//! While the access token is good nobody waits: the refresh runs in a task. After its end a request waits for the
//! refresh, and what the provider then says decides. Only its word that the grant is gone, or that the person has no
//! usable name any more, ends a session; whatever else fails is tried again. So a new refresh token is stored before
//! anything else of an answer is judged: the one that was brought may be spent. A logout wins against a refresh: what
//! comes back for a session that has ended is revoked, not stored, and whoever waited looks again whether it is there.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tracing::Instrument as _;

use super::{
    exchange::ExchangeError,
    login::{Login, kept},
    provider::Provider,
};
use crate::{
    clock::Timestamp,
    memory,
    principal::ProviderName,
    providers::{Known, RefreshConfig, for_log},
    secret::SecretString,
    session::{AccessTokenLife, Current, Handle, OpenError, Renewal, Renewed, Session, Tokens},
    store::{CLOCK_TOLERANCE, LeaseHolder, StoreError},
};

/// How long all of a refresh may take: shorter than the gateway waits.
const DEADLINE: Duration = Duration::from_secs(8);
/// How long a lease lasts unless it is renewed, so that a replica that dies is not waited for, and how often it is
/// renewed while a call runs.
const LEASE: Duration = Duration::from_secs(3);
const LEASE_RENEWAL: Duration = Duration::from_secs(1);
/// How often whoever waits for another replica reads again.
const POLL: Duration = Duration::from_millis(50);
/// How long the outcome of a refresh that failed is told to whoever asks next.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How often new tokens are tried to be stored, and the first pause; it doubles: some three seconds, in which a store
/// that fails over is back.
const ATTEMPTS: u32 = 7;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// A session's cookie as it was presented. The ticket does not print.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The ticket.
    pub ticket: &'a str,
    /// The origin's URL, as configured.
    pub origin: &'a str,
    /// The provider that its people sign in at.
    pub provider: &'a ProviderName,
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, provider, .. } = self;
        formatter.debug_struct("Presented").field("origin", origin).field("provider", provider).finish_non_exhaustive()
    }
}

/// Why a session does not count, although it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotFresh {
    /// It ended now, or meanwhile.
    Ended,
    /// Its access token has ended, and the provider does not give another one at present.
    ProviderUnavailable,
    /// Its access token has ended, and the store does not answer.
    StoreUnavailable,
}

pub(super) type Outcome = Result<Arc<Session>, NotFresh>;
pub(super) type Answer = Shared<BoxFuture<'static, Outcome>>;

/// The calls about sessions that are running, or failed a moment ago, by the session's handle. Both are bounded in number
/// by [`memory::SESSION_CALLS_RUNNING`] and [`memory::SESSION_CALLS_FAILED`].
#[derive(Debug, Default)]
pub(super) struct Refreshes(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    answers: HashMap<Handle, Answer>,
    running: usize,
}

impl Refreshes {
    /// The outcome of the call about this session: of the one that is known, else of `begin`'s, which runs in a task.
    /// Where too many run, none begins: their provider is too slow for more.
    pub(super) fn share<F>(self: &Arc<Self>, session: &Handle, begin: impl FnOnce() -> F) -> Answer
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut calls = self.calls();
        if let Some(answer) = calls.answers.get(session) {
            return answer.clone();
        }
        if calls.running >= memory::SESSION_CALLS_RUNNING {
            return std::future::ready(Err(NotFresh::ProviderUnavailable)).boxed().shared();
        }
        calls.running += 1;
        let task = tokio::spawn(begin().in_current_span());
        let answer = async { task.await.unwrap_or(Err(NotFresh::ProviderUnavailable)) }.boxed().shared();
        calls.answers.insert(session.clone(), answer.clone());
        tokio::spawn(Arc::clone(self).forget(session.clone(), answer.clone()));
        answer
    }

    async fn forget(self: Arc<Self>, session: Handle, answer: Answer) {
        let failed = matches!(answer.await, Err(NotFresh::ProviderUnavailable | NotFresh::StoreUnavailable));
        if self.is_remembered(failed) {
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
        }
        self.calls().answers.remove(&session);
    }

    /// Counts a call as ended; whether its outcome is told to whoever asks next.
    fn is_remembered(&self, failed: bool) -> bool {
        let mut calls = self.calls();
        calls.running -= 1;
        failed && calls.answers.len() - calls.running <= memory::SESSION_CALLS_FAILED
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RefreshConfig {
    fn is_due(&self, session: &Session, now: Timestamp) -> bool {
        session.renewable().is_some_and(|life| {
            let ahead = self.ahead.min(life.expires_at.since(life.issued_at) / 2);
            now >= life.expires_at.minus(ahead) || is_dated_ahead(life, now)
        })
    }
}

/// Whether the access token is good. One that was issued later than now is of before the clock stepped back: nobody knows
/// how much of its life has passed.
fn is_good(life: AccessTokenLife, now: Timestamp) -> bool {
    now < life.expires_at && !is_dated_ahead(life, now)
}

fn is_dated_ahead(life: AccessTokenLife, now: Timestamp) -> bool {
    life.issued_at > now.plus(CLOCK_TOLERANCE)
}

impl Login {
    /// The session as it counts now: refreshed where its access token has ended. Where that is about to, the refresh
    /// begins and nobody waits. A session without a refresh token, or of a provider for which nothing is configured,
    /// lives by its own lifetimes. Whoever calls may give up; a refresh that has begun is completed.
    ///
    /// # Errors
    /// Where it ended, also while the provider was waited for, or its access token has ended and no other one can be had
    /// now.
    pub async fn keep_fresh(&self, presented: Presented<'_>, session: Arc<Session>) -> Outcome {
        let Some(provider) = self.provider(presented.provider) else { return Ok(session) };
        let mut waited = false;
        let session = self.keep_refreshed(provider, presented, session, &mut waited).await?;
        let session = self.keep_strict(provider, presented, session, &mut waited).await?;
        if !waited {
            return Ok(session);
        }
        // The provider's yes is about the moment at which it was asked: a logout that was acknowledged since then wins.
        let Presented { ticket, origin, .. } = presented;
        self.inner.sessions.open(ticket, origin, &provider.registration).await.map_err(not_fresh)
    }

    async fn keep_refreshed(
        &self,
        provider: &Arc<Provider>,
        presented: Presented<'_>,
        session: Arc<Session>,
        waited: &mut bool,
    ) -> Outcome {
        let Some(config) = provider.config.refresh else { return Ok(session) };
        let now = self.inner.clock.now();
        if !config.is_due(&session, now) {
            return Ok(session);
        }
        let is_good = session.renewable().is_none_or(|life| is_good(life, now));
        let answer = self.refresh(provider, config, presented, &session, false);
        if is_good {
            return Ok(session);
        }
        *waited = true;
        answer.await
    }

    /// Refreshes a session, once for all who ask at once. `at_once`: whether or not that is due.
    pub(super) fn refresh(
        &self,
        provider: &Arc<Provider>,
        config: RefreshConfig,
        presented: Presented<'_>,
        session: &Arc<Session>,
        at_once: bool,
    ) -> Answer {
        self.inner.refreshes.share(session.handle(), || {
            let refresh = Refresh {
                login: self.clone(),
                provider: Arc::clone(provider),
                config,
                ticket: SecretString::new(presented.ticket.to_owned()),
                origin: presented.origin.to_owned(),
                session: Arc::clone(session),
                at_once,
                began_at: self.inner.clock.monotonic(),
            };
            refresh.run()
        })
    }
}

/// One refresh of one session.
struct Refresh {
    login: Login,
    provider: Arc<Provider>,
    config: RefreshConfig,
    ticket: SecretString,
    origin: String,
    session: Arc<Session>,
    at_once: bool,
    /// Monotonic.
    began_at: Duration,
}

impl Refresh {
    async fn run(self) -> Outcome {
        let holder = LeaseHolder::random();
        if let Some(outcome) = self.wait_for_lease(&holder).await {
            return outcome;
        }
        // The lease is renewed for as long as the provider takes.
        let outcome = tokio::select! {
            outcome = self.refresh() => outcome,
            never = self.hold_lease(&holder) => match never {},
        };
        if self.login.inner.sessions.release_lease(&self.session, &holder).await.is_err() {
            tracing::debug!(session = %self.session.handle(), "a lease was not given back; it ends by itself");
        }
        outcome
    }

    /// Waits until this process alone may refresh the session; the outcome where another one did so meanwhile.
    async fn wait_for_lease(&self, holder: &LeaseHolder) -> Option<Outcome> {
        loop {
            match self.login.inner.sessions.take_lease(&self.session, holder, LEASE).await {
                Ok(true) => return None,
                Ok(false) => {}
                Err(_) => return Some(Err(NotFresh::StoreUnavailable)),
            }
            if self.time_left().is_zero() {
                return Some(Err(NotFresh::ProviderUnavailable));
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
            let _ = self.login.inner.sessions.take_lease(&self.session, holder, LEASE).await;
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

    async fn read(&self) -> Result<Current, NotFresh> {
        let current =
            self.login.inner.sessions.current(self.ticket.expose(), &self.origin, &self.provider.registration);
        current.await.map_err(not_fresh)
    }

    async fn reopen(&self) -> Outcome {
        let session = self.login.inner.sessions.open(self.ticket.expose(), &self.origin, &self.provider.registration);
        session.await.map_err(not_fresh)
    }

    /// Refreshes what the store has, with the lease.
    async fn refresh(&self) -> Outcome {
        let current = self.read().await?;
        if !self.is_due(current.session()) {
            return self.reopen().await;
        }
        let (outcome, told) = self.bring(current).await;
        self.login.inner.metrics.refreshed(&self.provider.config.name, told);
        outcome
    }

    /// Brings the refresh token, keeps the one that comes in its place, and only then judges the answer.
    async fn bring(&self, mut current: Current) -> (Outcome, &'static str) {
        let brought_token = current.tokens().refresh_token.clone();
        let place = tokio::time::timeout(self.time_left(), self.provider.refreshes.acquire()).await;
        let Some(_place) = place.ok().and_then(Result::ok) else {
            return self.failed(&current, None, &unavailable("too many refreshes at once")).await;
        };
        let known = match self.provider_to_ask().await {
            Ok(known) => known,
            Err(error) => return self.failed(&current, None, &error).await,
        };
        let asked_at = self.login.inner.clock.monotonic();
        let answer = self.provider.bring(&known, current.tokens(), self.time_left()).await;
        if let Some(token) = answer.rotated(current.tokens()).cloned() {
            current = match self.keep(current, &token).await {
                Ok(current) => current,
                Err(over) => return over,
            };
        }
        let judged = self.provider.judge(&known, current.session(), current.tokens(), answer, self.time_left()).await;
        match judged {
            Ok(renewal) => self.store(current, renewal, asked_at).await,
            Err(error) => self.failed(&current, brought_token.as_ref(), &error).await,
        }
    }

    async fn provider_to_ask(&self) -> Result<Arc<Known>, ExchangeError> {
        if !self.provider.breaker.allows(self.login.inner.clock.monotonic()) {
            return Err(unavailable("it did not answer just now"));
        }
        self.provider.discovery.known().await.ok_or_else(|| unavailable("it is not known yet"))
    }

    /// Stores the refresh token that came in the place of the last one; else what becomes of the refresh. A store that
    /// stumbles is asked again.
    async fn keep(&self, mut current: Current, token: &SecretString) -> Result<Current, (Outcome, &'static str)> {
        let mut patience = Patience::new();
        loop {
            match self.login.inner.sessions.keep_refresh_token(&mut current, token).await {
                Ok(Renewed::Done(())) => return Ok(current),
                Ok(Renewed::Ended) => {
                    let tokens = Tokens { refresh_token: Some(token.clone()), ..current.tokens().clone() };
                    self.login.revoke(&self.provider.config.name, &tokens);
                    return Err((Err(NotFresh::Ended), "logged_out"));
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
                Err(_) => return Err((Err(NotFresh::StoreUnavailable), "failure")),
            }
        }
    }

    /// Stores what the provider gave, which was asked at `asked_at` (monotonic). The refresh token that was brought is
    /// spent, so a store that stumbles is asked again.
    async fn store(&self, current: Current, renewal: Renewal, asked_at: Duration) -> (Outcome, &'static str) {
        let dropped = renewal.user.groups.dropped();
        if dropped > 0 {
            self.login.inner.metrics.groups_dropped(&self.provider.config.name, dropped);
        }
        if renewal.user.userid != current.session().user().userid {
            // Whoever looks for the session by its person's name would not find it any more.
            return self.end("the provider gives the person another name").await;
        }
        let revocable = renewal.tokens.clone();
        let renewal = Renewal { tokens: kept(renewal.tokens, &self.provider.config), ..renewal };
        let mut patience = Patience::new();
        loop {
            match self.login.inner.sessions.renew(&current, &renewal).await {
                Ok(Renewed::Done(session)) => {
                    self.login.inner.strict.vouched(&self.provider, session.handle(), asked_at);
                    return (Ok(session), "success");
                }
                Ok(Renewed::Ended) => {
                    self.login.revoke(&self.provider.config.name, &revocable);
                    return (Err(NotFresh::Ended), "logged_out");
                }
                Ok(Renewed::Superseded) => return (self.as_another_left_it().await, "superseded"),
                Err(_) if patience.lasts().await => {}
                Err(_) => return (Err(NotFresh::StoreUnavailable), "failure"),
            }
        }
    }

    /// The session where somebody else changed it first: as it is now, where that is fresh.
    async fn as_another_left_it(&self) -> Outcome {
        self.read_if_fresh().await.unwrap_or(Err(NotFresh::ProviderUnavailable))
    }

    /// `brought` is the refresh token that the provider was given, if it was.
    async fn failed(
        &self,
        current: &Current,
        brought: Option<&SecretString>,
        error: &ExchangeError,
    ) -> (Outcome, &'static str) {
        let (provider, session) = (self.provider.config.name.as_str(), current.session().handle());
        tracing::warn!(provider, %session, error = for_log(error), "a session was not refreshed");
        match error {
            ExchangeError::GrantRefused => match self.read().await {
                // Another replica whose lease was thought lost may have brought the token first.
                Ok(now) if now.tokens().refresh_token.as_ref() != brought => {
                    (self.as_another_left_it().await, "superseded")
                }
                Ok(now) if !self.is_due(now.session()) => (self.reopen().await, "superseded"),
                Ok(_) => self.end("the provider has ended the grant").await,
                Err(error) => (Err(error), "failure"),
            },
            ExchangeError::Identity(_) => self.end("the person has no usable name any more").await,
            _ => (Err(NotFresh::ProviderUnavailable), "failure"),
        }
    }

    async fn end(&self, why: &str) -> (Outcome, &'static str) {
        tracing::info!(session = %self.session.handle(), why, "a session ends");
        match self.login.inner.sessions.end(self.ticket.expose()).await {
            Ok(_) => (Err(NotFresh::Ended), "ended"),
            Err(
                StoreError::Full(_) | StoreError::ReadOnly(_) | StoreError::Damaged(_) | StoreError::Unavailable(_),
            ) => (Err(NotFresh::StoreUnavailable), "failure"),
        }
    }

    fn is_due(&self, session: &Session) -> bool {
        // Somebody else may have refreshed it since it was opened.
        let same = session.version() == self.session.version();
        (self.at_once && same) || self.config.is_due(session, self.login.inner.clock.now())
    }

    fn time_left(&self) -> Duration {
        DEADLINE.saturating_sub(self.login.inner.clock.monotonic().saturating_sub(self.began_at))
    }
}

/// The patience with a store that stumbles.
struct Patience {
    left: u32,
    pause: Duration,
}

impl Patience {
    const fn new() -> Self {
        Self { left: ATTEMPTS - 1, pause: FIRST_PAUSE }
    }

    /// Whether to try once more; waits before that.
    async fn lasts(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        tokio::time::sleep(self.pause).await;
        self.pause *= 2;
        true
    }
}

fn unavailable(text: &str) -> ExchangeError {
    ExchangeError::Unavailable(text.to_owned())
}

pub(super) const fn not_fresh(error: OpenError) -> NotFresh {
    match error {
        OpenError::NotOurs | OpenError::Ended => NotFresh::Ended,
        OpenError::Unavailable => NotFresh::StoreUnavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(number: usize) -> Handle {
        Handle::parse(&format!("{number:012}")).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn calls_about_sessions_are_bounded_in_number_and_so_is_what_is_remembered_of_them() {
        const ALL: usize = memory::SESSION_CALLS_RUNNING;
        let refreshes = Arc::new(Refreshes::default());
        let share = |number, outcome: Outcome, time| {
            refreshes.share(&session(number), || async move {
                tokio::time::sleep(time).await;
                outcome
            })
        };
        let second = Duration::from_secs(1);
        let answers: Vec<_> = (0..ALL).map(|number| share(number, Err(NotFresh::Ended), second)).collect();
        assert_eq!(share(ALL, Err(NotFresh::Ended), second).await.unwrap_err(), NotFresh::ProviderUnavailable);
        // Whoever asks about a call that runs takes part in it.
        assert_eq!(share(0, Err(NotFresh::StoreUnavailable), second).await.unwrap_err(), NotFresh::Ended);
        for answer in answers {
            assert_eq!(answer.await.unwrap_err(), NotFresh::Ended);
        }
        tokio::task::yield_now().await;

        for number in 0..2 * memory::SESSION_CALLS_FAILED {
            let answer = share(number, Err(NotFresh::ProviderUnavailable), Duration::ZERO);
            assert_eq!(answer.await.unwrap_err(), NotFresh::ProviderUnavailable, "{number}");
            // Whoever counts the call as ended runs.
            tokio::task::yield_now().await;
        }
        let remembered = refreshes.calls().answers.len();
        assert!(remembered <= memory::SESSION_CALLS_FAILED, "{remembered}");
        tokio::time::sleep(2 * PAUSE_AFTER_FAILURE).await;
        let calls = refreshes.calls();
        assert_eq!((calls.answers.len(), calls.running), (0, 0));
    }
}
