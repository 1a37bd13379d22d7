//! An identity provider in this process: whoever brings a code is its one person.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::house;
use crate::{
    clock::SharedClock,
    http_client::{HttpError, OutboundHttp},
    jose::AssertionKeyRing,
    principal::ProviderName,
};

pub(super) const ISSUER: &str = "https://idp.example.com";
pub(super) const CLIENT_ID: &str = "portcullis";

/// The provider. A code is the nonce of the login that it was asked for.
#[derive(Clone, Debug)]
pub(super) struct Provider {
    clock: SharedClock,
    keys: Arc<AssertionKeyRing>,
}

/// The provider's name with us.
pub(super) fn name() -> ProviderName {
    ProviderName::parse("idp").expect("it is a plain name")
}

/// The address that browsers sign in at.
pub(super) fn authorization_endpoint() -> String {
    format!("{ISSUER}/authorize")
}

/// The query with which the provider sends a browser back that came with `authorization`.
pub(super) fn callback_query(authorization: &Url) -> String {
    let asked: HashMap<String, String> = authorization.query_pairs().into_owned().collect();
    let told = |name: &str| asked.get(name).cloned().unwrap_or_default();
    form_urlencoded::Serializer::new(String::new())
        .append_pair("state", &told("state"))
        .append_pair("code", &told("nonce"))
        .append_pair("iss", ISSUER)
        .finish()
}

impl Provider {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { clock, keys: Arc::new(AssertionKeyRing::of_a_new_key()) }
    }

    fn discovery() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": authorization_endpoint(),
            "token_endpoint": format!("{ISSUER}/token"),
            "jwks_uri": format!("{ISSUER}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    fn tokens(&self, body: &[u8]) -> Value {
        let code = form_urlencoded::parse(body).find(|(name, _)| name == "code").map(|(_, code)| code.into_owned());
        let now = self.clock.now();
        let claims = json!({
            "iss": ISSUER, "sub": "42", "aud": CLIENT_ID, "nonce": code,
            "iat": now.as_unix_seconds(), "exp": now.as_unix_seconds() + 300,
            "email": house::USER, "email_verified": true,
        });
        let id_token = self.keys.sign(now, &claims).expect("claims are JSON");
        json!({ "access_token": "access-token", "token_type": "Bearer", "expires_in": 300, "id_token": id_token })
    }
}

#[async_trait]
impl OutboundHttp for Provider {
    async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Bytes>, HttpError> {
        let body = match request.uri().path() {
            "/.well-known/openid-configuration" => Self::discovery().to_string(),
            "/token" => self.tokens(request.body()).to_string(),
            _ => self.keys.jwks_json().to_owned(),
        };
        let response = http::Response::builder().header("content-type", "application/json");
        Ok(response.body(Bytes::from(body)).expect("the header is a plain one"))
    }
}
