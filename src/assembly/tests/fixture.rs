//! The whole product over a store that counts, with a clock that a test moves and a provider that has been discovered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use prometheus_client::registry::Registry;

use crate::{
    assembly::{Assembly, Keyrings, Metrics, Outside},
    check::{Checked, Checker, Explanation},
    clock::{Clock, ManualClock, SharedClock, Timestamp},
    config::{self, Settings},
    http_client::{HttpError, OutboundHttp, SharedHttp},
    jose::AssertionKeyRing,
    kubernetes::{ReviewAnswer, ReviewError, ReviewedUser, Reviews},
    logging::Log,
    oidc::tests::support::CountingStore,
    principal::{Email, Groups, ProviderName, User, Userid},
    providers::Outbound,
    request::RawRequest,
    secret::{RootKeyRing, SecretBytes, SecretString, random_bytes},
    session::{Login, NewSession, Sessions, Tokens},
    store::Stores,
};

pub(super) const ISSUER: &str = "https://idp.example.com";

const CONFIGURATION: &str = r"
keys: {directory: /keys}
sessions: {store: {type: memory}}
providers:
  - {name: idp, issuer: 'https://idp.example.com', client_id: portcullis}
origins:
  - {url: 'https://kf.example.com', provider: idp}
  - {url: 'https://second.example.com', provider: idp}
assertion: {issuer: 'https://portcullis.example.com', audience: kubeflow}
rules:
  - {name: assets, paths: [{prefix: /assets}], access: public}
  - {name: optional, paths: [{prefix: /optional}], access: optional}
  - {name: closed, paths: [{prefix: /closed}], access: deny}
  - {name: admin, paths: [{prefix: /admin}], groups: [admins]}
  - {name: cors, paths: [{prefix: /cors}], preflight: allow}
  - {name: recent, paths: [{prefix: /recent}], login: {max_age: 15m}}
  - {name: strong, paths: [{prefix: /strong}], login: {acr: [gold, silver], amr: [otp]}}
";

pub(super) struct Fixture {
    checker: Arc<Checker>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) store: Arc<CountingStore>,
    registry: Registry,
    pub(super) clock: Arc<ManualClock>,
}

/// A clock that panics while it is told to.
#[derive(Debug, Default)]
pub(super) struct Panicking(AtomicBool);

