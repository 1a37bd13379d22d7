//! From an authorization code to a person: the exchange, the ID token's checks, userinfo.

use std::borrow::Cow;

use openidconnect::{
    AccessToken, AuthorizationCode, ClientSecret, IssuerUrl, OAuth2TokenResponse as _, PkceCodeVerifier, RedirectUrl,
    RequestTokenError,
    core::{CoreErrorResponseType, CoreRequestTokenError, CoreTokenResponse, CoreTokenType},
};
use serde_json::Value;
use thiserror::Error;

use super::{
    claims::{self, Claims, Identified, IdentityError},
    id_token::{IdToken, IdTokenError, IdTokenRules, NonceRule},
    userinfo::{Userinfo, UserinfoError},
};
use crate::{
    calls::CallFailure,
    clock::Timestamp,
    logout::MAX_NAME_BYTES,
    principal::User,
    providers::{
        CallError, Client, Known, Provider, ProviderConfig, ProviderHttp, TokenEndpoint, Told, ToldIdToken, told_times,
    },
    reason::Reason,
    secret::SecretString,
    session::Tokens,
};

/// Why an exchange brought nobody. The text is for the log: it holds no code, token or secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum ExchangeError {
    #[error("the provider does not answer: {0}")]
    Unavailable(String),
    /// `invalid_grant` (RFC 6749 section 5.2): of the code at a sign-in, of the refresh token later.
    #[error("the provider refuses the grant")]
    GrantRefused,
    #[error("the provider's answer cannot be used: {0}")]
    Answer(String),
    #[error("the ID token is refused: {0}")]
    IdToken(String),
    #[error("the claims name nobody: {0}")]
    Identity(#[from] IdentityError),
}

impl ExchangeError {
    pub(super) const fn reason(&self) -> Reason {
        match self {
            Self::Unavailable(_) => Reason::ProviderUnavailable,
            Self::GrantRefused => Reason::ProviderDenied,
            Self::Answer(_) => Reason::ProviderAnswerInvalid,
            Self::IdToken(_) => Reason::IdTokenInvalid,
            Self::Identity(_) => Reason::IdentityUnusable,
        }
    }
}

impl CallFailure for ExchangeError {
    fn out_of_time() -> Self {
        Self::Unavailable("our deadline passed".to_owned())
    }

    fn is_unanswered(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// What the browser brought, with what its state remembered.
pub(super) struct Grant {
    pub(super) code: String,
    pub(super) nonce: SecretString,
    pub(super) pkce_verifier: SecretString,
    pub(super) redirect_uri: RedirectUrl,
}

/// Somebody whom the provider vouched for.
#[derive(Debug)]
pub(super) struct SignedInUser {
    pub(super) user: User,
    /// The provider's name of its own session (`sid`, OpenID Connect Back-Channel Logout section 2.1).
    pub(super) provider_session: Option<String>,
    /// When the provider says that the person was authenticated (`auth_time`).
    pub(super) authenticated_at: Option<Timestamp>,
    /// What the provider issued.
    pub(super) tokens: Tokens,
}

/// One provider, ready to exchange codes.
pub(super) struct Exchange<'a> {
    pub(super) config: &'a ProviderConfig,
    pub(super) issuer: &'a IssuerUrl,
    pub(super) http: &'a ProviderHttp,
    pub(super) known: &'a Known,
    pub(super) now: Timestamp,
}

impl<'a> Exchange<'a> {
    /// With what is known of the provider, at `now`.
    pub(super) fn at(provider: &'a Provider, known: &'a Known, now: Timestamp) -> Self {
        Self { config: &provider.config, issuer: &provider.issuer, http: provider.discovery.http(), known, now }
    }
}

impl Exchange<'_> {
    /// Exchanges the code and verifies everything that comes of it (OpenID Connect Core section 3.1.3).
    pub(super) async fn run(&self, grant: Grant) -> Result<SignedInUser, ExchangeError> {
        let (nonce, code) = (grant.nonce.clone(), grant.code.clone());
        let (response, told) = self.request_tokens(grant).await?;
        let id_token = self
            .id_token(&told, NonceRule::Required(&nonce), response.access_token(), Some(&code))
            .await?
            .ok_or_else(|| ExchangeError::Answer("it holds no ID token".to_owned()))?;

        let subject = id_token.subject().to_owned();
        let id_claims = self.wanted_claims(&id_token);
        let userinfo = if claims::needs_userinfo(&self.config.claims, &id_claims) {
            self.userinfo(&response, &subject).await?
        } else {
            None
        };
        let user = self.user(&subject, &id_claims, userinfo.as_ref())?;
        // What no logout could name is no name.
        let provider_session = id_token.claim("sid").and_then(Value::as_str);
        let provider_session = provider_session.filter(|sid| (1..=MAX_NAME_BYTES).contains(&sid.len()));
        let provider_session = provider_session.map(str::to_owned);
        let authenticated_at = told_times::authenticated_at(id_token.claim("auth_time"), self.now);
        let tokens = Tokens {
            id_token: SecretString::new(id_token.expose().to_owned()),
            access_token: Some(SecretString::new(response.access_token().secret().clone())),
            refresh_token: response.refresh_token().map(|token| SecretString::new(token.secret().clone())),
            access_token_life: told_times::access_token_life(self.now, told.expires_in, id_token.expires_at(), None),
            nonce: Some(nonce),
        };
        Ok(SignedInUser { user, provider_session, authenticated_at, tokens })
    }

