//! The token endpoint, as the library calls it. The library judges an answer as a whole; what must count whatever is
//! wrong with the rest is taken from it here.

use std::{
    mem,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use http::StatusCode;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use serde_json::{Map, Value};

use super::{
    http::{CallError, ProviderHttp, strict},
    told_times,
};
use crate::{jose, secret::SecretString};

/// The `id_token` of an answer. The library does not see it: it would read it too.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum ToldIdToken {
    #[default]
    None,
    Text(SecretString),
    /// It is no text.
    Unreadable,
}

/// What an answer says apart from what is judged as a whole. The tokens do not print.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The refresh token that works from now on (RFC 6749 section 6). It counts however unusable the rest is: the one
    /// that was brought may be spent.
    pub(crate) refresh_token: Option<SecretString>,
    /// How long the access token is good.
    pub(crate) expires_in: Option<Duration>,
    /// Who signed in.
    pub(crate) id_token: ToldIdToken,
}

/// A provider's token endpoint, for one call.
#[derive(Debug)]
pub(crate) struct TokenEndpoint<'a> {
    http: &'a ProviderHttp,
    told: Mutex<Told>,
}

impl<'a> TokenEndpoint<'a> {
    pub(crate) fn of(http: &'a ProviderHttp) -> Self {
        Self { http, told: Mutex::default() }
    }

    /// What the answer said.
    pub(crate) fn told(&self) -> Told {
        mem::take(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, CallError> {
        let response = self.http.send_plain(request).await?;
        if response.status() == StatusCode::OK {
            *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Told::read(response.body());
        }
        let mut response = strict(response)?;
        if let Some(mut object) = jose::parse_object(response.body()) {
            // Of the one, the library takes whole seconds alone, and refuses all of an answer that says it otherwise.
            let told_apart = [object.remove("expires_in"), object.remove("id_token")];
            if told_apart.iter().any(Option::is_some) {
                *response.body_mut() = Value::Object(object).to_string().into_bytes();
            }
        }
        Ok(response)
    }
}

impl Told {
    /// Read as leniently as can be: nobody is believed by it.
    fn read(body: &[u8]) -> Self {
        let object: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        let refresh_token = object.get("refresh_token").and_then(Value::as_str).filter(|token| !token.is_empty());
        Self {
            refresh_token: refresh_token.map(|token| SecretString::new(token.to_owned())),
            expires_in: object.get("expires_in").and_then(told_times::expires_in),
            id_token: match object.get("id_token") {
                None | Some(Value::Null) => ToldIdToken::None,
                Some(Value::String(token)) => ToldIdToken::Text(SecretString::new(token.clone())),
                Some(_) => ToldIdToken::Unreadable,
            },
        }
    }
}

impl<'c> AsyncHttpClient<'c> for TokenEndpoint<'_> {
    type Error = CallError;
    type Future = BoxFuture<'c, Result<HttpResponse, CallError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}
