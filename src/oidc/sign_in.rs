//! Signing in: to the provider and back.

use std::{net::IpAddr, sync::Arc, time::Duration};

use openidconnect::RedirectUrl;
use thiserror::Error;

use super::{
    authorization::authorization_url,
    callback::{CallbackOutcome, CallbackRequest, Callbacks, callbacks},
    callback_query::CallbackQuery,
    config::Limits,
    exchange::{Exchange, Grant, SignedInUser},
    exchange_error::ExchangeError,
    kept_tokens::kept,
    login_ask::LoginAsk,
    login_cookie::{self, LoginCookie},
    metrics::Metrics,
    return_target::ReturnTarget,
    state::LoginState,
    vouchers::Vouchers,
};
use crate::{
    authz::{LoginRequirement, TooOld},
    calls::{Closed, Lane, Part, Place, RateLimit},
    clock::{SharedClock, Timestamp},
    decision::{Location, SetCookie},
    origin::LoginOrigin,
    providers::{
        Known, Oddity, PerProvider, Provider, ProviderCall, ProviderConfig, Providers, Refused, Trouble, for_log,
    },
    reason::Reason,
    secret::{SecretString, SharedRootKeyRing, constant_time_eq, sha256},
    session::{CreateError, NewSession, Session, Sessions},
};

/// How often a login that could not be completed is started again by itself.
pub const MAX_ATTEMPTS: u8 = 2;

/// Signing in at every configured provider. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SignIn {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    at: PerProvider<Arc<AtProvider>>,
    keys: SharedRootKeyRing,
    sessions: Arc<Sessions>,
    clock: SharedClock,
    metrics: Metrics,
    marks: RateLimit,
    callback_deadline: Duration,
    callbacks: Callbacks,
    vouchers: Arc<Vouchers>,
}

/// Signing in at one provider.
#[derive(Debug)]
struct AtProvider {
    provider: Arc<Provider>,
    /// For exchanges of codes.
    exchanges: Lane,
}

/// A browser is sent to the provider.
#[derive(Debug, PartialEq, Eq)]
pub struct LoginStart {
    /// Where it goes.
    pub location: Location,
    /// The login cookie, where the browser has none that serves.
    pub set_cookie: Option<SetCookie>,
}

/// No login can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no login can begin: {reason}")]
pub struct LoginError {
    /// Why.
    pub reason: Reason,
}

/// Why a callback that was completed began no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoSession {
    For(Reason),
    /// The provider may bring what is required where it is asked in other words.
    AskOnceMore,
}

impl From<Reason> for NoSession {
    fn from(reason: Reason) -> Self {
        Self::For(reason)
    }
}

/// A callback that may be completed.
struct Fresh {
    at: Arc<AtProvider>,
    known: Arc<Known>,
    state: LoginState,
    code: String,
    origin: LoginOrigin,
    previous_ticket: Option<SecretString>,
    source: Option<IpAddr>,
    /// When the callback came (monotonic).
    came_at: Duration,
}