    /// The person, from claims that were verified.
    pub(super) fn user(
        &self,
        subject: &str,
        id_token: &Claims,
        userinfo: Option<&Claims>,
    ) -> Result<User, IdentityError> {
        let (provider, issuer) = (&self.config.name, self.issuer.as_str());
        Identified { provider, issuer, subject, id_token, userinfo }.user(&self.config.claims)
    }

    /// The client, with our secret as it is now.
    pub(super) fn client(&self) -> Client {
        let client = self.known.client.clone();
        match &self.config.client_secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
            None => client,
        }
    }

    async fn request_tokens(&self, grant: Grant) -> Result<(CoreTokenResponse, Told), ExchangeError> {
        let endpoint = TokenEndpoint::of(self.http);
        let response = self
            .client()
            .exchange_code(AuthorizationCode::new(grant.code))
            .set_pkce_verifier(PkceCodeVerifier::new(grant.pkce_verifier.expose().to_owned()))
            .set_redirect_uri(Cow::Owned(grant.redirect_uri))
            .request_async(&endpoint)
            .await?;
        Ok((response, endpoint.told()))
    }

    /// The ID token of an answer, where there is one and it is the provider's word for us.
    pub(super) async fn id_token(
        &self,
        told: &Told,
        nonce: NonceRule<'_>,
        access_token: &AccessToken,
        code: Option<&str>,
    ) -> Result<Option<IdToken>, ExchangeError> {
        let text = match &told.id_token {
            ToldIdToken::None => return Ok(None),
            ToldIdToken::Text(text) => text.expose(),
            ToldIdToken::Unreadable => return Err(ExchangeError::Answer("its ID token is no text".to_owned())),
        };
        let (issuer, client_id) = (self.issuer.as_str(), self.config.client_id.as_str());
        let access_token = access_token.secret();
        let rules = IdTokenRules { issuer, client_id, nonce, access_token, code, now: self.now };
        Ok(Some(rules.verify(text, &self.known.keys).await?))
    }

    pub(super) fn wanted_claims(&self, token: &IdToken) -> Claims {
        claims::wanted(&self.config.claims)
            .filter_map(|name| Some((name.to_owned(), token.claim(name)?.clone())))
            .collect()
    }

    /// Userinfo's claims; `None` where the provider has no such endpoint.
    pub(super) async fn userinfo(
        &self,
        response: &CoreTokenResponse,
        subject: &str,
    ) -> Result<Option<Claims>, ExchangeError> {
        if *response.token_type() != CoreTokenType::Bearer {
            return Err(UserinfoError::NotABearerToken.into());
        }
        match self.userinfo_about(subject) {
            Some(userinfo) => Ok(Some(userinfo.ask(response.access_token().secret()).await?)),
            None => Ok(None),
        }
    }

    /// Userinfo, for this person; `None` where the provider has no such endpoint.
    pub(super) fn userinfo_about<'a>(&'a self, subject: &'a str) -> Option<Userinfo<'a>> {
        Some(Userinfo {
            http: self.http,
            endpoint: self.known.userinfo.as_ref()?,
            keys: &self.known.keys,
            issuer: self.issuer.as_str(),
            client_id: &self.config.client_id,
            subject,
        })
    }
}

impl From<CallError> for ExchangeError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unavailable(text) => Self::Unavailable(text),
            CallError::Unusable(text) => Self::Answer(text.to_owned()),
        }
    }
}

impl From<IdTokenError> for ExchangeError {
    fn from(error: IdTokenError) -> Self {
        match error {
            IdTokenError::Unreadable(text) => Self::Answer(format!("its ID token cannot be read: {text}")),
            IdTokenError::Refused(text) => Self::IdToken(text),
            IdTokenError::KeysUnavailable => Self::Unavailable(error.to_string()),
            IdTokenError::KeysUnusable(_) => Self::Answer(error.to_string()),
        }
    }
}

impl From<CoreRequestTokenError<CallError>> for ExchangeError {
    fn from(error: CoreRequestTokenError<CallError>) -> Self {
        match error {
            RequestTokenError::Request(error) => error.into(),
            RequestTokenError::ServerResponse(error) if *error.error() == CoreErrorResponseType::InvalidGrant => {
                Self::GrantRefused
            }
            // The code of RFC 6749 section 5.2; `invalid_client` means that our secret is wrong.
            RequestTokenError::ServerResponse(error) => Self::Answer(format!("error `{}`", error.error())),
            // The path of the member that cannot be read; never its value.
            RequestTokenError::Parse(error, _) => Self::Answer(format!("it cannot be read at `{}`", error.path())),
            RequestTokenError::Other(_) => Self::Answer("it is no token response".to_owned()),
        }
    }
}

impl From<UserinfoError> for ExchangeError {
    fn from(error: UserinfoError) -> Self {
        match error {
            UserinfoError::Call(error) => error.into(),
            UserinfoError::KeysUnavailable => Self::Unavailable(error.to_string()),
            error => Self::Answer(error.to_string()),
        }
    }
}
