//! A whole gatekeeper in one thread: rules of every access kind, two origins, a signed-in browser, a service account,
//! and an identity provider that signs people in.
//!
//! Each input gets a new one whose clock stands still, so that what an input ends in depends on the input alone.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::runtime::Runtime;
use url::Url;

use super::provider::{self, Provider};
use crate::{
    authn::{Authenticators, BearerAuthenticator, SessionAuthenticator},
    authz::{self, Access, PathPattern, Preflight, RuleConfig, RuleSet, ServiceAccountPattern},
    check::{self, CheckRecord, Checker, Parts},
    clock::{ManualClock, SharedClock, Timestamp},
    decision::Location,
    endpoints::Endpoints,
    ext_authz,
    identity::{self, AssertionConfig, HeaderConfig, Identity},
    jose::{AssertionKey, AssertionKeyRing, Audience},
    kubernetes::{self, ReviewAnswer, ReviewError, ReviewedUser, Reviews, ServiceAccountTokens},
    oidc::{self, Limits, Oidc},
    origin::{LoginOrigin, Origin, Origins},
    principal::{Email, Group, Groups, User, Userid},
    request::{HostName, PlainPath},
    revocation::{self, Revocations},
    secret::{RootKeyRing, SecretBytes, SecretString, SharedRootKeyRing, encode},
    session::{self, NewSession, Sessions, Tokens},
    store,
    stores::{self, StoreConfig},
};

/// The host that the browser is signed in at, and its origin.
pub(super) const HOST: &str = "kf.example.com";
/// Each host with its origin: the second one has a port.
pub(super) const ORIGINS: [(&str, &str); 2] =
    [(HOST, "https://kf.example.com"), ("second.example.com", "https://second.example.com:8443")];
pub(super) const SESSION_COOKIE: &str = "__Host-portcullis";
pub(super) const LOGIN_COOKIE: &str = "__Host-portcullis-login";
/// What services are told of the person that is signed in.
pub(super) const USER: &str = "user@example.com";
/// What services are told of the service account.
pub(super) const ACCOUNT: &str = "system:serviceaccount:team-a:robot";
/// Stands in an input for the ticket of the person that is signed in at [`HOST`].
pub(super) const TICKET: &str = "{ticket}";
/// Stands in an input for the service account's token.
pub(super) const TOKEN: &str = "{token}";

const ASSERTION_ISSUER: &str = "https://portcullis.example.com";
const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";
const AUDIENCE: &str = "portcullis.test";
const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// The gatekeeper, with the credentials that it knows.
pub(super) struct House {
    checker: Checker,
    ticket: String,
    token: String,
    // Ends last, and with it every task.
    runtime: Runtime,
}

impl House {
    pub(super) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime without threads needs only memory");
        let (checker, ticket) = runtime.block_on(build());
        Self { checker, ticket, token: token(), runtime }
    }

    /// What is answered to `request`, with the credentials put in where it only names them.
    pub(super) fn answer(&self, request: CheckRequest) -> (CheckRecord, CheckResponse) {
        self.runtime.block_on(ext_authz::answer(&self.checker, request))
    }

    /// The text with the credentials put in.
    pub(super) fn fill(&self, text: &str) -> String {
        text.replace(TICKET, &self.ticket).replace(TOKEN, &self.token)
    }

    pub(super) fn ticket(&self) -> &str {
        &self.ticket
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }
}

async fn build() -> (Checker, String) {
    let clock: SharedClock = ManualClock::at(NOW);
    let ring = root_keys();
    let mut registry = Registry::default();
    let (sessions, revocations) = sessions(&ring, &clock, &mut registry).await;
    let ticket = sign_in(&sessions, &clock).await;
    let provider = Provider::new(Arc::clone(&clock));
    let config = oidc::Config { providers: vec![provider.config()], limits: Limits::default() };
    let metrics = oidc::Metrics::register(&mut registry);
    let oidc = Oidc::new(config, ring.clone(), Arc::clone(&sessions), Arc::clone(&clock), metrics, None)
        .expect("the provider's configuration is a good one");
    let accounts = service_accounts(&ring, &clock, &mut registry);
    let not_accepted = [provider::ISSUER.to_owned(), ASSERTION_ISSUER.to_owned()];
    let checker = Checker::new(Parts {
        rules: rules(),
        origins: Origins::new(ORIGINS.map(origin)),
        authenticators: Authenticators::new(vec![
            Box::new(BearerAuthenticator::new(Some(accounts), revocations, not_accepted)),
            Box::new(SessionAuthenticator::new(Arc::clone(&sessions), oidc.providers.clone(), oidc.freshness.clone())),
        ]),
        identity: identity(&clock),
        endpoints: Endpoints::new(oidc, sessions, Arc::clone(&clock)),
        clock,
        metrics: check::Metrics::register(&mut registry),
    });
    (checker, ticket)
}