impl Panicking {
    pub(super) fn set(&self, panics: bool) {
        self.0.store(panics, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct Faulty(Arc<ManualClock>, Arc<Panicking>);

impl Clock for Faulty {
    fn now(&self) -> Timestamp {
        assert!(!self.1.0.load(Ordering::SeqCst), "scripted");
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

impl Fixture {
    pub(super) async fn new() -> Self {
        Self::with(Arc::new(Discovery)).await
    }

    pub(super) async fn with_a_provider_that_hangs() -> Self {
        Self::with(Arc::new(Hanging)).await
    }

    async fn with(http: SharedHttp) -> Self {
        Self::with_faults(http, Arc::default()).await
    }

    /// Whatever asks for the time panics while `panicking` says so.
    pub(super) async fn with_panics(panicking: &Arc<Panicking>) -> Self {
        Self::with_faults(Arc::new(Discovery), Arc::clone(panicking)).await
    }

    /// Sessions that are kept open take so many bytes at most.
    pub(super) async fn with_open_bytes(bytes: u64) -> Self {
        Self::of(Arc::new(Discovery), Arc::default(), CONFIGURATION, |settings| settings.sessions.open_bytes = bytes)
            .await
    }

    /// With ServiceAccount tokens, of which every one is accepted.
    pub(super) async fn with_accounts() -> Self {
        let accounts = format!(
            "{CONFIGURATION}service_accounts: {{audiences: [portcullis.test], issuers: ['{CLUSTER}'], verify_signatures: false}}\n"
        );
        Self::of(Arc::new(Discovery), Arc::default(), &accounts, |_| {}).await
    }

    async fn with_faults(http: SharedHttp, panicking: Arc<Panicking>) -> Self {
        Self::of(http, panicking, CONFIGURATION, |_| {}).await
    }

    async fn of(
        http: SharedHttp,
        panicking: Arc<Panicking>,
        configuration: &str,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000));
        let shared: SharedClock = Arc::new(Faulty(clock.clone(), panicking));
        let store = CountingStore::new(shared.clone());
        let mut settings = config::of_text(configuration).unwrap();
        change(&mut settings);
        settings.providers[0].outbound = Outbound::Given(http);
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let keyrings = keyrings(&shared);
        let (stores, reviews) = (Some(Stores::of(store.clone())), Some(Arc::new(Credulous) as Arc<dyn Reviews>));
        let outside = Outside { stores, reviews, ..Outside::configured(shared, Log::nowhere()) };
        let assembly = Assembly::build(&settings, &keyrings, metrics, outside).await.unwrap();
        let sessions = assembly.administered().sessions.load_full();
        Self { checker: assembly.checker().load_full(), sessions, store, registry, clock }
    }

    /// The metrics, in their text format.
    pub(super) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    /// The cookie header of somebody who is signed in.
    pub(super) async fn sign_in(&self, groups: &[&str]) -> String {
        self.sign_in_as("42", groups).await
    }

    pub(super) async fn sign_in_as(&self, subject: &str, groups: &[&str]) -> String {
        self.sign_in_by(subject, groups, Login::default()).await
    }

    /// The same, where the provider says this of the login.
    pub(super) async fn sign_in_by(&self, subject: &str, groups: &[&str], login: Login) -> String {
        let (ticket, _) = self
            .sessions
            .create(NewSession {
                user: User {
                    provider: ProviderName::parse("idp").unwrap(),
                    issuer: ISSUER.into(),
                    subject: subject.into(),
                    userid: Userid::parse("user@example.com").unwrap(),
                    email: Email::parse("user@example.com").ok(),
                    groups: Groups::from_provider(groups.iter().copied()),
                },
                origin: "https://kf.example.com".into(),
                login_began_at: self.clock.now(),
                source: None,
                client_id: "portcullis".into(),
                tokens: Tokens {
                    id_token: SecretString::new("id-token".into()),
                    access_token: None,
                    refresh_token: None,
                    access_token_life: None,
                    nonce: None,
                },
                provider_session: None,
                login,
            })
            .await
            .unwrap();
        format!("__Host-portcullis={}", ticket.expose())
    }

    pub(super) async fn explain(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Explanation {
        self.checker.explain(raw("kf.example.com", method, path, headers)).await
    }

    pub(super) async fn check_raw(&self, raw: RawRequest) -> Checked {
        self.checker.check(raw, None).await
    }

    pub(super) async fn check(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Checked {
        self.check_at("kf.example.com", method, path, headers).await
    }

    pub(super) async fn check_in(&self, time: Duration, method: &str, path: &str, headers: &[(&str, &str)]) -> Checked {
        self.checker.check(raw("kf.example.com", method, path, headers), Some(time)).await
    }

    pub(super) async fn check_at(&self, host: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Checked {
        self.checker.check(raw(host, method, path, headers), None).await
    }
}

pub(super) fn raw(host: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> RawRequest {
    let raw = RawRequest::new(method, host, path).from_peer("192.0.2.1");
    headers.iter().fold(raw, |raw, (name, value)| raw.header(name, value)).header("x-request-id", "request-1")
}

fn keyrings(clock: &SharedClock) -> Keyrings {
    let root = RootKeyRing::new(&[SecretBytes::new(random_bytes::<32>().to_vec())]).unwrap();
    Keyrings::given(root, AssertionKeyRing::of_a_new_key(), clock)
}

/// The issuer of the tokens that [`Credulous`] accepts.
pub(super) const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";

/// An API server that accepts every token.
#[derive(Debug)]
struct Credulous;

#[async_trait]
impl Reviews for Credulous {
    async fn review_token(&self, token: &SecretString, audiences: &[String]) -> Result<ReviewAnswer, ReviewError> {
        let claims = crate::jose::peek(token.expose()).unwrap();
        let user = ReviewedUser {
            username: claims.subject().unwrap().to_owned(),
            uid: "uid".into(),
            groups: vec!["system:serviceaccounts".into(), "system:authenticated".into()],
            ..ReviewedUser::default()
        };
        Ok(ReviewAnswer { authenticated: true, audiences: audiences.to_vec(), user })
    }

    async fn jwks(&self) -> Result<Bytes, ReviewError> {
        Err(ReviewError::NotFound)
    }

    fn own_token(&self) -> Option<SecretString> {
        None
    }
}

/// A provider that can be discovered and does nothing else.
#[derive(Debug)]
struct Discovery;

#[async_trait]
impl OutboundHttp for Discovery {
    async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Bytes>, HttpError> {
        let document = match request.uri().path() {
            "/.well-known/openid-configuration" => serde_json::json!({
                "issuer": ISSUER,
                "authorization_endpoint": format!("{ISSUER}/authorize"),
                "token_endpoint": format!("{ISSUER}/token"),
                "jwks_uri": format!("{ISSUER}/jwks"),
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "code_challenge_methods_supported": ["S256"],
            }),
            _ => serde_json::json!({"keys": []}),
        };
        let response = http::Response::builder().header("content-type", "application/json");
        Ok(response.body(Bytes::from(document.to_string())).unwrap())
    }
}

/// A provider that never answers.
#[derive(Debug)]
struct Hanging;

#[async_trait]
impl OutboundHttp for Hanging {
    async fn send(&self, _: http::Request<Vec<u8>>) -> Result<http::Response<Bytes>, HttpError> {
        std::future::pending().await
    }
}
