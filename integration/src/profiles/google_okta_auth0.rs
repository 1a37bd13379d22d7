//! Google, Okta and Auth0.

use serde_json::{Value, json};

use super::profile::{Attack, Profile};
use super::site::{Membership, Person, leave_out};
use crate::jwt::Algorithm;
use crate::provider::{EndSession, LogoutToken, Paths, RefreshFor, Scopes, Userinfo, Ways};

/// Google: anybody may have an account, and `hd` alone tells whose company's it is; no groups, no end of session, no page
/// for scopes that it does not know but an error of its own, and a refresh token for `access_type=offline&prompt=consent`,
/// which is never replaced.
pub(super) fn google() -> Profile {
    Profile {
        page: "google",
        variant: None,
        algorithm: Algorithm::Rs256,
        ways: Ways {
            paths: Paths {
                discovery: "/.well-known/openid-configuration",
                authorization: "/o/oauth2/v2/auth",
                token: "/token",
                jwks: "/oauth2/v3/certs",
                userinfo: Some("/v1/userinfo"),
                end_session: None,
                revocation: Some("/revoke"),
                introspection: None,
            },
            metadata: Some(json!({
                "response_types_supported": ["code", "token", "id_token", "code token", "code id_token", "none"],
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid", "email", "profile"],
                "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
                "claims_supported": ["aud", "email", "email_verified", "exp", "iat", "iss", "name", "picture", "sub"],
                "code_challenge_methods_supported": ["plain", "S256"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "authorization_response_iss_parameter_supported": true,
            })),
            scopes: Scopes::StaysThere(&["openid", "email", "profile"]),
            callback: &[
                ("scope", "email profile openid https://www.googleapis.com/auth/userinfo.email"),
                ("authuser", "0"),
                ("hd", "example.com"),
                ("prompt", "consent"),
            ],
            refresh: RefreshFor::Parameters(&[("access_type", "offline"), ("prompt", "consent")]),
            rotates: false,
            token_answer: |answer| {
                answer["scope"] = json!("openid https://www.googleapis.com/auth/userinfo.email");
            },
            id_token: |claims| {
                leave_out(claims, &["sid", "auth_time"]);
                claims["azp"] = claims["aud"].clone();
            },
            logout_token: None,
            ..Ways::default()
        },
        people: |site| {
            let hd = site.required("hd", &site.domain);
            let person = |login: &str, membership, number: u8| {
                let claims = json!({
                    "email": site.address_of(login), "email_verified": true, "hd": hd, "name": login,
                    "picture": "https://lh3.googleusercontent.com/a/photo=s96-c",
                });
                Person::new(site, login, membership, &format!("1101694844743862763{number:02}"), claims)
            };
            vec![person("alice", Membership::Member, 34), person("bob", Membership::Other, 35)]
        },
        attack: Attack {
            what: "a private account with a company's address",
            claims: |claims| leave_out(claims, &["hd"]),
            reason: "identity_unusable",
        },
    }
}

/// Okta, with its custom authorization server `default`: the ID token has the address, and only userinfo says that it is
/// verified; refresh tokens for `offline_access`, `invalid_scope` for what the server does not know, and no logout tokens.
pub(super) fn okta() -> Profile {
    Profile {
        page: "okta",
        variant: None,
        algorithm: Algorithm::Rs256,
        ways: Ways {
            issuer_path: "/oauth2/default",
            paths: Paths {
                discovery: "/oauth2/default/.well-known/openid-configuration",
                authorization: "/oauth2/default/v1/authorize",
                token: "/oauth2/default/v1/token",
                jwks: "/oauth2/default/v1/keys",
                userinfo: Some("/oauth2/default/v1/userinfo"),
                end_session: Some("/oauth2/default/v1/logout"),
                revocation: Some("/oauth2/default/v1/revoke"),
                introspection: Some("/oauth2/default/v1/introspect"),
            },
            metadata: Some(json!({
                "response_types_supported": ["code", "id_token", "code id_token", "code token", "id_token token"],
                "response_modes_supported": ["query", "fragment", "form_post", "okta_post_message"],
                "grant_types_supported": ["authorization_code", "implicit", "refresh_token", "password"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid", "profile", "email", "address", "phone", "offline_access", "device_sso"],
                "token_endpoint_auth_methods_supported": [
                    "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none",
                ],
                "claims_supported": ["iss", "ver", "sub", "aud", "iat", "exp", "jti", "amr", "idp", "nonce", "email"],
                "code_challenge_methods_supported": ["S256"],
                "request_parameter_supported": true,
                "dpop_signing_alg_values_supported": ["RS256", "ES256"],
            })),
            scopes: Scopes::SendsBack(&[
                "openid",
                "profile",
                "email",
                "address",
                "phone",
                "offline_access",
                "device_sso",
            ]),
            refresh: RefreshFor::Scope("offline_access"),
            id_token: |claims| {
                leave_out(claims, &["sid", "email_verified"]);
                claims["ver"] = json!(1);
                claims["amr"] = json!(["pwd", "mfa"]);
                claims["idp"] = json!("00o1n8sbwArJ7OQRw406");
                claims["jti"] = json!("ID.4eAWJOCMB3SX8XewDfVR");
            },
            userinfo: Userinfo::Claims(|claims| {
                claims["zoneinfo"] = json!("America/Los_Angeles");
                claims["updated_at"] = json!(1_700_000_000);
            }),
            end_session: EndSession { wants: &["id_token_hint"], ..EndSession::default() },
            logout_token: None,
            ..Ways::default()
        },
        people: |site| {
            let person = |login: &str, membership, groups: &[&str]| {
                let claims = json!({
                    "email": site.address_of(login),
                    "email_verified": true,
                    "preferred_username": site.address_of(login),
                    "name": login,
                    "groups": groups,
                });
                Person::new(site, login, membership, &format!("00uid4BxXw6I6TV4{login}"), claims)
            };
            let group = site.plain_group();
            vec![
                person("alice", Membership::Member, &["Everyone", group.as_str()]),
                person("bob", Membership::Other, &["Everyone"]),
            ]
        },
        attack: Attack {
            what: "a token of the organization's own server",
            claims: |claims| {
                let issuer = claims["iss"].as_str().unwrap_or_default().replace("/oauth2/default", "");
                claims["iss"] = issuer.into();
            },
            reason: "id_token_invalid",
        },
    }
}

/// Auth0: a slash at the end of its issuer, groups under a name that an Action gives them, scopes that it does not know are
/// passed over, refresh tokens for `offline_access`, and logout tokens by `sid` and `sub`.
pub(super) fn auth0() -> Profile {
    Profile {
        page: "auth0",
        variant: None,
        algorithm: Algorithm::Rs256,
        ways: Ways {
            issuer_path: "/",
            paths: Paths {
                discovery: "/.well-known/openid-configuration",
                authorization: "/authorize",
                token: "/oauth/token",
                jwks: "/.well-known/jwks.json",
                userinfo: Some("/userinfo"),
                end_session: Some("/oidc/logout"),
                revocation: Some("/oauth/revoke"),
                introspection: None,
            },
            metadata: Some(json!({
                "response_types_supported": ["code", "token", "id_token", "code token", "code id_token"],
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["HS256", "RS256", "PS256"],
                "scopes_supported": [
                    "openid", "profile", "offline_access", "name", "given_name", "family_name", "nickname", "email",
                    "email_verified", "picture", "created_at", "identities", "phone", "address",
                ],
                "token_endpoint_auth_methods_supported": [
                    "client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth",
                ],
                "claims_supported": ["aud", "auth_time", "email", "email_verified", "exp", "iat", "iss", "name", "sub"],
                "code_challenge_methods_supported": ["S256", "plain"],
                "request_uri_parameter_supported": false,
                "request_parameter_supported": true,
                "backchannel_logout_supported": true,
                "backchannel_logout_session_supported": true,
            })),
            refresh: RefreshFor::Scope("offline_access"),
            id_token: |claims| leave_out(claims, &["at_hash", "auth_time"]),
            logout_token: Some(LogoutToken::default()),
            ..Ways::default()
        },
        people: |site| {
            // The name of the claim is the Action's: a URL, which no claim of Auth0's own may be.
            let claim = site.provider["groups_claim"].as_str().unwrap_or("https://example.com/groups").to_owned();
            let person = |login: &str, membership, groups: Value| {
                let mut claims = json!({
                    "email": site.address_of(login),
                    "email_verified": true,
                    "name": login,
                    "nickname": login,
                    "picture": "https://s.gravatar.com/avatar/0.png",
                    "updated_at": "2026-11-27T09:12:13.456Z",
                });
                claims[&claim] = groups;
                Person::new(site, login, membership, &format!("auth0|64b7f0c2a1d3e4f5{login}"), claims)
            };
            vec![
                person("alice", Membership::Member, json!([site.plain_group()])),
                person("bob", Membership::Other, json!([])),
            ]
        },
        attack: Attack {
            what: "somebody who signed up with another's address, and confirmed nothing",
            claims: |claims| claims["email_verified"] = json!(false),
            reason: "identity_unusable",
        },
    }
}