fn root_keys() -> SharedRootKeyRing {
    RootKeyRing::new(&[SecretBytes::new((0..32).collect())]).expect("the key is long and varied enough").shared()
}

async fn sessions(
    ring: &SharedRootKeyRing,
    clock: &SharedClock,
    registry: &mut Registry,
) -> (Arc<Sessions>, Arc<Revocations>) {
    let config =
        session::Config { absolute_lifetime: Duration::from_hours(24), idle_lifetime: Duration::from_hours(8) };
    let metrics = session::Metrics::register(registry);
    let stores =
        stores::open(&StoreConfig::Memory, clock, &store::Metrics::register(registry)).await.expect("memory is there");
    let revocations = {
        let (store, clock) = (Arc::clone(&stores.revocations), Arc::clone(clock));
        Revocations::new(store, ring.clone(), clock, revocation::Metrics::register(registry))
    };
    revocations.begin().await;
    let sessions = Sessions::new(&stores, ring.clone(), Arc::clone(clock), &config, metrics);
    (Arc::new(sessions), Arc::new(revocations))
}

async fn sign_in(sessions: &Sessions, clock: &SharedClock) -> String {
    let user = User {
        provider: provider::name(),
        issuer: provider::ISSUER.into(),
        subject: "42".into(),
        userid: Userid::parse(USER).expect("it is a plain name"),
        email: Email::parse(USER).ok(),
        groups: Groups::from_provider(["dev", "ops"]),
    };
    let new = NewSession {
        user,
        origin: ORIGINS[0].1.into(),
        login_began_at: clock.now(),
        source: None,
        client_id: provider::CLIENT_ID.into(),
        tokens: Tokens {
            id_token: SecretString::new("id-token".into()),
            access_token: None,
            refresh_token: None,
            access_token_life: None,
            nonce: None,
        },
        provider_session: None,
        authenticated_at: None,
    };
    let (ticket, _) = sessions.create(new).await.expect("an empty store takes a session");
    ticket.expose().to_owned()
}

/// The rules, each named by what it asks.
fn rules() -> RuleSet {
    let rule = |name: &str| {
        let path = PathPattern::prefix(&format!("/{name}")).expect("names are byte-clean");
        RuleConfig { paths: vec![path], ..RuleConfig::named(name) }
    };
    let robots = ServiceAccountPattern::parse("team-a/*").expect("it is a pattern");
    RuleSet::new(authz::Config {
        hosts: ORIGINS.map(|(host, _)| HostName::parse(host).expect("it is a host")).to_vec(),
        rules: vec![
            RuleConfig { access: Access::Public, ..rule("public") },
            RuleConfig { access: Access::Public, methods: vec!["POST".into()], ..rule("hooks") },
            RuleConfig { access: Access::Optional, ..rule("optional") },
            RuleConfig { access: Access::Deny, ..rule("closed") },
            RuleConfig { groups: vec![Group::parse_kubernetes("admins").expect("it is a group")], ..rule("admins") },
            RuleConfig { service_accounts: vec![robots], audience: Audience::parse("robots").ok(), ..rule("robots") },
            RuleConfig { preflight: Preflight::Allow, ..rule("cors") },
        ],
        default: Access::Authenticated,
    })
}

