//! Requests that we make as the provider's client (RFC 6749 section 2.3.1, RFC 7523).

use std::path::Path;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderValue, Method, Request, header};
use serde::Serialize;
use url::form_urlencoded;

use super::{
    authentication::{ClientAuthentication, KnownMethod, SecretMethod},
    config::ProviderConfig,
    endpoint::Endpoint,
    http::CallError,
};
use crate::{
    clock::Timestamp,
    jose::MAX_TOKEN_BYTES,
    secret::{SecretString, random_id},
};

/// How long an assertion of ours is good, in seconds.
const ASSERTION_LIFETIME: u64 = 60;
/// RFC 7523 section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The claims of an assertion of ours (OpenID Connect Core section 9).
#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    jti: String,
}

/// A POST of `fields` in which we authenticate as the client (RFC 6749 section 2.3.1); a public client only names
/// itself.
///
/// # Errors
/// Where there is nothing to authenticate with.
pub(crate) fn form(
    config: &ProviderConfig,
    by: &KnownMethod,
    endpoint: &Endpoint,
    fields: &[(&str, &str)],
    now: Timestamp,
) -> Result<Request<Vec<u8>>, CallError> {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    let mut basic = None;
    match &config.authentication {
        ClientAuthentication::Secret { secret, .. } if by.secret == SecretMethod::Basic => {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encode(&config.client_id), encode(secret.expose()));
            basic = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair))).ok();
        }
        ClientAuthentication::Secret { secret, .. } => {
            body.append_pair("client_id", &config.client_id).append_pair("client_secret", secret.expose());
        }
        ClientAuthentication::None => {
            body.append_pair("client_id", &config.client_id);
        }
        ClientAuthentication::PrivateKey(key) => {
            let (client, now) = (config.client_id.as_str(), now.as_unix_seconds());
            let (exp, jti) = (now.saturating_add(ASSERTION_LIFETIME), random_id());
            let claims = Assertion { iss: client, sub: client, aud: &by.audience, iat: now, exp, jti };
            let assertion = key.sign(&claims).map_err(|_| CallError::NotSetUp("our `client_key` cannot sign"))?;
            append_assertion(&mut body, client, &assertion);
        }
        ClientAuthentication::AssertionFile(path) => {
            let assertion = read_assertion(path)?;
            append_assertion(&mut body, &config.client_id, &assertion);
        }
    }
    let mut request = Request::new(body.finish().into_bytes());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = endpoint.uri().clone();
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(mut basic) = basic {
        basic.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, basic);
    }
    Ok(request)
}

fn append_assertion(body: &mut form_urlencoded::Serializer<'_, String>, client_id: &str, assertion: &SecretString) {
    body.append_pair("client_id", client_id)
        .append_pair("client_assertion_type", ASSERTION_TYPE)
        .append_pair("client_assertion", assertion.expose());
}

/// A token that is replaced from time to time, as it is now.
fn read_assertion(path: &Path) -> Result<SecretString, CallError> {
    let unusable = CallError::NotSetUp("the file of `client_assertion_file` holds no token that can be read");
    let text = std::fs::read_to_string(path).map_err(|_| unusable.clone())?;
    let text = text.trim_ascii();
    let is_token = (1..=MAX_TOKEN_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_token { Ok(SecretString::new(text.to_owned())) } else { Err(unusable) }
}
