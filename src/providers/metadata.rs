//! What discovery told about a provider, checked before anything of it is used.

use openidconnect::{
    AdditionalProviderMetadata, AuthType, DiscoveryError, EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl,
    ProviderMetadata,
    core::{
        CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
        CoreSubjectIdentifierType,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::{
    config::ProviderConfig,
    endpoint::{Endpoint, EndpointError},
    http::{CallError, Overheard, ProviderHttp},
    keys,
};
use crate::jose::Jwks;

/// The members of the metadata that OpenID Connect Discovery does not define.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct OAuthMetadata {
    /// RFC 9207 section 3.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    /// RFC 8414 section 2.
    code_challenge_methods_supported: Option<Vec<String>>,
    /// OpenID Connect RP-Initiated Logout 1.0 section 2.1.
    end_session_endpoint: Option<Value>,
    /// RFC 8414 section 2.
    revocation_endpoint: Option<Value>,
    /// RFC 8414 section 2.
    introspection_endpoint: Option<Value>,
}

impl AdditionalProviderMetadata for OAuthMetadata {}

type Metadata = ProviderMetadata<
    OAuthMetadata,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// `openidconnect`'s client with the endpoints that discovery told.
pub(crate) type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet, EndpointMaybeSet>;

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

impl OptionalEndpoints {
    fn of(metadata: &OAuthMetadata, config: &ProviderConfig) -> Self {
        let usable = |name: &'static str, value: &Option<Value>| {
            let text = value.as_ref()?.as_str();
            let endpoint = text.map_or(Err(EndpointError::NotAUrl), |text| Endpoint::parse(text, config.allow_http));
            endpoint
                .inspect_err(|error| {
                    let provider = config.name.as_str();
                    tracing::warn!(provider, endpoint = name, %error, "an endpoint cannot be used, and counts as none");
                })
                .ok()
        };
        Self {
            end_session: usable("end_session_endpoint", &metadata.end_session_endpoint),
            revocation: usable("revocation_endpoint", &metadata.revocation_endpoint),
            introspection: usable("introspection_endpoint", &metadata.introspection_endpoint),
        }
    }
}

/// Why discovery failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum MetadataError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the discovery document or the key set cannot be read: {0}")]
    Unreadable(String),
    #[error("the discovery document's issuer is not the configured one")]
    Issuer,
    #[error("there is no `{0}`")]
    NoEndpoint(&'static str),
    #[error("its `{0}` cannot be used: {1}")]
    Endpoint(&'static str, EndpointError),
    #[error("code_challenge_methods_supported does not hold S256")]
    PkceMethod,
    #[error("token_endpoint_auth_methods_supported holds neither client_secret_basic nor client_secret_post")]
    ClientAuthentication,
}

/// A provider's metadata that passed every check, with the keys that it publishes.
#[derive(Debug)]
pub(crate) struct Discovered {
    /// The client, without our secret: that one may be replaced at any time.
    pub(crate) client: Client,
    /// How we authenticate where we ask as the client.
    pub(crate) auth_type: AuthType,
    /// What the provider offers beyond sign-in.
    pub(crate) endpoints: OptionalEndpoints,
    /// Whether every answer names its issuer (RFC 9207 section 3), so that one without is not the provider's.
    pub(crate) names_issuer_in_answers: bool,
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
    ) -> Result<Self, MetadataError> {
        let overheard = Overheard::of(http);
        let metadata = Metadata::discover_async(issuer.clone(), &overheard).await.map_err(MetadataError::from)?;
        // The library asks for the key set last.
        let keys = Jwks::parse(&overheard.last_body(), keys::MAX_BYTES);
        Self::check(metadata, keys.map_err(|error| MetadataError::Unreadable(error.to_string()))?, config, issuer)
    }

    fn check(
        metadata: Metadata,
        keys: Jwks,
        config: &ProviderConfig,
        issuer: &IssuerUrl,
    ) -> Result<Self, MetadataError> {
        // To the byte; `https://idp` and `https://idp/` are two issuers.
        if metadata.issuer().as_bytes() != issuer.as_bytes() {
            return Err(MetadataError::Issuer);
        }
        // The library sends requests to its own copies of these, which it makes of what is checked here.
        let usable = |name, url| {
            Endpoint::from_url(url, config.allow_http).map_err(|error| MetadataError::Endpoint(name, error))
        };
        usable("authorization_endpoint", metadata.authorization_endpoint().url())?;
        let token_endpoint = metadata.token_endpoint().ok_or(MetadataError::NoEndpoint("token_endpoint"))?.clone();
        usable("token_endpoint", token_endpoint.url())?;
        let userinfo = metadata.userinfo_endpoint().map(|url| usable("userinfo_endpoint", url.url())).transpose()?;
        let jwks_uri = usable("jwks_uri", metadata.jwks_uri().url())?;
        let extra = metadata.additional_metadata().clone();
        let endpoints = OptionalEndpoints::of(&extra, config);
        if extra.code_challenge_methods_supported.is_some_and(|methods| !methods.iter().any(|method| method == "S256"))
        {
            return Err(MetadataError::PkceMethod);
        }
        let auth_type = auth_type(&metadata, config)?;
        let client_id = openidconnect::ClientId::new(config.client_id.clone());
        let client = CoreClient::from_provider_metadata(metadata, client_id, None)
            .set_token_uri(token_endpoint)
            .set_auth_type(auth_type.clone());
        Ok(Self {
            client,
            auth_type,
            endpoints,
            names_issuer_in_answers: extra.authorization_response_iss_parameter_supported,
            jwks_uri,
            keys,
            userinfo,
        })
    }
}

/// How we authenticate at the token endpoint (OpenID Connect Core section 9). Without a word in the metadata it is
/// `client_secret_basic` (OpenID Connect Discovery section 3).
fn auth_type(metadata: &Metadata, config: &ProviderConfig) -> Result<AuthType, MetadataError> {
    let Some(methods) = metadata.token_endpoint_auth_methods_supported() else { return Ok(AuthType::BasicAuth) };
    if config.client_secret.is_none() || methods.contains(&CoreClientAuthMethod::ClientSecretBasic) {
        Ok(AuthType::BasicAuth)
    } else if methods.contains(&CoreClientAuthMethod::ClientSecretPost) {
        Ok(AuthType::RequestBody)
    } else {
        Err(MetadataError::ClientAuthentication)
    }
}

impl From<DiscoveryError<CallError>> for MetadataError {
    fn from(error: DiscoveryError<CallError>) -> Self {
        match error {
            DiscoveryError::Request(error) => Self::Call(error),
            DiscoveryError::Response(status, ..) => Self::Unreadable(format!("status {}", status.as_u16())),
            // The path of the member that cannot be read; never its value.
            DiscoveryError::Parse(error) => Self::Unreadable(format!("at `{}`", error.path())),
            DiscoveryError::Validation(_) => Self::Issuer,
            // The issuer is one that can be called, and so it is what the library asks next.
            DiscoveryError::Other(_) => Self::Endpoint("jwks_uri", EndpointError::NotAUri),
            _ => Self::Unreadable("it is no discovery document".to_owned()),
        }
    }
}
