//! What the provider knows.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use serde_json::{Value, json};

use super::lies::Faults;
use super::settings::{Client, Settings, User};
use crate::faults::Fault;
use crate::jwt::{Algorithm, SigningKey};

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

/// What the endpoints share.
pub(super) struct Shared {
    /// What the paths of its endpoints follow.
    pub(super) base: String,
    pub(super) issuer: String,
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    pub(super) settings: Settings,
    /// The last one signs, all are published.
    pub(super) keys: Vec<SigningKey>,
    pub(super) faults: Faults,
    pub(super) calls: Calls,
    pub(super) codes: HashMap<String, Code>,
    pub(super) access_tokens: HashMap<String, AccessToken>,
    pub(super) refresh_tokens: HashMap<String, Grant>,
    pub(super) signed_in: Vec<SignedIn>,
    pub(super) revoked: Vec<String>,
    pub(super) end_sessions: Vec<HashMap<String, String>>,
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
pub(super) struct Grant {
    pub(super) login: String,
    pub(super) client_id: String,
    pub(super) session: String,
    pub(super) authenticated_at: i64,
    pub(super) nonce: Option<String>,
    pub(super) scope: String,
    /// Whether it is one of those that get a refresh token.
    pub(super) refreshes: bool,
}

pub(super) struct AccessToken {
    pub(super) login: String,
    pub(super) expires_at: i64,
}

/// An authorization code that waits for its exchange.
pub(super) struct Code {
    pub(super) user: User,
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) nonce: Option<String>,
    pub(super) scope: String,
    pub(super) refreshes: bool,
    pub(super) issued: Instant,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// Counts a call of an endpoint; what is to go wrong with it.
    pub(super) fn called(
        &self,
        count: impl FnOnce(&mut Calls) -> &mut u64,
        fault: impl FnOnce(&Faults) -> &Fault,
    ) -> Fault {
        let mut state = self.state();
        *count(&mut state.calls) += 1;
        fault(&state.faults).clone()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The honest discovery document (OpenID Connect Discovery 3, RFC 8414, RFC 9207).
    pub(super) fn discovery(&self, state: &State) -> Value {
        let mut document = state.metadata();
        document["issuer"] = self.issuer.as_str().into();
        for (name, path) in state.settings.ways.paths.members() {
            document[name] = self.url(path).into();
        }
        document
    }
}

/// What this provider says beside its issuer and its endpoints.
fn own_metadata(algorithm: Algorithm) -> Value {
    json!({
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

impl State {
    /// What the discovery document says beside the issuer and the endpoints.
    fn metadata(&self) -> Value {
        let written = self.settings.ways.metadata.clone();
        written.unwrap_or_else(|| own_metadata(self.signing_key().algorithm()))
    }

    /// Whether its answers to browsers name the issuer (RFC 9207).
    pub(super) fn names_issuer(&self) -> bool {
        self.metadata()["authorization_response_iss_parameter_supported"] == true
    }

    pub(super) fn signing_key(&self) -> &SigningKey {
        self.keys.last().expect("there is always a key")
    }

    pub(super) fn client(&self, id: &str) -> Option<&Client> {
        self.settings.clients.iter().find(|client| client.id == id)
    }

    pub(super) fn user(&self, login: &str) -> Option<&User> {
        self.settings.users.iter().find(|user| user.login == login)
    }
}
