//! Userinfo: what the provider says of a person to whoever holds an access token (OpenID Connect Core section 5.3).
//!
//! It comes as JSON, or signed as a JWT; that one is read and verified by [`jose`], as every token that comes in.

use http::{HeaderValue, Request, StatusCode, header};
use serde_json::Value;
use thiserror::Error;

use super::person::Claims;
use crate::{
    jose::{self, Algorithm, Expectation, JwksCache, Sender, TokenError, TokenType, VerifyError},
    providers::{CallError, Endpoint, ProviderHttp, Trouble, media_type},
};

/// Why userinfo told nothing. The text is for the log: it holds nothing of what was told.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum UserinfoError {
    #[error("there is no userinfo endpoint; `endpoints.userinfo` can name one")]
    NoEndpoint,
    /// What stands in no header, or holds what would part it.
    #[error("the access token is no bearer token")]
    NotABearerToken,
    #[error(transparent)]
    Call(#[from] CallError),
    /// Another status than 200; 401 and 403 are about the access token (RFC 6750 section 3.1).
    #[error("userinfo: status {}", .0.as_u16())]
    Status(StatusCode),
    #[error("userinfo is neither JSON nor a JWT")]
    MediaType,
    #[error("userinfo is no JSON object")]
    NotAnObject,
    #[error("userinfo speaks of another subject")]
    Subject,
    /// As a JWT it is not the provider's word for us.
    #[error("userinfo is refused: {0}")]
    Token(#[from] TokenError),
    #[error("the provider's keys cannot be fetched")]
    KeysUnavailable,
}

impl UserinfoError {
    /// Whether the provider does not tell us, by this access token or at all (RFC 6750 section 3.1).
    pub(crate) fn is_a_refusal(&self) -> bool {
        matches!(self, Self::Status(status) if status.is_client_error())
    }

    /// What is wrong for everybody. What is said of one access token is not; and keys are told of by themselves.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Call(error) => Some(error.trouble()),
            Self::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) | Self::KeysUnavailable => None,
            Self::NoEndpoint => Some(Trouble::NotSetUp(self.to_string())),
            error => Some(Trouble::Unusable(error.to_string())),
        }
    }
}

/// A question about one person.
pub(crate) struct Userinfo<'a> {
    pub(crate) http: &'a ProviderHttp,
    pub(crate) endpoint: &'a Endpoint,
    /// For an answer that is signed.
    pub(crate) keys: &'a JwksCache,
    /// What that may be signed with: as ID tokens are.
    pub(crate) algorithms: &'a [Algorithm],
    /// The provider's issuer identifier.
    pub(crate) issuer: &'a str,
    /// Our client id there.
    pub(crate) client_id: &'a str,
    /// Whom it must speak of: the `sub` of the ID token (section 5.3.2).
    pub(crate) subject: &'a str,
}

impl Userinfo<'_> {
    /// Asks with this access token, and gives the claims.
    pub(crate) async fn ask(&self, access_token: &str) -> Result<Claims, UserinfoError> {
        let response = self.http.send_plain(self.request(access_token)?).await?;
        if response.status() != StatusCode::OK {
            return Err(UserinfoError::Status(response.status()));
        }
        let claims = match media_type(&response).as_deref() {
            None | Some("application/json") => jose::parse_object(response.body()).ok_or(UserinfoError::NotAnObject)?,
            Some("application/jwt") => self.verified(response.body()).await?,
            Some(_) => return Err(UserinfoError::MediaType),
        };
        if claims.get("sub").and_then(Value::as_str) != Some(self.subject) {
            return Err(UserinfoError::Subject);
        }
        Ok(claims)
    }

    /// RFC 6750 section 2.1.
    fn request(&self, access_token: &str) -> Result<Request<Vec<u8>>, UserinfoError> {
        if !access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UserinfoError::NotABearerToken);
        }
        let mut bearer =
            HeaderValue::try_from(format!("Bearer {access_token}")).map_err(|_| UserinfoError::NotABearerToken)?;
        bearer.set_sensitive(true);
        let mut request = Request::new(Vec::new());
        *request.uri_mut() = self.endpoint.uri().clone();
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        Ok(request)
    }

    /// Claims that are signed name their issuer and us among the audience (section 5.3.2); they need not end. They came
    /// for our access token, so that others who are named take nothing.
    async fn verified(&self, body: &[u8]) -> Result<Claims, UserinfoError> {
        let token = jose::peek_issued(str::from_utf8(body).map_err(|_| TokenError::NotJwt)?)?;
        let expectation = Expectation {
            algorithms: self.algorithms.to_vec(),
            token_type: TokenType::OpenId,
            must_expire: false,
            ..Expectation::new(self.issuer, vec![self.client_id.to_owned()])
        };
        let verified = self.keys.verify(&token, &expectation, Sender::Issuer).await;
        Ok(verified.map_err(UserinfoError::from)?.claims().clone())
    }
}

impl From<VerifyError> for UserinfoError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Rejected(error) => Self::Token(error),
            VerifyError::KeysUnavailable => Self::KeysUnavailable,
        }
    }
}
