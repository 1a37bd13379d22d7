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
use thiserror::Error;
use url::Url;

use super::{
    config::ProviderConfig,
    http::{CallError, ProviderHttp},
};

/// The members of the metadata that OpenID Connect Discovery does not define.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct OAuthMetadata {
    /// RFC 9207 section 3.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    /// RFC 8414 section 2.
    code_challenge_methods_supported: Option<Vec<String>>,
    /// OpenID Connect RP-Initiated Logout 1.0 section 2.1.
    end_session_endpoint: Option<String>,
    /// RFC 8414 section 2.
    revocation_endpoint: Option<String>,
    /// RFC 8414 section 2.
    introspection_endpoint: Option<String>,
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
pub(super) type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet, EndpointMaybeSet>;

/// Endpoints that a provider may have or not. One that the rules do not let us use counts as none: nobody needs it to
/// sign in.
#[derive(Clone, Debug, Default)]
pub(super) struct OptionalEndpoints {
    /// Where browsers are sent to be signed out.
    pub(super) end_session: Option<Url>,
    /// Where tokens are revoked (RFC 7009).
    pub(super) revocation: Option<Url>,
    /// Where the state of a token is asked for (RFC 7662).
    pub(super) introspection: Option<Url>,
}

impl OptionalEndpoints {
    fn of(metadata: &OAuthMetadata, config: &ProviderConfig, http: &ProviderHttp) -> Self {
        let usable = |name: &'static str, text: &Option<String>| {
            let url = text.as_deref().map(Url::parse)?;
            let url = url.ok().filter(|url| http.may_call(url) && url.fragment().is_none());
            if url.is_none() {
                tracing::warn!(provider = config.name.as_str(), endpoint = name, "an endpoint cannot be used");
            }
            url
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
pub(super) enum MetadataError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the discovery document or the key set cannot be read: {0}")]
    Unreadable(String),
    #[error("the discovery document's issuer is not the configured one")]
    Issuer,
    #[error("{0} is missing or not https")]
    Endpoint(&'static str),
    #[error("code_challenge_methods_supported does not hold S256")]
    PkceMethod,
    #[error("token_endpoint_auth_methods_supported holds neither client_secret_basic nor client_secret_post")]
    ClientAuthentication,
}

/// A provider's metadata that passed every check, with the keys that it publishes.
#[derive(Clone, Debug)]
pub(super) struct Discovered {
    /// The client, without our secret: that one may be replaced at any time.
    pub(super) client: Client,
    /// How we authenticate where we ask as the client.
    pub(super) auth_type: AuthType,
    /// What the provider offers beyond sign-in.
    pub(super) endpoints: OptionalEndpoints,
    /// Whether every answer names its issuer (RFC 9207 section 3), so that one without is not the provider's.
    pub(super) names_issuer_in_answers: bool,
    /// Where the keys are.
    pub(super) jwks_uri: openidconnect::JsonWebKeySetUrl,
    /// The keys, as they were just now.
    pub(super) keys: openidconnect::core::CoreJsonWebKeySet,
}

impl Discovered {
    /// Asks the provider (OpenID Connect Discovery section 4).
    pub(super) async fn fetch(
        config: &ProviderConfig,
        issuer: &IssuerUrl,
        http: &ProviderHttp,
    ) -> Result<Self, MetadataError> {
        let metadata = Metadata::discover_async(issuer.clone(), http).await.map_err(MetadataError::from)?;
        Self::check(metadata, config, issuer, http)
    }

    fn check(
        metadata: Metadata,
        config: &ProviderConfig,
        issuer: &IssuerUrl,
        http: &ProviderHttp,
    ) -> Result<Self, MetadataError> {
        // To the byte; `https://idp` and `https://idp/` are two issuers.
        if metadata.issuer().as_bytes() != issuer.as_bytes() {
            return Err(MetadataError::Issuer);
        }
        if !http.may_call(metadata.authorization_endpoint().url()) {
            return Err(MetadataError::Endpoint("authorization_endpoint"));
        }
        let token_endpoint = metadata
            .token_endpoint()
            .filter(|endpoint| http.may_call(endpoint.url()))
            .cloned()
            .ok_or(MetadataError::Endpoint("token_endpoint"))?;
        if metadata.userinfo_endpoint().is_some_and(|endpoint| !http.may_call(endpoint.url())) {
            return Err(MetadataError::Endpoint("userinfo_endpoint"));
        }
        if !http.may_call(metadata.jwks_uri().url()) {
            return Err(MetadataError::Endpoint("jwks_uri"));
        }
        let extra = metadata.additional_metadata().clone();
        let endpoints = OptionalEndpoints::of(&extra, config, http);
        if extra.code_challenge_methods_supported.is_some_and(|methods| !methods.iter().any(|method| method == "S256"))
        {
            return Err(MetadataError::PkceMethod);
        }
        let auth_type = auth_type(&metadata, config)?;
        let keys = metadata.jwks().clone();
        let jwks_uri = metadata.jwks_uri().clone();
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
            _ => Self::Unreadable("it is no discovery document".to_owned()),
        }
    }
}
