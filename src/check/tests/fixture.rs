//! A whole checker, with the memory store and a provider that has been discovered.

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
use url::Url;

use super::super::{Checked, Checker, Metrics, Parts};
use crate::{
    authn::{Authenticators, BearerAuthenticator, SessionAuthenticator},
    authz::{self, Access, PathPattern, Preflight, RuleConfig, RuleSet},
    clock::{Clock, ManualClock, SharedClock, Timestamp},
    decision::Location,
    endpoints::Endpoints,
    http_client::{HttpError, OutboundHttp, SharedHttp},
    identity::{self, AssertionConfig, HeaderConfig, Identity},
    jose::{AssertionKey, AssertionKeyRing, Audience},
    oidc::{self, Limits, Oidc, tests::support::CountingStore},
    origin::{LoginOrigin, Origin, Origins},
    principal::{Email, Group, Groups, ProviderName, User, Userid},
    providers::{ClaimsConfig, LogoutConfig, Outbound, ProviderConfig},
    request::{HostName, PlainPath, RawRequest},
    revocation::{self, Revocations},
    secret::{RootKeyRing, SecretBytes, SecretString, random_bytes},
    session::{self, NewSession, Sessions, Tokens},
    store::Stores,
};

pub(super) const ISSUER: &str = "https://idp.example.com";
const ASSERTION_ISSUER: &str = "https://portcullis.example.com";
const HOSTS: [&str; 2] = ["kf.example.com", "second.example.com"];

pub(super) struct Fixture {
    checker: Checker,
    pub(super) sessions: Arc<Sessions>,
    pub(super) store: Arc<CountingStore>,
    registry: Registry,
    clock: Arc<ManualClock>,
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
    pub(super) fn new() -> Self {
        Self::with(Arc::new(Discovery))
    }

    pub(super) fn with_a_provider_that_hangs() -> Self {
        Self::with(Arc::new(Hanging))
    }

    fn with(http: SharedHttp) -> Self {
        Self::with_faults(http, Arc::default())
    }

    /// Whatever asks for the time panics while `panicking` says so.
    pub(super) fn with_panics(panicking: &Arc<Panicking>) -> Self {
        Self::with_faults(Arc::new(Discovery), Arc::clone(panicking))
    }

