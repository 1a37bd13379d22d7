//! From an authorization code to a person: the exchange, the ID token's checks, userinfo.

use openidconnect::RedirectUrl;
use serde_json::Value;

use super::exchange_error::ExchangeError;
use crate::{
    claims::{
        self, Claims, IdToken, IdTokenRules, Identified, IdentityError, Lacking, NonceRule, Userinfo, UserinfoError,
    },
    clock::Timestamp,
    logout::MAX_NAME_BYTES,
    principal::User,
    providers::{
        AccessToken, Answer, Known, Oddity, Provider, ProviderCall, ProviderConfig, Told, ToldIdToken,
        ask_token_endpoint, told_times,
    },
    secret::SecretString,
    session::{Login, Tokens},
};

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
    /// How the provider says that the person was authenticated.
    pub(super) login: Login,
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
        let (told, issued) = self.ask_token_endpoint(ProviderCall::SignIn, &fields).await;
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
        let login = login(&id_token, self.now);
        let tokens = Tokens {
            id_token: SecretString::new(id_token.expose().to_owned()),
            access_token: Some(access_token.token),
            refresh_token: told.refresh_token,
            access_token_life: told_times::access_token_life(self.now, told.expires_in, id_token.expires_at(), None),
            nonce: Some(nonce),
        };
        Ok(SignedInUser { user, provider_session, login, tokens })
    }

    pub(super) async fn ask_token_endpoint(
        &self,
        call: ProviderCall,
        fields: &[(&str, &str)],
    ) -> (Told, Result<AccessToken, ExchangeError>) {
        let (told, issued) = ask_token_endpoint(self.provider, self.known, call, fields, self.now).await;
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
        } else if identified.has_unreadable_groups(&self.config().claims) {
            self.provider.oddities.note(Oddity::UnreadableGroups);
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
        if lacking == Lacking::Nothing || !config.userinfo || self.known.userinfo.is_none() {
            return Ok(None);
        }
        if !access_token.is_bearer {
            return Err(UserinfoError::NotABearerToken.into());
        }
        match self.ask_userinfo(subject, access_token.token.expose()).await {
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

    /// Userinfo's claims about this person.
    pub(super) async fn ask_userinfo(&self, subject: &str, access_token: &str) -> Result<Claims, UserinfoError> {
        let endpoint = self.known.userinfo.as_ref().ok_or(UserinfoError::NoEndpoint)?;
        let userinfo = Userinfo {
            http: self.provider.discovery.http(),
            endpoint,
            keys: &self.known.keys,
            algorithms: &self.known.algorithms,
            issuer: self.provider.issuer.as_str(),
            client_id: &self.config().client_id,
            subject,
        };
        let asked = userinfo.ask(access_token);
        self.provider.troubles.noted(ProviderCall::Userinfo, endpoint, asked, UserinfoError::trouble).await
    }
}

/// How the person was authenticated (OpenID Connect Core section 2). `amr` is a list; a lone text counts, as some providers
/// write it.
fn login(id_token: &IdToken, now: Timestamp) -> Login {
    let authenticated_at = told_times::authenticated_at(id_token.claim("auth_time"), now);
    let context = id_token.claim("acr").and_then(Value::as_str);
    let methods = match id_token.claim("amr") {
        Some(Value::Array(methods)) => methods.as_slice(),
        Some(method) => std::slice::from_ref(method),
        None => &[],
    };
    Login::new(authenticated_at, context, methods.iter().filter_map(Value::as_str))
}
