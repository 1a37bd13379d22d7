//! HTTP/2 by the h2 crate: any fields, any trailers, any pseudo-header that is a URI's part.

use anyhow::{Context, Result};
use bytes::Bytes;
use h2::ext::Protocol;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::{Response, Target, in_time};
use crate::upstream::http2::{lines, read_body};

/// A request, to be changed at will before it is sent.
#[derive(Debug, Clone)]
pub struct Request {
    /// `:method`.
    pub method: String,
    /// `:scheme`.
    pub scheme: String,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: String,
    /// `:protocol` of an extended CONNECT (RFC 8441).
    pub protocol: Option<&'static str>,
    /// Header fields; names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; none is sent where it is empty.
    pub body: Vec<u8>,
    /// Trailer fields.
    pub trailers: Vec<(String, Vec<u8>)>,
}

impl Request {
    /// `GET path` for a host, with scheme `http`.
    #[must_use]
    pub fn get(authority: &str, path: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            scheme: "http".to_owned(),
            authority: authority.to_owned(),
            path: path.to_owned(),
            protocol: None,
            headers: Vec::new(),
            body: Vec::new(),
            trailers: Vec::new(),
        }
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Adds a trailer field.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.trailers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    fn head(&self) -> Result<http::Request<()>> {
        let uri = Uri::builder()
            .scheme(self.scheme.as_str())
            .authority(self.authority.as_str())
            .path_and_query(self.path.as_str())
            .build()
            .with_context(|| format!("the h2 crate cannot send {self:?}"))?;
        let mut head = http::Request::new(());
        *head.method_mut() = Method::from_bytes(self.method.as_bytes())?;
        *head.uri_mut() = uri;
        *head.headers_mut() = map(&self.headers)?;
        if let Some(protocol) = self.protocol {
            head.extensions_mut().insert(Protocol::from_static(protocol));
        }
        Ok(head)
    }
}

/// Sends one request on a connection of its own and reads the answer.
pub async fn exchange(target: &Target, request: &Request) -> Result<Response> {
    in_time(async {
        let stream = target.connect(b"h2").await?;
        let (mut sender, connection) = h2::client::handshake(stream).await?;
        let driver = tokio::spawn(connection);
        sender = sender.ready().await?;
        let response = send(&mut sender, request).await;
        driver.abort();
        response
    })
    .await
}

async fn send(sender: &mut h2::client::SendRequest<Bytes>, request: &Request) -> Result<Response> {
    let has_body = !request.body.is_empty();
    let has_trailers = !request.trailers.is_empty();
    let (answer, mut stream) = sender.send_request(request.head()?, !has_body && !has_trailers)?;
    if has_body || has_trailers {
        stream.send_data(request.body.clone().into(), !has_trailers)?;
    }
    if has_trailers {
        stream.send_trailers(map(&request.trailers)?)?;
    }
    let (head, mut incoming) = answer.await?.into_parts();
    let body = read_body(&mut incoming).await?;
    let trailers = incoming.trailers().await?.unwrap_or_default();
    Ok(Response { status: head.status.as_u16(), headers: lines(&head.headers), body, trailers: lines(&trailers) })
}

fn map(fields: &[(String, Vec<u8>)]) -> Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_bytes(value)?);
    }
    Ok(map)
}