fn identity(clock: &SharedClock) -> Identity {
    let config = identity::Config {
        headers: HeaderConfig::default(),
        cookie_names: vec![SESSION_COOKIE.into(), LOGIN_COOKIE.into()],
        named_groups: vec!["admins".into()],
        // A rule asks for the method.
        remove_method_overrides: true,
        assertion: AssertionConfig {
            issuer: ASSERTION_ISSUER.into(),
            audience: Audience::parse("kubeflow").expect("it is an audience"),
            lifetime: Duration::from_mins(1),
        },
    };
    Identity::new(config, assertion_keys().shared(), Arc::clone(clock))
}

/// A ring with one new key, which has signed for ever.
pub(super) fn assertion_keys() -> AssertionKeyRing {
    let pem = SecretBytes::new(AssertionKey::generate_pem().expose().as_bytes().to_vec());
    let key = AssertionKey::from_pem(&pem, Timestamp::from_unix_seconds(0)).expect("it was made a moment ago");
    AssertionKeyRing::new(vec![key], Duration::from_mins(90)).expect("one key makes a ring")
}

fn origin((host, url): (&str, &str)) -> Origin {
    let after_logout = Location::on_origin(url, "/portcullis/signed-out").expect("it is an address of ours");
    let redirect_uri = Url::parse(&format!("{url}/portcullis/callback")).expect("it is an address of ours");
    Origin {
        host: HostName::parse(host).expect("it is a host"),
        after_logout,
        login: LoginOrigin {
            url: url.into(),
            provider: provider::name(),
            login_cookie: LOGIN_COOKIE.into(),
            redirect_uri,
            post_logout_redirect_uri: Url::parse(&format!("{url}/portcullis/signed-out"))
                .expect("it is an address of ours"),
        },
        session_cookie: SESSION_COOKIE.into(),
        path_prefix: PlainPath::parse("/portcullis").expect("it is a path"),
        logout_aliases: vec![PlainPath::parse("/logout").expect("it is a path")],
        callback_aliases: vec![],
        login_aliases: vec![],
    }
}

fn service_accounts(ring: &SharedRootKeyRing, clock: &SharedClock, registry: &mut Registry) -> ServiceAccountTokens {
    let config = kubernetes::Config {
        kubeconfig: None,
        audiences: vec![AUDIENCE.into()],
        issuers: vec![CLUSTER.into()],
        cache_ttl: Duration::from_secs(10),
        negative_cache_ttl: Duration::from_secs(5),
        max_concurrent_reviews: 16,
        timeout: Duration::from_secs(3),
        // The API server below knows its one token by its bytes.
        verify_signatures: false,
    };
    let metrics = kubernetes::Metrics::register(registry);
    ServiceAccountTokens::new(config, Arc::new(ApiServer), ring.clone(), Arc::clone(clock), metrics)
        .expect("the configuration is a good one")
}

/// The one token that [`ApiServer`] knows.
fn token() -> String {
    let part = |value: &serde_json::Value| encode(value.to_string().as_bytes());
    let claims = json!({
        "iss": CLUSTER,
        "aud": [AUDIENCE],
        "sub": ACCOUNT,
        "exp": NOW.as_unix_seconds() + 3600,
        "kubernetes.io": { "namespace": "team-a", "serviceaccount": { "name": "robot", "uid": "uid-of-robot" } },
    });
    format!("{}.{}.{}", part(&json!({ "alg": "ES256", "kid": "1" })), part(&claims), encode(b"signed"))
}

/// An API server that accepts one token.
struct ApiServer;

impl fmt::Debug for ApiServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiServer")
    }
}

#[async_trait]
impl Reviews for ApiServer {
    async fn review_token(&self, presented: &SecretString, audiences: &[String]) -> Result<ReviewAnswer, ReviewError> {
        if presented.expose() != token() {
            return Ok(ReviewAnswer::default());
        }
        let user = ReviewedUser {
            username: ACCOUNT.into(),
            uid: "uid-of-robot".into(),
            groups: vec!["system:serviceaccounts".into(), "system:authenticated".into()],
            ..ReviewedUser::default()
        };
        Ok(ReviewAnswer { authenticated: true, audiences: audiences.to_vec(), user })
    }

    async fn jwks(&self) -> Result<bytes::Bytes, ReviewError> {
        Err(ReviewError::NotFound)
    }

    fn own_token(&self) -> Option<SecretString> {
        None
    }
}
