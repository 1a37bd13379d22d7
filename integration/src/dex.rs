//! Dex with static users, over TLS.

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
/// bcrypt of [`crate::registration::PASSWORD`], at the least cost that Dex takes.
const PASSWORD_HASH: &str = "$2b$10$834Iy2v6MzmUnEjfnHnnXe/EUvsbZGu2vtN0Ir4kjAmYAvh7NlBhG";

/// A running Dex; alice (groups `team-a`, `everyone`), bob (`team-b`, `everyone`) and mallory (none)
/// can sign in with their addresses at example.com. It is killed when it is dropped.
#[derive(Debug)]
pub struct Dex {
    process: Process,
    identity: Identity,
    registration: Registration,
    _port: Port,
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
        let config = json!({
            "issuer": registration.issuer,
            "storage": { "type": "memory" },
            "web": { "https": port.address(), "tlsCert": certificate, "tlsKey": key },
            "oauth2": { "skipApprovalScreen": true },
            "staticClients": [{
                "id": CLIENT_ID,
                "name": "Portcullis",
                "secret": CLIENT_SECRET,
                "redirectURIs": [redirect_uri()],
            }],
            "expiry": { "idTokens": token_lifetime },
            "enablePasswordDB": true,
            "staticPasswords": [
                user("alice", &["team-a", "everyone"]),
                user("bob", &["team-b", "everyone"]),
                user("mallory", &[]),
            ],
        });
        // JSON is YAML.
        let file = folder.path().join("dex.yaml");
        std::fs::write(&file, serde_json::to_vec_pretty(&config)?)?;

        let mut process = Launch::new("dex", crate::parts::path("dex")?).arg("serve").arg(&file).start()?;
        let discovery = format!("{}/.well-known/openid-configuration", registration.issuer);
        process.wait_for_ok_over_tls(&discovery, &registration.authority, READY_WITHIN).await?;
        Ok(Self { process, identity, registration, _port: port, _folder: folder })
    }

    /// What Portcullis must be told.
    #[must_use]
    pub fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Its certificate, for browsers that are to trust it.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
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
