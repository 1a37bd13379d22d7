//! Who is outside, played: an API server that knows one token, and a provider that can be discovered.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::json;

use crate::{
    http_client::{HttpError, OutboundHttp},
    kubernetes::{ReviewAnswer, ReviewError, ReviewedUser, Reviews},
    providers::ProviderConfig,
    secret::SecretString,
};

/// The token of a case, and what the API server says of it.
pub(super) struct AssumedToken {
    pub(super) token: String,
    pub(super) audience: String,
    pub(super) user: ReviewedUser,
}

/// An API server that accepts the token of the case and no other. It serves no keys, so that its review decides.
pub(super) struct AssumedApiServer(pub(super) Option<AssumedToken>);

impl fmt::Debug for AssumedApiServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AssumedApiServer")
    }
}

#[async_trait]
impl Reviews for AssumedApiServer {
    async fn review_token(&self, presented: &SecretString, audiences: &[String]) -> Result<ReviewAnswer, ReviewError> {
        let Some(known) = self.0.as_ref().filter(|known| known.token == presented.expose()) else {
            return Ok(ReviewAnswer::default());
        };
        let audiences: Vec<String> = audiences.iter().filter(|one| **one == known.audience).cloned().collect();
        Ok(ReviewAnswer { authenticated: !audiences.is_empty(), audiences, user: known.user.clone() })
    }

    async fn jwks(&self) -> Result<Bytes, ReviewError> {
        Err(ReviewError::NotFound)
    }

    fn own_token(&self) -> Option<SecretString> {
        None
    }
}

/// A provider that tells where its endpoints are, and answers nothing else.
#[derive(Debug)]
pub(super) struct AssumedProvider {
    metadata: String,
}

impl AssumedProvider {
    pub(super) fn new(provider: &ProviderConfig) -> Self {
        let issuer = &provider.issuer;
        let endpoint = |name: &str| format!("{}/{name}", issuer.trim_end_matches('/'));
        let metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": endpoint("authorize"),
            "token_endpoint": endpoint("token"),
            "jwks_uri": endpoint("jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "code_challenge_methods_supported": ["S256"],
        });
        Self { metadata: metadata.to_string() }
    }
}

#[async_trait]
impl OutboundHttp for AssumedProvider {
    async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Bytes>, HttpError> {
        let is_keys = request.uri().path().ends_with("/jwks");
        let document = if is_keys { json!({ "keys": [] }).to_string() } else { self.metadata.clone() };
        let mut response = http::Response::new(Bytes::from(document));
        let json = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, json);
        Ok(response)
    }
}
