//! A login: to the provider and back.

use std::{collections::BTreeMap, fmt, net::IpAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    ReturnTarget,
    callback_query::CallbackQuery,
    callbacks::Callbacks,
    config::{Config, LoginOrigin},
    exchange::{Grant, SignedInUser},
    login_cookie::{self, LoginCookie},
    metrics::Metrics,
    provider::Provider,
    refresh::Refreshes,
    state::LoginState,
    strict::StrictChecks,
};
use crate::{
    calls::RateLimit,
    clock::{SharedClock, Timestamp},
    decision::{Location, SetCookie},
    memory,
    principal::ProviderName,
    providers::{ConfigError, Known, ProviderConfig, for_log},
    reason::Reason,
    secret::{SecretString, SharedRootKeyRing, constant_time_eq, sha256},
    session::{CreateError, NewSession, Registration, Session, Sessions, Tokens},
};

/// How often a login that could not be completed is started again by itself.
pub const MAX_ATTEMPTS: u8 = 2;

/// Sign-in at every configured provider. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Login {
    pub(super) inner: Arc<Inner>,
}

/// Sign-in that a reload may replace while it is in use.
pub type SharedLogin = Arc<ArcSwap<Login>>;

#[derive(Debug)]
pub(super) struct Inner {
    providers: BTreeMap<ProviderName, Arc<Provider>>,
    pub(super) keys: SharedRootKeyRing,
    pub(super) sessions: Arc<Sessions>,
    pub(super) clock: SharedClock,
    pub(super) metrics: Metrics,
    marks: RateLimit,
    callback_deadline: Duration,
    callbacks: Arc<Callbacks>,
    pub(super) refreshes: Arc<Refreshes>,
    pub(super) strict: StrictChecks,
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

/// A browser came back from the provider. What it brought does not print.
#[derive(Clone, Copy)]
pub struct CallbackRequest<'a> {
    /// The origin that it came to.
    pub origin: &'a LoginOrigin,
    /// The query, without its `?`.
    pub query: &'a str,
    /// The values of every cookie with the login cookie's name.
    pub login_cookies: &'a [&'a str],
    /// The ticket that came along, if any: its session ends when another begins.
    pub previous_ticket: Option<&'a str>,
    /// Where the browser is, for the list of sessions.
    pub source: Option<IpAddr>,
}

impl fmt::Debug for CallbackRequest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, source, .. } = self;
        formatter
            .debug_struct("CallbackRequest")
            .field("origin", &origin.url)
            .field("source", source)
            .finish_non_exhaustive()
    }
}

/// What came of a callback.
#[derive(Clone, Debug)]
pub enum CallbackOutcome {
    /// Somebody is signed in.
    SignedIn {
        /// The value of the session cookie.
        ticket: SecretString,
        /// Where they wanted to go.
        target: ReturnTarget,
        /// Their session.
        session: Arc<Session>,
    },
    /// The state is ours, but old, spent, or of another browser: nothing was exchanged or written. With a live session
    /// the browser goes on to the target, else it starts again, with `attempts` and one.
    NotFresh {
        /// Where the login was to end.
        target: ReturnTarget,
        /// How often it was started again before.
        attempts: u8,
    },
    /// Nobody is signed in.
    Failed {
        /// Why.
        reason: Reason,
        /// Where the login was to end, for a link to try again; `None` where the state is not ours.
        target: Option<ReturnTarget>,
    },
}

impl CallbackOutcome {
    pub(super) const fn failed(reason: Reason) -> Self {
        Self::Failed { reason, target: None }
    }

    /// About how many bytes it points to.
    pub(super) fn heap_bytes(&self) -> usize {
        let target = |target: &ReturnTarget| memory::block(target.as_str().len());
        match self {
            Self::SignedIn { ticket, target: wanted, session } => {
                memory::block(ticket.expose().len()) + target(wanted) + session.heap_bytes()
            }
            Self::NotFresh { target: wanted, .. } => target(wanted),
            Self::Failed { target: wanted, .. } => wanted.as_ref().map_or(0, target),
        }
    }
}

/// A callback that may be completed.
struct Fresh {
    provider: Arc<Provider>,
    known: Arc<Known>,
    state: LoginState,
    code: String,
    origin: LoginOrigin,
    previous_ticket: Option<SecretString>,
    source: Option<IpAddr>,
    /// When the callback came (monotonic).
    came_at: Duration,
}

