//! A provider that can lie, a store that counts, and a browser.

mod provider;
mod store;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use prometheus_client::registry::Registry;
use url::Url;

pub(in crate::oidc) use self::provider::{ISSUER, Lies, ScriptedProvider};
pub(crate) use self::store::CountingStore;
use crate::{
    clock::{ManualClock, Timestamp},
    oidc::{CallbackOutcome, CallbackRequest, Config, Limits, LoginAsk, LoginError, Metrics, Oidc, ReturnTarget},
    origin::LoginOrigin,
    principal::ProviderName,
    providers::{ClaimsConfig, ClientAuthentication, EndpointsConfig, LogoutConfig, Outbound, ProviderConfig, Scopes},
    secret::{RootKeyRing, SecretBytes, SecretString, SharedRootKeyRing},
    session::{self, Registration, Sessions},
    store::Stores,
};

pub(in crate::oidc) const ORIGIN: &str = "https://kf.example.com";
pub(in crate::oidc) const CLIENT_ID: &str = "portcullis";
pub(in crate::oidc) const CLIENT_SECRET: &str = "client+secret/of:portcullis";
pub(in crate::oidc) const COOKIE: &str = "__Host-portcullis-login";

pub(in crate::oidc) fn key_ring(seed: u8) -> RootKeyRing {
    let key = SecretBytes::new((0..32).map(|byte| byte ^ (seed << 5)).collect());
    RootKeyRing::new(&[key]).unwrap()
}

/// Sign-in at the scripted provider, with everything that a test may want to turn.
pub(in crate::oidc) struct World {
    pub(in crate::oidc) clock: Arc<ManualClock>,
    pub(in crate::oidc) provider: Arc<ScriptedProvider>,
    pub(in crate::oidc) store: Arc<CountingStore>,
    pub(in crate::oidc) sessions: Arc<Sessions>,
    pub(in crate::oidc) keys: SharedRootKeyRing,
    pub(in crate::oidc) oidc: Oidc,
    pub(in crate::oidc) origin: LoginOrigin,
    config: Config,
}

fn replica(
    config: &Config,
    store: &Arc<CountingStore>,
    keys: &SharedRootKeyRing,
    clock: &Arc<ManualClock>,
) -> (Arc<Sessions>, Oidc) {
    let session_config = session::Config {
        absolute_lifetime: Duration::from_hours(24),
        idle_lifetime: Duration::from_hours(8),
        open_bytes: 1 << 20,
    };
    let metrics = session::Metrics::default();
    let sessions = Sessions::new(&Stores::of(store.clone()), keys.clone(), clock.clone(), &session_config, metrics);
    let sessions = Arc::new(sessions);
    let metrics = Metrics::register(&mut Registry::default());
    let oidc = Oidc::new(config.clone(), keys.clone(), sessions.clone(), clock.clone(), metrics, None).unwrap();
    (sessions, oidc)
}

impl World {
    pub(in crate::oidc) fn new() -> Self {
        Self::with(|_| {}, Limits::default())
    }

    pub(in crate::oidc) fn with(configure: impl FnOnce(&mut ProviderConfig), limits: Limits) -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000));
        let provider = ScriptedProvider::new(clock.clone());
        let store = CountingStore::new(clock.clone());
        let keys = key_ring(1).shared();
        let mut config = provider_config(&provider);
        configure(&mut config);
        let origin = origin(ORIGIN, "dex");
        let config = Config { providers: vec![config], limits };
        let (sessions, oidc) = replica(&config, &store, &keys, &clock);
        Self { clock, provider, store, sessions, keys, oidc, origin, config }
    }

    /// Another process over the same store.
    pub(in crate::oidc) fn another_replica(&self) -> (Arc<Sessions>, Oidc) {
        replica(&self.config, &self.store, &self.keys, &self.clock)
    }

    /// Sign-in with the same sessions, after a change of the provider's configuration.
    pub(in crate::oidc) fn reconfigured(&self, change: impl FnOnce(&mut ProviderConfig)) -> Oidc {
        let mut config = self.config.clone();
        change(&mut config.providers[0]);
        let metrics = Metrics::register(&mut Registry::default());
        let (keys, sessions, clock) = (self.keys.clone(), self.sessions.clone(), self.clock.clone());
        Oidc::new(config, keys, sessions, clock, metrics, Some(&self.oidc)).unwrap()
    }

    /// What its sessions belong to.
    pub(in crate::oidc) fn registration(&self) -> &Registration {
        self.oidc.providers.registration(&self.origin.provider).unwrap()
    }

    /// A browser without any cookie.
    pub(in crate::oidc) fn browser(&self) -> Browser<'_> {
        Browser { world: self, login_cookie: Mutex::default(), ticket: Mutex::default() }
    }

    /// Signs in with a provider that tells these lies.
    pub(in crate::oidc) async fn sign_in_with(&self, lies: Lies) -> CallbackOutcome {
        self.provider.tell(lies);
        let browser = self.browser();
        let url = browser.begin("/").await.unwrap();
        let query = self.provider.authorize(&url);
        browser.callback(&query).await
    }
}

