//! The strict mode: the provider is asked again and again whether a session's access token is still good, so that what
//! it ended there ends here soon. No answer is no "yes". When it was asked is told by the clock that never steps back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::Value;

use super::{
    exchange::Exchange,
    exchange_error::ExchangeError,
    metrics::Metrics,
    refreshes::Refreshes,
    session_calls::{Outcome, Presented, SessionCalls, lapsed},
    vouchers::Vouchers,
};
use crate::{
    calls::{Breaker, Closed, Lane},
    claims::UserinfoError,
    clock::SharedClock,
    jose,
    providers::{
        Endpoint, Known, Oddity, PerProvider, Provider, ProviderCall, Providers, StrictAsk, StrictConfig,
        TokenEndpointError, for_log, form, may_be_json, refusal_of,
    },
    reason::Reason,
    secret::SecretString,
    session::{Session, Sessions, Tokens},
};

/// How long the provider may take altogether: shorter than the gateway waits.
const DEADLINE: Duration = Duration::from_secs(8);
/// How long after its issue, and after the first question, a token can hardly have ended.
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
    /// Whether it ever said yes to us: so it can.
    has_said_yes: AtomicBool,
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
            let has_said_yes = AtomicBool::new(false);
            Some(Arc::new(AtProvider { provider: Arc::clone(provider), config, lane, has_said_yes }))
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
        let asked_at = self.shared.clock.monotonic();
        let tokens = current.tokens();
        let answer = match &tokens.access_token {
            Some(access_token) => self.ask(access_token).await,
            // A session from before the strict mode has none: nobody can ask about it.
            None => self.known().await.map(|_| false),
        };
        let (outcome, told) = match answer {
            Ok(true) => {
                self.at.has_said_yes.store(true, Ordering::Relaxed);
                self.shared.vouchers.vouched(&provider.config, self.session.handle(), asked_at);
                (Ok(Arc::clone(&self.session)), "active")
            }
            Ok(false) => (self.not_good(self.why_not_good(tokens)).await, "inactive"),
            Err(error) => {
                // What is wrong for many is told by the call that met it.
                let (provider, session) = (provider.name().as_str(), self.session.handle());
                tracing::debug!(provider, %session, error = for_log(&error), "no strict check");
                (Err(error.reason_of_session()), "failure")
            }
        };
        self.shared.metrics.strictly_checked(provider.name(), told);
        outcome
    }

    async fn ask(&self, access_token: &SecretString) -> Result<bool, ExchangeError> {
        let AtProvider { provider, config, lane, .. } = &*self.at;
        let unavailable = |text: &str| ExchangeError::Unavailable(text.to_owned());
        let _place = lane.enter(DEADLINE).await.map_err(|closed| match closed {
            Closed::Failing => unavailable("it did not answer just now"),
            Closed::Full => {
                provider.troubles.crowded(match config.ask {
                    StrictAsk::Introspection => ProviderCall::Introspection,
                    StrictAsk::Userinfo => ProviderCall::Userinfo,
                });
                unavailable("too many questions at once")
            }
        })?;
        let known = self.known().await?;
        let exchange = Exchange::at(provider, &known, self.shared.clock.now());
        lane.call(DEADLINE, exchange.is_good(config.ask, access_token, &self.session.user().subject)).await
    }

    async fn known(&self) -> Result<Arc<Known>, ExchangeError> {
        let provider = &self.at.provider;
        provider.discovery.known().await.ok_or_else(|| ExchangeError::unknown(provider))
    }

    fn why_not_good(&self, tokens: &Tokens) -> &'static str {
        if tokens.access_token.is_none() {
            return "it began before `strict`, and kept no access token";
        }
        let StrictConfig { every, ask } = self.at.config;
        let age = tokens.access_token_life.map(|life| self.shared.clock.now().since(life.issued_at));
        // As long as that the question after its issue may come.
        let is_new = age.is_some_and(|age| age < every.saturating_add(JUST_ISSUED));
        if !is_new || ask != StrictAsk::Introspection || self.at.has_said_yes.load(Ordering::Relaxed) {
            return "the provider does not vouch for it any more";
        }
        self.at.provider.oddities.note(Oddity::InactiveAtOnce);
        "introspection calls its token inactive, right after it was issued: is this client in the token's audience?"
    }

    /// The provider does not accept the access token. Where there is a refresh token that says more, that one is brought;
    /// else the session ends.
    async fn not_good(&self, why: &str) -> Outcome {
        let (ticket, provider) = (self.ticket.expose(), self.at.provider.name());
        let presented = Presented { ticket, origin: &self.origin, provider };
        if self.session.renewable().is_some()
            && let Some(outcome) = self.shared.refreshes.at_once(presented, &self.session).await
        {
            return outcome;
        }
        tracing::info!(provider = provider.as_str(), session = %self.session.handle(), why, "a session ends");
        match self.shared.sessions.end(ticket).await {
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

    async fn is_active(&self, access_token: &SecretString, subject: &str) -> Result<bool, ExchangeError> {
        let missing = "there is no introspection endpoint; `strict.ask: userinfo` needs none";
        let endpoint = self.known.endpoints.introspection.as_ref();
        let endpoint = endpoint.ok_or_else(|| ExchangeError::NotSetUp(missing.to_owned()))?;
        let asked = self.introspect(endpoint, access_token, subject);
        self.provider.troubles.noted(ProviderCall::Introspection, endpoint, asked, ExchangeError::trouble).await
    }

    /// RFC 7662 section 2.
    async fn introspect(
        &self,
        endpoint: &Endpoint,
        access_token: &SecretString,
        subject: &str,
    ) -> Result<bool, ExchangeError> {
        let answer = |text: &str| ExchangeError::Answer(text.to_owned());
        let fields = [("token", access_token.expose()), ("token_type_hint", "access_token")];
        let request = form(self.config(), &self.known.method, endpoint, &fields, self.now)?;
        let response = self.provider.discovery.http().send_plain(request).await?;
        if response.status() != StatusCode::OK {
            return Err(not_introspected(&response));
        }
        let told = jose::parse_object(response.body()).filter(|_| may_be_json(&response));
        let told = told.ok_or_else(|| answer("introspection is no strict JSON object"))?;
        let active = told.get("active").and_then(Value::as_bool);
        let active = active.ok_or_else(|| answer("introspection cannot be read at `active`"))?;
        // Okta's `sub` is the login here, and its `uid` what other answers call `sub`.
        let is_uid = || told.get("uid").and_then(Value::as_str) == Some(subject);
        match told.get("sub") {
            None | Some(Value::Null) => Ok(active),
            Some(Value::String(found)) => Ok(active && (found == subject || is_uid())),
            Some(_) => Err(answer("introspection cannot be read at `sub`")),
        }
    }

    async fn is_accepted_by_userinfo(&self, access_token: &SecretString, subject: &str) -> Result<bool, ExchangeError> {
        match self.ask_userinfo(subject, access_token.expose()).await {
            Ok(_) => Ok(true),
            // RFC 6750 section 3.1: the token, or what it may.
            Err(UserinfoError::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Introspection answers, and not with what is asked for. RFC 7662 section 2.3: 401 is about us, whoever's token it is; so
/// is 403.
fn not_introspected(response: &Response<Bytes>) -> ExchangeError {
    let status = response.status();
    match refusal_of(response) {
        TokenEndpointError::Refused(refused) if refused.setting().is_some() => ExchangeError::ClientRefused(refused),
        refusal if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            ExchangeError::NotSetUp(format!(
                "introspection refuses this client with status {}: see `client_secret` and what this client may do at the \
                 provider, or write `strict.ask: userinfo`; it says {refusal}",
                status.as_u16()
            ))
        }
        refusal => ExchangeError::Answer(format!("introspection: {refusal}")),
    }
}
