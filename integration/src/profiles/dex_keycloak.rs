//! Dex and Keycloak.

use serde_json::{Value, json};

use super::profile::{Attack, Profile};
use super::site::{Membership, Person, hundreds_of_groups, leave_out, uuid_of};
use crate::jwt::Algorithm;
use crate::provider::{EndSession, LogoutToken, Paths, RefreshFor, Scopes, Ways};

/// Dex 2.45: no end of session, no revocation, no `sid`; it knows the scope `groups`, refuses what it does not know, issues
/// refresh tokens for `offline_access` alone, and repeats the nonce of the sign-in at each refresh.
pub(super) fn dex() -> Profile {
    Profile {
        page: "dex",
        variant: None,
        algorithm: Algorithm::Rs256,
        ways: Ways {
            issuer_path: "/dex",
            paths: Paths {
                discovery: "/dex/.well-known/openid-configuration",
                authorization: "/dex/auth",
                token: "/dex/token",
                jwks: "/dex/keys",
                userinfo: Some("/dex/userinfo"),
                end_session: None,
                revocation: None,
                introspection: Some("/dex/token/introspect"),
            },
            metadata: Some(json!({
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256", "plain"],
                "scopes_supported": ["openid", "email", "groups", "profile", "offline_access"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "claims_supported": ["iss", "sub", "aud", "iat", "exp", "email", "email_verified", "name"],
            })),
            scopes: Scopes::SendsBack(&["openid", "email", "groups", "profile", "offline_access", "federated:id"]),
            refresh: RefreshFor::Scope("offline_access"),
            nonce_at_refresh: true,
            token_answer: |answer| leave_out(answer, &["scope"]),
            id_token: |claims| leave_out(claims, &["sid", "auth_time"]),
            logout_token: None,
            ..Ways::default()
        },
        people: |site| {
            let group = site.plain_group();
            let person = |login: &str, membership, groups: Vec<String>| {
                let claims = json!({
                    "email": site.address_of(login), "email_verified": true, "groups": groups, "name": login,
                });
                // Protobuf in base64: the connector's id of the person, and the connector's name.
                Person::new(site, login, membership, &format!("Cg{login}EgVsb2NhbA"), claims)
            };
            vec![
                person("alice", Membership::Member, vec![group.clone(), "everyone".to_owned()]),
                person("bob", Membership::Other, vec!["everyone".to_owned()]),
                person("carol", Membership::Member, hundreds_of_groups(&group)),
            ]
        },
        attack: Attack {
            what: "a token that another client got for us",
            claims: |claims| {
                claims["aud"] = json!(["portcullis", "another-client"]);
                claims["azp"] = json!("another-client");
            },
            reason: "id_token_invalid",
        },
    }
}

/// The client scopes of a new realm.
const KEYCLOAK_SCOPES: &[&str] = &[
    "openid",
    "address",
    "basic",
    "roles",
    "organization",
    "offline_access",
    "email",
    "web-origins",
    "microprofile-jwt",
    "acr",
    "phone",
    "service_account",
    "profile",
];

/// Keycloak 26: an issuer for each realm, `azp` in each ID token, groups with their paths (by a mapper) and roles nested, a
/// refresh token without `offline_access`, `invalid_scope` for `groups`, and logout tokens by `sid` and `sub`.
pub(super) fn keycloak() -> Profile {
    Profile {
        page: "keycloak",
        variant: None,
        algorithm: Algorithm::Rs256,
        ways: Ways {
            issuer_path: "/realms/main",
            paths: Paths {
                discovery: "/realms/main/.well-known/openid-configuration",
                authorization: "/realms/main/protocol/openid-connect/auth",
                token: "/realms/main/protocol/openid-connect/token",
                jwks: "/realms/main/protocol/openid-connect/certs",
                userinfo: Some("/realms/main/protocol/openid-connect/userinfo"),
                end_session: Some("/realms/main/protocol/openid-connect/logout"),
                revocation: Some("/realms/main/protocol/openid-connect/revoke"),
                introspection: Some("/realms/main/protocol/openid-connect/token/introspect"),
            },
            metadata: Some(keycloak_metadata()),
            scopes: Scopes::SendsBack(KEYCLOAK_SCOPES),
            callback: &[("session_state", "0f43d2d6-6d5b-4f7e-8d5f-6f2f6f5e2b11")],
            token_answer: |answer| {
                answer["refresh_expires_in"] = json!(1800);
                answer["not-before-policy"] = json!(0);
                answer["session_state"] = json!("0f43d2d6-6d5b-4f7e-8d5f-6f2f6f5e2b11");
            },
            id_token: |claims| {
                claims["azp"] = claims["aud"].clone();
                claims["typ"] = json!("ID");
                claims["acr"] = json!("1");
                claims["jti"] = json!("trrtcc:3e8d0d4c-7d0b-4c0e-9f5b-6c1d1a0f7b52");
            },
            end_session: EndSession { wants: &["client_id"], ..EndSession::default() },
            logout_token: Some(LogoutToken { typ: Some("JWT"), ..LogoutToken::default() }),
            ..Ways::default()
        },
        people: |site| {
            let group = site.plain_group();
            // A group is told with its path; a role is told as it is.
            let (path, role) =
                (format!("/{}", group.trim_start_matches('/')), group.trim_start_matches('/').to_owned());
            let person = |login: &str, membership, groups: Vec<String>, roles: &[&str]| {
                let claims = json!({
                    "email": site.address_of(login),
                    "email_verified": true,
                    "preferred_username": login,
                    "name": login,
                    "groups": groups,
                    "realm_access": { "roles": roles },
                    "resource_access": { "account": { "roles": ["manage-account", "view-profile"] } },
                });
                Person::new(site, login, membership, &uuid_of(login), claims)
            };
            let of_all = ["default-roles-main", "offline_access", "uma_authorization"];
            let of_members = ["default-roles-main", "offline_access", "uma_authorization", role.as_str()];
            vec![
                person("alice", Membership::Member, vec![path.clone(), "/everyone".to_owned()], &of_members),
                person("bob", Membership::Other, vec!["/everyone".to_owned()], &of_all),
                person("carol", Membership::Member, hundreds_of_groups(&path), &of_members),
            ]
        },
        attack: Attack {
            what: "a token of another client of the realm",
            claims: |claims| claims["azp"] = json!("another-client"),
            reason: "id_token_invalid",
        },
    }
}

fn keycloak_metadata() -> Value {
    json!({
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "response_types_supported": ["code", "none", "id_token", "code id_token"],
        "response_modes_supported": ["query", "fragment", "form_post", "query.jwt"],
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": [
            "PS384", "RS384", "EdDSA", "ES384", "HS256", "HS512", "ES256", "RS256", "HS384", "ES512", "PS256",
            "PS512", "RS512",
        ],
        "code_challenge_methods_supported": ["plain", "S256"],
        "scopes_supported": KEYCLOAK_SCOPES,
        "token_endpoint_auth_methods_supported": [
            "private_key_jwt", "client_secret_basic", "client_secret_post", "tls_client_auth",
            "client_secret_jwt",
        ],
        "claims_supported": ["aud", "sub", "iss", "auth_time", "name", "preferred_username", "email", "acr"],
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "frontchannel_logout_supported": true,
        "frontchannel_logout_session_supported": true,
    })
}
