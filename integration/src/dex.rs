//! Dex with static users: over TLS, or inside of a cluster.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use crate::pki::{Authority, Identity};
use crate::ports::Port;
use crate::process::{Launch, Process};
use crate::registration::{CLIENT_ID, CLIENT_SECRET, Registration, redirect_uri};

/// A loaded machine may take this long where 0.3 s is usual.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// The client of the gate that Kubeflow has without Portcullis.
pub const BEFORE: &str = "kubeflow-oidc-authservice";
/// bcrypt of [`crate::registration::PASSWORD`], at the least cost that Dex takes.
const PASSWORD_HASH: &str = "$2b$10$834Iy2v6MzmUnEjfnHnnXe/EUvsbZGu2vtN0Ir4kjAmYAvh7NlBhG";

/// A running Dex; alice (groups `team-a`, `everyone`), bob (`team-b`, `everyone`) and mallory (none)
/// can sign in with their addresses at example.com. It is killed when it is dropped.
#[derive(Debug)]
pub struct Dex {
    process: Process,
    /// None where it speaks in clear text.
    identity: Option<Identity>,
    registration: Registration,
    port: Port,
    _folder: TempDir,
}

impl Dex {
    /// Starts Dex and waits until it is ready.
    pub async fn start() -> Result<Self> {
        Self::start_with("24h").await
    }

    /// Starts Dex with ID and access tokens that are good for so long.
    pub async fn start_with(token_lifetime: &str) -> Result<Self> {
        let authority = Authority::new("Dex's authority")?;
        let identity = authority.server(&[])?;
        let port = Port::take()?;
        let registration = Registration::new("dex", &format!("https://{}/dex", port.address()), authority.pem());

        let folder = TempDir::with_prefix("portcullis-dex-config-")?;
        let (certificate, key) = identity.write(folder.path(), "dex")?;
        let web = json!({ "https": port.address(), "tlsCert": certificate, "tlsKey": key });
        let clients = json!([client(CLIENT_ID, CLIENT_SECRET, &redirect_uri())]);
        let mut process = launch(folder.path(), &registration, &web, &clients, token_lifetime)?;
        process.wait_for_ok_over_tls(&discovery(&registration), &registration.authority, READY_WITHIN).await?;
        Ok(Self { process, identity: Some(identity), registration, port, _folder: folder })
    }

    /// Starts Dex as Kubeflow has it, and waits until it is ready: in clear text, under a name that only those inside
    /// resolve, with the client of the gate of before. Browsers come by a gateway that leads `/dex/` there.
    pub async fn start_inside() -> Result<Self> {
        let port = Port::take()?;
        let registration = Registration::new("dex", &format!("http://{}/dex", port.address()), String::new());
        let folder = TempDir::with_prefix("portcullis-dex-config-")?;
        let clients = json!([
            client(CLIENT_ID, CLIENT_SECRET, &redirect_uri()),
            client(BEFORE, CLIENT_SECRET, "/oauth2/callback"),
        ]);
        let web = json!({ "http": port.address() });
        let mut process = launch(folder.path(), &registration, &web, &clients, "24h")?;
        process.wait_for_ok(&discovery(&registration), READY_WITHIN).await?;
        Ok(Self { process, identity: None, registration, port, _folder: folder })
    }

    /// What Portcullis must be told.
    #[must_use]
    pub fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Its certificate, for browsers that are to trust it.
    ///
    /// # Panics
    /// Where it speaks in clear text.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.identity.as_ref().expect("this one speaks TLS")
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Goes through Dex's pages as `user`, and gives the URL of the callback.
    pub async fn log_in(&self, authorization: &Url, user: &str) -> Result<Url> {
        crate::registration::log_in(&self.registration, authorization, &email(user)).await
    }

    /// Kills it: from now on the provider is down.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill().map(drop)
    }
}

/// What `user` types as login.
#[must_use]
pub fn email(user: &str) -> String {
    format!("{user}@example.com")
}

fn discovery(registration: &Registration) -> String {
    format!("{}/.well-known/openid-configuration", registration.issuer)
}

fn launch(folder: &Path, registration: &Registration, web: &Value, clients: &Value, tokens: &str) -> Result<Process> {
    let config = json!({
        "issuer": registration.issuer,
        "storage": { "type": "memory" },
        "web": web,
        "oauth2": { "skipApprovalScreen": true },
        "staticClients": clients,
        "expiry": { "idTokens": tokens },
        "enablePasswordDB": true,
        "staticPasswords": [
            user("alice", &["team-a", "everyone"]),
            user("bob", &["team-b", "everyone"]),
            user("mallory", &[]),
        ],
    });
    // JSON is YAML.
    let file = folder.join("dex.yaml");
    std::fs::write(&file, serde_json::to_vec_pretty(&config)?)?;
    Launch::new("dex", crate::parts::path("dex")?).arg("serve").arg(&file).start()
}

fn client(id: &str, secret: &str, redirect_uri: &str) -> Value {
    json!({ "id": id, "name": id, "secret": secret, "redirectURIs": [redirect_uri] })
}

fn user(name: &str, groups: &[&str]) -> Value {
    json!({
        "email": email(name),
        "emailVerified": true,
        "hash": PASSWORD_HASH,
        "username": name,
        "userID": format!("id-of-{name}"),
        "groups": groups,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn dex_starts_and_shows_its_login_page_to_our_client() {
        let dex = Dex::start().await.unwrap();
        let registration = dex.registration();
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &registration.client_id)
            .append_pair("redirect_uri", &redirect_uri())
            .append_pair("response_type", "code")
            .append_pair("scope", "openid email groups")
            .append_pair("state", "a-state")
            .finish();
        let authorization = Url::parse(&format!("{}/auth?{query}", registration.issuer)).unwrap();
        let callback = dex.log_in(&authorization, "alice").await.unwrap();
        assert!(callback.as_str().starts_with(&redirect_uri()), "{callback}");
        let parameters: Vec<_> = callback.query_pairs().map(|(name, _)| name.into_owned()).collect();
        assert!(["code", "state"].iter().all(|name| parameters.iter().any(|found| found == name)), "{callback}");
        assert!(dex.log_in(&authorization, "nobody").await.is_err());
    }
}
