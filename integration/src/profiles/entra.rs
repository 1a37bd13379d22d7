//! Entra ID, by its three kinds of issuers: v2, v1 and B2C.

use serde_json::{Value, json};

use super::profile::{Attack, Profile};
use super::site::{Membership, Person, Site, keep, leave_out, pairwise, uuid_of};
use crate::jwt::Algorithm;
use crate::provider::{Paths, RefreshFor, Scopes, Userinfo, Ways};

/// The tenant, where the page's configuration wants no other.
const TENANT: &str = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
/// A tenant of somebody else.
const FOREIGN_TENANT: &str = "0b5f9d2c-6b1e-4f0e-9a44-5c7c4d9c3f10";

/// An ID token that another tenant's people have, with the address of somebody of this one.
const OF_ANOTHER_TENANT: Attack = Attack {
    what: "a token of another tenant",
    claims: |claims| {
        let issuer = claims["iss"].as_str().unwrap_or_default().replace(TENANT, FOREIGN_TENANT);
        claims["iss"] = issuer.into();
        claims["tid"] = FOREIGN_TENANT.into();
    },
    reason: "id_token_invalid",
};

/// What all the kinds say of somebody.
fn account(site: &Site, login: &str, more: Value) -> Value {
    let mut claims = json!({
        "tid": site.required("tid", TENANT),
        "oid": uuid_of(login),
        "name": login,
        "rh": "1.AUEBI_CujjQroU2bqouIydakkGt0",
        "uti": "u1rdTtNkpUGIu2xsTf0kAA",
        "aio": "AXQAi/8TAAAA",
    });
    if let (Value::Object(claims), Value::Object(more)) = (&mut claims, more) {
        claims.extend(more);
    }
    claims
}

/// The group rules' member, somebody in another group, and somebody in more than 200: of hers there is only told that they
/// are elsewhere.
fn accounts(site: &Site, address_claims: &[&str], version: &str) -> Vec<Person> {
    let group = site.plain_group();
    let person = |login: &str, membership, groups: Value| {
        let mut claims = account(site, login, groups);
        claims["ver"] = version.into();
        for name in address_claims {
            claims[*name] = site.address_of(login).into();
        }
        Person::new(site, login, membership, &pairwise(login), claims)
    };
    let elsewhere = json!({
        "_claim_names": { "groups": "src1" },
        "_claim_sources": {
            "src1": { "endpoint": "https://graph.windows.net/tenant/users/carol/getMemberObjects" },
        },
    });
    vec![
        person("alice", Membership::Member, json!({ "groups": [group, uuid_of("all")] })),
        person("bob", Membership::Other, json!({ "groups": [uuid_of("all")] })),
        person("carol", Membership::Untold, elsewhere),
    ]
}

/// Entra ID, v2: the tenant in the issuer, `preferred_username` instead of an address that is vouched for, groups by their
/// ids, no word about PKCE, and no endpoint for revocation or introspection.
pub(super) fn entra() -> Profile {
    Profile {
        page: "entra",
        variant: None,
        algorithm: Algorithm::Rs256,
        ways: Ways {
            issuer_path: "/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0",
            paths: Paths {
                discovery: "/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0/.well-known/openid-configuration",
                authorization: "/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/oauth2/v2.0/authorize",
                token: "/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/oauth2/v2.0/token",
                jwks: "/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/discovery/v2.0/keys",
                userinfo: Some("/oidc/userinfo"),
                end_session: Some("/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/oauth2/v2.0/logout"),
                revocation: None,
                introspection: None,
            },
            metadata: Some(json!({
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post", "private_key_jwt", "client_secret_basic", "self_signed_tls_client_auth",
                ],
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "request_uri_parameter_supported": false,
                "http_logout_supported": true,
                "frontchannel_logout_supported": true,
                "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "preferred_username", "name", "tid"],
                "tenant_region_scope": "EU",
                "cloud_instance_name": "microsoftonline.com",
            })),
            scopes: Scopes::SendsBack(&["openid", "profile", "email", "offline_access", "User.Read"]),
            callback: &[("session_state", "2f1f0f1e-0c5d-4b57-9f0e-6fe0f0b2a3c4")],
            refresh: RefreshFor::Scope("offline_access"),
            token_answer: |answer| {
                answer["ext_expires_in"] = answer["expires_in"].clone();
            },
            id_token: |claims| leave_out(claims, &["sid", "auth_time", "at_hash"]),
            userinfo: Userinfo::Claims(|claims| {
                keep(claims, &["sub", "name"]);
                claims["picture"] = json!("https://graph.microsoft.com/v1.0/me/photo/$value");
            }),
            logout_token: None,
            ..Ways::default()
        },
        people: |site| accounts(site, &["preferred_username"], "2.0"),
        attack: OF_ANOTHER_TENANT,
    }
}

