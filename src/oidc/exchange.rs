//! From an authorization code to a person: the exchange, the ID token's checks, userinfo.

use openidconnect::RedirectUrl;
use serde_json::Value;
use thiserror::Error;

use super::{
    claims::{self, Claims, Identified, IdentityError, Lacking},
    id_token::{IdToken, IdTokenError, IdTokenRules, NonceRule},
    userinfo::{Userinfo, UserinfoError},
};
use crate::{
    calls::CallFailure,
    clock::Timestamp,
    logout::MAX_NAME_BYTES,
    principal::User,
    providers::{
        AccessToken, Answer, CallError, Known, Oddity, Provider, ProviderConfig, Refused, TokenEndpointError, Told,
        ToldIdToken, ask_token_endpoint, told_times,
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
    #[error("the provider refuses the grant: {0}")]
    GrantRefused(Refused),
    /// It refuses us, whoever signs in.
    #[error("the provider refuses this client: {0}")]
    ClientRefused(Refused),
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
            Self::GrantRefused(_) => Reason::ProviderDenied,
            Self::ClientRefused(_) => Reason::SignInNotSetUp,
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
    pub(super) provider: &'a Provider,
    pub(super) known: &'a Known,
    pub(super) now: Timestamp,
}

impl<'a> Exchange<'a> {
    /// With what is known of the provider, at `now`.
    pub(super) const fn at(provider: &'a Provider, known: &'a Known, now: Timestamp) -> Self {
        Self { provider, known, now }
    }

    pub(super) const fn config(&self) -> &'a ProviderConfig {
        &self.provider.config
    }
}

