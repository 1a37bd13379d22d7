//! What a realm holds when it is made, as Keycloak's own representation of it.

use serde_json::{Value, json};

use crate::registration::{CLIENT_ID, CLIENT_SECRET, PASSWORD, post_logout_redirect_uri, redirect_uri};

/// Passwords are not what is tested: the default costs a good part of a sign-in.
const CHEAP_PASSWORDS: &str = "hashAlgorithm(pbkdf2-sha256) and hashIterations(1)";

/// A realm that is to be made. Its client is ours, as Keycloak makes one: what is not set has Keycloak's defaults.
#[derive(Debug, Clone)]
pub struct Plan {
    realm: Value,
}

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}

impl Plan {
    /// Our client, and two people: alice (role `admins`, group `/admins` and `/team-a`) and bob (role `editors`, group
    /// `/team-b`). Nobody is told of roles and groups yet: that takes a [`mapper`].
    #[must_use]
    pub fn new() -> Self {
        let client = json!({
            "clientId": CLIENT_ID,
            "secret": CLIENT_SECRET,
            "redirectUris": [redirect_uri()],
            "attributes": { "post.logout.redirect.uris": post_logout_redirect_uri() },
            "protocolMappers": [],
        });
        let realm = json!({
            "enabled": true,
            "passwordPolicy": CHEAP_PASSWORDS,
            "clients": [client],
            "users": [],
            "groups": [],
            "roles": { "realm": [] },
        });
        let empty = Self { realm };
        empty.user("alice", &["admins", "team-a"], &["admins"]).user("bob", &["team-b"], &["editors"])
    }

    /// Sets a field of the realm.
    #[must_use]
    pub fn set(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.realm[field] = value.into();
        self
    }

    /// Sets a field of our client.
    #[must_use]
    pub fn client(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.realm["clients"][0][field] = value.into();
        self
    }

    /// Sets an attribute of our client.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        self.realm["clients"][0]["attributes"][name] = value.into();
        self
    }

    /// Adds a [`mapper`] to our client.
    #[must_use]
    pub fn mapper(mut self, mapper: Value) -> Self {
        push(&mut self.realm["clients"][0]["protocolMappers"], mapper);
        self
    }

    /// Adds somebody with an address at example.com, in groups of the top level and with roles of the realm, which are
    /// made.
    #[must_use]
    pub fn user(mut self, name: &str, groups: &[&str], roles: &[&str]) -> Self {
        for group in groups {
            push(&mut self.realm["groups"], json!({ "name": group }));
        }
        for role in roles {
            push(&mut self.realm["roles"]["realm"], json!({ "name": role }));
        }
        let user = json!({
            "username": name,
            "email": format!("{name}@example.com"),
            "emailVerified": true,
            // Who lacks a name is asked for it before the first sign-in.
            "firstName": name,
            "lastName": "Test",
            "enabled": true,
            "credentials": [{ "type": "password", "value": PASSWORD }],
            "groups": groups.iter().map(|group| format!("/{group}")).collect::<Vec<_>>(),
            "realmRoles": roles,
        });
        push(&mut self.realm["users"], user);
        self
    }

    pub(super) fn into_representation(self) -> Value {
        self.realm
    }
}

/// Adds what is not there yet.
fn push(list: &mut Value, item: Value) {
    let list = list.as_array_mut().expect("a plan's lists are lists");
    if !list.contains(&item) {
        list.push(item);
    }
}

/// What our client is told beyond Keycloak's defaults.
pub mod mapper {
    use serde_json::{Value, json};

    use crate::registration::CLIENT_ID;

    /// The groups in `groups`, with their path, as Keycloak's own form proposes it.
    #[must_use]
    pub fn groups() -> Value {
        told("oidc-group-membership-mapper", json!({ "claim.name": "groups", "full.path": "true" }))
    }

    /// The realm's roles in `realm_access.roles` of the ID token too: by default they stand in the access token alone.
    #[must_use]
    pub fn realm_roles() -> Value {
        let roles = json!({ "claim.name": "realm_access.roles", "multivalued": "true", "jsonType.label": "String" });
        told("oidc-usermodel-realm-role-mapper", roles)
    }

    /// Our client in the audience of its access tokens.
    #[must_use]
    pub fn audience() -> Value {
        let audience = json!({ "included.client.audience": CLIENT_ID, "access.token.claim": "true" });
        of("oidc-audience-mapper", &audience)
    }

    /// By the ID token and by userinfo.
    fn told(kind: &str, mut config: Value) -> Value {
        config["id.token.claim"] = "true".into();
        config["userinfo.token.claim"] = "true".into();
        of(kind, &config)
    }

    fn of(kind: &str, config: &Value) -> Value {
        json!({ "name": kind, "protocol": "openid-connect", "protocolMapper": kind, "config": config })
    }
}
