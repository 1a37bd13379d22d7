//! Calls to the check service over gRPC, for what Envoy never sends.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use envoy_types::ext_authz::v3::pb::{CheckRequest, CheckResponse, HeaderValue, HeaderValueOption, HttpResponse};
use envoy_types::pb::envoy::config::core::v3::HeaderMap;
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::envoy::{CheckAddress, CheckTls};
use crate::wire::{HeaderLines, text};

/// A connection to a check listener.
#[derive(Debug, Clone)]
pub struct CheckClient {
    channel: Channel,
}

impl CheckClient {
    /// Connects in clear text.
    pub async fn connect(address: &CheckAddress) -> Result<Self> {
        let endpoint = match address {
            CheckAddress::Tcp(address) => Endpoint::from_shared(format!("http://{address}"))?,
            CheckAddress::Unix(path) => {
                let path = path.to_str().context("the socket's path is text")?;
                Endpoint::from_shared(format!("unix:{path}"))?
            }
        };
        Self::open(endpoint).await
    }

    /// Connects by TLS.
    pub async fn connect_tls(address: std::net::SocketAddr, tls: &CheckTls) -> Result<Self> {
        crate::http::install_crypto();
        let mut config =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&tls.authority)).domain_name(&tls.server_name);
        if let Some(identity) = &tls.identity {
            let identity = tonic::transport::Identity::from_pem(&identity.certificate, &identity.key);
            config = config.identity(identity);
        }
        let endpoint = Endpoint::from_shared(format!("https://{address}"))?.tls_config(config)?;
        Self::open(endpoint).await
    }

    async fn open(endpoint: Endpoint) -> Result<Self> {
        let endpoint = endpoint.connect_timeout(Duration::from_secs(10)).timeout(Duration::from_secs(30));
        let channel = endpoint.connect().await?;
        Ok(Self { channel })
    }

    /// One call of `Check`, with the answer as it came.
    pub async fn call(&self, request: CheckRequest) -> Result<CheckResponse, Status> {
        let answer = self.call_in_a_flood(request).await?;
        crate::evidence::check_answer(&answer);
        Ok(answer)
    }

    /// Like [`CheckClient::call`], but the answer is not kept for the search for secrets: floods bring too many.
    pub async fn call_in_a_flood(&self, request: CheckRequest) -> Result<CheckResponse, Status> {
        let mut client = AuthorizationClient::new(self.channel.clone());
        Ok(client.check(request).await?.into_inner())
    }

    /// One call of `Check`, with the answer as Envoy would understand it.
    pub async fn check(&self, request: CheckRequest) -> Result<Answer> {
        Answer::read(self.call(request).await?)
    }

    /// What `grpc.health.v1` says of a service; an empty name asks about the whole server.
    pub async fn health(&self, service: &str) -> Result<ServingStatus, Status> {
        let request = HealthCheckRequest { service: service.to_owned() };
        let mut client = HealthClient::new(self.channel.clone());
        let answer = client.check(request).await?.into_inner();
        Ok(answer.status())
    }
}

/// How a check names the headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `headers`: one text per name, duplicates joined with a comma. What Envoy does by default.
    Map,
    /// `header_map`: every line with its bytes. What Envoy does with `encode_raw_headers`.
    Raw,
}

/// A `CheckRequest`, as Envoy would make it unless told otherwise.
#[derive(Debug, Clone)]
pub struct Check {
    encoding: Encoding,
    method: String,
    host: String,
    path: String,
    scheme: String,
    protocol: String,
    principal: String,
    lines: Vec<(String, Vec<u8>)>,
}

impl Check {
    /// `GET path` for a host, with the usual pseudo-headers.
    #[must_use]
    pub fn get(host: &str, path: &str) -> Self {
        Self::new("GET", host, path)
    }

    /// Any method.
    #[must_use]
    pub fn new(method: &str, host: &str, path: &str) -> Self {
        Self {
            encoding: Encoding::Map,
            method: method.to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            scheme: "http".to_owned(),
            protocol: "HTTP/1.1".to_owned(),
            principal: String::new(),
            lines: Vec::new(),
        }
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        crate::evidence::sent(name, &String::from_utf8_lossy(value.as_ref()));
        self.lines.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Adds what a browser sends with a navigation.
    #[must_use]
    pub fn navigation(self) -> Self {
        self.header("accept", "text/html")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header("sec-fetch-site", "none")
    }

    /// Chooses the encoding of the headers.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Sets `source.principal`.
    #[must_use]
    pub fn principal(mut self, principal: &str) -> Self {
        principal.clone_into(&mut self.principal);
        self
    }

    /// Sets the scheme that the client claimed.
    #[must_use]
    pub fn scheme(mut self, scheme: &str) -> Self {
        scheme.clone_into(&mut self.scheme);
        self
    }

    /// The message.
    #[must_use]
    pub fn build(&self) -> CheckRequest {
        let pseudo =
            [(":method", &self.method), (":path", &self.path), (":authority", &self.host), (":scheme", &self.scheme)];
        let pseudo = pseudo.map(|(name, value)| (name.to_owned(), value.clone().into_bytes()));
        let lines = pseudo.into_iter().chain(self.lines.iter().cloned());
        let (headers, header_map) = match self.encoding {
            Encoding::Map => (joined(lines), None),
            Encoding::Raw => (HashMap::new(), Some(raw(lines))),
        };
        let http = HttpRequest {
            id: "1".to_owned(),
            method: self.method.clone(),
            headers,
            header_map,
            path: self.path.clone(),
            host: self.host.clone(),
            scheme: self.scheme.clone(),
            protocol: self.protocol.clone(),
            ..HttpRequest::default()
        };
        let source = Peer { principal: self.principal.clone(), ..Peer::default() };
        CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(source),
                request: Some(Request { http: Some(http), ..Request::default() }),
                ..AttributeContext::default()
            }),
        }
    }
}

