//! From an authorization code to a person: the exchange, the ID token's checks, userinfo.

use std::{
    borrow::Cow,
    sync::{Mutex, PoisonError},
};

use futures::future::BoxFuture;
use openidconnect::{
    AccessToken, AccessTokenHash, AsyncHttpClient, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret,
    EmptyAdditionalClaims, HttpRequest, HttpResponse, IdTokenVerifier, IssuerUrl, Nonce, OAuth2TokenResponse as _,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, SignatureVerificationError, SubjectIdentifier,
    TokenResponse as _, UserInfoClaims, UserInfoError,
    core::{
        CoreErrorResponseType, CoreGenderClaim, CoreIdToken, CoreIdTokenClaims, CoreJwsSigningAlgorithm,
        CoreRequestTokenError, CoreTokenResponse, CoreTokenType,
    },
};
use serde_json::Value;
use thiserror::Error;

use super::claims::{self, Claims, Identified, IdentityError, MAX_NAME_BYTES};
use crate::{
    calls::CallFailure,
    clock::Timestamp,
    jose::{self, UnverifiedToken},
    principal::User,
    providers::{
        CallError, Client, KeySet, Known, MetadataError, Origin, Provider, ProviderConfig, ProviderHttp, TokenEndpoint,
        Told,
        told_times::{self, LEEWAY},
    },
    reason::Reason,
    secret::{SecretString, constant_time_eq},
    session::Tokens,
};

/// The signatures that are accepted: never `none`, never one by a shared secret.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 8] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
];

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

/// Which nonce an ID token must have.
pub(super) enum NonceRule<'a> {
    /// This one (OpenID Connect Core section 3.1.3.7, step 11).
    Required(&'a SecretString),
    /// None, or the one of the sign-in (OpenID Connect Core section 12.2).
    NoneOr(Option<&'a SecretString>),
}

impl NonceRule<'_> {
    fn check(&self, found: Option<&Nonce>) -> Result<(), String> {
        let is = |expected: &SecretString, found: &Nonce| {
            constant_time_eq(expected.expose().as_bytes(), found.secret().as_bytes())
        };
        let good = match (self, found) {
            (Self::Required(expected) | Self::NoneOr(Some(expected)), Some(found)) => is(expected, found),
            (Self::Required(_), None) | (Self::NoneOr(None), Some(_)) => false,
            (Self::NoneOr(_), None) => true,
        };
        if good { Ok(()) } else { Err("the nonce is missing or another one".to_owned()) }
    }
}

/// The provider's endpoints, and the last answer as it came. The library reads more than OpenID Connect defines, such as
/// the text `"true"` for `true`, and what it read no longer shows that.
struct Overheard<'a> {
    http: &'a ProviderHttp,
    body: Mutex<Vec<u8>>,
}

impl<'c> AsyncHttpClient<'c> for Overheard<'_> {
    type Error = CallError;
    type Future = BoxFuture<'c, Result<HttpResponse, CallError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let response = self.http.call(request).await?;
            self.body.lock().unwrap_or_else(PoisonError::into_inner).clone_from(response.body());
            Ok(response)
        })
    }
}

