//! One identity provider: what is known of it, and what bounds our use of it.

use std::{borrow::Cow, sync::Arc, time::Duration};

use openidconnect::{
    AuthenticationFlow, CsrfToken, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    core::CoreResponseType,
};
use tokio::sync::Semaphore;
use url::Url;

use super::{
    config::Limits,
    exchange::{Exchange, ExchangeError, Grant, SignedInUser},
    metrics::Metrics,
    refresh_grant::Brought,
    state::LoginState,
};
use crate::{
    calls::Breaker,
    clock::SharedClock,
    providers::{ConfigError, Discovery, Known, ProviderConfig, StrictAsk},
    secret::SecretString,
    session::{Registration, Renewal, Session, Tokens},
};

/// How many tokens are revoked at once; more are not revoked, so that logouts cannot pile up before a slow provider.
const CONCURRENT_REVOCATIONS: usize = 16;

/// How many sessions are refreshed at once.
const CONCURRENT_REFRESHES: usize = 16;

/// How many questions of the strict mode run at once. With the two above there is room for sign-ins among the calls that
/// the outbound client makes at once.
const CONCURRENT_QUESTIONS: usize = 16;

/// How many logouts are carried out at once.
const CONCURRENT_LOGOUTS: usize = 64;

/// How many logout tokens wait for keys at once: anybody who reaches the listener may send some.
const WAITING_LOGOUT_TOKENS: usize = 64;

#[derive(Debug)]
pub(super) struct Provider {
    pub(super) config: ProviderConfig,
    pub(super) issuer: IssuerUrl,
    pub(super) discovery: Discovery,
    pub(super) breaker: Breaker,
    /// Of the strict mode, whose endpoint may fail where others do not.
    pub(super) question_breaker: Breaker,
    /// One place for each question of the strict mode; more wait.
    pub(super) questions: Semaphore,
    /// One place for each exchange that may run.
    pub(super) places: Arc<Semaphore>,
    /// One place for each logout that may be carried out: of tokens that the provider has signed.
    pub(super) logouts: Arc<Semaphore>,
    /// One place for each logout token that may wait for the provider's keys. Strangers can take these, and so none of
    /// a token that the known keys verify.
    pub(super) waiting_logout_tokens: Arc<Semaphore>,
    /// One place for each logout through a browser. Strangers can take these, and so none of a logout token's.
    pub(super) front_channel_logouts: Arc<Semaphore>,
    /// One place for each revocation that may run.
    pub(super) revocations: Arc<Semaphore>,
    /// One place for each refresh that may run; more wait.
    pub(super) refreshes: Semaphore,
    /// What its sessions belong to.
    pub(super) registration: Registration,
    clock: SharedClock,
}

impl Provider {
    /// Begins to discover the provider. `previous` is the provider of the same name before a reload.
    pub(super) fn start(
        config: ProviderConfig,
        limits: Limits,
        clock: &SharedClock,
        metrics: &Metrics,
        previous: Option<&Self>,
    ) -> Result<Self, ConfigError> {
        let issuer = config.validate()?;
        let registration = Registration {
            provider: config.name.clone(),
            issuer: config.issuer.clone(),
            client_id: config.client_id.clone(),
        };
        if previous.is_some_and(|previous| previous.registration != registration) {
            tracing::warn!(
                provider = config.name.as_str(),
                "the issuer or the client id changed: all sessions of this provider end; after another issuer, services \
                 that know people by the assertion's `sub` cannot tell its people from the old one's, unless the \
                 provider gets another name"
            );
        }
        let known = previous.filter(|previous| previous.serves(&config)).and_then(|it| it.discovery.known_now());
        let discovery =
            Discovery::start(config.clone(), issuer.clone(), clock.clone(), metrics.providers.clone(), known);
        Ok(Self {
            config,
            issuer,
            discovery,
            breaker: Breaker::new(),
            question_breaker: Breaker::new(),
            questions: Semaphore::new(CONCURRENT_QUESTIONS),
            places: Arc::new(Semaphore::new(limits.concurrent_exchanges.clamp(1, Semaphore::MAX_PERMITS))),
            logouts: Arc::new(Semaphore::new(CONCURRENT_LOGOUTS)),
            waiting_logout_tokens: Arc::new(Semaphore::new(WAITING_LOGOUT_TOKENS)),
            front_channel_logouts: Arc::new(Semaphore::new(CONCURRENT_LOGOUTS)),
            refreshes: Semaphore::new(CONCURRENT_REFRESHES),
            revocations: Arc::new(Semaphore::new(CONCURRENT_REVOCATIONS)),
            registration,
            clock: clock.clone(),
        })
    }

