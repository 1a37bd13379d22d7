//! What discovery told about a provider, checked before anything of it is used.
//!
//! What decides is read strictly, and refused with what was found. What does not decide cannot make the document
//! unreadable: of another type than it should be, it counts as not told: see
//! [`super::answers`].

use bytes::Bytes;
use http::{Response, StatusCode, header::DATE};
use openidconnect::{AuthUrl, ClientId, EndpointNotSet, EndpointSet, IssuerUrl, JsonWebKeySet, core::CoreClient};
use serde_json::{Map, Value};
use thiserror::Error;

use super::{
    answers::Answer,
    authentication::{ClientAuthentication, KnownMethod, SecretMethod},
    config::{ProviderConfig, StrictAsk},
    endpoint::{Endpoint, EndpointError},
    http::{CallError, ProviderHttp},
    keys,
    oddities::Oddities,
    outside_text::for_log,
};
use crate::{
    clock::Timestamp,
    jose::{self, Algorithm, Jwks},
};

/// Where a document lies below its issuer (OpenID Connect Discovery section 4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// The most of another issuer that is told, in characters.
const MAX_FOUND: usize = 100;
/// The most scopes that are looked at.
const MAX_SCOPES: usize = 1024;

/// `openidconnect`'s client, for the address that browsers are sent to.
pub(crate) type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet>;

/// Endpoints that a provider may have or not. One that cannot be used counts as none, and the log says so: nobody needs
/// it to sign in.
#[derive(Clone, Debug, Default)]
pub(crate) struct OptionalEndpoints {
    /// Where browsers are sent to be signed out.
    pub(crate) end_session: Option<Endpoint>,
    /// Where tokens are revoked (RFC 7009).
    pub(crate) revocation: Option<Endpoint>,
    /// Where the state of a token is asked for (RFC 7662).
    pub(crate) introspection: Option<Endpoint>,
}

/// Why discovery failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum MetadataError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the document at `{url}` cannot be had: status {}; `issuer` or `discovery_url` is another", .status.as_u16())]
    Status { url: String, status: StatusCode },
    #[error("the document at `{0}` is no strict JSON object")]
    Unreadable(String),
    #[error("the key set cannot be read: {0}")]
    Keys(String),
    #[error("the document's issuer is `{found}`, and the configured `issuer` is `{wanted}`")]
    Issuer { found: String, wanted: String },
    #[error("there is no `{0}`; `endpoints` can name one")]
    NoEndpoint(&'static str),
    #[error("its `{0}` cannot be used: {1}")]
    Endpoint(&'static str, EndpointError),
    #[error("code_challenge_methods_supported does not hold S256")]
    PkceMethod,
    #[error(
        "token_endpoint_auth_methods_supported holds neither client_secret_basic nor client_secret_post, but {0}; \
         see `client_authentication`"
    )]
    ClientAuthentication(String),
    #[error("id_token_signing_alg_values_supported holds none that can be verified, but {0}")]
    Algorithms(String),
    #[error(
        "`strict` asks where there is no endpoint that can be used: write `{0}`, or leave `strict` out; otherwise nobody \
         would stay signed in"
    )]
    NobodyToAsk(&'static str),
}

impl MetadataError {
    /// Whether asking again will not help: somebody has to change something, there or here.
    pub(crate) const fn is_of_the_set_up(&self) -> bool {
        !matches!(self, Self::Call(CallError::Unavailable(_)))
    }
}

/// A provider's metadata that passed every check, with the keys that it publishes.
#[derive(Debug)]
pub(crate) struct Discovered {
    /// The client, for where browsers are sent.
    pub(crate) client: Client,
    /// How we authenticate where we ask as the client.
    pub(crate) method: KnownMethod,
    /// Where codes are exchanged.
    pub(crate) token: Endpoint,
    /// What the provider offers beyond sign-in.
    pub(crate) endpoints: OptionalEndpoints,
    /// Whether every answer names its issuer (RFC 9207 section 3), so that one without is not the provider's.
    pub(crate) names_issuer_in_answers: bool,
    /// What it signs tokens with.
    pub(crate) algorithms: Vec<Algorithm>,
    /// The scopes that it says it knows.
    pub(crate) scopes: Vec<String>,
    /// Where the keys are.
    pub(crate) jwks_uri: Endpoint,
    /// The keys, as they were just now.
    pub(crate) keys: Jwks,
    /// Where people are asked about, where there is such a place.
    pub(crate) userinfo: Option<Endpoint>,
}

impl Discovered {
    /// Asks the provider (OpenID Connect Discovery section 4).
    pub(crate) async fn fetch(
        config: &ProviderConfig,
        issuer: &IssuerUrl,
        http: &ProviderHttp,
        oddities: &Oddities,
    ) -> Result<Self, MetadataError> {
        let published = Published::fetch(config, issuer, http).await?;
        Answer::Discovery.note_odd(&published.members, oddities);
        let discovered = published.discovered?;
        match discovered.nobody_to_ask(config) {
            Some(StrictAsk::Introspection) => {
                Err(MetadataError::NobodyToAsk("endpoints.introspection` or `strict.ask: userinfo"))
            }
            Some(StrictAsk::Userinfo) => Err(MetadataError::NobodyToAsk("endpoints.userinfo")),
            None => Ok(discovered),
        }
    }