impl Overheard<'_> {
    /// The claims of an answer, plain or as a JWT; only of one that the library has verified.
    fn claims(self) -> Option<Claims> {
        let body = self.body.into_inner().unwrap_or_else(PoisonError::into_inner);
        jose::parse_object(&body).or_else(|| Some(jose::peek(str::from_utf8(&body).ok()?).ok()?.claims().clone()))
    }
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
        let nonce = grant.nonce.clone();
        let (response, told) = self.request_tokens(grant).await?;
        let id_token = response.id_token().ok_or_else(|| ExchangeError::Answer("it holds no ID token".to_owned()))?;
        let strict = self.verified(id_token, &NonceRule::Required(&nonce), response.access_token()).await?;

        let subject = strict.subject().unwrap_or_default().to_owned();
        let id_claims = self.wanted_claims(&strict);
        let userinfo = if claims::needs_userinfo(&self.config.claims, &id_claims) {
            self.userinfo(&response, &subject).await?
        } else {
            None
        };
        let user = self.user(&subject, &id_claims, userinfo.as_ref())?;
        // What no logout could name is no name.
        let provider_session = strict.claim("sid").and_then(Value::as_str);
        let provider_session = provider_session.filter(|sid| (1..=MAX_NAME_BYTES).contains(&sid.len()));
        let provider_session = provider_session.map(str::to_owned);
        let authenticated_at = told_times::authenticated_at(strict.claim("auth_time"), self.now);
        let tokens = Tokens {
            id_token: SecretString::new(strict.expose().to_owned()),
            access_token: Some(SecretString::new(response.access_token().secret().clone())),
            refresh_token: response.refresh_token().map(|token| SecretString::new(token.secret().clone())),
            access_token_life: told_times::access_token_life(self.now, told.expires_in, strict.expires_at(), None),
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

    /// The ID token, read strictly, where it is the provider's word for us.
    pub(super) async fn verified(
        &self,
        id_token: &CoreIdToken,
        nonce: &NonceRule<'_>,
        access_token: &AccessToken,
    ) -> Result<UnverifiedToken, ExchangeError> {
        let strict = jose::peek(&id_token.to_string()).map_err(|error| ExchangeError::IdToken(error.to_string()))?;
        self.verify(id_token, &strict, nonce, access_token).await?;
        Ok(strict)
    }

    /// Verifies with the keys that we have, and once more with newer ones where none of them fits the token. A provider
    /// may change its key and keep its `kid`, or have none (OpenID Connect Core section 10.1).
    async fn verify(
        &self,
        id_token: &CoreIdToken,
        strict: &UnverifiedToken,
        nonce: &NonceRule<'_>,
        access_token: &AccessToken,
    ) -> Result<(), ExchangeError> {
        let keys = self.known.keys.current();
        let refused = match self.verify_with(&keys, id_token, strict, nonce, access_token) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        if matches!(refused, Refused::KeyUnknown | Refused::Signature)
            && let Some(newer) = self.known.keys.newer_than(Some(&keys), Origin::Provider).await?
        {
            return self.verify_with(&newer, id_token, strict, nonce, access_token).map_err(ExchangeError::from);
        }
        Err(refused.into())
    }

    fn verify_with(
        &self,
        keys: &KeySet,
        id_token: &CoreIdToken,
        strict: &UnverifiedToken,
        nonce: &NonceRule<'_>,
        access_token: &AccessToken,
    ) -> Result<(), Refused> {
        let now = self.now;
        let client_id = ClientId::new(self.config.client_id.clone());
        // As for a public client: then no shared secret verifies anything.
        let checks = IdTokenVerifier::new_public_client(client_id, self.issuer.clone(), keys.for_id_tokens.clone())
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || now.minus(LEEWAY).to_system_time().into())
            .set_issue_time_verifier_fn(move |issued_at| told_times::issued_recently(issued_at.timestamp(), now));
        let verified = id_token.claims(&checks, |found: Option<&Nonce>| nonce.check(found))?;
        self.verify_authorized_party(verified)?;
        if strict.not_before().is_some_and(|not_before| not_before > now.plus(LEEWAY)) {
            return Err(Refused::Claim("nbf lies in the future"));
        }
        if let Some(expected) = verified.access_token_hash() {
            let actual = id_token
                .signing_alg()
                .and_then(|algorithm| Ok((algorithm, id_token.signing_key(&checks)?)))
                .ok()
                .and_then(|(algorithm, key)| AccessTokenHash::from_token(access_token, algorithm, key).ok());
            if actual.as_ref() != Some(expected) {
                return Err(Refused::Claim("at_hash is not the access token's"));
            }
        }
        Ok(())
    }

    /// `openidconnect` leaves `azp` to its caller (OpenID Connect Core section 3.1.3.7, steps 4 and 5); it does refuse
    /// every audience beside ours.
    fn verify_authorized_party(&self, verified: &CoreIdTokenClaims) -> Result<(), Refused> {
        match verified.authorized_party() {
            Some(party) if party.as_str() != self.config.client_id => Err(Refused::Claim("azp is another client")),
            _ => Ok(()),
        }
    }

    pub(super) fn wanted_claims(&self, token: &UnverifiedToken) -> Claims {
        claims::wanted(&self.config.claims)
            .filter_map(|name| Some((name.to_owned(), token.claim(name)?.clone())))
            .collect()
    }

    /// Userinfo's claims (OpenID Connect Core section 5.3); `None` where the provider has no such endpoint. The library
    /// refuses an answer about another subject.
    pub(super) async fn userinfo(
        &self,
        response: &CoreTokenResponse,
        subject: &str,
    ) -> Result<Option<Claims>, ExchangeError> {
        let access_token = response.access_token().clone();
        // What is no header value would make the library panic.
        if !access_token.secret().bytes().all(|byte| byte.is_ascii_graphic())
            || *response.token_type() != CoreTokenType::Bearer
        {
            return Err(ExchangeError::Answer("the access token is no bearer token".to_owned()));
        }
        let expected = SubjectIdentifier::new(subject.to_owned());
        let Ok(request) = self.known.client.user_info(access_token, Some(expected)) else { return Ok(None) };
        let http = Overheard { http: self.http, body: Mutex::default() };
        let _verified: UserInfoClaims<EmptyAdditionalClaims, CoreGenderClaim> = request.request_async(&http).await?;
        let claims = http.claims().ok_or_else(|| ExchangeError::Answer("userinfo is no JSON object".to_owned()))?;
        Ok(Some(claims))
    }
}

