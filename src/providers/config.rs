//! What is configured of a provider, as resolved plain values.

use std::{sync::Arc, time::Duration};

use openidconnect::IssuerUrl;
use thiserror::Error;

use super::{authentication::ClientAuthentication, endpoint::Endpoint};
use crate::{
    http_client::{HttpClient, HttpClientConfig, HttpClientError, SharedHttp},
    jose::Algorithm,
    memory,
    principal::ProviderName,
};

/// One identity provider.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// Its name with us.
    pub name: ProviderName,
    /// Its issuer identifier, to the byte (OpenID Connect Discovery section 3).
    pub issuer: String,
    /// Where its document lies, where that is not below the issuer. What the document says is the issuer must be it.
    pub discovery_url: Option<String>,
    /// Endpoints that are taken instead of those that the document tells.
    pub endpoints: EndpointsConfig,
    /// Our client id there.
    pub client_id: String,
    /// How we say there who we are.
    pub authentication: ClientAuthentication,
    /// The scopes to ask for.
    pub scopes: Scopes,
    /// What is sent beside our own parameters of an authorization request, by name.
    pub authorization_parameters: Vec<(String, String)>,
    /// What it may sign tokens with; none: what its metadata list for ID tokens, and RS256 where they list nothing.
    pub signing_algorithms: Option<Vec<Algorithm>>,
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

/// The scopes that are asked for (RFC 6749 section 3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scopes {
    /// `openid`, `email` and `profile`, and `groups` where the provider lists it: others refuse the whole request for it
    /// (`invalid_scope`).
    Usual,
    /// These, each once, with `openid`.
    Written(Vec<String>),
}

impl Scopes {
    /// Those to ask a provider for that lists `supported`.
    pub(crate) fn at<'a>(&'a self, supported: &'a [String]) -> Vec<&'a str> {
        match self {
            Self::Usual => {
                let listed = supported.iter().map(String::as_str).filter(|scope| *scope == "groups").take(1);
                ["openid", "email", "profile"].into_iter().chain(listed).collect()
            }
            Self::Written(scopes) => scopes.iter().map(String::as_str).collect(),
        }
    }
}

/// Endpoints that are written down, each instead of what the provider's document tells: what browsers and we reach by
/// different names, or what the document lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointsConfig {
    /// Where browsers are sent to sign in.
    pub authorization: Option<String>,
    /// Where codes are exchanged.
    pub token: Option<String>,
    /// Where the keys are.
    pub jwks: Option<String>,
    /// Where people are asked about.
    pub userinfo: Option<String>,
    /// Where browsers are sent to be signed out.
    pub end_session: Option<String>,
    /// Where tokens are revoked (RFC 7009).
    pub revocation: Option<String>,
    /// Where the state of a token is asked for (RFC 7662).
    pub introspection: Option<String>,
}