impl Login {
    /// Sign-in as `config` says. Discovery of every provider begins in the background; what `previous` knew of an
    /// unchanged provider stays in use, so that a reload does no harm while the provider is down.
    ///
    /// # Errors
    /// Where a provider's configuration cannot be used.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(
        config: Config,
        keys: SharedRootKeyRing,
        sessions: Arc<Sessions>,
        clock: SharedClock,
        metrics: Metrics,
        previous: Option<&Self>,
    ) -> Result<Self, ConfigError> {
        let mut providers = BTreeMap::new();
        for provider in config.providers {
            let name = provider.name.clone();
            let previous = previous.and_then(|login| login.inner.providers.get(&name)).map(Arc::as_ref);
            let provider = Provider::start(provider, config.limits, &clock, &metrics, previous)?;
            if providers.insert(name.clone(), Arc::new(provider)).is_some() {
                return Err(ConfigError::Repeated { provider: name.as_str().to_owned() });
            }
        }
        let marks = RateLimit::new(config.limits.marks_per_second, config.limits.marks_burst);
        let inner = Inner {
            providers,
            keys,
            sessions,
            clock,
            metrics,
            marks,
            callback_deadline: config.limits.callback_deadline,
            callbacks: Arc::default(),
            refreshes: Arc::default(),
            strict: StrictChecks::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(super) fn provider(&self, name: &ProviderName) -> Option<&Arc<Provider>> {
        self.inner.providers.get(name)
    }

    /// What sessions of the provider of this name belong to.
    #[must_use]
    pub fn registration(&self, name: &ProviderName) -> Option<&Registration> {
        self.provider(name).map(|provider| &provider.registration)
    }

    /// The issuers of all providers: bearer tokens of theirs are ours to judge.
    pub fn issuers(&self) -> impl Iterator<Item = &str> {
        self.inner.providers.values().map(|provider| provider.issuer.as_str())
    }

    /// Every provider, and whether people can sign in there: whether its metadata is known.
    pub fn providers(&self) -> impl Iterator<Item = (&ProviderName, bool)> {
        self.inner.providers.iter().map(|(name, provider)| (name, provider.discovery.known_now().is_some()))
    }

    /// Sends a browser to the origin's provider, to come back to `target`. `attempts` counts how often this login was
    /// started again before. Nothing is written anywhere.
    ///
    /// # Errors
    /// [`Reason::LoginLoop`] where it was started again too often; [`Reason::ProviderUnavailable`] where nothing is
    /// known of the provider yet.
    pub async fn begin(
        &self,
        origin: &LoginOrigin,
        target: ReturnTarget,
        login_cookies: &[&str],
        attempts: u8,
    ) -> Result<LoginStart, LoginError> {
        let outcome = self.inner.begin(origin, target, login_cookies, attempts).await;
        let reason = match &outcome {
            Ok(_) if attempts > 0 => Reason::LoginRestarted,
            Ok(_) => Reason::LoginStarted,
            Err(error) => error.reason,
        };
        self.inner.metrics.login(&origin.provider, reason);
        outcome
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
            CallbackOutcome::NotFresh { .. } => {}
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
    ) -> Result<LoginStart, LoginError> {
        let failed = |reason| LoginError { reason };
        if attempts > MAX_ATTEMPTS {
            return Err(failed(Reason::LoginLoop));
        }
        let provider = self.providers.get(&origin.provider).ok_or(failed(Reason::Internal))?;
        let known = provider.discovery.known().await.ok_or(failed(Reason::ProviderUnavailable))?;

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
        let state = LoginState::begin(&provider.registration, target, attempts, cookie.binding(), now);
        let sealed = state.seal(&keys, &origin.url);
        let url = provider.authorization_url(&known, &state, sealed, &origin.redirect_url());
        let location = Location::new(&url).map_err(|_| failed(Reason::Internal))?;
        Ok(LoginStart { location, set_cookie })
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

        let provider = self.providers.get(&origin.provider).filter(|_| state.provider == origin.provider);
        let cookie = LoginCookie::read(&keys, &origin.url, request.login_cookies, now);
        let fits = cookie.is_some_and(|cookie| constant_time_eq(&cookie.binding(), &state.binding));
        let provider = match provider {
            // A code of another issuer, or for another client, must not reach this one's token endpoint.
            Some(provider) if fits && state.is_alive(now) && state.is_of(&provider.registration) => provider,
            _ => return Err(CallbackOutcome::NotFresh { target: state.target, attempts: state.attempts }),
        };

        let failed = |reason| CallbackOutcome::Failed { reason, target: Some(state.target.clone()) };
        let known = provider.discovery.known().await.ok_or_else(|| failed(Reason::ProviderUnavailable))?;
        let from_provider = match &query.issuer {
            Some(issuer) => issuer.as_bytes() == provider.issuer.as_bytes(),
            None => !known.names_issuer_in_answers,
        };
        if !from_provider {
            return Err(failed(Reason::ProviderMixUp));
        }
        if let Some(error) = &query.error {
            tracing::info!(
                provider = origin.provider.as_str(),
                error = for_log(error),
                "the provider denied a sign-in"
            );
            return Err(failed(denial(error)));
        }
        let code = query.usable_code().ok_or_else(|| failed(Reason::ProviderAnswerInvalid))?.to_owned();
        Ok(Fresh {
            provider: Arc::clone(provider),
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
        let answer = self.callbacks.share(key, || {
            let place = self.admit(&fresh.provider)?;
            let inner = Arc::clone(self);
            Ok(async move {
                let _place = place;
                inner.complete(fresh).await
            })
        });
        match answer {
            Ok(answer) => answer.await,
            Err(reason) => CallbackOutcome::Failed { reason, target: Some(target) },
        }
    }

    /// A place for one more exchange, and one more mark.
    fn admit(&self, provider: &Provider) -> Result<OwnedSemaphorePermit, Reason> {
        let now = self.clock.monotonic();
        if !provider.breaker.allows(now) {
            return Err(Reason::ProviderUnavailable);
        }
        let place = Arc::clone(&provider.places).try_acquire_owned().map_err(|_| Reason::TooManyLogins)?;
        if self.marks.take(now) { Ok(place) } else { Err(Reason::TooManyLogins) }
    }

    async fn complete(&self, fresh: Fresh) -> CallbackOutcome {
        let came_at = fresh.came_at;
        let login_began_at = self.clock.now();
        let target = fresh.state.target.clone();
        let attempts = fresh.state.attempts;
        let outcome = match self.sessions.spend(&fresh.state.id, fresh.state.expires_at()).await {
            Ok(true) => self.sign_in(fresh, login_began_at).await,
            Ok(false) => return CallbackOutcome::NotFresh { target, attempts },
            Err(error) => {
                tracing::error!(%error, "a login's mark cannot be stored");
                Err(Reason::StoreUnavailable)
            }
        };
        self.metrics.exchanged(self.clock.monotonic().saturating_sub(came_at));
        match outcome {
            Ok((ticket, session)) => CallbackOutcome::SignedIn { ticket, target, session },
            Err(reason) => CallbackOutcome::Failed { reason, target: Some(target) },
        }
    }

    async fn sign_in(&self, fresh: Fresh, login_began_at: Timestamp) -> Result<(SecretString, Arc<Session>), Reason> {
        let Fresh { provider, known, state, code, origin, previous_ticket, source, came_at } = fresh;
        let grant =
            Grant { code, nonce: state.nonce, pkce_verifier: state.pkce_verifier, redirect_uri: origin.redirect_url() };
        let deadline = self.callback_deadline.saturating_sub(self.clock.monotonic().saturating_sub(came_at));
        let signed_in = provider.exchange(&known, grant, deadline).await.map_err(|error| {
            let (provider, reason) = (provider.config.name.as_str(), error.reason());
            tracing::warn!(provider, %reason, error = for_log(&error), "sign-in failed");
            reason
        })?;
        let dropped = signed_in.user.groups.dropped();
        if dropped > 0 {
            self.metrics.groups_dropped(&provider.config.name, dropped);
        }
        // First, so that a failure leaves no session behind that its browser has forgotten.
        if let Some(ticket) = previous_ticket {
            self.end_previous(&ticket).await?;
        }
        let session = new_session(signed_in, &provider.config, &origin, source, login_began_at);
        let (ticket, session) = self.sessions.create(session).await.map_err(|error| {
            tracing::warn!(%error, "a session did not begin");
            match error {
                CreateError::LoggedOut => Reason::SessionEnded,
                CreateError::Store(_) => Reason::StoreUnavailable,
            }
        })?;
        self.strict.vouched(&provider, session.handle(), came_at);
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
        authenticated_at: signed_in.authenticated_at,
    }
}

/// The tokens that something here uses; no other is kept.
pub(super) fn kept(tokens: Tokens, provider: &ProviderConfig) -> Tokens {
    let revoke = provider.logout.revoke_tokens;
    let refresh_token = tokens.refresh_token.filter(|_| revoke || provider.refresh.is_some());
    Tokens {
        // Revoking the refresh token ends the access token too (RFC 7009 section 2.1).
        access_token: tokens.access_token.filter(|_| provider.strict.is_some() || (revoke && refresh_token.is_none())),
        refresh_token,
        ..tokens
    }
}

/// What the provider's error means (RFC 6749 section 4.1.2.1).
fn denial(error: &str) -> Reason {
    match error {
        "server_error" | "temporarily_unavailable" => Reason::ProviderUnavailable,
        _ => Reason::ProviderDenied,
    }
}
