//! Where a browser is sent to sign in.

use std::borrow::Cow;

use openidconnect::{
    AuthenticationFlow, CsrfToken, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    core::CoreResponseType,
};
use url::Url;

use super::login_ask::LoginAsk;
use crate::{
    providers::{Known, ProviderConfig},
    secret::SecretString,
};

/// Where a browser goes to sign in (OpenID Connect Core section 3.1.2.1), to bring what is asked for.
pub(crate) fn authorization_url(
    config: &ProviderConfig,
    known: &Known,
    pkce_verifier: &SecretString,
    nonce: &SecretString,
    state: String,
    redirect_uri: &RedirectUrl,
    ask: &LoginAsk,
) -> Url {
    let verifier = PkceCodeVerifier::new(pkce_verifier.expose().to_owned());
    let nonce = Nonce::new(nonce.expose().to_owned());
    let scopes = config.scopes.at(&known.scopes).into_iter().filter(|scope| *scope != "openid");
    let scopes = scopes.map(|scope| Scope::new(scope.to_owned()));
    let mut request = known
        .client
        .authorize_url(
            AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
            move || CsrfToken::new(state),
            move || nonce,
        )
        .add_scopes(scopes)
        .set_redirect_uri(Cow::Borrowed(redirect_uri))
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
        // A check sees no body: the answer must come in the query.
        .add_extra_param("response_mode", "query");
    for (name, value) in ask.parameters(&config.authorization_parameters) {
        request = request.add_extra_param(name, value);
    }
    request.url().0
}
