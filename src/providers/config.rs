//! What is configured of a provider, as resolved plain values.

use std::{sync::Arc, time::Duration};

use openidconnect::IssuerUrl;
use thiserror::Error;

use super::endpoint::Endpoint;
use crate::{
    http_client::{HttpClient, HttpClientConfig, HttpClientError, SharedHttp},
    memory,
    principal::ProviderName,
    secret::SecretString,
};

/// One identity provider.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// Its name with us.
    pub name: ProviderName,
    /// Its issuer identifier, to the byte (OpenID Connect Discovery section 3).
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// Our client secret there; none for a public client.
    pub client_secret: Option<SecretString>,
    /// The scopes to ask for, each once; `openid` is always asked for.
    pub scopes: Vec<String>,
    /// How long one call may take.
    pub timeout: Duration,
    /// Whether the issuer and its endpoints may be `http:`: for tests and demonstrations.
    pub allow_http: bool,
    /// How its claims become a person.
    pub claims: ClaimsConfig,
    /// Whether sessions follow the provider, where it issued a refresh token.
    pub refresh: Option<RefreshConfig>,
    /// Whether the provider is asked again and again whether a session still counts.
    pub strict: Option<StrictConfig>,
    /// What happens there when somebody signs out here, and the other way round.
    pub logout: LogoutConfig,
    /// By which client it is called.
    pub outbound: Outbound,
}

/// By which client a provider is called.
#[derive(Clone, Debug)]
pub enum Outbound {
    /// One of its own.
    Own {
        /// Further authorities, PEM, that are trusted beside the system's.
        ca_pem: Option<Vec<u8>>,
    },
    /// This one.
    Given(SharedHttp),
}

/// How sessions follow the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshConfig {
    /// How long before its end an access token is replaced; at most half of its life.
    pub ahead: Duration,
}

/// How the provider is asked whether a session still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrictConfig {
    /// How long an answer holds: a replica asks no more often about one session.
    pub every: Duration,
    /// Where it is asked.
    pub ask: StrictAsk,
}

/// Where the provider is asked whether an access token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrictAsk {
    /// Its introspection endpoint (RFC 7662).
    Introspection,
    /// Its userinfo endpoint (OpenID Connect Core section 5.3).
    Userinfo,
}

/// What sign-out does beyond the session here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct LogoutConfig {
    /// Whether the browser is sent to the provider's `end_session_endpoint`, where it has one (OpenID Connect
    /// RP-Initiated Logout 1.0).
    pub at_provider: bool,
    /// Whether the session's tokens are revoked, where the provider has a `revocation_endpoint` (RFC 7009).
    pub revoke_tokens: bool,
    /// Whether the provider may end sessions here (OpenID Connect Back-Channel Logout 1.0).
    pub back_channel: bool,
    /// Whether it may do so through browsers, unsigned (OpenID Connect Front-Channel Logout 1.0).
    pub front_channel: bool,
}

impl Default for LogoutConfig {
    fn default() -> Self {
        Self { at_provider: true, revoke_tokens: true, back_channel: true, front_channel: false }
    }
}

/// How a provider's claims become a person's names. See [`crate::principal`] for what names must keep.
#[derive(Clone, Debug)]
pub struct ClaimsConfig {
    /// The claim that holds the user id; usually `email`.
    pub userid_claim: String,
    /// What stands before every user id of this provider.
    pub userid_prefix: String,
    /// The claim that holds the groups, where groups are wanted.
    pub groups_claim: Option<String>,
    /// Whether an e-mail address counts without `email_verified`. Only together with `email_domains`.
    pub trust_unverified_email: bool,
    /// When not empty: only people with an e-mail address in one of these domains (lower case) may sign in.
    pub email_domains: Vec<String>,
}

/// Why a provider's configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The issuer is no issuer.
    #[error("provider `{provider}`: issuer must be an absolute https URL of a plain host, without query and fragment")]
    Issuer {
        /// The provider's name.
        provider: String,
    },
    /// The issuer is not `https:`.
    #[error("provider `{provider}`: issuer must be https; `allow_http: true` lets http pass, for tests only")]
    InsecureIssuer {
        /// The provider's name.
        provider: String,
    },
    /// Anybody could take any address.
    #[error("provider `{provider}`: trust_unverified_email needs a list of email_domains beside it")]
    UnverifiedEmail {
        /// The provider's name.
        provider: String,
    },
    /// There is no client to call it with.
    #[error("`{provider}`: {source}")]
    Outbound {
        /// The provider's name.
        provider: String,
        /// What is wrong.
        source: HttpClientError,
    },
    /// Two providers have the same name.
    #[error("provider `{provider}` is configured twice")]
    Repeated {
        /// The provider's name.
        provider: String,
    },
}

impl ProviderConfig {
    /// The issuer, where the configuration can be used.
    pub(crate) fn validate(&self) -> Result<IssuerUrl, ConfigError> {
        let provider = || self.name.as_str().to_owned();
        let issuer = IssuerUrl::new(self.issuer.clone()).map_err(|_| ConfigError::Issuer { provider: provider() })?;
        if issuer.url().scheme() == "http" && !self.allow_http {
            return Err(ConfigError::InsecureIssuer { provider: provider() });
        }
        if issuer.url().query().is_some() || Endpoint::from_url(issuer.url(), self.allow_http).is_err() {
            return Err(ConfigError::Issuer { provider: provider() });
        }
        if self.claims.trust_unverified_email && self.claims.email_domains.is_empty() {
            return Err(ConfigError::UnverifiedEmail { provider: provider() });
        }
        Ok(issuer)
    }

    /// The client that it is called with. The system's authorities are read now.
    pub(super) fn client(&self) -> Result<SharedHttp, ConfigError> {
        let extra_roots = match &self.outbound {
            Outbound::Own { ca_pem } => ca_pem.iter().cloned().collect(),
            Outbound::Given(client) => return Ok(Arc::clone(client)),
        };
        let client = HttpClient::new(&HttpClientConfig {
            timeout: self.timeout,
            extra_roots,
            allow_http: self.allow_http,
            body_limit: memory::PROVIDER_ANSWER_BYTES,
            max_concurrent: memory::PROVIDER_CALLS,
        });
        match client {
            Ok(client) => Ok(Arc::new(client)),
            Err(source) => Err(ConfigError::Outbound { provider: self.name.as_str().to_owned(), source }),
        }
    }
}
