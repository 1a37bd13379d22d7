//! A refresh token is brought to the provider: what comes back is verified like a sign-in, and must speak of the same
//! person (OpenID Connect Core section 12).

use openidconnect::{OAuth2TokenResponse as _, RefreshToken, core::CoreTokenResponse};

use super::{
    claims::{self, Claims},
    exchange::{Exchange, ExchangeError},
    id_token::{IdToken, NonceRule},
};
use crate::{
    jose,
    principal::User,
    providers::{TokenEndpoint, Told, told_times},
    secret::SecretString,
    session::{Renewal, Tokens},
};

/// What the provider answered to a refresh token. Nothing of it is believed yet.
pub(super) struct Brought {
    response: Result<CoreTokenResponse, ExchangeError>,
    told: Told,
}

impl Brought {
    /// There was no answer.
    pub(super) fn nothing(error: ExchangeError) -> Self {
        Self { response: Err(error), told: Told::default() }
    }

    /// The refresh token that came in the place of the one of `before`, whatever is wrong with the rest of the answer.
    pub(super) fn rotated(&self, before: &Tokens) -> Option<&SecretString> {
        self.told.refresh_token.as_ref().filter(|token| before.refresh_token.as_ref() != Some(token))
    }
}

impl Exchange<'_> {
    /// Brings a session's refresh token.
    pub(super) async fn bring(&self, tokens: &Tokens) -> Brought {
        let Some(refresh_token) = &tokens.refresh_token else { return Brought::nothing(ExchangeError::GrantRefused) };
        let refresh_token = RefreshToken::new(refresh_token.expose().to_owned());
        let endpoint = TokenEndpoint::of(self.http);
        let client = self.client();
        let response = client.exchange_refresh_token(&refresh_token).request_async(&endpoint).await;
        Brought { response: response.map_err(ExchangeError::from), told: endpoint.told() }
    }

    /// What the answer makes of a session of `before`. Who the person is comes anew from the new ID token, and from
    /// userinfo where that lacks something; only where there is neither, nothing new is known.
    pub(super) async fn judge(
        &self,
        before: &User,
        tokens: &Tokens,
        brought: Brought,
    ) -> Result<Renewal, ExchangeError> {
        let Brought { response, told } = brought;
        let response = response?;
        let nonce = NonceRule::NoneOr(tokens.nonce.as_ref());
        let id_token = self.id_token(&told, nonce, response.access_token(), None).await?;
        if let Some(token) = &id_token {
            is_of_the_same_sign_in(token, before, tokens)?;
        }
        let id_claims = id_token.as_ref().map_or_else(Claims::new, |token| self.wanted_claims(token));
        let userinfo = if claims::needs_userinfo(&self.config.claims, &id_claims) {
            self.userinfo(&response, &before.subject).await?
        } else {
            None
        };
        let user = if id_token.is_some() || userinfo.is_some() {
            self.user(&before.subject, &id_claims, userinfo.as_ref())?
        } else {
            before.clone()
        };
        Ok(Renewal { user, tokens: self.renewed(&response, &told, id_token.as_ref(), tokens) })
    }

    /// What is kept: the new token where there is one, else the one from before (RFC 6749 section 6).
    fn renewed(
        &self,
        response: &CoreTokenResponse,
        told: &Told,
        id_token: Option<&IdToken>,
        before: &Tokens,
    ) -> Tokens {
        let text = |text: &str| SecretString::new(text.to_owned());
        let id_token_ends = id_token.and_then(IdToken::expires_at);
        let before_life = before.access_token_life;
        Tokens {
            id_token: id_token.map_or_else(|| before.id_token.clone(), |token| text(token.expose())),
            access_token: Some(text(response.access_token().secret())),
            refresh_token: told.refresh_token.clone().or_else(|| before.refresh_token.clone()),
            access_token_life: told_times::access_token_life(self.now, told.expires_in, id_token_ends, before_life),
            nonce: before.nonce.clone(),
        }
    }
}

/// `iss` and `aud` were compared with what every ID token must have; `sub` and `azp` must be those of the sign-in
/// (OpenID Connect Core section 12.2).
fn is_of_the_same_sign_in(token: &IdToken, user: &User, before: &Tokens) -> Result<(), ExchangeError> {
    let refused = |text: &str| ExchangeError::IdToken(text.to_owned());
    if token.subject() != user.subject {
        return Err(refused("it speaks of another subject than the sign-in"));
    }
    let before = jose::peek(before.id_token.expose()).map_err(|error| ExchangeError::IdToken(error.to_string()))?;
    if token.claim("azp") != before.claim("azp") || token.audiences() != before.audiences() {
        return Err(refused("it was issued to another client than that of the sign-in"));
    }
    Ok(())
}
