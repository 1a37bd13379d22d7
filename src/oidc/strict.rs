//! The strict mode: the provider is asked again and again whether a session's access token is still good, so that what
//! it ended there ends here soon. No answer is no "yes". When it was asked is told by the clock that never steps back.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use serde_json::Value;

use super::{
    exchange::{Exchange, ExchangeError},
    metrics::Metrics,
    refreshes::Refreshes,
    session_calls::{Outcome, Presented, SessionCalls, lapsed},
    userinfo::UserinfoError,
    vouchers::Vouchers,
};
use crate::{
    calls::{Breaker, Closed, Lane},
    clock::SharedClock,
    jose,
    providers::{Oddity, PerProvider, Provider, Providers, StrictAsk, StrictConfig, for_log, form, may_be_json},
    reason::Reason,
    secret::SecretString,
    session::{Session, Sessions},
};

/// How long the provider may take altogether: shorter than the gateway waits.
const DEADLINE: Duration = Duration::from_secs(8);
/// How long after its issue a token can hardly have ended.
const JUST_ISSUED: Duration = Duration::from_mins(1);
/// How many questions to one provider run at once; more wait. With refreshes and revocations there is room for sign-ins
/// among the calls that the outbound client makes at once.
const AT_ONCE: usize = 16;

/// The strict mode at every provider that has it.
#[derive(Debug)]
pub(super) struct StrictChecks {
    at: PerProvider<Arc<AtProvider>>,
    shared: Arc<Shared>,
    running: SessionCalls,
}

/// The strict mode at one provider.
#[derive(Debug)]
struct AtProvider {
    provider: Arc<Provider>,
    config: StrictConfig,
    /// With a breaker of its own: its endpoint may fail where others do not.
    lane: Lane,
}

/// What every question needs.
#[derive(Debug)]
struct Shared {
    sessions: Arc<Sessions>,
    clock: SharedClock,
    metrics: Metrics,
    refreshes: Arc<Refreshes>,
    vouchers: Arc<Vouchers>,
}

impl StrictChecks {
    pub(super) fn new(
        providers: &Providers,
        sessions: &Arc<Sessions>,
        clock: &SharedClock,
        metrics: &Metrics,
        refreshes: &Arc<Refreshes>,
        vouchers: &Arc<Vouchers>,
    ) -> Self {
        let at = providers.each(|provider| {
            let lane = Lane::new(AT_ONCE, &Arc::new(Breaker::new()), clock);
            let config = provider.config.strict?;
            Some(Arc::new(AtProvider { provider: Arc::clone(provider), config, lane }))
        });
        let shared = Shared {
            sessions: Arc::clone(sessions),
            clock: Arc::clone(clock),
            metrics: metrics.clone(),
            refreshes: Arc::clone(refreshes),
            vouchers: Arc::clone(vouchers),
        };
        Self { at, shared: Arc::new(shared), running: SessionCalls::new() }
    }

    /// Whether the provider need not be asked of the session.
    pub(super) fn is_fresh(&self, presented: Presented<'_>, session: &Session) -> bool {
        self.at.get(presented.provider).is_none_or(|at| self.is_vouched_for(at, session))
    }

    fn is_vouched_for(&self, at: &AtProvider, session: &Session) -> bool {
        let now = self.shared.clock.monotonic();
        let asked_at = self.shared.vouchers.asked_at(session.handle());
        asked_at.is_some_and(|asked_at| now.saturating_sub(asked_at) < at.config.every)
    }

    /// The session, where the provider has said of it lately that it counts. `waited` says whether it was waited for.
    pub(super) async fn keep(&self, presented: Presented<'_>, session: Arc<Session>, waited: &mut bool) -> Outcome {
        let Some(at) = self.at.get(presented.provider) else { return Ok(session) };
        if self.is_vouched_for(at, &session) {
            return Ok(session);
        }
        *waited = true;
        let answer = self.running.share(session.handle(), || {
            let question = Question {
                at: Arc::clone(at),
                shared: Arc::clone(&self.shared),
                ticket: SecretString::new(presented.ticket.to_owned()),
                origin: presented.origin.to_owned(),
                session: Arc::clone(&session),
            };
            question.run()
        });
        answer.outcome().await
    }
}

/// One question about one session.
struct Question {
    at: Arc<AtProvider>,
    shared: Arc<Shared>,
    ticket: SecretString,
    origin: String,
    session: Arc<Session>,
}

