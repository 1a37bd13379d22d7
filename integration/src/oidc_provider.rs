//! The certified OpenID provider `oidc-provider` (npm), over TLS: it answers with `iss` (RFC 9207),
//! insists on PKCE and tells profile claims by userinfo alone.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use url::Url;

use crate::node::Script;
use crate::pki::{Authority, Identity};
use crate::ports::Port;
use crate::process::Process;
use crate::registration::{CLIENT_ID, CLIENT_SECRET, Person, Registration, post_logout_redirect_uri, redirect_uri};

/// A loaded machine may take this long where 0.6 s is usual.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// A running provider; alice (groups `team-a`, `everyone`), bob (`team-b`, `everyone`) and carol (`team-a`) can sign in with
/// their addresses at example.com. Where nothing is asked of her login, carol did so an hour ago. It is killed when it is
/// dropped.
#[derive(Debug)]
pub struct OidcProvider {
    registration: Registration,
    identity: Identity,
    _process: Process,
    _port: Port,
    _script: Script,
}

impl OidcProvider {
    /// Starts the provider and waits until it is ready.
    pub async fn start() -> Result<Self> {
        Self::start_with(300, None).await
    }

    /// Starts it with access tokens that are good for so many seconds; it sends logout tokens to `back_channel`.
    pub async fn start_with(access_token_lifetime: u32, back_channel: Option<&str>) -> Result<Self> {
        let authority = Authority::new("oidc-provider's authority")?;
        let identity = authority.server(&[])?;
        let port = Port::take()?;
        let registration = Registration::new("oidc-provider", &format!("https://{}", port.address()), authority.pem());

        let mut client = json!({
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "redirect_uris": [redirect_uri()],
            "post_logout_redirect_uris": [post_logout_redirect_uri()],
            "grant_types": ["authorization_code", "refresh_token"],
        });
        if let Some(uri) = back_channel {
            client["backchannel_logout_uri"] = uri.into();
            client["backchannel_logout_session_required"] = true.into();
        }
        let mut carol = account("carol", &["team-a"]);
        carol["signed_in_before"] = 3600.into();
        let script = Script::new(include_str!("oidc_provider/server.mjs"))?;
        let settings = json!({
            "issuer": registration.issuer,
            "listen": port.address(),
            "certificate": identity.certificate,
            "key": identity.key,
            "access_token_lifetime": access_token_lifetime,
            "client": client,
            "accounts": [account("alice", &["team-a", "everyone"]), account("bob", &["team-b", "everyone"]), carol],
        });
        let file = script.folder().join("settings.json");
        std::fs::write(&file, serde_json::to_vec_pretty(&settings)?)?;

        let mut process = script.launch("oidc-provider")?.arg(&file).start()?;
        let discovery = format!("{}/.well-known/openid-configuration", registration.issuer);
        process.wait_for_ok_over_tls(&discovery, &registration.authority, READY_WITHIN).await?;
        Ok(Self { registration, identity, _process: process, _port: port, _script: script })
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

    /// Somebody's browser, as far as the provider knows it.
    pub fn person(&self, user: &str) -> Result<Person> {
        Person::new(&self.registration, &email(user))
    }

    /// Goes through the provider's pages as `user`, and gives the URL of the callback.
    pub async fn log_in(&self, authorization: &Url, user: &str) -> Result<Url> {
        crate::registration::log_in(&self.registration, authorization, &email(user)).await
    }
}

fn email(user: &str) -> String {
    format!("{user}@example.com")
}

fn account(name: &str, groups: &[&str]) -> Value {
    let email = email(name);
    json!({
        "email": email,
        "claims": { "sub": email, "name": name, "email": email, "email_verified": true, "groups": groups },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt;

    #[tokio::test]
    async fn the_provider_starts_and_answers_with_its_issuer() {
        let provider = OidcProvider::start().await.unwrap();
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", CLIENT_ID)
            .append_pair("redirect_uri", &redirect_uri())
            .append_pair("response_type", "code")
            .append_pair("scope", "openid email groups")
            .append_pair("state", "a-state")
            .append_pair("code_challenge", &jwt::pkce_challenge("a verifier of the tests, long enough to count as one"))
            .append_pair("code_challenge_method", "S256")
            .finish();
        let authorization = Url::parse(&format!("{}/auth?{query}", provider.registration().issuer)).unwrap();
        let callback = provider.log_in(&authorization, "alice").await.unwrap();
        let issuer = callback.query_pairs().find(|(name, _)| name == "iss").map(|(_, value)| value.into_owned());
        assert_eq!(issuer.as_deref(), Some(provider.registration().issuer.as_str()), "{callback}");
        assert!(callback.query_pairs().any(|(name, _)| name == "code"), "{callback}");
    }
}
