//! Objects of a cluster, listed for whoever runs a command: with the rights of a kubeconfig of theirs.

use std::{path::PathBuf, time::Duration};

use http::Request;
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
}

impl KubeLists {
    /// A client by a kubeconfig file. Nothing is sent yet.
    ///
    /// # Errors
    /// As for [`super::KubeReviews::connect`].
    pub async fn connect(kubeconfig: PathBuf) -> Result<Self, ListError> {
        Ok(Self(connect(Some(&kubeconfig), CONNECT_TIMEOUT).await?.client))
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
        let wrong = |reason: String| ListError::Answer { path: target.to_owned(), reason };
        let request = Request::get(target).header(http::header::ACCEPT, "application/json").body(Body::empty());
        let request = request.map_err(|error| wrong(error.to_string()))?;
        let response = self.0.send(request).await.map_err(|error| wrong(describe(&error)))?;
        let status = response.status();
        if status == http::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(wrong(format!("status {status}")));
        }
        let body = Limited::new(response.into_body(), MAX_PAGE_BYTES).collect().await;
        let body = body.map_err(|error| wrong(describe(error.as_ref())))?.to_bytes();
        serde_json::from_slice(&body).map(Some).map_err(|error| wrong(error.to_string()))
    }
}

fn form_urlencoded(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
