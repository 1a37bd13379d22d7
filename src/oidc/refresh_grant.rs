//! A refresh token is brought to the provider: what comes back is verified like a sign-in, and must speak of the same
//! person (OpenID Connect Core section 12).

use super::{exchange::Exchange, exchange_error::ExchangeError};
use crate::{
    claims::{Claims, IdToken, NonceRule},
    principal::User,
    providers::{AccessToken, ProviderCall, Refused, Told, told_times},
    secret::SecretString,
    session::{Renewal, Tokens},
};

/// What the provider answered to a refresh token. Nothing of it is believed yet.
pub(super) struct Brought {
    issued: Result<AccessToken, ExchangeError>,
    told: Told,
}

impl Brought {
    /// There was no answer.
    pub(super) fn nothing(error: ExchangeError) -> Self {
        Self { issued: Err(error), told: Told::default() }
    }

    /// The refresh token that came in the place of the one of `before`, whatever is wrong with the rest of the answer.
    pub(super) fn rotated(&self, before: &Tokens) -> Option<&SecretString> {
        self.told.refresh_token.as_ref().filter(|token| before.refresh_token.as_ref() != Some(token))
    }
}

impl Exchange<'_> {
    /// Brings a session's refresh token.
    pub(super) async fn bring(&self, tokens: &Tokens) -> Brought {
        let Some(refresh_token) = &tokens.refresh_token else {
            return Brought::nothing(ExchangeError::GrantRefused(Refused::new(
                "none",
                Some("there is no refresh token"),
            )));
        };
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
        let (told, issued) = self.ask_token_endpoint(ProviderCall::Refresh, &fields).await;
        Brought { issued, told }
    }

    /// What the answer makes of a session of `before`. Who the person is comes anew from the new ID token, and from
    /// userinfo where that lacks something; only where there is neither, nothing new is known.
    pub(super) async fn judge(
        &self,
        before: &User,
        tokens: &Tokens,
        brought: Brought,
    ) -> Result<Renewal, ExchangeError> {
        let Brought { issued, told } = brought;
        let access_token = issued?;
        let nonce = NonceRule::NoneOr(tokens.nonce.as_ref());
        let id_token = self.id_token(&told, nonce, &access_token, None).await?;
        if let Some(token) = &id_token {
            is_of_the_same_person(token, before)?;
        }
        let no_claims = Claims::new();
        let id_claims = id_token.as_ref().map_or(&no_claims, IdToken::claims);
        let userinfo = self.what_userinfo_adds(id_claims, &access_token, &before.subject).await?;
        let user = if id_token.is_some() || userinfo.is_some() {
            self.user(&before.subject, id_token.as_ref(), userinfo.as_ref())?
        } else {
            before.clone()
        };
        Ok(Renewal { user, tokens: self.renewed(access_token, told, id_token.as_ref(), tokens) })
    }

    /// What is kept: the new token where there is one, else the one from before (RFC 6749 section 6).
    fn renewed(&self, access_token: AccessToken, told: Told, id_token: Option<&IdToken>, before: &Tokens) -> Tokens {
        let id_token_ends = id_token.and_then(IdToken::expires_at);
        let before_life = before.access_token_life;
        Tokens {
            id_token: id_token
                .map_or_else(|| before.id_token.clone(), |token| SecretString::new(token.expose().to_owned())),
            access_token: Some(access_token.token),
            refresh_token: told.refresh_token.or_else(|| before.refresh_token.clone()),
            access_token_life: told_times::access_token_life(self.now, told.expires_in, id_token_ends, before_life),
            nonce: before.nonce.clone(),
        }
    }
}

/// `sub` must be that of the sign-in (OpenID Connect Core section 12.2). `iss`, `azp` and that we are among the audiences
/// every ID token is held to. Who else is among them may change: a provider names all clients of a project there, and a
/// new one must end nobody's session.
fn is_of_the_same_person(token: &IdToken, user: &User) -> Result<(), ExchangeError> {
    if token.subject() == user.subject {
        return Ok(());
    }
    Err(ExchangeError::IdToken("it speaks of another subject than the sign-in".to_owned()))
}
