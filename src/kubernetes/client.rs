//! The API server by the `kube` client.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioExecutor};
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec, SubjectAccessReviewStatus},
};
use kube::{
    Client,
    client::{Body, ConfigExt as _},
    config::{AuthInfo, Config, KubeConfigOptions, Kubeconfig},
};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use tower::{BoxError, ServiceBuilder};

use super::{
    access::{AccessAnswer, AccessAttributes, AccessQuestion, AccessReviews, AccessSubject},
    reviews::{ReviewAnswer, ReviewError, ReviewedUser, Reviews},
};
use crate::{jose, secret::SecretString};

const USER_AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));
const TOKEN_REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const SUBJECT_ACCESS_REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
const JWKS: &str = "/openid/v1/jwks";
/// The largest answer that is read, in bytes. A TokenReview comes back with its token.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// The longest wait that an API server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);

/// Reviews by a real API server.
///
/// Tokens and certificates that the configuration names as files are read again by the client itself, about once a
/// minute; the kubeconfig file as a whole by [`KubeReviews::reload`].
pub struct KubeReviews {
    kubeconfig: Option<PathBuf>,
    connect_timeout: Duration,
    connection: ArcSwap<Connection>,
}

pub(super) struct Connection {
    pub(super) client: Client,
    auth: AuthInfo,
}

/// Why there is no client for the API server.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The kubeconfig file cannot be used.
    #[error("the kubeconfig file {path} cannot be used: {reason}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// This does not run in a pod of a cluster.
    #[error("there is no kubeconfig file, and this is no pod of a cluster: {0}")]
    NotInCluster(String),
    /// The API server's address is neither `https://` nor a loopback one.
    #[error("the API server's address {0} is not https://; tokens would travel in the clear")]
    Insecure(String),
    /// Certificates would not be verified.
    #[error("`insecure-skip-tls-verify` switches off the verification of the API server; name its CA instead")]
    Unverified,
    /// A proxy is configured.
    #[error("`proxy-url` is not supported")]
    Proxy,
    /// The client cannot be made.
    #[error("the client of the API server cannot be made: {0}")]
    Client(String),
}

impl KubeReviews {
    /// A client by a kubeconfig file, or where there is none by the pod's own ServiceAccount. Nothing is sent yet.
    ///
    /// Call it from within a Tokio runtime.
    ///
    /// # Errors
    /// Where the configuration cannot be read, or would send tokens in the clear or to an unverified server.
    pub async fn connect(kubeconfig: Option<PathBuf>, connect_timeout: Duration) -> Result<Self, ClientError> {
        let connection = connect(kubeconfig.as_deref(), connect_timeout).await?;
        Ok(Self { kubeconfig, connect_timeout, connection: ArcSwap::from_pointee(connection) })
    }

    /// Reads the kubeconfig file again. Calls that run go on with what they began with.
    ///
    /// # Errors
    /// As for [`KubeReviews::connect`]; the old configuration then stays.
    pub async fn reload(&self) -> Result<(), ClientError> {
        let connection = connect(self.kubeconfig.as_deref(), self.connect_timeout).await?;
        self.connection.store(Arc::new(connection));
        Ok(())
    }

    /// Sends one request and reads its answer. By hand: the client's own helpers log answers that they cannot parse,
    /// and a TokenReview holds the token.
    #[expect(clippy::expect_used, reason = "the paths are constants")]
    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Bytes, ReviewError> {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("the paths are constants");
        request
            .headers_mut()
            .insert(header::ACCEPT, HeaderValue::from_static("application/json, application/jwk-set+json"));
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));

        let client = self.connection.load().client.clone();
        let response = client.send(request).await.map_err(|error| ReviewError::Unavailable(describe(&error)))?;
        refuse_failure(&response)?;
        // What is announced is refused before a byte of it is read.
        if response.body().size_hint().lower() > MAX_ANSWER_BYTES as u64 {
            return Err(ReviewError::Malformed("it is too large"));
        }
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        match body {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(ReviewError::Malformed("it is too large")),
            Err(error) => Err(ReviewError::Unavailable(describe(error.as_ref()))),
        }
    }

    /// Creates a review and reads what came of it.
    async fn create<R: Serialize + DeserializeOwned>(&self, at: &'static str, review: &R) -> Result<R, ReviewError> {
        #[expect(clippy::expect_used, reason = "strings and lists of them are JSON")]
        let body = serde_json::to_vec(review).expect("a review is plain data");
        let answer = self.send(Method::POST, at, body).await?;
        // Two readers of a name that occurs twice take two values.
        jose::parse_object(&answer).ok_or(ReviewError::Malformed("it is no strict JSON object"))?;
        serde_json::from_slice(&answer)
            .map_err(|_| ReviewError::Malformed("it is no review of the kind that was asked"))
    }
}

#[async_trait]
impl Reviews for KubeReviews {
    async fn review_token(&self, token: &SecretString, audiences: &[String]) -> Result<ReviewAnswer, ReviewError> {
        let review = TokenReview {
            spec: TokenReviewSpec { token: token.expose().to_owned(), audiences: Some(audiences.to_vec()) },
            ..TokenReview::default()
        };
        let answer = self.create(TOKEN_REVIEWS, &review).await?;
        answer.status.map(ReviewAnswer::from).ok_or(ReviewError::Malformed("the TokenReview has no status"))
    }

    async fn jwks(&self) -> Result<Bytes, ReviewError> {
        self.send(Method::GET, JWKS, Vec::new()).await
    }