    /// Whether what is known of this provider holds for another configuration.
    fn serves(&self, config: &ProviderConfig) -> bool {
        self.config.issuer == config.issuer
            && self.config.client_id == config.client_id
            && self.config.client_secret.is_some() == config.client_secret.is_some()
            && self.config.allow_http == config.allow_http
    }

    /// Where a browser goes to sign in (OpenID Connect Core section 3.1.2.1).
    pub(super) fn authorization_url(
        &self,
        known: &Known,
        state: &LoginState,
        sealed_state: String,
        redirect_uri: &RedirectUrl,
    ) -> Url {
        let verifier = PkceCodeVerifier::new(state.pkce_verifier.expose().to_owned());
        let nonce = Nonce::new(state.nonce.expose().to_owned());
        let scopes = self.config.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new);
        let (url, ..) = known
            .client
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                move || CsrfToken::new(sealed_state),
                move || nonce,
            )
            .add_scopes(scopes)
            .set_redirect_uri(Cow::Borrowed(redirect_uri))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            // A check sees no body: the answer must come in the query.
            .add_extra_param("response_mode", "query")
            .url();
        url
    }

    /// Exchanges a code within `deadline`.
    pub(super) async fn exchange(
        &self,
        known: &Known,
        grant: Grant,
        deadline: Duration,
    ) -> Result<SignedInUser, ExchangeError> {
        self.call(&self.breaker, deadline, self.exchanging(known).run(grant)).await
    }

    /// Brings a session's refresh token within `deadline`. How that went counts with [`Provider::judge`].
    pub(super) async fn bring(&self, known: &Known, tokens: &Tokens, deadline: Duration) -> Brought {
        let brought = tokio::time::timeout(deadline, self.exchanging(known).bring(tokens)).await;
        brought.unwrap_or_else(|_| Brought::nothing(out_of_time()))
    }

    /// What the answer to a refresh token makes of a session, within `deadline`.
    pub(super) async fn judge(
        &self,
        known: &Known,
        session: &Session,
        tokens: &Tokens,
        brought: Brought,
        deadline: Duration,
    ) -> Result<Renewal, ExchangeError> {
        self.call(&self.breaker, deadline, self.exchanging(known).judge(session.user(), tokens, brought)).await
    }

    /// Whether this provider accepts an access token, as one of this person, within `deadline`.
    pub(super) async fn is_good(
        &self,
        known: &Known,
        ask: StrictAsk,
        access_token: &SecretString,
        subject: &str,
        deadline: Duration,
    ) -> Result<bool, ExchangeError> {
        self.call(&self.question_breaker, deadline, self.exchanging(known).is_good(ask, access_token, subject)).await
    }

    fn exchanging<'a>(&'a self, known: &'a Known) -> Exchange<'a> {
        let (config, issuer, http) = (&self.config, &self.issuer, self.discovery.http());
        Exchange { config, issuer, http, known, now: self.clock.now() }
    }

    async fn call<T>(
        &self,
        breaker: &Breaker,
        deadline: Duration,
        call: impl Future<Output = Result<T, ExchangeError>>,
    ) -> Result<T, ExchangeError> {
        let outcome = tokio::time::timeout(deadline, call).await.unwrap_or_else(|_| Err(out_of_time()));
        match &outcome {
            Err(ExchangeError::Unavailable(_)) => breaker.failed(self.clock.monotonic()),
            _ => breaker.answered(),
        }
        outcome
    }
}

fn out_of_time() -> ExchangeError {
    ExchangeError::Unavailable("our deadline passed".to_owned())
}