/// By which client a provider is called.
#[derive(Clone, Debug)]
pub enum Outbound {
    /// One of its own.
    Own {
        /// Further authorities, PEM, that are trusted beside the system's.
        ca_pem: Option<Vec<u8>>,
        /// The proxy through which it is called.
        proxy: Option<String>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct LogoutConfig {
    /// Whether the browser is sent to the provider's `end_session_endpoint`, where it has one (OpenID Connect
    /// RP-Initiated Logout 1.0).
    pub at_provider: bool,
    /// The name of the parameter with the address to come back to: `post_logout_redirect_uri` but at a few.
    pub redirect_parameter: String,
    /// Whether the ID token is sent as a hint.
    pub id_token_hint: bool,
    /// Whether a state is sent that the provider brings back. Without one, whoever comes back goes on all the same.
    pub state: bool,
    /// Whether the session's tokens are revoked, where the provider has a `revocation_endpoint` (RFC 7009).
    pub revoke_tokens: bool,
    /// Whether the provider may end sessions here (OpenID Connect Back-Channel Logout 1.0).
    pub back_channel: bool,
    /// Whether its logout tokens may lack `exp`: they count for two minutes from their `iat` then.
    pub logout_token_without_exp: bool,
    /// Whether it may do so through browsers, unsigned (OpenID Connect Front-Channel Logout 1.0).
    pub front_channel: bool,
}

impl Default for LogoutConfig {
    fn default() -> Self {
        Self {
            at_provider: true,
            redirect_parameter: "post_logout_redirect_uri".to_owned(),
            id_token_hint: true,
            state: true,
            revoke_tokens: true,
            back_channel: true,
            logout_token_without_exp: false,
            front_channel: false,
        }
    }
}

/// How a provider's claims become a person's names. See [`crate::principal`] for what names must keep.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct ClaimsConfig {
    /// The claim that holds the user id; usually `email`, which stands for the address.
    pub userid_claim: String,
    /// Whether an address is the user id in the case in which the provider writes it; else in lower case.
    pub keep_case: bool,
    /// What stands before every user id of this provider.
    pub userid_prefix: String,
    /// The claim that is the address. Another one than `email` only together with `trust_unverified_email`.
    pub email_claim: String,
    /// The claim that holds the groups, where groups are wanted.
    pub groups_claim: Option<String>,
    /// Whether an object among the groups stands for the names of its members.
    pub groups_of_objects: bool,
    /// Whether userinfo is asked for what the ID token lacks.
    pub userinfo: bool,
    /// What the ID token must have: claims, each with the values of which one must be there.
    pub required_claims: Vec<(String, Vec<String>)>,
    /// Whether an e-mail address counts without `email_verified`. Only together with `email_domains`.
    pub trust_unverified_email: bool,
    /// When not empty: only people with an e-mail address in one of these domains (lower case) may sign in.
    pub email_domains: Vec<String>,
}

impl Default for ClaimsConfig {
    /// People are known by their verified address, and no groups are wanted.
    fn default() -> Self {
        Self {
            userid_claim: "email".to_owned(),
            keep_case: false,
            userid_prefix: String::new(),
            email_claim: "email".to_owned(),
            groups_claim: None,
            groups_of_objects: false,
            userinfo: true,
            required_claims: Vec::new(),
            trust_unverified_email: false,
            email_domains: Vec::new(),
        }
    }
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
    /// A place that was written down cannot be called.
    #[error("provider `{provider}`: `{setting}` cannot be used: {why}")]
    Endpoint {
        /// The provider's name.
        provider: String,
        /// Which setting.
        setting: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Anybody could take any address.
    #[error("provider `{provider}`: trust_unverified_email needs a list of email_domains beside it")]
    UnverifiedEmail {
        /// The provider's name.
        provider: String,
    },
    /// Nobody vouches for such an address.
    #[error("provider `{provider}`: another email_claim than `email` needs trust_unverified_email and email_domains")]
    EmailClaim {
        /// The provider's name.
        provider: String,
    },
    /// There is no client to call it with.
    #[error("provider `{provider}`: {source}{}", setting_of(.source))]
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

/// Which setting would help.
const fn setting_of(error: &HttpClientError) -> &'static str {
    match error {
        HttpClientError::ExtraRoot { .. } | HttpClientError::NoRoots => "; see `ca_file`",
        HttpClientError::Proxy => "; see `proxy`",
        HttpClientError::Setup(_) => "",
    }
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
        for (setting, written) in self.written_endpoints() {
            let Some(written) = written else { continue };
            Endpoint::parse(written, self.allow_http).map_err(|error| ConfigError::Endpoint {
                provider: provider(),
                setting,
                why: error.to_string(),
            })?;
        }
        if self.claims.trust_unverified_email && self.claims.email_domains.is_empty() {
            return Err(ConfigError::UnverifiedEmail { provider: provider() });
        }
        if self.claims.email_claim != "email" && !self.claims.trust_unverified_email {
            return Err(ConfigError::EmailClaim { provider: provider() });
        }
        Ok(issuer)
    }

    /// The places that were written down, with their settings.
    pub(crate) fn written_endpoints(&self) -> [(&'static str, Option<&str>); 8] {
        let EndpointsConfig { authorization, token, jwks, userinfo, end_session, revocation, introspection } =
            &self.endpoints;
        [
            ("discovery_url", self.discovery_url.as_deref()),
            ("endpoints.authorization", authorization.as_deref()),
            ("endpoints.token", token.as_deref()),
            ("endpoints.jwks", jwks.as_deref()),
            ("endpoints.userinfo", userinfo.as_deref()),
            ("endpoints.end_session", end_session.as_deref()),
            ("endpoints.revocation", revocation.as_deref()),
            ("endpoints.introspection", introspection.as_deref()),
        ]
    }

    /// The client that it is called with. The system's authorities are read now.
    pub(super) fn client(&self) -> Result<SharedHttp, ConfigError> {
        let (extra_roots, proxy) = match &self.outbound {
            Outbound::Own { ca_pem, proxy } => (ca_pem.iter().cloned().collect(), proxy.clone()),
            Outbound::Given(client) => return Ok(Arc::clone(client)),
        };
        let client = HttpClient::new(&HttpClientConfig {
            timeout: self.timeout,
            extra_roots,
            allow_http: self.allow_http,
            proxy,
            body_limit: memory::PROVIDER_ANSWER_BYTES,
            max_concurrent: memory::PROVIDER_CALLS,
        });
        match client {
            Ok(client) => Ok(Arc::new(client)),
            Err(source) => Err(ConfigError::Outbound { provider: self.name.as_str().to_owned(), source }),
        }
    }
}