    /// Where `strict` is to ask, and there is nobody.
    pub(crate) fn nobody_to_ask(&self, config: &ProviderConfig) -> Option<StrictAsk> {
        nobody_to_ask(config, &self.endpoints, self.userinfo.as_ref())
    }
}

/// What a provider publishes, and what there is to be made of it.
#[derive(Debug)]
pub(crate) struct Published {
    /// The members of its document.
    pub(crate) members: Map<String, Value>,
    /// When its document was sent, by its own clock (RFC 9110 section 6.6.1), where it tells that.
    pub(crate) date: Option<Timestamp>,
    /// What passed every check.
    pub(crate) discovered: Result<Discovered, MetadataError>,
}

impl Published {
    /// Asks the provider (OpenID Connect Discovery section 4).
    pub(super) async fn fetch(
        config: &ProviderConfig,
        issuer: &IssuerUrl,
        http: &ProviderHttp,
    ) -> Result<Self, MetadataError> {
        let (document, date) = Document::fetch(config, http).await?;
        let discovered = document.with_keys(issuer, http).await;
        Ok(Self { members: document.members, date, discovered })
    }
}

/// Where `strict` is to ask, and there is nobody: a session of which nobody can ask would not pass.
pub(super) fn nobody_to_ask(
    config: &ProviderConfig,
    endpoints: &OptionalEndpoints,
    userinfo: Option<&Endpoint>,
) -> Option<StrictAsk> {
    config.strict.map(|strict| strict.ask).filter(|ask| match ask {
        StrictAsk::Introspection => endpoints.introspection.is_none(),
        StrictAsk::Userinfo => userinfo.is_none(),
    })
}

/// Where a provider's document lies.
pub(super) fn document_url(config: &ProviderConfig) -> String {
    let below_issuer = || format!("{}{WELL_KNOWN}", config.issuer.trim_end_matches('/'));
    config.discovery_url.clone().unwrap_or_else(below_issuer)
}

/// A provider's document, and what is configured of it.
struct Document<'a> {
    members: Map<String, Value>,
    config: &'a ProviderConfig,
}

impl<'a> Document<'a> {
    /// The document, and when it was sent.
    async fn fetch(
        config: &'a ProviderConfig,
        http: &ProviderHttp,
    ) -> Result<(Self, Option<Timestamp>), MetadataError> {
        let url = document_url(config);
        let endpoint = Endpoint::parse(&url, config.allow_http);
        let endpoint = endpoint.map_err(|error| MetadataError::Endpoint("issuer", error))?;
        let response = http.get_json(&endpoint).await?;
        if response.status() != StatusCode::OK {
            return Err(MetadataError::Status { url: for_log(&url), status: response.status() });
        }
        let members = jose::parse_object(response.body()).ok_or_else(|| MetadataError::Unreadable(for_log(&url)))?;
        Ok((Self { members, config }, date_of(&response)))
    }

    async fn with_keys(&self, issuer: &IssuerUrl, http: &ProviderHttp) -> Result<Discovered, MetadataError> {
        let mut discovered = self.check(issuer)?;
        let keys = keys::fetch(http, &discovered.jwks_uri).await.map_err(MetadataError::from)?;
        let keys = Jwks::parse(&keys, keys::MAX_BYTES);
        discovered.keys = keys.map_err(|error| MetadataError::Keys(error.to_string()))?;
        Ok(discovered)
    }

    fn check(&self, issuer: &IssuerUrl) -> Result<Discovered, MetadataError> {
        // To the byte; `https://idp` and `https://idp/` are two issuers.
        let found = self.members.get("issuer").unwrap_or(&Value::Null);
        if found.as_str() != Some(issuer.as_str()) {
            let found = found.as_str().map_or_else(|| for_log(found), |text| for_log(&text));
            // Cut, so that there is room for both.
            let found = found.chars().take(MAX_FOUND).collect();
            return Err(MetadataError::Issuer { found, wanted: issuer.as_str().to_owned() });
        }
        let places = &self.config.endpoints;
        let authorization = self.endpoint("authorization_endpoint", places.authorization.as_deref())?;
        let token = self.endpoint("token_endpoint", places.token.as_deref())?;
        let jwks_uri = self.endpoint("jwks_uri", places.jwks.as_deref())?;
        let userinfo = match self.endpoint("userinfo_endpoint", places.userinfo.as_deref()) {
            Err(MetadataError::NoEndpoint(_)) => None,
            found => Some(found?),
        };
        if self.texts("code_challenge_methods_supported").is_some_and(|methods| !methods.contains(&"S256")) {
            return Err(MetadataError::PkceMethod);
        }
        let client_id = ClientId::new(self.config.client_id.clone());
        let client = CoreClient::new(client_id, issuer.clone(), JsonWebKeySet::default());
        Ok(Discovered {
            client: client.set_auth_uri(AuthUrl::from_url(authorization.url().clone())),
            method: self.method(&token)?,
            token,
            endpoints: self.optional_endpoints(),
            names_issuer_in_answers: self.members.get("authorization_response_iss_parameter_supported")
                == Some(&Value::Bool(true)),
            algorithms: self.algorithms()?,
            scopes: self.texts("scopes_supported").unwrap_or_default().into_iter().map(str::to_owned).collect(),
            jwks_uri,
            keys: Jwks::default(),
            userinfo,
        })
    }