/// Entra ID, v1: an issuer of another name with a slash at its end, numbers as texts in the token endpoint's answer, `upn`
/// instead of an address, and a userinfo that refuses tokens for another resource.
pub(super) fn entra_v1() -> Profile {
    Profile {
        page: "entra",
        variant: Some("sts.windows.net"),
        algorithm: Algorithm::Rs256,
        ways: Ways {
            issuer_path: "/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/",
            paths: Paths {
                // Not below the issuer, which is another host's.
                discovery: "/login/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/.well-known/openid-configuration",
                authorization: "/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/oauth2/authorize",
                token: "/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/oauth2/token",
                jwks: "/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/discovery/keys",
                userinfo: Some("/openid/userinfo"),
                end_session: Some("/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/oauth2/logout"),
                revocation: None,
                introspection: None,
            },
            metadata: Some(json!({
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post", "private_key_jwt", "client_secret_basic",
                ],
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "id_token", "code id_token", "token id_token", "token"],
                "scopes_supported": ["openid"],
                "microsoft_multi_refresh_token": true,
                "http_logout_supported": true,
                "frontchannel_logout_supported": true,
                "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "upn", "unique_name", "tid"],
                "tenant_region_scope": null,
            })),
            callback: &[("session_state", "2f1f0f1e-0c5d-4b57-9f0e-6fe0f0b2a3c4")],
            token_answer: |answer| {
                answer["expires_in"] = answer["expires_in"].to_string().into();
                answer["ext_expires_in"] = answer["expires_in"].clone();
                answer["expires_on"] = json!("1700003600");
                answer["not_before"] = json!("1700000000");
                answer["resource"] = json!("https://graph.microsoft.com");
            },
            id_token: |claims| {
                leave_out(claims, &["sid", "auth_time", "at_hash"]);
                claims["nbf"] = claims["iat"].clone();
                claims["amr"] = json!(["pwd"]);
                claims["ipaddr"] = json!("203.0.113.7");
            },
            userinfo: Userinfo::Refuses(401),
            logout_token: None,
            ..Ways::default()
        },
        people: |site| accounts(site, &["upn", "unique_name"], "1.0"),
        attack: OF_ANOTHER_TENANT,
    }
}

/// Azure AD B2C: the document lies below the policy and not below the issuer, there is no userinfo, an access token comes for
/// a scope of an API alone, and no groups are told but an attribute of the tenant's own.
pub(super) fn b2c() -> Profile {
    Profile {
        page: "entra",
        variant: Some("b2clogin.com"),
        algorithm: Algorithm::Rs256,
        ways: Ways {
            issuer_path: "/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0/",
            paths: Paths {
                discovery: "/example.onmicrosoft.com/b2c_1_signin/v2.0/.well-known/openid-configuration",
                authorization: "/example.onmicrosoft.com/b2c_1_signin/oauth2/v2.0/authorize",
                token: "/example.onmicrosoft.com/b2c_1_signin/oauth2/v2.0/token",
                jwks: "/example.onmicrosoft.com/b2c_1_signin/discovery/v2.0/keys",
                userinfo: None,
                end_session: Some("/example.onmicrosoft.com/b2c_1_signin/oauth2/v2.0/logout"),
                revocation: None,
                introspection: None,
            },
            metadata: Some(json!({
                "response_modes_supported": ["query", "fragment", "form_post"],
                "response_types_supported": ["code", "code id_token", "code token", "id_token", "id_token token"],
                "scopes_supported": ["openid"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
                "claims_supported": ["name", "emails", "idp", "sub", "tfp", "iss", "iat", "exp", "aud", "acr", "nonce"],
            })),
            refresh: RefreshFor::Scope("offline_access"),
            token_answer: |answer| {
                let scope = answer["scope"].as_str().unwrap_or_default();
                let of_openid = ["openid", "email", "profile", "offline_access"];
                if scope.split(' ').all(|scope| of_openid.contains(&scope)) {
                    leave_out(answer, &["access_token", "expires_in"]);
                }
                answer["not_before"] = json!(1_700_000_000);
                answer["id_token_expires_in"] = json!(300);
                answer["refresh_token_expires_in"] = json!(1_209_600);
            },
            id_token: |claims| {
                leave_out(claims, &["sid", "at_hash"]);
                claims["nbf"] = claims["iat"].clone();
                claims["ver"] = json!("1.0");
                claims["tfp"] = json!("B2C_1_signin");
            },
            logout_token: None,
            ..Ways::default()
        },
        people: |site| {
            let person = |login: &str, membership, team: &str| {
                let address = site.address_of(login);
                // A custom policy tells one address as `email`, a user flow several as `emails`.
                let told = json!({ "emails": [address], "email": address, "extension_Team": team });
                Person::new(site, login, membership, &uuid_of(login), account(site, login, told))
            };
            vec![person("alice", Membership::Member, &site.plain_group()), person("bob", Membership::Other, "another")]
        },
        attack: OF_ANOTHER_TENANT,
    }
}