    fn own_token(&self) -> Option<SecretString> {
        let connection = self.connection.load();
        // The client keeps its token to itself; its configuration writes it out.
        let inline = connection.auth.token.as_ref().and_then(|_| {
            let auth = serde_json::to_value(&connection.auth).ok()?;
            Some(auth.get("token")?.as_str()?.to_owned())
        });
        let token = inline.or_else(|| std::fs::read_to_string(connection.auth.token_file.as_ref()?).ok())?;
        Some(SecretString::new(token.trim().to_owned()))
    }
}

#[async_trait]
impl AccessReviews for KubeReviews {
    async fn review_access(&self, question: &AccessQuestion) -> Result<AccessAnswer, ReviewError> {
        let answer = self.create(SUBJECT_ACCESS_REVIEWS, &SubjectAccessReview::from(question)).await?;
        answer.status.map(AccessAnswer::from).ok_or(ReviewError::Malformed("the SubjectAccessReview has no status"))
    }
}

impl From<&AccessQuestion> for SubjectAccessReview {
    fn from(question: &AccessQuestion) -> Self {
        let said = |text: &String| (!text.is_empty()).then(|| text.clone());
        let AccessSubject { user, uid, groups, extra } = &*question.subject;
        let AccessAttributes { namespace, verb, group, resource, subresource, name } = &question.attributes;
        let attributes = ResourceAttributes {
            namespace: said(namespace),
            verb: said(verb),
            group: said(group),
            resource: said(resource),
            subresource: said(subresource),
            name: said(name),
            ..ResourceAttributes::default()
        };
        let spec = SubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            user: said(user),
            uid: said(uid),
            groups: (!groups.is_empty()).then(|| groups.clone()),
            extra: (!extra.is_empty()).then(|| extra.clone()),
            ..SubjectAccessReviewSpec::default()
        };
        Self { spec, ..Self::default() }
    }
}

impl From<SubjectAccessReviewStatus> for AccessAnswer {
    fn from(status: SubjectAccessReviewStatus) -> Self {
        Self { allowed: status.allowed, denied: status.denied.unwrap_or(false) }
    }
}

impl fmt::Debug for KubeReviews {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KubeReviews").field("kubeconfig", &self.kubeconfig).finish_non_exhaustive()
    }
}

impl From<TokenReviewStatus> for ReviewAnswer {
    fn from(status: TokenReviewStatus) -> Self {
        let user = status.user.unwrap_or_default();
        Self {
            authenticated: status.authenticated.unwrap_or(false),
            audiences: status.audiences.unwrap_or_default(),
            user: ReviewedUser {
                username: user.username.unwrap_or_default(),
                uid: user.uid.unwrap_or_default(),
                groups: user.groups.unwrap_or_default(),
                extra: user.extra.unwrap_or_default(),
            },
        }
    }
}

pub(super) async fn connect(kubeconfig: Option<&Path>, connect_timeout: Duration) -> Result<Connection, ClientError> {
    let config = match kubeconfig {
        Some(path) => read_kubeconfig(path).await?,
        None => Config::incluster().map_err(|error| ClientError::NotInCluster(describe(&error)))?,
    };
    if config.cluster_url.scheme_str() != Some("https") && !is_loopback(&config.cluster_url) {
        return Err(ClientError::Insecure(config.cluster_url.to_string()));
    }
    if config.accept_invalid_certs {
        return Err(ClientError::Unverified);
    }
    let client = client(&config, connect_timeout).map_err(|error| ClientError::Client(describe(&error)))?;
    Ok(Connection { client, auth: config.auth_info })
}

/// The client's stack without two layers of the usual one: the one that retries, since each retry would be a call
/// beside the bound on calls, and the one that logs every failed call as an error, since metrics and the records of the
/// checks tell that already.
fn client(config: &Config, connect_timeout: Duration) -> kube::Result<Client> {
    // Where the process has chosen its TLS implementation already, that one stays.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(connect_timeout));
    let connector = config.rustls_https_connector_with_connector(connector)?;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector));
    Ok(Client::new(service, config.default_namespace.as_str()))
}

/// Whether the address never leaves this machine (`kubectl proxy` serves such a one). A name proves nothing.
fn is_loopback(url: &http::Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn read_kubeconfig(path: &Path) -> Result<Config, ClientError> {
    let unusable = |reason| ClientError::Kubeconfig { path: path.to_owned(), reason };
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| unusable(describe(&error)))?;
    let names_a_proxy = |cluster: &kube::config::Cluster| cluster.proxy_url.as_ref().is_some_and(|url| !url.is_empty());
    if kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref()).any(names_a_proxy) {
        return Err(ClientError::Proxy);
    }
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|error| unusable(describe(&error)))?;
    // It is the environment's (HTTPS_PROXY): proxies come by configuration only.
    config.proxy_url = None;
    Ok(config)
}

fn refuse_failure(response: &Response<Body>) -> Result<(), ReviewError> {
    match response.status() {
        status if status.is_success() => Ok(()),
        StatusCode::UNAUTHORIZED => Err(ReviewError::Unauthenticated),
        StatusCode::FORBIDDEN => Err(ReviewError::Forbidden),
        StatusCode::NOT_FOUND => Err(ReviewError::NotFound),
        StatusCode::TOO_MANY_REQUESTS => {
            let seconds =
                response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let retry_after = seconds.map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
            Err(ReviewError::RateLimited { retry_after })
        }
        status if status.is_server_error() => Err(ReviewError::Unavailable(format!("status {status}"))),
        _ => Err(ReviewError::Malformed("its status is none that is expected")),
    }
}

/// An error with its causes. Neither the client nor the HTTP library puts a request's body or credentials into one.
pub(super) fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests;
