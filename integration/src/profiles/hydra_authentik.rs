//! Ory Hydra and authentik.

use serde_json::json;

use super::profile::{Attack, Profile};
use super::site::{Membership, Person, keep};
use crate::jwt::Algorithm;
use crate::provider::{EndSession, LogoutToken, Paths, RefreshFor, Scopes, Userinfo, Ways};

/// Ory Hydra 2: a slash at the end of its issuer, an audience that is a list, claims as the consent page sets them, refresh
/// tokens for `offline_access`, `invalid_scope` for what the client was not given, no sign-out without a hint, and logout
/// tokens without `exp` and `sub`.
pub(super) fn hydra() -> Profile {
    Profile {
        page: "hydra",
        variant: None,
        algorithm: Algorithm::Rs256,
        ways: Ways {
            issuer_path: "/",
            paths: Paths {
                discovery: "/.well-known/openid-configuration",
                authorization: "/oauth2/auth",
                token: "/oauth2/token",
                jwks: "/.well-known/jwks.json",
                userinfo: Some("/userinfo"),
                end_session: Some("/oauth2/sessions/logout"),
                revocation: Some("/oauth2/revoke"),
                introspection: None,
            },
            metadata: Some(json!({
                "grant_types_supported": ["authorization_code", "implicit", "client_credentials", "refresh_token"],
                "response_types_supported": ["code", "code id_token", "id_token", "token id_token", "token"],
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "id_token_signed_response_alg": ["RS256"],
                "userinfo_signed_response_alg": ["RS256"],
                "userinfo_signing_alg_values_supported": ["none", "RS256"],
                "code_challenge_methods_supported": ["plain", "S256"],
                "scopes_supported": ["offline_access", "offline", "openid"],
                "claims_supported": ["sub"],
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post", "client_secret_basic", "private_key_jwt", "none",
                ],
                "backchannel_logout_supported": true,
                "backchannel_logout_session_supported": true,
                "frontchannel_logout_supported": true,
                "frontchannel_logout_session_supported": true,
                "request_object_signing_alg_values_supported": ["none", "RS256", "ES256"],
                "credentials_supported_draft_00": [{ "format": "jwt_vc_json", "types": ["VerifiableCredential"] }],
            })),
            // Those that a client is registered with.
            scopes: Scopes::SendsBack(&["openid", "email", "profile", "offline_access", "offline"]),
            callback: &[("scope", "openid email profile")],
            refresh: RefreshFor::Scope("offline_access"),
            token_answer: |answer| answer["token_type"] = json!("bearer"),
            id_token: |claims| {
                claims["aud"] = json!([claims["aud"]]);
                claims["rat"] = claims["iat"].clone();
                claims["jti"] = json!("1b1c9a0e-6b2c-4ec0-8a2e-0f4f1f4c9c55");
            },
            userinfo: Userinfo::Claims(|claims| {
                claims["aud"] = json!(["portcullis"]);
                claims["iat"] = json!(1_700_000_000);
                claims["rat"] = json!(1_700_000_000);
            }),
            end_session: EndSession { wants: &["id_token_hint"], ..EndSession::default() },
            logout_token: Some(LogoutToken { typ: Some("JWT"), sub: false, lifetime: None, ..LogoutToken::default() }),
            ..Ways::default()
        },
        people: |site| {
            let person = |login: &str, membership, groups: &[&str]| {
                let claims = json!({ "email": site.address_of(login), "email_verified": true, "groups": groups });
                Person::new(site, login, membership, &format!("identity-of-{login}"), claims)
            };
            let group = site.plain_group();
            vec![
                person("alice", Membership::Member, &[group.as_str(), "everyone"]),
                person("bob", Membership::Other, &["everyone"]),
            ]
        },
        attack: Attack {
            what: "a token of another client",
            claims: |claims| claims["aud"] = json!(["another-client"]),
            reason: "id_token_invalid",
        },
    }
}

/// authentik from 2025.10: an issuer for each application, with a slash at its end, `email_verified: false` of everybody, a
/// sign-out that wants a hint, refresh tokens for `offline_access`, and no word about scopes that it does not know.
pub(super) fn authentik() -> Profile {
    Profile {
        page: "authentik",
        variant: None,
        algorithm: Algorithm::Rs256,
        ways: Ways {
            issuer_path: "/application/o/portcullis/",
            paths: Paths {
                discovery: "/application/o/portcullis/.well-known/openid-configuration",
                authorization: "/application/o/authorize/",
                token: "/application/o/token/",
                jwks: "/application/o/portcullis/jwks/",
                userinfo: Some("/application/o/userinfo/"),
                end_session: Some("/application/o/portcullis/end-session/"),
                revocation: Some("/application/o/revoke/"),
                introspection: Some("/application/o/introspect/"),
            },
            metadata: Some(json!({
                "grant_types_supported": ["authorization_code", "refresh_token", "implicit", "client_credentials"],
                "response_types_supported": ["code", "id_token", "id_token token", "code token", "code id_token"],
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["plain", "S256"],
                "scopes_supported": ["openid", "email", "profile", "offline_access"],
                "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
                "acr_values_supported": ["goauthentik.io/providers/oauth2/default"],
                "claims_supported": ["sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "email", "name", "groups"],
                "backchannel_logout_supported": true,
                "backchannel_logout_session_supported": true,
            })),
            refresh: RefreshFor::Scope("offline_access"),
            id_token: |claims| {
                claims["acr"] = json!("goauthentik.io/providers/oauth2/default");
                claims["amr"] = json!(["pwd"]);
                claims["uid"] = json!("AE1Jb8m2HEdcaSZpZMFDlJVTk2WZJUjvzdYrGpkX");
            },
            userinfo: Userinfo::Claims(|claims| {
                keep(claims, &["sub", "email", "email_verified", "name", "nickname", "preferred_username", "groups"]);
            }),
            end_session: EndSession { wants: &["id_token_hint"], ..EndSession::default() },
            ..Ways::default()
        },
        people: |site| {
            let person = |login: &str, membership, groups: &[&str]| {
                let claims = json!({
                    "email": site.address_of(login),
                    "email_verified": false,
                    "name": login,
                    "given_name": login,
                    "preferred_username": login,
                    "nickname": login,
                    "groups": groups,
                });
                Person::new(site, login, membership, &format!("{login:0<64}"), claims)
            };
            let group = site.plain_group();
            vec![
                person("alice", Membership::Member, &[group.as_str(), "authentik Users"]),
                person("bob", Membership::Other, &["authentik Users"]),
            ]
        },
        attack: Attack {
            what: "an address of another domain, which nobody verified either",
            claims: |claims| claims["email"] = json!("alice@evil.test"),
            reason: "identity_unusable",
        },
    }
}
