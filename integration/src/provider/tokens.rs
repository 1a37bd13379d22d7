//! What the token endpoint issues.

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::client::{CODE_LIFETIME, Parameters, Refusal, apply, authenticate_client};
use super::lies::Signature;
use super::settings::User;
use super::state::{AccessToken, Grant, SignedIn, State};
use crate::jwt;

/// How long an ID token is valid, in seconds.
const ID_TOKEN_LIFETIME: i64 = 300;

impl State {
    /// Whose access token this is, while it is good.
    pub(super) fn bearer(&self, token: &str) -> Option<&User> {
        let token = self.access_tokens.get(token).filter(|token| jwt::now() < token.expires_at)?;
        self.user(&token.login)
    }
}

/// Exchanges a code.
pub(super) fn exchange(
    issuer: &str,
    state: &mut State,
    headers: &HeaderMap,
    request: &Parameters,
) -> Result<Value, Refusal> {
    let client_id = authenticate_client(state, headers, request).ok_or(Refusal::Client)?;
    let get = |name: &str| request.get(name).map_or("", String::as_str);
    if get("grant_type") != "authorization_code" {
        return Err(Refusal::GrantType);
    }
    // A code works once, whatever comes of it.
    let code = state.codes.remove(get("code")).ok_or(Refusal::Grant)?;
    let fits = code.client_id == client_id
        && code.redirect_uri == get("redirect_uri")
        && code.challenge == jwt::pkce_challenge(get("code_verifier"))
        && code.issued.elapsed() < CODE_LIFETIME;
    if !fits {
        return Err(Refusal::Grant);
    }
    let grant = Grant {
        login: code.user.login.clone(),
        client_id,
        session: jwt::random_id(),
        authenticated_at: jwt::now(),
        nonce: code.nonce,
        scope: code.scope,
        refreshes: code.refreshes,
    };
    state.signed_in.push(SignedIn { subject: code.user.subject.clone(), session: grant.session.clone() });
    Ok(issue(issuer, state, grant, &code.user, None))
}

/// Takes a refresh token (RFC 6749 section 6): it works once, and who the person is now counts.
pub(super) fn refresh(
    issuer: &str,
    state: &mut State,
    headers: &HeaderMap,
    request: &Parameters,
) -> Result<Value, Refusal> {
    let client_id = authenticate_client(state, headers, request).ok_or(Refusal::Client)?;
    let token = request.get("refresh_token").ok_or(Refusal::Grant)?;
    let grant = state.refresh_tokens.remove(token).filter(|grant| grant.client_id == client_id);
    let grant = grant.ok_or(Refusal::Grant)?;
    let user = state.user(&grant.login).cloned().ok_or(Refusal::Grant)?;
    Ok(issue(issuer, state, grant, &user, Some(token)))
}

/// Makes the tokens of a grant, for which `brought` is the refresh token where one was brought.
fn issue(issuer: &str, state: &mut State, grant: Grant, user: &User, brought: Option<&str>) -> Value {
    let access_token = jwt::random_id();
    // An ID token that comes with a refresh should have none (OIDC Core 12.2).
    let has_nonce = brought.is_none() || state.settings.ways.nonce_at_refresh;
    let nonce = grant.nonce.as_deref().filter(|_| has_nonce);
    let id_token = id_token(issuer, state, &grant, user, nonce, &access_token);
    let lifetime = state.settings.access_token_lifetime;
    let mut answer = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": lifetime,
        "id_token": id_token,
        "scope": grant.scope,
    });
    let access = AccessToken { login: grant.login.clone(), expires_at: jwt::now() + lifetime };
    state.access_tokens.insert(access_token, access);
    match brought.filter(|_| !state.settings.ways.rotates) {
        Some(token) => drop(state.refresh_tokens.insert(token.to_owned(), grant)),
        None if state.settings.refresh_tokens && grant.refreshes => {
            let token = jwt::random_id();
            answer["refresh_token"] = token.as_str().into();
            state.refresh_tokens.insert(token, grant);
        }
        None => {}
    }
    (state.settings.ways.token_answer)(&mut answer);
    apply(state.faults.edit_token.as_ref(), &mut answer);
    crate::evidence::token_answer(&answer);
    answer
}

fn id_token(
    issuer: &str,
    state: &State,
    grant: &Grant,
    user: &User,
    nonce: Option<&str>,
    access_token: &str,
) -> String {
    let key = state.signing_key();
    let now = jwt::now();
    let mut claims = json!({
        "iss": issuer,
        "sub": user.subject,
        "aud": grant.client_id,
        "iat": now,
        "exp": now + ID_TOKEN_LIFETIME,
        "auth_time": grant.authenticated_at,
        "sid": grant.session,
        "at_hash": jwt::half_hash(access_token),
    });
    if let Some(nonce) = nonce {
        claims["nonce"] = nonce.into();
    }
    if state.settings.claims_in_id_token {
        for (name, value) in user.profile() {
            claims[name] = value;
        }
    }
    (state.settings.ways.id_token)(&mut claims);
    apply(state.faults.edit_claims.as_ref(), &mut claims);

    let mut header = key.header();
    match state.faults.signature {
        Signature::Unsigned => header["alg"] = "none".into(),
        Signature::PublicKeyAsSecret => header["alg"] = "HS256".into(),
        Signature::Honest | Signature::UnknownKey | Signature::Zeros => {}
    }
    apply(state.faults.edit_header.as_ref(), &mut header);
    if let Some(forge) = &state.faults.forge {
        return forge(key, &header, &claims);
    }
    let (header, claims) = (header.to_string(), claims.to_string());
    let (header, claims) = (header.as_bytes(), claims.as_bytes());
    match state.faults.signature {
        Signature::Honest => key.sign_bytes(header, claims),
        Signature::UnknownKey => {
            jwt::SigningKey::generate(key.algorithm()).and_then(|other| other.sign_bytes(header, claims))
        }
        Signature::Unsigned => Ok(jwt::unsigned(header, claims, b"")),
        Signature::Zeros => Ok(jwt::unsigned(header, claims, &[0; 64])),
        Signature::PublicKeyAsSecret => key.public_pem().map(|pem| jwt::hmac_signed(pem.as_bytes(), header, claims)),
    }
    .expect("a key that was made here signs")
}

/// The logout token that ends a sign-in; none from a provider that makes none.
pub(super) fn logout_token(issuer: &str, state: &State, ended: &SignedIn) -> Option<String> {
    let ways = state.settings.ways.logout_token?;
    let key = state.signing_key();
    let now = jwt::now();
    let client = state.settings.clients.first()?;
    let mut claims = json!({
        "iss": issuer,
        "aud": client.id,
        "iat": now,
        "jti": jwt::random_id(),
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    if ways.sub {
        claims["sub"] = ended.subject.as_str().into();
    }
    if ways.sid {
        claims["sid"] = ended.session.as_str().into();
    }
    if let Some(lifetime) = ways.lifetime {
        claims["exp"] = (now + lifetime).into();
    }
    let mut header = json!({ "alg": key.algorithm().name(), "kid": key.kid() });
    if let Some(typ) = ways.typ {
        header["typ"] = typ.into();
    }
    Some(key.sign_bytes(header.to_string().as_bytes(), claims.to_string().as_bytes()).expect("a key signs"))
}