/// As Envoy does it: lower-case names, a comma between duplicates, `!` for a byte that is not UTF-8.
fn joined(lines: impl Iterator<Item = (String, Vec<u8>)>) -> HashMap<String, String> {
    let mut map: HashMap<String, String> = HashMap::new();
    for (name, value) in lines {
        let mut readable = String::new();
        for chunk in value.utf8_chunks() {
            readable.push_str(chunk.valid());
            readable.extend(chunk.invalid().iter().map(|_| '!'));
        }
        map.entry(name.to_ascii_lowercase())
            .and_modify(|known| {
                known.push(',');
                known.push_str(&readable);
            })
            .or_insert(readable);
    }
    map
}

fn raw(lines: impl Iterator<Item = (String, Vec<u8>)>) -> HeaderMap {
    let header = |(name, value): (String, Vec<u8>)| HeaderValue {
        key: name.to_ascii_lowercase(),
        raw_value: value,
        ..HeaderValue::default()
    };
    HeaderMap { headers: lines.map(header).collect() }
}

/// A check's answer, as Envoy understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The request may pass.
    Allow {
        /// Request headers to set.
        set: HeaderLines,
        /// Request headers to remove.
        remove: Vec<String>,
        /// Headers to add to the upstream's answer.
        response: HeaderLines,
    },
    /// The caller gets this instead.
    Deny {
        /// The HTTP status.
        status: i32,
        /// Its headers.
        headers: HeaderLines,
        /// Its body.
        body: String,
    },
}

impl Answer {
    /// Reads an answer. Fails where it says nothing, which Envoy takes for a permission.
    pub fn read(answer: CheckResponse) -> Result<Self> {
        let code = answer.status.context("an answer without a status")?.code;
        match answer.http_response.context("an answer without a decision")? {
            HttpResponse::OkResponse(ok) => {
                ensure!(code == 0, "an allow with status {code}");
                Ok(Self::Allow {
                    set: lines(&ok.headers)?,
                    remove: ok.headers_to_remove,
                    response: lines(&ok.response_headers_to_add)?,
                })
            }
            HttpResponse::DeniedResponse(denied) => {
                ensure!(code != 0, "a denial with status 0, which Envoy takes for a permission");
                Ok(Self::Deny {
                    status: denied.status.context("a denial without a status")?.code,
                    headers: lines(&denied.headers)?,
                    body: denied.body,
                })
            }
            other @ HttpResponse::ErrorResponse(_) => bail!("an unexpected answer: {other:?}"),
        }
    }

    /// The HTTP status that the caller gets; 200 for a permission.
    #[must_use]
    pub fn status(&self) -> i32 {
        match self {
            Self::Allow { .. } => 200,
            Self::Deny { status, .. } => *status,
        }
    }

    /// Whether the request may pass.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow { .. })
    }

    /// The reason that a refusal's page or problem document tells.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let Self::Deny { body, .. } = self else { return None };
        reason_of(body)
    }

    /// The values of a header that the caller gets.
    #[must_use]
    pub fn told(&self, name: &str) -> Vec<&str> {
        match self {
            Self::Allow { response: lines, .. } | Self::Deny { headers: lines, .. } => lines.all(name),
        }
    }

    /// The values of a header that the service behind gets from us.
    #[must_use]
    pub fn passed(&self, name: &str) -> Vec<&str> {
        match self {
            Self::Allow { set, .. } => set.all(name),
            Self::Deny { .. } => Vec::new(),
        }
    }
}

/// The reason that a refusal's problem document or page tells.
#[must_use]
pub fn reason_of(body: &str) -> Option<String> {
    if let Ok(problem) = serde_json::from_str::<serde_json::Value>(body) {
        return Some(problem["reason"].as_str()?.to_owned());
    }
    let (_, code) = body.split_once("<dt>Reason</dt><dd><code translate=\"no\">")?;
    Some(code.split_once('<')?.0.to_owned())
}

/// The header lines; fails where one is encoded so that some gateway would misread it.
fn lines(options: &[HeaderValueOption]) -> Result<HeaderLines> {
    let mut lines = HeaderLines::default();
    for option in options {
        let header = option.header.as_ref().context("a header without content")?;
        ensure!(header.raw_value.is_empty(), "raw_value alone is empty at Envoy");
        lines.0.push((header.key.clone(), text(header.value.as_bytes())));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings_say_the_same_as_envoy_does() {
        let check = Check::get("h.test", "/p").header("X-A", "1").header("x-a", b"\xff");
        let request = check.build().attributes.unwrap().request.unwrap();
        let http = request.http.unwrap();
        assert_eq!(http.headers["x-a"], "1,!");
        assert_eq!(http.headers[":path"], "/p");

        let request = check.encoding(Encoding::Raw).build().attributes.unwrap();
        let http = request.request.unwrap().http.unwrap();
        assert!(http.headers.is_empty());
        let raw = http.header_map.unwrap().headers;
        assert_eq!(raw.len(), 6);
        assert_eq!(raw[5].raw_value, b"\xff");
    }

    #[test]
    fn an_empty_answer_is_not_taken_for_a_decision() {
        assert!(Answer::read(CheckResponse::default()).is_err());
    }
}