/// Why one attempt at verifying an ID token failed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refused {
    /// The set has no such key, or not just one: a newer one may.
    KeyUnknown,
    /// The key of the set is none that made this signature: a newer one may be.
    Signature,
    /// The library's reason.
    Library(String),
    /// A check of ours.
    Claim(&'static str),
}

impl From<ClaimsVerificationError> for Refused {
    fn from(error: ClaimsVerificationError) -> Self {
        match error {
            ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey | SignatureVerificationError::AmbiguousKeyId(_),
            ) => Self::KeyUnknown,
            ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::CryptoError(_) | SignatureVerificationError::InvalidKey(_),
            ) => Self::Signature,
            ClaimsVerificationError::SignatureVerification(inner) => Self::Library(inner.to_string()),
            error => Self::Library(error.to_string()),
        }
    }
}

impl From<Refused> for ExchangeError {
    fn from(refused: Refused) -> Self {
        Self::IdToken(match refused {
            Refused::KeyUnknown => "its key is not among the provider's".to_owned(),
            Refused::Signature => "its signature is not by the provider's key".to_owned(),
            Refused::Library(text) => text,
            Refused::Claim(text) => text.to_owned(),
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

impl From<MetadataError> for ExchangeError {
    fn from(error: MetadataError) -> Self {
        match error {
            MetadataError::Call(error) => error.into(),
            error => Self::Answer(error.to_string()),
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

impl From<UserInfoError<CallError>> for ExchangeError {
    fn from(error: UserInfoError<CallError>) -> Self {
        match error {
            UserInfoError::Request(error) => error.into(),
            UserInfoError::Response(status, ..) => Self::Answer(format!("userinfo: status {}", status.as_u16())),
            UserInfoError::ClaimsVerification(ClaimsVerificationError::InvalidSubject(_)) => {
                Self::Answer("userinfo speaks of another subject".to_owned())
            }
            UserInfoError::Parse(error) => Self::Answer(format!("userinfo cannot be read at `{}`", error.path())),
            _ => Self::Answer("userinfo is refused".to_owned()),
        }
    }
}