    /// A place that people need to sign in: the one that is written down, else the one that the document tells.
    fn endpoint(&self, name: &'static str, written: Option<&str>) -> Result<Endpoint, MetadataError> {
        let told = match (written, self.members.get(name)) {
            (Some(written), _) => written,
            (None, None | Some(Value::Null)) => return Err(MetadataError::NoEndpoint(name)),
            (None, Some(value)) => value.as_str().unwrap_or_default(),
        };
        Endpoint::parse(told, self.config.allow_http).map_err(|error| MetadataError::Endpoint(name, error))
    }

    fn optional_endpoints(&self) -> OptionalEndpoints {
        let places = &self.config.endpoints;
        let usable = |name: &'static str, written: &Option<String>| {
            let error = match self.endpoint(name, written.as_deref()) {
                Ok(endpoint) => return Some(endpoint),
                Err(MetadataError::Endpoint(_, error)) => error,
                Err(_) => return None,
            };
            let provider = self.config.name.as_str();
            tracing::warn!(provider, endpoint = name, %error, "an endpoint cannot be used, and counts as none");
            None
        };
        OptionalEndpoints {
            end_session: usable("end_session_endpoint", &places.end_session),
            revocation: usable("revocation_endpoint", &places.revocation),
            introspection: usable("introspection_endpoint", &places.introspection),
        }
    }

    /// How we authenticate at the token endpoint (OpenID Connect Core section 9). Without a word in the metadata it is
    /// `client_secret_basic` (OpenID Connect Discovery section 3).
    fn method(&self, token: &Endpoint) -> Result<KnownMethod, MetadataError> {
        let listed = self.texts("token_endpoint_auth_methods_supported");
        let secret = match (&self.config.authentication, listed) {
            (ClientAuthentication::Secret { method: Some(method), .. }, _) => *method,
            (ClientAuthentication::Secret { method: None, .. }, Some(listed)) => {
                if listed.contains(&"client_secret_basic") {
                    SecretMethod::Basic
                } else if listed.contains(&"client_secret_post") {
                    SecretMethod::Post
                } else {
                    return Err(MetadataError::ClientAuthentication(for_log(&listed.join(" "))));
                }
            }
            _ => SecretMethod::Basic,
        };
        // By the name that the provider knows it by, where we call it by another one.
        let audience = self.members.get("token_endpoint").and_then(Value::as_str);
        let audience = audience.unwrap_or_else(|| token.url().as_str()).to_owned();
        Ok(KnownMethod { secret, audience })
    }

    /// What tokens are signed with: as configured, else what is listed for ID tokens, else RS256 (OpenID Connect Dynamic
    /// Client Registration section 2).
    fn algorithms(&self) -> Result<Vec<Algorithm>, MetadataError> {
        if let Some(written) = &self.config.signing_algorithms {
            return Ok(written.clone());
        }
        let Some(listed) = self.texts("id_token_signing_alg_values_supported").filter(|listed| !listed.is_empty())
        else {
            return Ok(vec![Algorithm::Rs256]);
        };
        let known: Vec<Algorithm> = listed.iter().filter_map(|name| Algorithm::from_name(name)).collect();
        if known.is_empty() {
            return Err(MetadataError::Algorithms(for_log(&listed.join(" "))));
        }
        Ok(known)
    }

    /// The texts of a list, where there is one; what else it holds is passed over.
    fn texts(&self, name: &str) -> Option<Vec<&str>> {
        let values = self.members.get(name)?.as_array()?;
        Some(values.iter().filter_map(Value::as_str).take(MAX_SCOPES).collect())
    }
}

fn date_of(response: &Response<Bytes>) -> Option<Timestamp> {
    let date = response.headers().get(DATE)?.to_str().ok()?;
    Some(Timestamp::from_system_time(httpdate::parse_http_date(date).ok()?))
}

impl From<jose::FetchError> for MetadataError {
    fn from(error: jose::FetchError) -> Self {
        match error {
            jose::FetchError::Unavailable(text) => Self::Call(CallError::Unavailable(text)),
            error => Self::Keys(error.to_string()),
        }
    }
}
