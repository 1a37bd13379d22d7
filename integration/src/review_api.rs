//! The little of a Kubernetes API server that Portcullis asks: TokenReview and the keys of
//! ServiceAccount tokens. Honest unless a test makes it misbehave; it also issues the tokens.
//!
//! What the real one does is tested against the real one; this serves the demo, and shows what the
//! real one cannot be made to show.

mod endpoints;
mod ids;
mod state;
mod token;

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use self::state::{Calls, Faults};
use self::state::{Shared, State};
pub use self::token::TokenBuilder;
use crate::jwt::{self, Algorithm, SigningKey};

/// The issuer of its tokens unless another is chosen.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub struct ReviewApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl ReviewApi {
    /// Starts a server on a free loopback port.
    pub async fn start() -> Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), Algorithm::Rs256).await
    }

    /// Starts a server whose tokens are signed with the given algorithm.
    pub async fn start_at(address: SocketAddr, algorithm: Algorithm) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            issuer: ISSUER.to_owned(),
            client_token: jwt::random_id(),
            state: Mutex::new(State {
                keys: vec![SigningKey::generate(algorithm)?],
                issued: HashMap::new(),
                deleted: HashSet::new(),
                faults: Faults::default(),
                calls: Calls::default(),
                reviews_now: 0,
            }),
        });
        let router = endpoints::router(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            // Serving ends only with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, server })
    }

    /// Where it listens, in clear text.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The issuer of its tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// Writes a kubeconfig for its only client, and gives the path.
    pub fn write_kubeconfig(&self, folder: &Path) -> Result<PathBuf> {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{
                "name": "test",
                "cluster": { "server": format!("http://{}", self.address) },
            }],
            "users": [{ "name": "portcullis", "user": { "token": self.shared.client_token } }],
            "contexts": [{
                "name": "test",
                "context": { "cluster": "test", "user": "portcullis" },
            }],
        });
        let path = folder.join("kubeconfig");
        std::fs::write(&path, serde_json::to_vec_pretty(&config)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Deletes a ServiceAccount: its tokens are no longer authenticated.
    pub fn delete_account(&self, namespace: &str, name: &str) {
        let subject = ids::subject(namespace, name);
        self.shared.state().deleted.insert(subject);
    }

    /// Deletes a pod by its name: the tokens that are bound to it are no longer authenticated.
    pub fn delete_pod(&self, name: &str) {
        self.shared.state().deleted.insert(ids::uid(name));
    }

    /// Signs with a new key from now on; the old ones stay published.
    pub fn rotate_keys(&self, algorithm: Algorithm) -> Result<()> {
        let key = SigningKey::generate(algorithm)?;
        self.shared.state().keys.push(key);
        Ok(())
    }

    /// The `kid` of its newest key.
    #[must_use]
    pub fn kid(&self) -> String {
        self.shared.state().signing_key().kid().to_owned()
    }

    /// Its newest public key, PEM.
    pub fn public_pem(&self) -> Result<String> {
        self.shared.state().signing_key().public_pem()
    }

    /// Signs any bytes as header and payload with its newest key, for tokens that no API server would issue.
    pub fn sign_bytes(&self, header: &[u8], payload: &[u8]) -> Result<String> {
        self.shared.state().signing_key().sign_bytes(header, payload)
    }

    /// Changes how it misbehaves, from the next request on.
    pub fn misbehave(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.shared.state().faults);
    }

    /// Makes it honest again.
    pub fn be_honest(&self) {
        self.shared.state().faults = Faults::default();
    }

    /// What was asked so far.
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.shared.state().calls
    }
}

impl Drop for ReviewApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[cfg(test)]
mod tests;
