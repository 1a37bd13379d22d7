//! Requests that we make as the provider's client, where the library has none that serve.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderValue, Method, Request, header};
use openidconnect::AuthType;
use url::form_urlencoded;

use super::{config::ProviderConfig, endpoint::Endpoint};

/// A POST of `fields` in which we authenticate as the client (RFC 6749 section 2.3.1); a public client only names
/// itself.
pub(crate) fn form(
    config: &ProviderConfig,
    by: &AuthType,
    endpoint: &Endpoint,
    fields: &[(&str, &str)],
) -> Request<Vec<u8>> {
    let secret = config.client_secret.as_ref();
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    let mut basic = None;
    match secret {
        Some(secret) if matches!(by, AuthType::BasicAuth) => {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encode(&config.client_id), encode(secret.expose()));
            basic = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair))).ok();
        }
        Some(secret) => {
            body.append_pair("client_id", &config.client_id).append_pair("client_secret", secret.expose());
        }
        None => {
            body.append_pair("client_id", &config.client_id);
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
    request
}
