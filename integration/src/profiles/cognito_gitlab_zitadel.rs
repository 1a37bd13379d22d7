//! Amazon Cognito, GitLab and Zitadel.

use serde_json::{Value, json};

use super::profile::{Attack, Profile};
use super::site::{Membership, Person, leave_out, uuid_of};
use crate::jwt::Algorithm;
use crate::provider::{EndSession, LogoutToken, Paths, RefreshFor, Scopes, Userinfo, Ways};

/// Amazon Cognito: groups as `cognito:groups`, which who is in none lacks, `email_verified` as a text in userinfo, a refresh
/// token always, which is not replaced, and a sign-out that wants `client_id` and `logout_uri` and brings no state back.
pub(super) fn cognito() -> Profile {
    Profile {
        page: "cognito",
        variant: None,
        algorithm: Algorithm::Rs256,
        ways: Ways {
            issuer_path: "/eu-central-1_AbCdEfGhI",
            paths: Paths {
                discovery: "/eu-central-1_AbCdEfGhI/.well-known/openid-configuration",
                authorization: "/oauth2/authorize",
                token: "/oauth2/token",
                jwks: "/eu-central-1_AbCdEfGhI/.well-known/jwks.json",
                userinfo: Some("/oauth2/userInfo"),
                end_session: Some("/logout"),
                revocation: Some("/oauth2/revoke"),
                introspection: None,
            },
            metadata: Some(json!({
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "token"],
                "scopes_supported": ["openid", "email", "phone", "profile"],
                "subject_types_supported": ["public"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            })),
            scopes: Scopes::SendsBack(&["openid", "email", "phone", "profile", "aws.cognito.signin.user.admin"]),
            rotates: false,
            token_answer: |answer| leave_out(answer, &["scope"]),
            id_token: |claims| {
                leave_out(claims, &["sid"]);
                claims["token_use"] = json!("id");
                claims["event_id"] = json!("d0b7a4e8-3f42-4f0a-a2ef-8ad1f1f0b6e4");
                claims["origin_jti"] = json!("f6a2a4b7-5a3e-4b6e-9d8e-4f3a5a0fe9c1");
                claims["jti"] = json!("0c1a8f7e-7f55-4f1e-9c57-3d2a6c0f2d11");
            },
            userinfo: Userinfo::Claims(|claims| {
                leave_out(claims, &["cognito:groups", "cognito:username"]);
                claims["email_verified"] = claims["email_verified"].to_string().into();
                claims["username"] = claims["sub"].clone();
            }),
            end_session: EndSession {
                redirect_parameter: "logout_uri",
                wants: &["client_id", "logout_uri"],
                brings_state: false,
            },
            logout_token: None,
            ..Ways::default()
        },
        people: |site| {
            let person = |login: &str, membership, more: Value| {
                let mut claims = json!({
                    "email": site.address_of(login), "email_verified": true, "cognito:username": uuid_of(login),
                });
                if let (Value::Object(claims), Value::Object(more)) = (&mut claims, more) {
                    claims.extend(more);
                }
                Person::new(site, login, membership, &uuid_of(login), claims)
            };
            vec![
                person("alice", Membership::Member, json!({ "cognito:groups": [site.plain_group()] })),
                person("bob", Membership::Other, json!({})),
            ]
        },
        attack: Attack {
            what: "somebody who changed the address to another's, and confirmed nothing",
            claims: |claims| claims["email_verified"] = json!(false),
            reason: "identity_unusable",
        },
    }
}

