//! A refresh token is brought to the provider: what comes back is verified like a sign-in, and must speak of the same
//! person (OpenID Connect Core section 12).

use openidconnect::{OAuth2TokenResponse as _, RefreshToken, TokenResponse as _, core::CoreTokenResponse};

use super::{
    claims::{self, Claims},
    exchange::{Exchange, ExchangeError, NonceRule},
};
use crate::{
    clock::Timestamp,
    jose::{self, UnverifiedToken},
    principal::User,
    secret::SecretString,
    session::{AccessTokenLife, Renewal, Tokens},
};

impl Exchange<'_> {
    /// Brings the refresh token of a session of `before`. Who the person is comes anew from the new ID token, and from
    /// userinfo where that lacks something; only where there is neither, nothing new is known.
    pub(super) async fn refresh(&self, before: &User, tokens: &Tokens) -> Result<Renewal, ExchangeError> {
        let refresh_token = tokens.refresh_token.as_ref().ok_or(ExchangeError::CodeRefused)?;
        let refresh_token = RefreshToken::new(refresh_token.expose().to_owned());
        let client = self.client();
        let response = client.exchange_refresh_token(&refresh_token).request_async(self.http).await?;
        let id_token = match response.id_token() {
            Some(id_token) => {
                let rule = NonceRule::NoneOr(tokens.nonce.as_ref());
                let token = self.verified(id_token, &rule, response.access_token()).await?;
                is_of_the_same_sign_in(&token, before, tokens)?;
                Some(token)
            }
            None => None,
        };
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
        Ok(Renewal { user, tokens: self.renewed(&response, id_token.as_ref(), tokens) })
    }

    /// What is kept: the new token where there is one, else the one from before (RFC 6749 section 6).
    fn renewed(&self, response: &CoreTokenResponse, id_token: Option<&UnverifiedToken>, before: &Tokens) -> Tokens {
        let text = |text: &String| SecretString::new(text.clone());
        let refresh_token = response.refresh_token().map(|token| text(token.secret()));
        Tokens {
            id_token: id_token.map_or_else(|| before.id_token.clone(), |token| text(&token.expose().to_owned())),
            access_token: Some(text(response.access_token().secret())),
            refresh_token: refresh_token.or_else(|| before.refresh_token.clone()),
            access_token_life: self.access_token_life(response, id_token).or_else(|| {
                // A provider that does not say how long: as long as the last one.
                let life = before.access_token_life?;
                let expires_at: Timestamp = self.now.plus(life.expires_at.since(life.issued_at));
                Some(AccessTokenLife { issued_at: self.now, expires_at })
            }),
            nonce: before.nonce.clone(),
        }
    }
}

/// `iss` and `aud` were compared with what every ID token must have; `sub` and `azp` must be those of the sign-in
/// (OpenID Connect Core section 12.2).
fn is_of_the_same_sign_in(token: &UnverifiedToken, user: &User, before: &Tokens) -> Result<(), ExchangeError> {
    let refused = |text: &str| ExchangeError::IdToken(text.to_owned());
    if token.subject() != Some(user.subject.as_str()) {
        return Err(refused("it speaks of another subject than the sign-in"));
    }
    let before = jose::peek(before.id_token.expose()).map_err(|error| ExchangeError::IdToken(error.to_string()))?;
    if token.claim("azp") != before.claim("azp") || token.audiences() != before.audiences() {
        return Err(refused("it was issued to another client than that of the sign-in"));
    }
    Ok(())
}