    fn with_faults(http: SharedHttp, panicking: Arc<Panicking>) -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000));
        let shared: SharedClock = Arc::new(Faulty(clock.clone(), panicking));
        let ring = RootKeyRing::new(&[SecretBytes::new(random_bytes::<32>().to_vec())]).unwrap().shared();
        let mut registry = Registry::default();
        let config =
            session::Config { absolute_lifetime: Duration::from_hours(24), idle_lifetime: Duration::from_hours(8) };
        let store = CountingStore::new(shared.clone());
        let revocations = Revocations::new(store.clone(), ring.clone(), shared.clone(), revocation::Metrics::default());
        let metrics = session::Metrics::register(&mut registry);
        let sessions =
            Arc::new(Sessions::new(&Stores::of(store.clone()), ring.clone(), shared.clone(), &config, metrics));
        let config = oidc::Config { providers: vec![provider(http)], limits: Limits::default() };
        let metrics = oidc::Metrics::register(&mut registry);
        let oidc = Oidc::new(config, ring, Arc::clone(&sessions), shared.clone(), metrics, None).unwrap();
        let checker = Checker::new(Parts {
            rules: rules(),
            origins: Origins::new(HOSTS.map(origin)),
            authenticators: Authenticators::new(vec![
                Box::new(BearerAuthenticator::new(
                    None,
                    Arc::new(revocations),
                    [ISSUER.to_owned(), ASSERTION_ISSUER.to_owned()],
                )),
                Box::new(SessionAuthenticator::new(
                    Arc::clone(&sessions),
                    oidc.providers.clone(),
                    oidc.freshness.clone(),
                )),
            ]),
            identity: identity(shared.clone()),
            endpoints: Endpoints::new(oidc, Arc::clone(&sessions), shared.clone()),
            clock: shared,
            metrics: Metrics::register(&mut registry),
        });
        Self { checker, sessions, store, registry, clock }
    }

    /// The metrics, in their text format.
    pub(super) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    /// The cookie header of somebody who is signed in.
    pub(super) async fn sign_in(&self, groups: &[&str]) -> String {
        let (ticket, _) = self
            .sessions
            .create(NewSession {
                user: User {
                    provider: provider_name(),
                    issuer: ISSUER.into(),
                    subject: "42".into(),
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
                authenticated_at: None,
            })
            .await
            .unwrap();
        format!("__Host-portcullis={}", ticket.expose())
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

fn raw(host: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> RawRequest {
    let mut lines: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    lines.push(("x-request-id".into(), "request-1".into()));
    RawRequest {
        method: method.into(),
        host: host.into(),
        path: path.into(),
        headers: lines,
        source: Some("192.0.2.1".into()),
    }
}

fn rules() -> RuleSet {
    let below = |path: &str| vec![PathPattern::prefix(path).unwrap()];
    let rule = |name: &str, path: &str| RuleConfig { paths: below(path), ..RuleConfig::named(name) };
    RuleSet::new(authz::Config {
        hosts: HOSTS.map(|host| HostName::parse(host).unwrap()).to_vec(),
        rules: vec![
            RuleConfig { access: Access::Public, ..rule("assets", "/assets") },
            RuleConfig { access: Access::Optional, ..rule("optional", "/optional") },
            RuleConfig { access: Access::Deny, ..rule("closed", "/closed") },
            RuleConfig { groups: vec![Group::parse_kubernetes("admins").unwrap()], ..rule("admin", "/admin") },
            RuleConfig { preflight: Preflight::Allow, ..rule("cors", "/cors") },
        ],
        default: Access::Authenticated,
    })
}

fn identity(clock: SharedClock) -> Identity {
    let pem = SecretBytes::new(AssertionKey::generate_pem().expose().as_bytes().to_vec());
    let key = AssertionKey::from_pem(&pem, Timestamp::from_unix_seconds(0)).unwrap();
    let ring = AssertionKeyRing::new(vec![key], Duration::from_mins(90)).unwrap().shared();
    let config = identity::Config {
        headers: HeaderConfig::default(),
        cookie_names: vec!["__Host-portcullis".into(), "__Host-portcullis-login".into()],
        named_groups: Vec::new(),
        remove_method_overrides: false,
        assertion: AssertionConfig {
            issuer: ASSERTION_ISSUER.into(),
            audience: Audience::parse("kubeflow").unwrap(),
            lifetime: Duration::from_mins(1),
        },
    };
    Identity::new(config, ring, clock)
}

fn provider_name() -> ProviderName {
    ProviderName::parse("idp").unwrap()
}

fn origin(host: &str) -> Origin {
    let url = format!("https://{host}");
    Origin {
        host: HostName::parse(host).unwrap(),
        after_logout: Location::on_origin(&url, "/portcullis/signed-out").unwrap(),
        login: LoginOrigin {
            redirect_uri: Url::parse(&format!("{url}/portcullis/callback")).unwrap(),
            post_logout_redirect_uri: Url::parse(&format!("{url}/portcullis/signed-out")).unwrap(),
            url,
            provider: provider_name(),
            login_cookie: "__Host-portcullis-login".into(),
        },
        session_cookie: "__Host-portcullis".into(),
        path_prefix: PlainPath::parse("/portcullis").unwrap(),
        logout_aliases: vec![],
        callback_aliases: vec![],
        login_aliases: vec![],
    }
}

fn provider(http: SharedHttp) -> ProviderConfig {
    ProviderConfig {
        name: provider_name(),
        issuer: ISSUER.into(),
        client_id: "portcullis".into(),
        client_secret: None,
        scopes: vec![],
        timeout: Duration::from_secs(5),
        allow_http: false,
        claims: ClaimsConfig {
            userid_claim: "email".into(),
            userid_prefix: String::new(),
            groups_claim: None,
            trust_unverified_email: false,
            email_domains: vec![],
        },
        refresh: None,
        strict: None,
        logout: LogoutConfig::default(),
        outbound: Outbound::Given(http),
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