/// GitLab: a number as subject, direct groups in the ID token and all of them in userinfo alone, a refresh token always, no
/// end of session, and a page of its own for scopes that the application was not given.
pub(super) fn gitlab() -> Profile {
    Profile {
        page: "gitlab",
        variant: None,
        algorithm: Algorithm::Rs256,
        ways: Ways {
            paths: Paths {
                discovery: "/.well-known/openid-configuration",
                authorization: "/oauth/authorize",
                token: "/oauth/token",
                jwks: "/oauth/discovery/keys",
                userinfo: Some("/oauth/userinfo"),
                end_session: None,
                revocation: Some("/oauth/revoke"),
                introspection: Some("/oauth/introspect"),
            },
            metadata: Some(json!({
                "scopes_supported": [
                    "api", "read_api", "read_user", "create_runner", "k8s_proxy", "read_repository", "write_repository",
                    "sudo", "admin_mode", "openid", "profile", "email",
                ],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query", "fragment", "form_post"],
                "grant_types_supported": ["authorization_code", "password", "client_credentials", "refresh_token"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "claim_types_supported": ["normal"],
                "claims_supported": [
                    "iss", "sub", "aud", "exp", "iat", "sub_legacy", "name", "nickname", "preferred_username", "email",
                    "email_verified", "website", "profile", "picture", "groups", "groups_direct",
                ],
                "code_challenge_methods_supported": ["plain", "S256"],
            })),
            scopes: Scopes::StaysThere(&["openid", "profile", "email"]),
            token_answer: |answer| answer["created_at"] = json!(1_700_000_000),
            id_token: |claims| {
                leave_out(claims, &["sid", "at_hash", "groups", "profile", "picture"]);
                claims["sub_legacy"] = json!("c4d3d6f3ee1bb0d7a4c6f10b0c1f0e35c6f4c0b2ae1b0e8d1f3a9c0d7e5b6a12");
            },
            userinfo: Userinfo::Claims(|claims| {
                claims["sub_legacy"] = json!("c4d3d6f3ee1bb0d7a4c6f10b0c1f0e35c6f4c0b2ae1b0e8d1f3a9c0d7e5b6a12");
            }),
            logout_token: None,
            ..Ways::default()
        },
        people: |site| {
            let person = |login: &str, membership, subject: &str, groups: &[&str]| {
                let claims = json!({
                    "email": site.address_of(login),
                    "email_verified": true,
                    "name": login,
                    "nickname": login,
                    "preferred_username": login,
                    "profile": format!("https://gitlab.example.com/{login}"),
                    "picture": "https://gitlab.example.com/uploads/avatar.png",
                    "groups": groups,
                    "groups_direct": groups,
                });
                Person::new(site, login, membership, subject, claims)
            };
            let group = site.plain_group();
            vec![
                person("alice", Membership::Member, "42", &[group.as_str(), "company/everyone"]),
                person("bob", Membership::Other, "43", &["company/everyone"]),
            ]
        },
        attack: Attack {
            what: "somebody who has not confirmed an address",
            claims: |claims| claims["email_verified"] = json!(false),
            reason: "identity_unusable",
        },
    }
}

/// Zitadel: each ID token is for all the clients of its project, and `azp` says whose it is; roles are the names of an
/// object's members, which are in userinfo alone as addresses are, and logout tokens have no `typ`.
pub(super) fn zitadel() -> Profile {
    Profile {
        page: "zitadel",
        variant: None,
        algorithm: Algorithm::Rs256,
        ways: Ways {
            paths: Paths {
                discovery: "/.well-known/openid-configuration",
                authorization: "/oauth/v2/authorize",
                token: "/oauth/v2/token",
                jwks: "/oauth/v2/keys",
                userinfo: Some("/oidc/v1/userinfo"),
                end_session: Some("/oidc/v1/end_session"),
                revocation: Some("/oauth/v2/revoke"),
                introspection: Some("/oauth/v2/introspect"),
            },
            metadata: Some(json!({
                "scopes_supported": ["openid", "profile", "email", "phone", "address", "offline_access"],
                "response_types_supported": ["code", "id_token", "id_token token"],
                "response_modes_supported": ["query", "fragment", "form_post"],
                "grant_types_supported": ["authorization_code", "implicit", "refresh_token", "client_credentials"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["EdDSA", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512"],
                "token_endpoint_auth_methods_supported": [
                    "none", "client_secret_basic", "client_secret_post", "private_key_jwt",
                ],
                "claims_supported": ["sub", "aud", "exp", "iat", "iss", "auth_time", "nonce", "acr", "amr", "email"],
                "code_challenge_methods_supported": ["S256"],
                "ui_locales_supported": ["de", "en"],
                "request_parameter_supported": true,
                "backchannel_logout_supported": true,
                "backchannel_logout_session_supported": true,
            })),
            refresh: RefreshFor::Scope("offline_access"),
            id_token: |claims| {
                leave_out(claims, &["email", "email_verified", "name", "preferred_username"]);
                leave_out(claims, &["urn:zitadel:iam:org:project:roles", "urn:zitadel:iam:user:resourceowner:name"]);
                leave_out(claims, &["urn:zitadel:iam:org:project:293847562938475610:roles"]);
                claims["azp"] = claims["aud"].clone();
                claims["client_id"] = claims["aud"].clone();
                claims["aud"] = json!([claims["aud"], "293847562938475629", "293847562938475610"]);
                claims["amr"] = json!(["pwd"]);
            },
            end_session: EndSession { wants: &["client_id"], ..EndSession::default() },
            logout_token: Some(LogoutToken { typ: None, lifetime: Some(300), ..LogoutToken::default() }),
            ..Ways::default()
        },
        people: |site| {
            let person = |login: &str, membership, subject: &str, roles: Value| {
                let claims = json!({
                    "email": site.address_of(login),
                    "email_verified": true,
                    "name": login,
                    "preferred_username": format!("{login}@zitadel.example.com"),
                    "urn:zitadel:iam:org:project:roles": roles,
                    "urn:zitadel:iam:org:project:293847562938475610:roles": roles,
                    "urn:zitadel:iam:user:resourceowner:name": "Example",
                });
                Person::new(site, login, membership, subject, claims)
            };
            let of_org = json!({ "293847562938400000": "example.zitadel.example.com" });
            let mut member = json!({ "reader": of_org });
            member[site.plain_group()] = of_org.clone();
            vec![
                person("alice", Membership::Member, "192837465019283746", member),
                person("bob", Membership::Other, "192837465019283747", json!({ "reader": of_org })),
            ]
        },
        attack: Attack {
            what: "a token of a sibling client of the project",
            claims: |claims| claims["azp"] = json!("293847562938475629"),
            reason: "id_token_invalid",
        },
    }
}
