//! Tokens of ServiceAccounts, from the TokenRequest API.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1 as authentication;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::Cluster;
use super::token_keys::PRIVATE_KEY;
use crate::jwt;

/// A request for a token that is not sent yet.
#[derive(Debug)]
#[must_use]
pub struct TokenRequest<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
    name: &'a str,
    audiences: Vec<String>,
    lifetime: Duration,
    pod: Option<&'a str>,
}

impl<'a> TokenRequest<'a> {
    fn new(cluster: &'a Cluster, namespace: &'a str, name: &'a str) -> Self {
        let lifetime = Duration::from_hours(1);
        Self { cluster, namespace, name, audiences: Vec::new(), lifetime, pod: None }
    }

    /// Adds an audience; with none the token is for the API server itself.
    pub fn audience(mut self, audience: &str) -> Self {
        self.audiences.push(audience.to_owned());
        self
    }

    /// How long it is valid: an hour unless told, and at least ten minutes.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Binds it to a pod of the ServiceAccount: it ends with the pod.
    pub fn bound_to_pod(mut self, pod: &'a str) -> Self {
        self.pod = Some(pod);
        self
    }

    /// Gets the token.
    pub async fn issue(self) -> Result<String> {
        let client = self.cluster.client().await?;
        let mut spec = json!({ "audiences": self.audiences, "expirationSeconds": self.lifetime.as_secs() });
        if let Some(name) = self.pod {
            let pod = Api::<Pod>::namespaced(client.clone(), self.namespace).get(name).await?;
            spec["boundObjectRef"] =
                json!({ "apiVersion": "v1", "kind": "Pod", "name": name, "uid": pod.metadata.uid });
        }
        let request: authentication::TokenRequest = serde_json::from_value(json!({ "spec": spec }))?;
        let api: Api<ServiceAccount> = Api::namespaced(client, self.namespace);
        let answer = api
            .create_token_request(self.name, &PostParams::default(), &request)
            .await
            .with_context(|| format!("no token for {}/{}", self.namespace, self.name))?;
        let token =
            answer.status.and_then(|status| status.token).context("a token request is answered with a token")?;
        crate::evidence::secret(crate::evidence::Kind::ServiceAccountToken, &token);
        Ok(token)
    }
}

impl Cluster {
    /// Begins a request for a token of a ServiceAccount (the TokenRequest API).
    pub fn token<'a>(&'a self, namespace: &'a str, name: &'a str) -> TokenRequest<'a> {
        TokenRequest::new(self, namespace, name)
    }

    /// Signs other claims with the cluster's own key, under the header of `token`: a genuine signature of something
    /// that was never issued.
    pub fn resign(&self, token: &str, change: impl FnOnce(&mut Value)) -> Result<String> {
        let pem = fs::read(self.folder().join(PRIVATE_KEY))?;
        let header = jsonwebtoken::decode_header(token)?;
        let mut claims = jwt::claims(token)?;
        change(&mut claims);
        let token = jsonwebtoken::encode(&header, &claims, &jsonwebtoken::EncodingKey::from_ec_pem(&pem)?)?;
        crate::evidence::secret(crate::evidence::Kind::ServiceAccountToken, &token);
        Ok(token)
    }
}
