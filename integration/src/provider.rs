//! A scripted OpenID provider: honest unless a test makes it lie.
//!
//! Authorization code flow with PKCE S256 (RFC 7636), `iss` in the answer (RFC 9207), discovery,
//! userinfo, refresh with rotation, revocation (RFC 7009), introspection (RFC 7662) and end of session. There is no consent and no memory of who signed in: every
//! authorization request shows the page on which a user is chosen.

mod client;
mod endpoints;
mod login_page;
mod tokens;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use anyhow::Result;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::faults::{Edit, Fault};
use crate::jwt::{Algorithm, SigningKey};

/// The set-up of a provider.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// The issuer, where it is reached by another URL than its address.
    pub issuer: Option<String>,
    /// The algorithm of its ID tokens.
    pub algorithm: Algorithm,
    /// Who may send users to it.
    pub clients: Vec<Client>,
    /// Who can sign in.
    pub users: Vec<User>,
    /// Whether ID tokens hold the profile claims; else only userinfo tells them.
    pub claims_in_id_token: bool,
    /// How long an access token is good, in seconds.
    pub access_token_lifetime: i64,
    /// Whether refresh tokens are issued. Each works once and is replaced.
    pub refresh_tokens: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            issuer: None,
            algorithm: Algorithm::Es256,
            clients: vec![Client::default()],
            users: vec![User::new("alice", &["team-a", "everyone"]), User::new("bob", &["team-b", "everyone"])],
            claims_in_id_token: true,
            access_token_lifetime: 300,
            refresh_tokens: false,
        }
    }
}

/// A registered client.
#[derive(Debug, Clone)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// `client_secret`; none for a public client.
    pub secret: Option<String>,
    /// Exact redirect URIs; empty for any.
    pub redirect_uris: Vec<String>,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            id: "portcullis".to_owned(),
            secret: Some("a-client-secret-of-the-tests-only".to_owned()),
            redirect_uris: Vec::new(),
        }
    }
}

/// Somebody who can sign in.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// What is chosen or typed on the login page.
    pub login: String,
    /// `sub`.
    pub subject: String,
    /// `email`; none leaves it out.
    pub email: Option<String>,
    /// `email_verified`; none leaves it out.
    pub email_verified: Option<bool>,
    /// `groups`; none leaves it out.
    pub groups: Option<Vec<String>>,
    /// Further claims.
    pub claims: Map<String, Value>,
}

impl User {
    /// A user with a verified address at example.com.
    #[must_use]
    pub fn new(login: &str, groups: &[&str]) -> Self {
        Self {
            login: login.to_owned(),
            subject: format!("subject-of-{login}"),
            email: Some(format!("{login}@example.com")),
            email_verified: Some(true),
            groups: Some(groups.iter().map(|&group| group.to_owned()).collect()),
            claims: Map::new(),
        }
    }

    /// The claims about this user, without `sub`.
    fn profile(&self) -> Map<String, Value> {
        let mut profile = self.claims.clone();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                profile.insert(name.to_owned(), value);
            }
        };
        set("email", self.email.clone().map(Value::from));
        set("email_verified", self.email_verified.map(Value::from));
        set("groups", self.groups.clone().map(Value::from));
        profile
    }
}

/// How the provider lies. The default is honest.
#[derive(Clone, Default)]
pub struct Faults {
    /// Of the discovery document's endpoint.
    pub discovery: Fault,
    /// Of the JWKS endpoint.
    pub jwks: Fault,
    /// Of the token endpoint.
    pub token: Fault,
    /// Of the token endpoint, for refresh alone.
    pub refresh: Fault,
    /// Of the userinfo endpoint.
    pub userinfo: Fault,
    /// Of the introspection endpoint.
    pub introspection: Fault,
    /// Of the revocation endpoint.
    pub revocation: Fault,
    /// Changes the discovery document.
    pub edit_discovery: Option<Edit>,
    /// Changes the JWKS.
    pub edit_jwks: Option<Edit>,
    /// Changes the parameters with which the user is sent back, an object of texts.
    pub edit_callback: Option<Edit>,
    /// Changes the ID token's header before it is signed.
    pub edit_header: Option<Edit>,
    /// Changes the ID token's claims before it is signed.
    pub edit_claims: Option<Edit>,
    /// Changes the token endpoint's answer.
    pub edit_token: Option<Edit>,
    /// Changes the userinfo answer.
    pub edit_userinfo: Option<Edit>,
    /// How the ID token is signed.
    pub signature: Signature,
    /// Makes the ID token of the published key, the header and the claims instead, byte by byte.
    pub forge: Option<Forge>,
}

/// Makes a token of the provider's key, a header and claims.
pub type Forge = Arc<dyn Fn(&SigningKey, &Value, &Value) -> String + Send + Sync>;

/// Makes a [`Forge`].
pub fn forge(make: impl Fn(&SigningKey, &Value, &Value) -> String + Send + Sync + 'static) -> Option<Forge> {
    Some(Arc::new(make))
}

/// How an ID token is signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signature {
    /// With the published key.
    #[default]
    Honest,
    /// With a key that is published nowhere, under the published `kid`.
    UnknownKey,
    /// Not at all: `alg` none.
    Unsigned,
    /// With HS256, keyed with the PEM of the published key.
    PublicKeyAsSecret,
    /// By a signature of zeros.
    Zeros,
}

/// How often each endpoint was called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is named after its endpoint")]
pub struct Calls {
    pub discovery: u64,
    pub jwks: u64,
    pub authorize: u64,
    pub login: u64,
    pub token: u64,
    /// Those calls of the token endpoint that bring a refresh token.
    pub refresh: u64,
    pub userinfo: u64,
    pub introspection: u64,
    pub revocation: u64,
    pub end_session: u64,
}