impl SignIn {
    pub(super) fn new(
        providers: &Providers,
        limits: Limits,
        keys: SharedRootKeyRing,
        sessions: Arc<Sessions>,
        clock: SharedClock,
        metrics: Metrics,
        vouchers: Arc<Vouchers>,
    ) -> Self {
        let at = providers.each(|provider| {
            let exchanges = Lane::new(limits.concurrent_exchanges, &provider.token_endpoint, &clock);
            Some(Arc::new(AtProvider { provider: Arc::clone(provider), exchanges }))
        });
        let inner = Inner {
            at,
            keys,
            sessions,
            clock,
            metrics,
            marks: RateLimit::new(limits.marks_per_second, limits.marks_burst),
            callback_deadline: limits.callback_deadline,
            callbacks: callbacks(),
            vouchers,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Sends a browser to the origin's provider, to bring what is asked for and to come back to `target`. `attempts` counts how
    /// often this login was started again before. Nothing is written anywhere.
    ///
    /// # Errors
    /// [`Reason::LoginLoop`] where it was started again too often; [`Reason::ProviderUnavailable`] where nothing is
    /// known of the provider yet, and [`Reason::SignInNotSetUp`] where its discovery and its configuration do not fit.
    pub async fn begin(
        &self,
        origin: &LoginOrigin,
        target: ReturnTarget,
        login_cookies: &[&str],
        attempts: u8,
        ask: LoginAsk,
    ) -> Result<LoginStart, LoginError> {
        let outcome = self.inner.begin(origin, target, login_cookies, attempts, ask).await;
        let reason = match &outcome {
            Ok(_) if attempts > 0 => Reason::LoginRestarted,
            Ok(_) => Reason::LoginStarted,
            Err(error) => error.reason,
        };
        self.inner.metrics.login(&origin.provider, reason);
        outcome
    }

    /// Whether a login could begin at the origin now. None is begun, and nothing is counted.
    ///
    /// # Errors
    /// As [`SignIn::begin`].
    pub async fn can_begin(&self, origin: &LoginOrigin) -> Result<(), LoginError> {
        self.inner.known(origin).await.map(drop)
    }

    /// Takes the provider's answer. Whoever calls may give up: a sign-in that has begun is completed, and an equal
    /// callback shortly after gets the same answer.
    pub async fn callback(&self, request: CallbackRequest<'_>) -> CallbackOutcome {
        let outcome = match self.inner.examine(&request).await {
            Ok(fresh) => Inner::share(&self.inner, fresh).await,
            Err(outcome) => outcome,
        };
        match &outcome {
            CallbackOutcome::SignedIn { .. } => self.inner.metrics.login(&request.origin.provider, Reason::SignedIn),
            CallbackOutcome::Failed { reason, .. } => self.inner.metrics.login(&request.origin.provider, *reason),
            // Counted when it is started again.
            CallbackOutcome::StaleState { .. } => {}
        }
        outcome
    }
}

impl Inner {
    async fn begin(
        &self,
        origin: &LoginOrigin,
        target: ReturnTarget,
        login_cookies: &[&str],
        attempts: u8,
        ask: LoginAsk,
    ) -> Result<LoginStart, LoginError> {
        let failed = |reason| LoginError { reason };
        if attempts > MAX_ATTEMPTS {
            return Err(failed(Reason::LoginLoop));
        }
        let (provider, known) = self.known(origin).await?;

        let now = self.clock.now();
        let keys = self.keys.load();
        let cookie = LoginCookie::read(&keys, &origin.url, login_cookies, now).filter(|cookie| cookie.is_fresh(now));
        let (cookie, set_cookie) = if let Some(cookie) = cookie {
            (cookie, None)
        } else {
            let cookie = LoginCookie::mint(&keys, &origin.url, now);
            let set_cookie = SetCookie::new(&origin.login_cookie, cookie.value(), Some(login_cookie::MAX_AGE));
            (cookie, Some(set_cookie.map_err(|_| failed(Reason::Internal))?))
        };
        let required = ask.required().cloned();
        let state = LoginState::begin(&provider.registration, target, attempts, required, cookie.binding(), now);
        let sealed = state.seal(&keys, &origin.url);
        let (verifier, nonce) = (&state.pkce_verifier, &state.nonce);
        let url = authorization_url(&provider.config, &known, verifier, nonce, sealed, &redirect_url(origin), &ask);
        let location = Location::new(&url).map_err(|_| failed(Reason::Internal))?;
        Ok(LoginStart { location, set_cookie })
    }

    /// The provider of an origin, and what is known of it.
    async fn known(&self, origin: &LoginOrigin) -> Result<(&Arc<Provider>, Arc<Known>), LoginError> {
        let failed = |reason| LoginError { reason };
        let provider = &self.at.get(&origin.provider).ok_or(failed(Reason::Internal))?.provider;
        let known = provider.discovery.known().await.ok_or_else(|| failed(unknown(provider)))?;
        Ok((provider, known))
    }

    /// Everything that is checked before anything is exchanged or written.
    async fn examine(&self, request: &CallbackRequest<'_>) -> Result<Fresh, CallbackOutcome> {
        let came_at = self.clock.monotonic();
        let origin = request.origin;
        let now = self.clock.now();
        let keys = self.keys.load_full();
        let query = CallbackQuery::parse(request.query);
        let query = query.ok_or(CallbackOutcome::failed(Reason::StateInvalid))?;
        // A state of another origin does not open here.
        let state = query.state.as_deref().and_then(|parameter| LoginState::open(&keys, &origin.url, parameter));
        let state = state.ok_or(CallbackOutcome::failed(Reason::StateInvalid))?;

        let at = self.at.get(&origin.provider).filter(|_| state.provider == origin.provider);
        let cookie = LoginCookie::read(&keys, &origin.url, request.login_cookies, now);
        let fits = cookie.is_some_and(|cookie| constant_time_eq(&cookie.binding(), &state.binding));
        let at = match at {
            // A code of another issuer, or for another client, must not reach this one's token endpoint.
            Some(at) if fits && state.is_alive(now) && state.is_of(&at.provider.registration) => at,
            _ => return Err(stale(state)),
        };

        let provider = &at.provider;
        let failed = |reason| CallbackOutcome::Failed { reason, target: Some(state.target.clone()) };
        let known = provider.discovery.known().await.ok_or_else(|| failed(unknown(provider)))?;
        let from_provider = match &query.issuer {
            Some(issuer) => issuer.as_bytes() == provider.issuer.as_bytes(),
            None => !known.names_issuer_in_answers,
        };
        if !from_provider {
            return Err(failed(Reason::ProviderMixUp));
        }
        if let Some(error) = &query.error {
            let refused = Refused::new(error, query.error_description.as_deref());
            return Err(failed(denial(provider, &known, refused)));
        }
        let code = query.usable_code().ok_or_else(|| failed(Reason::ProviderAnswerInvalid))?.to_owned();
        Ok(Fresh {
            at: Arc::clone(at),
            known,
            state,
            code,
            origin: origin.clone(),
            previous_ticket: request.previous_ticket.map(|ticket| SecretString::new(ticket.to_owned())),
            source: request.source,
            came_at,
        })
    }

    /// Completes a callback, once for all that are equal and within the limits.
    async fn share(self: &Arc<Self>, fresh: Fresh) -> CallbackOutcome {
        let key = sha256(&[fresh.state.id.as_slice(), fresh.code.as_bytes()].concat());
        let target = fresh.state.target.clone();
        let part = self.callbacks.join(key, |_| {
            let place = self.admit(&fresh.at)?;
            let inner = Arc::clone(self);
            Ok(async move {
                let _place = place;
                inner.complete(fresh).await
            })
        });
        match part.map(Part::call) {
            Ok(call) => call.await.unwrap_or(CallbackOutcome::failed(Reason::Internal)),
            Err(reason) => CallbackOutcome::Failed { reason, target: Some(target) },
        }
    }

    /// A place for one more exchange, and one more mark.
    fn admit(&self, at: &AtProvider) -> Result<Place, Reason> {
        let place = at.exchanges.enter_now().map_err(|closed| match closed {
            Closed::Failing => Reason::ProviderUnavailable,
            Closed::Full => Reason::TooManyLogins,
        })?;
        if self.marks.take(self.clock.monotonic()) { Ok(place) } else { Err(Reason::TooManyLogins) }
    }

    async fn complete(&self, fresh: Fresh) -> CallbackOutcome {
        let came_at = fresh.came_at;
        let login_began_at = self.clock.now();
        let (target, attempts) = (fresh.state.target.clone(), fresh.state.attempts);
        let required = fresh.state.required.clone();
        let outcome = match self.sessions.spend(&fresh.state.id, fresh.state.expires_at()).await {
            Ok(true) => self.sign_in(fresh, login_began_at).await,
            Ok(false) => return stale(fresh.state),
            Err(error) => {
                tracing::error!(%error, "a login's mark cannot be stored");
                Err(NoSession::For(Reason::StoreUnavailable))
            }
        };
        self.metrics.exchanged(self.clock.monotonic().saturating_sub(came_at));
        match outcome {
            Ok((ticket, session)) => CallbackOutcome::SignedIn { ticket, target, session },
            Err(NoSession::AskOnceMore) => CallbackOutcome::StaleState { target, attempts, required },
            Err(NoSession::For(reason)) => CallbackOutcome::Failed { reason, target: Some(target) },
        }
    }

    async fn sign_in(
        &self,
        fresh: Fresh,
        login_began_at: Timestamp,
    ) -> Result<(SecretString, Arc<Session>), NoSession> {
        let Fresh { at, known, state, code, origin, previous_ticket, source, came_at } = fresh;
        let LoginState { nonce, pkce_verifier, required, attempts, .. } = state;
        let grant = Grant { code, nonce, pkce_verifier, redirect_uri: redirect_url(&origin) };
        let deadline = self.callback_deadline.saturating_sub(self.clock.monotonic().saturating_sub(came_at));
        let provider = &at.provider;
        let exchange = Exchange::at(provider, &known, self.clock.now());
        let signed_in = at.exchanges.call(deadline, exchange.run(grant)).await;
        let signed_in = signed_in.map_err(|error| failed(provider, &error))?;
        provider.troubles.succeeded(ProviderCall::Authorization);
        if let Some(required) = required {
            has_what_is_required(provider, &signed_in, &required, attempts, self.clock.now())?;
        }
        let dropped = signed_in.user.groups.dropped();
        if dropped > 0 {
            self.metrics.groups_dropped(provider.name(), dropped);
        }
        // First, so that a failure leaves no session behind that its browser has forgotten.
        if let Some(ticket) = previous_ticket {
            self.end_previous(&ticket).await?;
        }
        let session = new_session(signed_in, &provider.config, &origin, source, login_began_at);
        let created = self.sessions.create(session).await.map_err(|error| {
            tracing::warn!(%error, "a session did not begin");
            match error {
                CreateError::LoggedOut => Reason::SessionEnded,
                CreateError::Store(_) => Reason::StoreUnavailable,
            }
        });
        let (ticket, session) = created?;
        self.vouchers.vouched(&provider.config, session.handle(), came_at);
        Ok((ticket, session))
    }

    async fn end_previous(&self, ticket: &SecretString) -> Result<(), Reason> {
        match self.sessions.end(ticket.expose()).await {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::error!(%error, "the previous session cannot be ended");
                Err(Reason::StoreUnavailable)
            }
        }
    }
}

fn redirect_url(origin: &LoginOrigin) -> RedirectUrl {
    RedirectUrl::from_url(origin.redirect_uri.clone())
}

fn new_session(
    signed_in: SignedInUser,
    provider: &ProviderConfig,
    origin: &LoginOrigin,
    source: Option<IpAddr>,
    login_began_at: Timestamp,
) -> NewSession {
    NewSession {
        user: signed_in.user,
        origin: origin.url.clone(),
        login_began_at,
        source,
        client_id: provider.client_id.clone(),
        tokens: kept(signed_in.tokens, provider),
        provider_session: signed_in.provider_session,
        login: signed_in.login,
    }
}

/// A state that nobody is signed in by.
fn stale(state: LoginState) -> CallbackOutcome {
    CallbackOutcome::StaleState { target: state.target, attempts: state.attempts, required: state.required }
}

/// Whether the login is what the browser was sent for, whatever the provider was asked in the end: else the person would be
/// sent there again and again.
fn has_what_is_required(
    provider: &Provider,
    signed_in: &SignedInUser,
    required: &LoginRequirement,
    attempts: u8,
    now: Timestamp,
) -> Result<(), NoSession> {
    let login = &signed_in.login;
    let Some(lacking) = required.lacking(login, now) else { return Ok(()) };
    // `acr_values` alone is a wish: some fulfil it only where they authenticate anew, which every further attempt asks for.
    if lacking.is_of_context_alone() && attempts == 0 {
        return Err(NoSession::AskOnceMore);
    }
    if lacking.age == Some(TooOld::NotTold) {
        provider.oddities.note(Oddity::NoAuthTime);
    }
    let lacks = lacking.sentences(login, required).collect::<Vec<_>>().join("; ");
    let (provider, userid) = (provider.name().as_str(), signed_in.user.userid.as_str());
    tracing::info!(provider, userid, lacks, "a sign-in does not bring what a rule asks for");
    Err(NoSession::For(Reason::InsufficientUserAuthentication))
}

/// Why nothing is known of a provider.
fn unknown(provider: &Provider) -> Reason {
    ExchangeError::unknown(provider).reason()
}

/// The reason of a sign-in that failed, which is told. What is wrong for everybody, the call that met it tells once.
fn failed(provider: &Provider, error: &ExchangeError) -> Reason {
    let (provider, reason) = (provider.name().as_str(), error.reason());
    match error {
        error if error.is_told_by_its_call() => {
            tracing::debug!(provider, %reason, error = for_log(error), "sign-in failed");
        }
        ExchangeError::GrantRefused(Refused { error, description }) => {
            tracing::warn!(provider, %reason, error, description, "sign-in failed: the provider refuses the code");
        }
        error => tracing::warn!(provider, %reason, error = for_log(error), "sign-in failed"),
    }
    reason
}

/// What the provider's error means (RFC 6749 section 4.1.2.1). Its words are for the log: no page shows them, since anybody
/// may have written them.
fn denial(provider: &Provider, known: &Known, refused: Refused) -> Reason {
    if refused.setting().is_some() {
        let url = known.client.auth_uri().url().as_str();
        provider.troubles.failed(ProviderCall::Authorization, url, &Trouble::Refused(refused));
        return Reason::SignInNotSetUp;
    }
    let Refused { error, description } = refused;
    tracing::info!(provider = provider.name().as_str(), error, description, "the provider denied a sign-in");
    match error.as_str() {
        "server_error" | "temporarily_unavailable" => Reason::ProviderUnavailable,
        // OpenID Connect Core Error Code unmet_authentication_requirements 1.0.
        "unmet_authentication_requirements" => Reason::InsufficientUserAuthentication,
        _ => Reason::ProviderDenied,
    }
}
