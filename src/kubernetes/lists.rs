//! Objects of a cluster: listed for whoever runs a command, with the rights of a kubeconfig of theirs; or watched.

use std::{path::PathBuf, time::Duration};

use bytes::BytesMut;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};
use kube::{Client, client::Body};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::client::{ClientError, connect, describe};

/// How many objects one answer brings, so that none is too large.
const PAGE: usize = 500;
/// The largest answer that is read, in bytes.
const MAX_PAGE_BYTES: usize = 64 << 20;
/// How long one watch runs before the list is read anew.
const WATCH: Duration = Duration::from_mins(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Lists objects.
pub struct KubeLists(Client);

/// Why there is no list.
#[derive(Debug, Error)]
pub enum ListError {
    /// There is no client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The API server does not answer, or not so that it can be read.
    #[error("the API server's list `{path}` cannot be read: {reason}")]
    Answer {
        /// What was asked.
        path: String,
        /// What is wrong with the answer.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Page {
    metadata: Metadata,
    items: Vec<Value>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "continue")]
    rest: Option<String>,
    #[serde(rename = "resourceVersion", default)]
    version: String,
}

/// A change of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectChange {
    /// Whether it is gone; else it came, or is another one now.
    pub is_deleted: bool,
    /// The object, as it is or was last.
    pub object: Value,
}

/// What changes, as the API server tells it.
#[derive(Debug)]
pub struct Changes {
    path: String,
    body: Body,
    /// What came after the last whole line.
    rest: BytesMut,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

impl KubeLists {
    /// A client by a kubeconfig file. Nothing is sent yet.
    ///
    /// # Errors
    /// As for [`super::KubeReviews::connect`].
    pub async fn connect(kubeconfig: PathBuf) -> Result<Self, ListError> {
        Self::connect_as_configured(Some(kubeconfig)).await
    }

    /// A client by a kubeconfig file, or where there is none by the pod's own ServiceAccount. Nothing is sent yet.
    ///
    /// # Errors
    /// As for [`super::KubeReviews::connect`].
    pub async fn connect_as_configured(kubeconfig: Option<PathBuf>) -> Result<Self, ListError> {
        Ok(Self(connect(kubeconfig.as_deref(), CONNECT_TIMEOUT).await?.client))
    }

    /// Every object of a kind that every cluster knows, in all namespaces, and the version from which to [watch](Self::watch).
    ///
    /// # Errors
    /// As for [`KubeLists::all`].
    pub async fn all_at(&self, path: &str) -> Result<(Vec<Value>, String), ListError> {
        // In one piece, so that there is one version of it.
        let page = self.page(path).await?.ok_or_else(|| wrong(path, "there is no such kind"))?;
        Ok((page.items, page.metadata.version))
    }

    /// What changes of a kind from this version on, for a few minutes.
    ///
    /// # Errors
    /// As for [`KubeLists::all`].
    pub async fn watch(&self, path: &str, version: &str) -> Result<Changes, ListError> {
        let seconds = WATCH.as_secs().to_string();
        let query = form_urlencoded(&[("watch", "1"), ("resourceVersion", version), ("timeoutSeconds", &seconds)]);
        let response = self.get(&format!("{path}?{query}")).await?;
        if !response.status().is_success() {
            return Err(wrong(path, format!("status {}", response.status())));
        }
        Ok(Changes { path: path.to_owned(), body: response.into_body(), rest: BytesMut::new() })
    }

    /// Every object of a kind, in all namespaces; `None` where the cluster knows no such kind.
    ///
    /// # Errors
    /// Where the API server does not answer, or not with a list.
    pub async fn all(&self, path: &str) -> Result<Option<Vec<Value>>, ListError> {
        let mut all = Vec::new();
        let mut rest = String::new();
        loop {
            let query = form_urlencoded(&[("limit", PAGE.to_string().as_str()), ("continue", &rest)]);
            let Some(page) = self.page(&format!("{path}?{query}")).await? else { return Ok(None) };
            all.extend(page.items);
            match page.metadata.rest {
                Some(more) if !more.is_empty() => rest = more,
                _ => return Ok(Some(all)),
            }
        }
    }

    async fn page(&self, target: &str) -> Result<Option<Page>, ListError> {
        let response = self.get(target).await?;
        let status = response.status();
        if status == http::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(wrong(target, format!("status {status}")));
        }
        let body = Limited::new(response.into_body(), MAX_PAGE_BYTES).collect().await;
        let body = body.map_err(|error| wrong(target, describe(error.as_ref())))?.to_bytes();
        serde_json::from_slice(&body).map(Some).map_err(|error| wrong(target, error.to_string()))
    }

    async fn get(&self, target: &str) -> Result<Response<Body>, ListError> {
        let request = Request::get(target).header(http::header::ACCEPT, "application/json").body(Body::empty());
        let request = request.map_err(|error| wrong(target, error.to_string()))?;
        self.0.send(request).await.map_err(|error| wrong(target, describe(&error)))
    }
}

impl Changes {
    /// The next change; nothing once the API server has ended the watch.
    ///
    /// # Errors
    /// Where that broke off, or the version is too old to watch from.
    pub async fn next(&mut self) -> Result<Option<ObjectChange>, ListError> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line = self.rest.split_to(end + 1);
                let event: Event =
                    serde_json::from_slice(&line).map_err(|error| wrong(&self.path, error.to_string()))?;
                match event.kind.as_str() {
                    "ADDED" | "MODIFIED" => return Ok(Some(ObjectChange { is_deleted: false, object: event.object })),
                    "DELETED" => return Ok(Some(ObjectChange { is_deleted: true, object: event.object })),
                    _ => {
                        let message = event.object.get("message").and_then(Value::as_str).unwrap_or_default();
                        return Err(wrong(&self.path, format!("{}: {message}", event.kind)));
                    }
                }
            }
            if self.rest.len() > MAX_PAGE_BYTES {
                return Err(wrong(&self.path, "an object is too large"));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|error| wrong(&self.path, describe(&error)))?;
            if let Ok(data) = frame.into_data() {
                self.rest.extend_from_slice(&data);
            }
        }
    }
}

fn wrong(path: &str, reason: impl Into<String>) -> ListError {
    ListError::Answer { path: path.to_owned(), reason: reason.into() }
}

fn form_urlencoded(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