pub(in crate::oidc) fn provider_config(provider: &Arc<ScriptedProvider>) -> ProviderConfig {
    let secret = SecretString::new(CLIENT_SECRET.to_owned());
    ProviderConfig {
        name: ProviderName::parse("dex").unwrap(),
        issuer: ISSUER.to_owned(),
        discovery_url: None,
        endpoints: EndpointsConfig::default(),
        client_id: CLIENT_ID.to_owned(),
        authentication: ClientAuthentication::secret(secret),
        scopes: Scopes::Written(["openid", "email", "groups"].map(str::to_owned).to_vec()),
        authorization_parameters: Vec::new(),
        signing_algorithms: None,
        timeout: Duration::from_secs(5),
        allow_http: false,
        claims: ClaimsConfig { groups_claim: Some("groups".to_owned()), ..ClaimsConfig::default() },
        refresh: None,
        strict: None,
        logout: LogoutConfig::default(),
        outbound: Outbound::Given(provider.clone()),
    }
}

pub(in crate::oidc) fn origin(url: &str, provider: &str) -> LoginOrigin {
    LoginOrigin {
        url: url.to_owned(),
        provider: ProviderName::parse(provider).unwrap(),
        login_cookie: COOKIE.to_owned(),
        redirect_uri: Url::parse(&format!("{url}/portcullis/callback")).unwrap(),
        post_logout_redirect_uri: Url::parse(&format!("{url}/portcullis/signed-out")).unwrap(),
    }
}

/// A browser: it keeps the cookies that it is given, in all of its tabs.
pub(in crate::oidc) struct Browser<'a> {
    world: &'a World,
    pub(in crate::oidc) login_cookie: Mutex<Option<String>>,
    pub(in crate::oidc) ticket: Mutex<Option<String>>,
}

impl Browser<'_> {
    /// Navigates to `target` and is sent to the provider: where to.
    pub(in crate::oidc) async fn begin(&self, target: &str) -> Result<Url, LoginError> {
        self.begin_again(ReturnTarget::parse(target, |_| false), 0).await
    }

    pub(in crate::oidc) async fn begin_again(&self, target: ReturnTarget, attempts: u8) -> Result<Url, LoginError> {
        self.begin_asking(target, attempts, LoginAsk::nothing()).await
    }

    pub(in crate::oidc) async fn begin_asking(
        &self,
        target: ReturnTarget,
        attempts: u8,
        ask: LoginAsk,
    ) -> Result<Url, LoginError> {
        let start = self.request(target, attempts, ask).await?;
        if let Some(cookie) = start.set_cookie {
            let header = cookie.header();
            let value = header.as_str().split([';', '=']).nth(1).unwrap();
            *self.login_cookie.lock().unwrap() = Some(value.to_owned());
        }
        Ok(Url::parse(start.location.as_str()).unwrap())
    }

    /// Asks for a login without keeping the cookie.
    pub(in crate::oidc) async fn request_login(
        &self,
        target: ReturnTarget,
        attempts: u8,
    ) -> Result<crate::oidc::LoginStart, LoginError> {
        self.request(target, attempts, LoginAsk::nothing()).await
    }

    async fn request(
        &self,
        target: ReturnTarget,
        attempts: u8,
        ask: LoginAsk,
    ) -> Result<crate::oidc::LoginStart, LoginError> {
        let cookie = self.login_cookie.lock().unwrap().clone();
        let cookies: Vec<&str> = cookie.as_deref().into_iter().collect();
        self.world.oidc.sign_in.begin(&self.world.origin, target, &cookies, attempts, ask).await
    }

    /// Comes back from the provider, and keeps the ticket.
    pub(in crate::oidc) async fn callback(&self, query: &str) -> CallbackOutcome {
        let cookie = self.login_cookie.lock().unwrap().clone();
        let ticket = self.ticket.lock().unwrap().clone();
        let outcome = self
            .world
            .oidc
            .sign_in
            .callback(CallbackRequest {
                origin: &self.world.origin,
                query,
                login_cookies: &cookie.as_deref().into_iter().collect::<Vec<_>>(),
                previous_ticket: ticket.as_deref(),
                source: Some([192, 0, 2, 7].into()),
            })
            .await;
        if let CallbackOutcome::SignedIn { ticket, .. } = &outcome {
            *self.ticket.lock().unwrap() = Some(ticket.expose().to_owned());
        }
        outcome
    }

    /// Whether the browser's ticket opens a session.
    pub(in crate::oidc) async fn is_signed_in(&self) -> bool {
        let Some(ticket) = self.ticket.lock().unwrap().clone() else { return false };
        self.world.sessions.open(&ticket, &self.world.origin.url, self.world.registration()).await.is_ok()
    }
}
