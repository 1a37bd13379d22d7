//! The provider's endpoints, asked as sign-ins ask them.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE},
};
use openidconnect::RedirectUrl;
use serde_json::Value;
use url::Url;

use super::report::Report;
use crate::{
    clock::Timestamp,
    logout::logout_request,
    oidc::{LoginAsk, authorization_url},
    origin::LoginOrigin,
    providers::{
        CallError, Endpoint, Known, ProviderConfig, ProviderHttp, Refused, StrictAsk, TokenEndpointError, for_log,
        form, refusal_of,
    },
    secret::{SecretString, encode, random_bytes, random_id},
};

/// How many redirects of a provider's are followed.
const MOST_REDIRECTS: usize = 6;

/// A provider's endpoints.
#[derive(Clone, Copy)]
pub(super) struct Probes<'a> {
    pub(super) config: &'a ProviderConfig,
    pub(super) known: &'a Known,
    pub(super) http: &'a ProviderHttp,
    pub(super) now: Timestamp,
}

impl Probes<'_> {
    /// The authorization request, as a browser brings it that the provider does not know.
    pub(super) async fn sign_in(&self, report: &mut Report, origin: &LoginOrigin) {
        let about = "sign-in";
        let redirect_uri = RedirectUrl::from_url(origin.redirect_uri.clone());
        let (verifier, nonce, state) = (made_up_verifier(), SecretString::new(random_id()), random_id());
        let ask = LoginAsk::nothing();
        let url = authorization_url(self.config, self.known, &verifier, &nonce, state, &redirect_uri, &ask);
        let (response, refused) = match self.walk(url).await {
            Ok(landed) => landed,
            Err(error) => return report.warning(about, not_from_here(&error)),
        };
        if let Some(refused) = refused {
            let setting = refused.setting().map_or_else(String::new, |setting| format!(": see {setting}"));
            return report.fault(about, format!("it refuses the request with {refused}{setting}"));
        }
        if response.status().is_client_error() {
            let text = format!(
                "status {}: people would see its error page: is the redirect URI {} registered there, for the client `{}`?",
                response.status().as_u16(),
                origin.redirect_uri,
                self.config.client_id
            );
            return report.fault(about, text);
        }
        report.fine(about, format!("it lets people of {} begin (status {})", origin.url, response.status().as_u16()));
    }

    /// The way to its `end_session_endpoint`, as a browser brings it that the provider does not know.
    pub(super) async fn sign_out(&self, report: &mut Report, origin: &LoginOrigin) {
        let about = "sign-out";
        let Some(endpoint) = self.known.endpoints.end_session.as_ref().filter(|_| self.config.logout.at_provider)
        else {
            return;
        };
        let state = self.config.logout.state.then(random_id);
        let url = logout_request(self.config, endpoint.url().clone(), origin, None, state);
        match self.walk(url).await {
            Err(error) => report.warning(about, not_from_here(&error)),
            Ok((response, _)) if response.status().is_client_error() => report.warning(
                about,
                format!(
                    "status {} without an ID token as hint: is {} registered as a post-logout redirect URI (as \
                     `{}`)? Otherwise people end on its error page",
                    response.status().as_u16(),
                    origin.post_logout_redirect_uri,
                    self.config.logout.redirect_parameter
                ),
            ),
            Ok((response, _)) => {
                report.fine(
                    about,
                    format!("it takes people of {} back (status {})", origin.url, response.status().as_u16()),
                );
            }
        }
    }

    /// The exchange of a code that nobody issued: whether it is the code that is refused, and not this client.
    pub(super) async fn code(&self, report: &mut Report, origin: &LoginOrigin) {
        let about = "client";
        let (code, verifier) = (random_id(), made_up_verifier());
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", origin.redirect_uri.as_str()),
            ("code_verifier", verifier.expose()),
        ];
        let response = match self.post(&self.known.token, &fields).await {
            Ok(response) => response,
            Err(error) => return report.fault(about, format!("the token endpoint: {error}")),
        };
        if response.status().is_success() {
            return report.fault(about, "the token endpoint took a code that nobody issued".to_owned());
        }
        match refusal_of(&response) {
            TokenEndpointError::Refused(refused) if refused.error == "invalid_grant" => {
                report.fine(about, "the token endpoint knows this client, and refused a made-up code".to_owned());
            }
            TokenEndpointError::Refused(refused) => match refused.setting() {
                Some(setting) => report.fault(about, format!("the token endpoint says {refused}: see {setting}")),
                None => report.warning(about, format!("to a made-up code the token endpoint says {refused}")),
            },
            error => {
                report.warning(about, format!("to a made-up code the token endpoint says nothing readable: {error}"));
            }
        }
    }

    /// Introspection of a token that nobody issued, where `strict` asks there.
    pub(super) async fn strict(&self, report: &mut Report) {
        let about = "strict";
        let asks = self.config.strict.is_some_and(|strict| strict.ask == StrictAsk::Introspection);
        let Some(endpoint) = self.known.endpoints.introspection.as_ref().filter(|_| asks) else { return };
        let token = random_id();
        match self.post(endpoint, &[("token", &token), ("token_type_hint", "access_token")]).await {
            Err(error) => report.fault(about, format!("the introspection endpoint: {error}")),
            Ok(response) if response.status() != StatusCode::OK => report.fault(
                about,
                format!(
                    "the introspection endpoint answers {}: this client may not ask there; see `strict.ask: userinfo`",
                    response.status().as_u16()
                ),
            ),
            Ok(response) => {
                let told: Value = serde_json::from_slice(response.body()).unwrap_or_default();
                if told.get("active") == Some(&Value::Bool(false)) {
                    report.fine(about, "introspection answers this client".to_owned());
                    report.note(
                        about,
                        "some (Keycloak) call every token inactive whose audience lacks this client: the first sign-in shows \
                         it in the log"
                            .to_owned(),
                    );
                } else {
                    report.fault(about, "introspection of a made-up token does not say `active: false`".to_owned());
                }
            }
        }
    }

    /// Where a browser lands that goes there: it follows the provider's redirects within the provider, with the cookies that
    /// it gets on its way, up to a page, an error, or somewhere else.
    async fn walk(&self, start: Url) -> Result<(Response<Bytes>, Option<Refused>), CallError> {
        let (mut here, mut cookies) = (start, BTreeMap::new());
        for _ in 0..MOST_REDIRECTS {
            let response = self.visit(&here, &cookies).await?;
            cookies.extend(cookies_of(&response));
            let Some(next) = redirect_of(&response, &here) else { return Ok((response, None)) };
            let refused = refused_in(&next);
            if refused.is_some() || next.origin() != here.origin() {
                return Ok((response, refused));
            }
            here = next;
        }
        Err(CallError::Unusable("it redirects without an end"))
    }

    async fn visit(&self, url: &Url, cookies: &BTreeMap<String, String>) -> Result<Response<Bytes>, CallError> {
        let uri: Uri = url.as_str().parse().map_err(|_| CallError::Unusable("an endpoint cannot be called"))?;
        let mut request = Request::new(Vec::new());
        *request.uri_mut() = uri;
        *request.method_mut() = Method::GET;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/html"));
        let cookies: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if let Some(cookies) = HeaderValue::try_from(cookies.join("; ")).ok().filter(|cookies| !cookies.is_empty()) {
            request.headers_mut().insert(COOKIE, cookies);
        }
        self.http.send_plain(request).await
    }

    async fn post(&self, endpoint: &Endpoint, fields: &[(&str, &str)]) -> Result<Response<Bytes>, CallError> {
        self.http.send_plain(form(self.config, &self.known.method, endpoint, fields, self.now)?).await
    }
}

/// A PKCE verifier (RFC 7636 section 4.1).
fn made_up_verifier() -> SecretString {
    SecretString::new(encode(&random_bytes::<32>()))
}

/// Where a redirect leads.
fn redirect_of(response: &Response<Bytes>, from: &Url) -> Option<Url> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    from.join(location).ok().filter(|_| response.status().is_redirection())
}

/// What a place says of an error: ours (RFC 6749 section 4.1.2.1), or a page of the provider's.
fn refused_in(place: &Url) -> Option<Refused> {
    let parameter = |wanted: &str| place.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let description = parameter("error_description");
    Some(Refused::new(&parameter("error")?, description.as_deref()))
}

/// The cookies of an answer, by their names alone: they go back to where they came from.
fn cookies_of(response: &Response<Bytes>) -> impl Iterator<Item = (String, String)> {
    response.headers().get_all(SET_COOKIE).iter().filter_map(|line| {
        let (name, value) = line.to_str().ok()?.split(';').next()?.split_once('=')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    })
}

fn not_from_here(error: &CallError) -> String {
    format!("it cannot be asked from here, and browsers may reach it all the same: {}", for_log(error))
}