impl Exchange<'_> {
    /// Exchanges the code and verifies everything that comes of it (OpenID Connect Core section 3.1.3).
    pub(super) async fn run(&self, grant: Grant) -> Result<SignedInUser, ExchangeError> {
        let Grant { code, nonce, pkce_verifier, redirect_uri } = grant;
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("code_verifier", pkce_verifier.expose()),
            ("redirect_uri", redirect_uri.as_str()),
        ];
        let (told, issued) = self.ask_token_endpoint(&fields).await;
        let access_token = issued?;
        let id_token = self
            .id_token(&told, NonceRule::Required(&nonce), &access_token, Some(&code))
            .await?
            .ok_or_else(|| ExchangeError::Answer("it holds no ID token".to_owned()))?;

        let subject = id_token.subject().to_owned();
        let userinfo = self.what_userinfo_adds(id_token.claims(), &access_token, &subject).await?;
        let user = self.user(&subject, Some(&id_token), userinfo.as_ref())?;
        // What no logout could name is no name.
        let provider_session = id_token.claim("sid").and_then(Value::as_str);
        let provider_session = provider_session.filter(|sid| (1..=MAX_NAME_BYTES).contains(&sid.len()));
        let provider_session = provider_session.map(str::to_owned);
        let authenticated_at = told_times::authenticated_at(id_token.claim("auth_time"), self.now);
        let tokens = Tokens {
            id_token: SecretString::new(id_token.expose().to_owned()),
            access_token: Some(access_token.token),
            refresh_token: told.refresh_token,
            access_token_life: told_times::access_token_life(self.now, told.expires_in, id_token.expires_at(), None),
            nonce: Some(nonce),
        };
        Ok(SignedInUser { user, provider_session, authenticated_at, tokens })
    }

    pub(super) async fn ask_token_endpoint(
        &self,
        fields: &[(&str, &str)],
    ) -> (Told, Result<AccessToken, ExchangeError>) {
        let (told, issued) = ask_token_endpoint(self.provider, self.known, fields, self.now).await;
        (told, issued.map_err(ExchangeError::from))
    }

    /// The person, from claims that were verified. Of a refresh without an ID token, userinfo's are all there are.
    pub(super) fn user(
        &self,
        subject: &str,
        id_token: Option<&IdToken>,
        userinfo: Option<&Claims>,
    ) -> Result<User, IdentityError> {
        let (provider, issuer) = (self.provider.name(), self.provider.issuer.as_str());
        let config = &self.config().claims;
        let none = Claims::new();
        let id_token = match id_token {
            Some(id_token) => {
                claims::check_required(config, id_token.claims())?;
                id_token.claims()
            }
            None => &none,
        };
        let identified = Identified { provider, issuer, subject, id_token, userinfo };
        let user = identified.user(config)?;
        self.note_groups(&user, &identified);
        Ok(user)
    }

    fn note_groups(&self, user: &User, identified: &Identified<'_>) {
        if user.groups.is_incomplete() {
            self.provider.oddities.note(Oddity::GroupsElsewhere);
        } else if identified.has_no_groups_claim(&self.config().claims) {
            self.provider.oddities.note(Oddity::NoGroupsClaim);
        }
        if user.groups.names().iter().any(|group| !group.fits_in_list()) {
            self.provider.oddities.note(Oddity::GroupWithComma);
        }
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
        let rules = IdTokenRules {
            issuer: self.provider.issuer.as_str(),
            client_id: &self.config().client_id,
            nonce,
            access_token: access_token.token.expose(),
            code,
            algorithms: &self.known.algorithms,
            now: self.now,
        };
        let id_token = rules.verify(text, &self.known.keys).await?;
        Answer::IdToken.note_odd(id_token.claims(), &self.provider.oddities);
        Ok(Some(id_token))
    }

    /// Userinfo's claims, where the ID token's lack something that was configured, and the provider has such an endpoint.
    /// Where only groups are missing and userinfo refuses, there are none: nobody gets more by that than they had.
    pub(super) async fn what_userinfo_adds(
        &self,
        id_token: &Claims,
        access_token: &AccessToken,
        subject: &str,
    ) -> Result<Option<Claims>, ExchangeError> {
        let config = &self.config().claims;
        let lacking = Lacking::of(config, id_token);
        let Some(userinfo) = self.userinfo_about(subject).filter(|_| config.userinfo) else { return Ok(None) };
        if lacking == Lacking::Nothing {
            return Ok(None);
        }
        if !access_token.is_bearer {
            return Err(UserinfoError::NotABearerToken.into());
        }
        match userinfo.ask(access_token.token.expose()).await {
            Ok(claims) => {
                Answer::Userinfo.note_odd(&claims, &self.provider.oddities);
                Ok(Some(claims))
            }
            Err(error) if lacking == Lacking::Groups && error.is_a_refusal() => {
                self.provider.oddities.note(Oddity::UserinfoRefused);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Userinfo, for this person; `None` where the provider has no such endpoint.
    pub(super) fn userinfo_about<'a>(&'a self, subject: &'a str) -> Option<Userinfo<'a>> {
        Some(Userinfo {
            http: self.provider.discovery.http(),
            endpoint: self.known.userinfo.as_ref()?,
            keys: &self.known.keys,
            algorithms: &self.known.algorithms,
            issuer: self.provider.issuer.as_str(),
            client_id: &self.config().client_id,
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
            IdTokenError::Refused(text) => Self::IdToken(text),
            IdTokenError::KeysUnavailable => Self::Unavailable(error.to_string()),
            IdTokenError::KeysUnusable(_) => Self::Answer(error.to_string()),
        }
    }
}

impl From<TokenEndpointError> for ExchangeError {
    fn from(error: TokenEndpointError) -> Self {
        match error {
            TokenEndpointError::Call(error) => error.into(),
            TokenEndpointError::Refused(refused) if refused.error == "invalid_grant" => Self::GrantRefused(refused),
            TokenEndpointError::Refused(refused) if refused.setting().is_some() => Self::ClientRefused(refused),
            TokenEndpointError::Refused(refused) => Self::Answer(refused.to_string()),
            TokenEndpointError::Answer(text) => Self::Answer(text),
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
