//! The token endpoint (RFC 6749 section 5). What decides of an answer is read strictly; what must count whatever is wrong
//! with the rest is taken from it first; what decides nothing is not looked at.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value};
use thiserror::Error;

use super::{
    answers::Answer,
    client_request::form,
    discovery::Known,
    http::{CallError, ProviderHttp, may_be_json},
    oddities::Oddities,
    provider::Provider,
    refused::Refused,
    told_times,
    troubles::{ProviderCall, Trouble},
};
use crate::{clock::Timestamp, jose, secret::SecretString};

/// The `id_token` of an answer.
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

/// An access token (RFC 6749 section 5.1).
#[derive(Debug)]
pub(crate) struct AccessToken {
    /// The token.
    pub(crate) token: SecretString,
    /// Whether it is a bearer's (RFC 6750), so that userinfo can be asked with it.
    pub(crate) is_bearer: bool,
}

/// Why the token endpoint issued nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum TokenEndpointError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("{0}")]
    Refused(Refused),
    #[error("{0}")]
    Answer(String),
}

impl TokenEndpointError {
    /// What is wrong for everybody. A grant that is refused is an answer about one person; and what else is said of a
    /// code, which anybody may have made up, its own sign-in tells.
    pub(crate) fn trouble(&self, call: ProviderCall) -> Option<Trouble> {
        match self {
            Self::Call(error) => Some(error.trouble()),
            Self::Refused(refused) if refused.error == "invalid_grant" => None,
            // Some clients may sign people in and revoke nothing.
            Self::Refused(refused) if call == ProviderCall::Revocation && refused.error != "invalid_client" => {
                Some(Trouble::Unusable(refused.to_string()))
            }
            Self::Refused(refused) if refused.setting().is_some() => Some(Trouble::Refused(refused.clone())),
            Self::Refused(_) | Self::Answer(_) if call == ProviderCall::SignIn => None,
            Self::Refused(refused) => Some(Trouble::Unusable(refused.to_string())),
            Self::Answer(text) => Some(Trouble::Unusable(text.clone())),
        }
    }
}

/// Asks a provider's token endpoint. What its answer told counts beside what is judged of it.
pub(crate) async fn ask(
    provider: &Provider,
    known: &Known,
    call: ProviderCall,
    fields: &[(&str, &str)],
    now: Timestamp,
) -> (Told, Result<AccessToken, TokenEndpointError>) {
    let mut told = Told::default();
    let asked = async {
        let response = send(provider, known, fields, now).await?;
        told = Told::read(&response);
        read(&response, &provider.oddities)
    };
    let trouble = |error: &TokenEndpointError| error.trouble(call);
    let issued = provider.troubles.noted(call, &known.token, asked, trouble).await;
    (told, issued)
}

async fn send(
    provider: &Provider,
    known: &Known,
    fields: &[(&str, &str)],
    now: Timestamp,
) -> Result<Response<Bytes>, CallError> {
    let http: &ProviderHttp = provider.discovery.http();
    http.send_plain(form(&provider.config, &known.method, &known.token, fields, now)?).await
}

impl Told {
    /// Read as leniently as can be: nobody is believed by it.
    fn read(response: &Response<Bytes>) -> Self {
        if response.status() != StatusCode::OK {
            return Self::default();
        }
        let object: Map<String, Value> = serde_json::from_slice(response.body()).unwrap_or_default();
        Self {
            refresh_token: text(&object, "refresh_token").map(|token| SecretString::new(token.to_owned())),
            expires_in: object.get("expires_in").and_then(told_times::expires_in),
            id_token: match object.get("id_token") {
                None | Some(Value::Null) => ToldIdToken::None,
                Some(Value::String(token)) => ToldIdToken::Text(SecretString::new(token.clone())),
                Some(_) => ToldIdToken::Unreadable,
            },
        }
    }
}

fn read(response: &Response<Bytes>, oddities: &Oddities) -> Result<AccessToken, TokenEndpointError> {
    let answer = |text: &str| TokenEndpointError::Answer(text.to_owned());
    if response.status() != StatusCode::OK {
        return Err(refusal_of(response));
    }
    if !may_be_json(response) {
        return Err(answer("it is not said to be JSON"));
    }
    // Two readers of a name that occurs twice take two values.
    let object = jose::parse_object(response.body()).ok_or_else(|| answer("it is no strict JSON object"))?;
    Answer::Token.note_odd(&object, oddities);
    if let (None, Some(error)) = (text(&object, "access_token"), text(&object, "error")) {
        // Some providers refuse with the status 200.
        let refused = Refused::new(error, text(&object, "error_description"));
        return Err(TokenEndpointError::Answer(refused.to_string()));
    }
    let token = text(&object, "access_token").ok_or_else(|| answer("it cannot be read at `access_token`"))?;
    let kind = text(&object, "token_type").ok_or_else(|| answer("it cannot be read at `token_type`"))?;
    Ok(AccessToken { token: SecretString::new(token.to_owned()), is_bearer: kind.eq_ignore_ascii_case("bearer") })
}

/// What an answer that issues nothing says (RFC 6749 section 5.2).
pub(crate) fn refusal_of(response: &Response<Bytes>) -> TokenEndpointError {
    let object: Map<String, Value> = serde_json::from_slice(response.body()).unwrap_or_default();
    match text(&object, "error") {
        Some(error) => TokenEndpointError::Refused(Refused::new(error, text(&object, "error_description"))),
        None => TokenEndpointError::Answer(format!("status {}", response.status().as_u16())),
    }
}

/// The member of this name, where it is a text and not the empty one.
fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}