/// A running provider. It stops when it is dropped.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// What the endpoints share.
struct Shared {
    issuer: String,
    state: Mutex<State>,
}

struct State {
    settings: Settings,
    /// The last one signs, all are published.
    keys: Vec<SigningKey>,
    faults: Faults,
    calls: Calls,
    codes: HashMap<String, Code>,
    access_tokens: HashMap<String, AccessToken>,
    refresh_tokens: HashMap<String, Grant>,
    signed_in: Vec<SignedIn>,
    revoked: Vec<String>,
    end_sessions: Vec<HashMap<String, String>>,
}

/// A sign-in that was completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// `sub`.
    pub subject: String,
    /// `sid`.
    pub session: String,
}

/// What a person granted to a client.
#[derive(Clone)]
struct Grant {
    login: String,
    client_id: String,
    session: String,
    authenticated_at: i64,
}

struct AccessToken {
    login: String,
    expires_at: i64,
}

/// An authorization code that waits for its exchange.
struct Code {
    user: User,
    client_id: String,
    redirect_uri: String,
    challenge: String,
    nonce: Option<String>,
    issued: Instant,
}

impl Provider {
    /// Starts a provider.
    pub async fn start(settings: Settings) -> Result<Self> {
        let listener = TcpListener::bind(settings.address).await?;
        let address = listener.local_addr()?;
        let issuer = settings.issuer.clone();
        let shared = Arc::new(Shared {
            issuer: issuer.unwrap_or_else(|| format!("http://{address}")),
            state: Mutex::new(State {
                keys: vec![SigningKey::generate(settings.algorithm)?],
                settings,
                faults: Faults::default(),
                calls: Calls::default(),
                codes: HashMap::new(),
                access_tokens: HashMap::new(),
                refresh_tokens: HashMap::new(),
                signed_in: Vec::new(),
                revoked: Vec::new(),
                end_sessions: Vec::new(),
            }),
        });
        let router = endpoints::router(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            // Serving ends only with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// Its first client.
    #[must_use]
    pub fn client(&self) -> Client {
        self.shared.state().settings.clients[0].clone()
    }

    /// Changes how it lies, from the next request on.
    pub fn lie(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.shared.state().faults);
    }

    /// Makes it honest again.
    pub fn be_honest(&self) {
        self.shared.state().faults = Faults::default();
    }

    /// Changes users, clients and the rest of the set-up.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.state().settings);
    }

    /// How often each endpoint was called so far.
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.shared.state().calls
    }

    /// The sign-ins that were completed, the oldest first.
    #[must_use]
    pub fn signed_in(&self) -> Vec<SignedIn> {
        self.shared.state().signed_in.clone()
    }

    /// The tokens that were revoked by the client, the oldest first.
    #[must_use]
    pub fn revoked(&self) -> Vec<String> {
        self.shared.state().revoked.clone()
    }

    /// What browsers brought to the end of session.
    #[must_use]
    pub fn end_sessions(&self) -> Vec<HashMap<String, String>> {
        self.shared.state().end_sessions.clone()
    }

    /// Forgets every token, as if an administrator had ended all sessions.
    pub fn forget_tokens(&self) {
        let mut state = self.shared.state();
        state.access_tokens.clear();
        state.refresh_tokens.clear();
    }

    /// How many refresh tokens are good.
    #[must_use]
    pub fn refresh_tokens(&self) -> usize {
        self.shared.state().refresh_tokens.len()
    }

    /// Signs with a new key from now on; the old ones stay published only where `keep_old`.
    pub fn rotate_keys(&self, algorithm: Algorithm, keep_old: bool) -> Result<()> {
        let key = SigningKey::generate(algorithm)?;
        let mut state = self.shared.state();
        if !keep_old {
            state.keys.clear();
        }
        state.keys.push(key);
        Ok(())
    }

    /// Signs any claims with the current key, for tokens that no endpoint would issue.
    pub fn sign(&self, claims: &Value) -> Result<String> {
        self.shared.state().signing_key().sign(claims)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// Counts a call of an endpoint; what is to go wrong with it.
    fn called(&self, count: impl FnOnce(&mut Calls) -> &mut u64, fault: impl FnOnce(&Faults) -> &Fault) -> Fault {
        let mut state = self.state();
        *count(&mut state.calls) += 1;
        fault(&state.faults).clone()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// The honest discovery document (OpenID Connect Discovery 3, RFC 8414, RFC 9207).
    fn discovery(&self, algorithm: Algorithm) -> Value {
        json!({
            "issuer": self.issuer,
            "authorization_endpoint": self.url("/authorize"),
            "token_endpoint": self.url("/token"),
            "userinfo_endpoint": self.url("/userinfo"),
            "jwks_uri": self.url("/jwks"),
            "end_session_endpoint": self.url("/end-session"),
            "revocation_endpoint": self.url("/revoke"),
            "introspection_endpoint": self.url("/introspect"),
            "backchannel_logout_supported": true,
            "backchannel_logout_session_supported": true,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [algorithm.name()],
            "scopes_supported": ["openid", "email", "profile", "groups"],
            "claims_supported": ["sub", "email", "email_verified", "groups"],
            "token_endpoint_auth_methods_supported":
                ["client_secret_basic", "client_secret_post", "none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        })
    }
}

impl State {
    fn signing_key(&self) -> &SigningKey {
        self.keys.last().expect("there is always a key")
    }

    fn client(&self, id: &str) -> Option<&Client> {
        self.settings.clients.iter().find(|client| client.id == id)
    }

    fn user(&self, login: &str) -> Option<&User> {
        self.settings.users.iter().find(|user| user.login == login)
    }
}

#[cfg(test)]
mod tests;
