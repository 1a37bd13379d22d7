//! Keycloak's REST API for administrators.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::Mutex;
use url::form_urlencoded;

use super::representation::text;

/// The administrator whom the part's database brings along, and the password.
const NAME_AND_PASSWORD: (&str, &str) = ("admin", "password");

/// A loaded machine may take this long for a realm with many groups, where 3 s are usual.
const PATIENCE: Duration = Duration::from_mins(2);

/// An administrator of every realm.
#[derive(Debug, Clone)]
pub(super) struct AdminApi {
    client: reqwest::Client,
    origin: String,
    /// The last access token; it is good for a minute.
    token: Arc<Mutex<String>>,
}

impl AdminApi {
    /// Of the server at `origin`, whose certificate `authority_pem` signed.
    pub(super) fn new(origin: &str, authority_pem: &str) -> Result<Self> {
        let client = crate::http::client_with(&[authority_pem])?;
        Ok(Self { client, origin: origin.to_owned(), token: Arc::default() })
    }

    /// What lies at a path below the realms.
    pub(super) async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await
    }

    /// Makes something, or does something.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Replaces what lies at a path; Keycloak keeps most of what the body leaves out.
    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// Removes what lies at a path.
    pub(super) async fn delete(&self, path: &str) -> Result<Value> {
        self.call(Method::DELETE, path, None).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut token = self.token.lock().await.clone();
        for may_be_old in [true, false] {
            let mut request =
                self.client.request(method.clone(), format!("{}/admin/realms{path}", self.origin)).bearer_auth(&token);
            if let Some(body) = body {
                request = request.json(body).timeout(PATIENCE);
            }
            let answer = request.send().await?;
            let status = answer.status();
            if may_be_old && status == StatusCode::UNAUTHORIZED {
                token = self.sign_in().await?;
                continue;
            }
            let answer = answer.text().await?;
            ensure!(status.is_success(), "Keycloak answers {status} to {method} {path}: {answer}");
            return Ok(serde_json::from_str(&answer).unwrap_or_default());
        }
        unreachable!("the second answer counts, whatever it is")
    }

    async fn sign_in(&self) -> Result<String> {
        let (name, password) = NAME_AND_PASSWORD;
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("grant_type", "password"), ("client_id", "admin-cli")])
            .extend_pairs([("username", name), ("password", password)])
            .finish();
        let request = self.client.post(format!("{}/realms/master/protocol/openid-connect/token", self.origin));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer: Value = request.send().await?.error_for_status()?.json().await?;
        let token = text(&answer, "access_token")?;
        token.clone_into(&mut *self.token.lock().await);
        Ok(token.to_owned())
    }
}
