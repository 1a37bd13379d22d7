//! The whole product in one thread: rules of every access kind, two origins, a signed-in browser, a service account, and
//! an identity provider that signs people in.
//!
//! Each input gets a new one whose clock stands still, so that what an input ends in depends on the input alone.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use async_trait::async_trait;
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::runtime::Runtime;

use super::provider::{self, Provider};
use crate::{
    assembly::{Assembly, Keyrings, Metrics, Outside},
    check::{Checked, Checker},
    clock::{ManualClock, SharedClock, Timestamp},
    config::{self, Settings},
    ext_authz,
    jose::AssertionKeyRing,
    kubernetes::{AccessReviews, ReviewAnswer, ReviewError, ReviewedUser, Reviews},
    logging::Log,
    principal::{Email, Groups, User, Userid},
    providers::Outbound,
    secret::{RootKeyRing, SecretBytes, SecretString, encode},
    session::{Login, NewSession, Sessions, Tokens},
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

const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";
const AUDIENCE: &str = "portcullis.test";
pub(super) const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// What the house is built of; each rule is named by what it asks.
const CONFIGURATION: &str = r"
keys: {directory: /keys}
sessions: {store: {type: memory}}
providers:
  - {name: idp, issuer: 'https://idp.example.com', client_id: portcullis, scopes: [email]}
origins:
  - {url: 'https://kf.example.com', provider: idp, aliases: {logout: [/logout]}}
  - {url: 'https://second.example.com:8443', provider: idp, aliases: {logout: [/logout]}}
service_accounts:
  audiences: [portcullis.test]
  issuers: ['https://kubernetes.default.svc.cluster.local']
  verify_signatures: false # The API server below knows its one token by its bytes.
assertion: {issuer: 'https://portcullis.example.com', audience: kubeflow}
rules:
  - {name: public, paths: [{prefix: /public}], access: public}
  - {name: hooks, paths: [{prefix: /hooks}], access: public, methods: [POST]}
  - {name: optional, paths: [{prefix: /optional}], access: optional}
  - {name: closed, paths: [{prefix: /closed}], access: deny}
  - {name: admins, paths: [{prefix: /admins}], groups: [admins]}
  - {name: robots, paths: [{prefix: /robots}], service_accounts: [team-a/*], audience: robots}
  - {name: cors, paths: [{prefix: /cors}], preflight: allow}
";

/// The time, at which it stands still.
static CLOCK: LazyLock<SharedClock> = LazyLock::new(|| ManualClock::at(NOW));

/// The configuration, read once for all inputs, with a client that ends at the provider of this process.
static SETTINGS: LazyLock<Settings> = LazyLock::new(|| settings(CONFIGURATION));

fn settings(configuration: &str) -> Settings {
    let mut settings = config::of_text(configuration).expect("the configuration is a good one");
    for configured in &mut settings.providers {
        configured.outbound = Outbound::Given(Arc::new(Provider::new(Arc::clone(&CLOCK))));
    }
    settings
}

/// The gatekeeper, with the credentials that it knows.
pub(super) struct House {
    checker: Arc<Checker>,
    ticket: String,
    token: String,
    // Ends last, and with it every task.
    runtime: Runtime,
}

impl House {
    pub(super) fn new() -> Self {
        Self::of(&SETTINGS)
    }

    /// As [`House::new`], with these rules before all others.
    #[cfg(test)]
    pub(super) fn with_rules(lines: &str) -> Self {
        Self::of(&settings(&CONFIGURATION.replace("rules:\n", &format!("rules:\n{lines}"))))
    }

    /// As [`House::new`], with these rules and no other, an API server that answers their questions, and a person who has
    /// signed in so.
    #[cfg(test)]
    pub(super) fn asking(lines: &str, api_server: Arc<dyn AccessReviews>, login: Login) -> Self {
        let (others, _) = CONFIGURATION.split_once("rules:\n").expect("the configuration has rules");
        let settings = settings(&format!("{others}access_reviews: {{}}\nrules:\n{lines}"));
        Self::with(&settings, Some(api_server), login)
    }

    fn of(settings: &Settings) -> Self {
        Self::with(settings, None, Login::default())
    }

    fn with(settings: &Settings, access_reviews: Option<Arc<dyn AccessReviews>>, login: Login) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime without threads needs only memory");
        let (checker, ticket) = runtime.block_on(build(settings, access_reviews, login));
        Self { checker, ticket, token: token(), runtime }
    }

    /// How the check is decided that a message asks for, and the message that answers it.
    pub(super) fn answer(&self, message: &[u8]) -> Option<(Checked, Vec<u8>)> {
        self.runtime.block_on(ext_authz::answer(&self.checker, message))
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

async fn build(
    settings: &Settings,
    access_reviews: Option<Arc<dyn AccessReviews>>,
    login: Login,
) -> (Arc<Checker>, String) {
    let keys = RootKeyRing::new(&[SecretBytes::new((0..32).collect())]).expect("the key is long and varied enough");
    let keyrings = Keyrings::given(keys, AssertionKeyRing::of_a_new_key(), &CLOCK);
    let metrics = Metrics::register(&mut Registry::default());
    let outside = Outside {
        reviews: Some(Arc::new(ApiServer)),
        access_reviews,
        ..Outside::configured(Arc::clone(&CLOCK), Log::nowhere())
    };
    let assembly = Assembly::build(settings, &keyrings, metrics, outside).await.expect("nothing outside is asked");
    let ticket = sign_in(&assembly.administered().sessions.load(), login).await;
    (assembly.checker().load_full(), ticket)
}

async fn sign_in(sessions: &Sessions, login: Login) -> String {
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
        login_began_at: CLOCK.now(),
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
        login,
    };
    let (ticket, _) = sessions.create(new).await.expect("an empty store takes a session");
    ticket.expose().to_owned()
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
