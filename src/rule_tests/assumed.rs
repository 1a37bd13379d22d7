//! Who is outside, played: an API server that knows one token, and a provider that can be discovered.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::json;

use super::form::{Answer, Review};
use crate::{
    http_client::{HttpError, OutboundHttp},
    kubernetes::{
        AccessAnswer, AccessAttributes, AccessQuestion, AccessReviews, ReviewAnswer, ReviewError, ReviewedUser, Reviews,
    },
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

/// An API server that answers questions as the case assumes. One that nothing is assumed of has no answer, and is told.
#[derive(Debug)]
pub(super) struct AssumedAnswers {
    answers: Vec<Review>,
    unassumed: Mutex<BTreeSet<String>>,
}

impl AssumedAnswers {
    pub(super) fn new(answers: &[Review]) -> Self {
        Self { answers: answers.to_vec(), unassumed: Mutex::default() }
    }

    /// The questions of which nothing is assumed.
    pub(super) fn unassumed(&self) -> BTreeSet<String> {
        self.unassumed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl AccessReviews for AssumedAnswers {
    async fn review_access(&self, question: &AccessQuestion) -> Result<AccessAnswer, ReviewError> {
        let attributes = &question.attributes;
        let none = || ReviewError::Unavailable("the case assumes no answer".to_owned());
        match self.answers.iter().find(|review| review.fits(attributes)).map(|review| review.answer) {
            Some(Answer::Allowed) => Ok(AccessAnswer { allowed: true, denied: false }),
            Some(Answer::Denied) => Ok(AccessAnswer::default()),
            Some(Answer::Unanswered) => Err(none()),
            None => {
                self.unassumed.lock().unwrap_or_else(PoisonError::into_inner).insert(attributes.to_string());
                Err(none())
            }
        }
    }
}

impl Review {
    fn fits(&self, question: &AccessAttributes) -> bool {
        let fits = |assumed: &Option<String>, asked: &String| assumed.as_ref().is_none_or(|assumed| assumed == asked);
        fits(&self.verb, &question.verb)
            && fits(&self.group, &question.group)
            && fits(&self.resource, &question.resource)
            && fits(&self.subresource, &question.subresource)
            && fits(&self.namespace, &question.namespace)
            && fits(&self.name, &question.name)
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
