//! A scripted OpenID provider: honest unless a test makes it lie.
//!
//! Authorization code flow with PKCE S256 (RFC 7636), `iss` in the answer (RFC 9207), discovery,
//! userinfo, refresh with rotation, revocation (RFC 7009), introspection (RFC 7662) and end of session. There is no consent and no memory of who signed in: every
//! authorization request shows the page on which a user is chosen.

mod browsers;
mod client;
mod endpoints;
mod lies;
mod login_page;
mod settings;
mod state;
mod tokens;
mod ways;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use self::lies::{Faults, Forge, Signature, forge};
pub use self::settings::{Client, Settings, User};
pub use self::state::{Calls, SignedIn};
use self::state::{Shared, State};
pub use self::ways::{EndSession, LogoutToken, Paths, RefreshFor, Scopes, Shape, Userinfo, Ways};
use crate::jwt::{Algorithm, SigningKey};

/// A running provider. It stops when it is dropped.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Provider {
    /// Starts a provider.
    pub async fn start(settings: Settings) -> Result<Self> {
        let listener = TcpListener::bind(settings.address).await?;
        let address = listener.local_addr()?;
        let base = settings.issuer.clone().unwrap_or_else(|| format!("http://{address}"));
        let (issuer, paths) = (format!("{base}{}", settings.ways.issuer_path), settings.ways.paths);
        let shared = Arc::new(Shared {
            base,
            issuer,
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
        let router = endpoints::router(Arc::clone(&shared), &paths);
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

    /// The URL of one of its paths.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        self.shared.url(path)
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

    /// The logout token by which it ends one of its sign-ins.
    pub fn logout_token(&self, ended: &SignedIn) -> Result<String> {
        let state = self.shared.state();
        tokens::logout_token(&self.shared.issuer, &state, ended).context("this provider makes no logout tokens")
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

#[cfg(test)]
mod tests;
