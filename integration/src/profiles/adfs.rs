//! AD FS.

use serde_json::{Value, json};

use super::profile::{Attack, Profile};
use super::site::{Membership, Person, pairwise};
use crate::jwt::Algorithm;
use crate::provider::{EndSession, Paths, Scopes, Userinfo, Ways};

/// AD FS 2019: `upn` is the name, one group is a text and several are a list, userinfo refuses tokens for another resource
/// than its own, a refresh token is not replaced, and a sign-out wants a hint and brings no state back.
pub(super) fn adfs() -> Profile {
    Profile {
        page: "adfs",
        variant: None,
        algorithm: Algorithm::Rs256,
        ways: Ways {
            issuer_path: "/adfs",
            paths: Paths {
                discovery: "/adfs/.well-known/openid-configuration",
                authorization: "/adfs/oauth2/authorize/",
                token: "/adfs/oauth2/token/",
                jwks: "/adfs/discovery/keys",
                userinfo: Some("/adfs/userinfo"),
                end_session: Some("/adfs/oauth2/logout"),
                revocation: None,
                introspection: None,
            },
            metadata: Some(json!({
                "access_token_issuer": "http://adfs.example.com/adfs/services/trust",
                "as_access_token_token_binding_supported": true,
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post", "client_secret_basic", "private_key_jwt", "windows_client_authentication",
                ],
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token", "code token"],
                "response_modes_supported": ["query", "fragment", "form_post"],
                "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", "implicit"],
                "subject_types_supported": ["pairwise"],
                "scopes_supported": [
                    "openid", "profile", "email", "allatclaims", "user_impersonation", "aza", "logon_cert",
                    "winhello_cert", "vpn_cert",
                ],
                "id_token_signing_alg_values_supported": ["RS256"],
                "claims_supported": ["aud", "iss", "iat", "exp", "auth_time", "nonce", "at_hash", "c_hash", "sub", "upn"],
                "microsoft_multi_refresh_token": true,
                "frontchannel_logout_supported": true,
                "frontchannel_logout_session_supported": true,
            })),
            scopes: Scopes::SendsBack(&["openid", "profile", "email", "allatclaims", "user_impersonation", "aza"]),
            token_answer: |answer| {
                answer["refresh_token_expires_in"] = json!(28_800);
                answer["resource"] = json!("https://portcullis.example.com");
            },
            rotates: false,
            id_token: |claims| {
                claims["apptype"] = json!("Confidential");
                claims["appid"] = claims["aud"].clone();
                claims["authmethod"] = json!("urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport");
                claims["ver"] = json!("1.0");
                claims["scp"] = json!("openid");
                claims["pwd_exp"] = json!("862134");
            },
            userinfo: Userinfo::Refuses(401),
            end_session: EndSession { wants: &["id_token_hint"], brings_state: false, ..EndSession::default() },
            logout_token: None,
            ..Ways::default()
        },
        people: |site| {
            // The name of the claim is the administrator's, in a rule of the application group.
            let claim = site.provider["groups_claim"].as_str().unwrap_or("groups").to_owned();
            let person = |login: &str, membership, groups: Value| {
                let mut claims = json!({
                    "upn": site.address_of(login), "unique_name": format!("CORP\\{login}"), "sid": "S-1-5-21-1004336348",
                });
                claims[&claim] = groups;
                Person::new(site, login, membership, &pairwise(login), claims)
            };
            let group = site.plain_group();
            vec![
                person("alice", Membership::Member, json!(group)),
                person("bob", Membership::Other, json!(["Domain Users", "Staff"])),
                person("carol", Membership::Member, json!([group, "Domain Users"])),
            ]
        },
        attack: Attack {
            what: "the name of another domain, of a forest that is trusted there",
            claims: |claims| claims["upn"] = json!("alice@evil.test"),
            reason: "identity_unusable",
        },
    }
}