impl Question {
    async fn run(self) -> Outcome {
        let provider = &self.at.provider;
        let current = self.shared.sessions.current(self.ticket.expose(), &self.origin, &provider.registration);
        let current = current.await.map_err(lapsed)?;
        // A session from before the strict mode has none: nobody can ask about it.
        let Some(access_token) = current.tokens().access_token.clone() else { return self.not_good().await };
        let asked_at = self.shared.clock.monotonic();
        let (outcome, told) = match self.ask(&access_token).await {
            Ok(true) => {
                self.shared.vouchers.vouched(&provider.config, self.session.handle(), asked_at);
                (Ok(Arc::clone(&self.session)), "active")
            }
            Ok(false) => {
                let life = current.tokens().access_token_life;
                if life.is_some_and(|life| self.shared.clock.now().since(life.issued_at) < JUST_ISSUED) {
                    provider.oddities.note(Oddity::InactiveAtOnce);
                }
                (self.not_good().await, "inactive")
            }
            Err(error) => {
                let (provider, session) = (provider.name().as_str(), self.session.handle());
                tracing::warn!(provider, %session, error = for_log(&error), "no strict check");
                (Err(Reason::ProviderUnavailable), "failure")
            }
        };
        self.shared.metrics.strictly_checked(provider.name(), told);
        outcome
    }

    async fn ask(&self, access_token: &SecretString) -> Result<bool, ExchangeError> {
        let AtProvider { provider, config, lane } = &*self.at;
        let unavailable = |text: &str| ExchangeError::Unavailable(text.to_owned());
        let _place = lane.enter(DEADLINE).await.map_err(|closed| match closed {
            Closed::Failing => unavailable("it did not answer just now"),
            Closed::Full => unavailable("too many questions at once"),
        })?;
        let known = provider.discovery.known().await.ok_or_else(|| unavailable("it is not known yet"))?;
        let exchange = Exchange::at(provider, &known, self.shared.clock.now());
        lane.call(DEADLINE, exchange.is_good(config.ask, access_token, &self.session.user().subject)).await
    }

    /// The provider does not accept the access token. Where there is a refresh token that says more, that one is brought;
    /// else the session ends.
    async fn not_good(&self) -> Outcome {
        let presented =
            Presented { ticket: self.ticket.expose(), origin: &self.origin, provider: self.at.provider.name() };
        if self.session.renewable().is_some()
            && let Some(outcome) = self.shared.refreshes.at_once(presented, &self.session).await
        {
            return outcome;
        }
        tracing::info!(session = %self.session.handle(), "a session ends: the provider does not vouch for it any more");
        match self.shared.sessions.end(self.ticket.expose()).await {
            Ok(_) => Err(Reason::SessionEnded),
            Err(_) => Err(Reason::StoreUnavailable),
        }
    }
}

impl Exchange<'_> {
    /// Whether the provider accepts this access token, as one of this person.
    pub(super) async fn is_good(
        &self,
        ask: StrictAsk,
        access_token: &SecretString,
        subject: &str,
    ) -> Result<bool, ExchangeError> {
        match ask {
            StrictAsk::Introspection => self.is_active(access_token, subject).await,
            StrictAsk::Userinfo => self.is_accepted_by_userinfo(access_token, subject).await,
        }
    }

    /// RFC 7662 section 2.
    async fn is_active(&self, access_token: &SecretString, subject: &str) -> Result<bool, ExchangeError> {
        let answer = |text: &str| ExchangeError::Answer(text.to_owned());
        let missing = || answer("it has no introspection endpoint that can be used; `strict.ask: userinfo` needs none");
        let endpoint = self.known.endpoints.introspection.as_ref().ok_or_else(missing)?;
        let fields = [("token", access_token.expose()), ("token_type_hint", "access_token")];
        let request = form(self.config(), &self.known.method, endpoint, &fields, self.now)?;
        let response = self.provider.discovery.http().send_plain(request).await?;
        if response.status() != StatusCode::OK {
            return Err(answer(&format!("introspection: status {}", response.status().as_u16())));
        }
        let told = jose::parse_object(response.body()).filter(|_| may_be_json(&response));
        let told = told.ok_or_else(|| answer("introspection is no strict JSON object"))?;
        let active = told.get("active").and_then(Value::as_bool);
        let active = active.ok_or_else(|| answer("introspection cannot be read at `active`"))?;
        match told.get("sub") {
            None | Some(Value::Null) => Ok(active),
            Some(Value::String(found)) => Ok(active && found == subject),
            Some(_) => Err(answer("introspection cannot be read at `sub`")),
        }
    }

    async fn is_accepted_by_userinfo(&self, access_token: &SecretString, subject: &str) -> Result<bool, ExchangeError> {
        let missing = || ExchangeError::Answer("it has no userinfo endpoint".to_owned());
        match self.userinfo_about(subject).ok_or_else(missing)?.ask(access_token.expose()).await {
            Ok(_) => Ok(true),
            // RFC 6750 section 3.1: the token, or what it may.
            Err(UserinfoError::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
