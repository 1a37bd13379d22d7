//! A realm, and what its administrators do there while people are signed in.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::admin_api::AdminApi;
use super::representation::text;
use crate::registration::{CLIENT_ID, Person, Registration};

/// A realm of a running Keycloak.
#[derive(Debug)]
pub struct Realm {
    api: AdminApi,
    name: String,
    registration: Registration,
}

impl Realm {
    pub(super) fn new(api: AdminApi, name: String, registration: Registration) -> Self {
        Self { api, name, registration }
    }

    /// What Portcullis must be told.
    #[must_use]
    pub fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Somebody's browser, as far as Keycloak knows it: without cookies.
    pub fn person(&self, user: &str) -> Result<Person> {
        Person::new(&self.registration, user)
    }

    /// The sessions that somebody has, by the `sid` that tokens name.
    pub async fn sessions(&self, user: &str) -> Result<Vec<String>> {
        let sessions = self.api.get(&format!("{}/sessions", self.user(user).await?)).await?;
        let sessions = sessions.as_array().context("sessions are a list")?;
        sessions.iter().map(|session| Ok(text(session, "id")?.to_owned())).collect()
    }

    /// Ends one session.
    pub async fn end_session(&self, sid: &str) -> Result<()> {
        self.api.delete(&format!("/{}/sessions/{sid}", self.name)).await.map(drop)
    }

    /// "Sign out" of the list of somebody's sessions: ends them all.
    pub async fn log_out(&self, user: &str) -> Result<()> {
        self.api.post(&format!("{}/logout", self.user(user).await?), &json!({})).await.map(drop)
    }

    /// "Sign out all active sessions": ends those of everybody in the realm.
    pub async fn log_out_all(&self) -> Result<()> {
        self.api.post(&format!("/{}/logout-all", self.name), &json!({})).await.map(drop)
    }

    /// Switches somebody off.
    pub async fn disable(&self, user: &str) -> Result<()> {
        self.api.put(&self.user(user).await?, &json!({ "enabled": false })).await.map(drop)
    }

    /// Removes somebody.
    pub async fn delete(&self, user: &str) -> Result<()> {
        self.api.delete(&self.user(user).await?).await.map(drop)
    }

    /// The names of the groups that somebody is in. Keycloak remembers them, so that the first token does not wait for
    /// hundreds.
    pub async fn groups(&self, user: &str) -> Result<Vec<String>> {
        let groups = self.memberships(&self.user(user).await?).await?;
        groups.iter().map(|group| Ok(text(group, "name")?.to_owned())).collect()
    }

    /// Takes somebody out of a group of the top level.
    pub async fn leave(&self, user: &str, group: &str) -> Result<()> {
        let user = self.user(user).await?;
        let groups = self.memberships(&user).await?;
        let found = groups.iter().find(|found| found["name"] == group);
        let id = text(found.with_context(|| format!("not in the group {group}"))?, "id")?;
        self.api.delete(&format!("{user}/groups/{id}")).await.map(drop)
    }

    async fn memberships(&self, user: &str) -> Result<Vec<Value>> {
        let groups = self.api.get(&format!("{user}/groups?max=10000")).await?;
        groups.as_array().cloned().context("groups are a list")
    }

    /// Makes a key for an algorithm, and signs with it from now on.
    pub async fn sign_with(&self, algorithm: &str) -> Result<()> {
        let (kind, config) = match algorithm {
            "EdDSA" => ("eddsa-generated", json!({ "eddsaEllipticCurveKey": ["Ed25519"] })),
            "ES256" => ("ecdsa-generated", json!({ "ecdsaEllipticCurveKey": ["P-256"] })),
            other => ("rsa-generated", json!({ "algorithm": [other] })),
        };
        let key = json!({
            "name": format!("{algorithm} of the tests"),
            "providerType": "org.keycloak.keys.KeyProvider",
            "providerId": kind,
            "config": config,
        });
        self.api.post(&format!("/{}/components", self.name), &key).await?;
        self.change(&json!({ "defaultSignatureAlgorithm": algorithm })).await
    }

    /// Changes the realm: the fields that are named.
    async fn change(&self, fields: &Value) -> Result<()> {
        self.api.put(&format!("/{}", self.name), fields).await.map(drop)
    }

    /// Changes our client.
    pub async fn change_client(&self, change: impl FnOnce(&mut Value)) -> Result<()> {
        let clients = format!("/{}/clients", self.name);
        let found = self.api.get(&format!("{clients}?clientId={CLIENT_ID}")).await?;
        let mut client = found[0].clone();
        change(&mut client);
        self.api.put(&format!("{clients}/{}", text(&client, "id")?), &client).await.map(drop)
    }

    /// The path of somebody.
    async fn user(&self, name: &str) -> Result<String> {
        let users = format!("/{}/users", self.name);
        let found = self.api.get(&format!("{users}?username={name}&exact=true")).await?;
        let id = text(&found[0], "id").with_context(|| format!("there is no {name}"))?;
        Ok(format!("{users}/{id}"))
    }
}
