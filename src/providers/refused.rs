//! What a provider says when it refuses (RFC 6749 sections 4.1.2.1 and 5.2).

use std::fmt;

use super::outside_text::for_log;

/// The provider's refusal, in its own words, fit for a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// `error`.
    pub(crate) error: String,
    /// `error_description`.
    pub(crate) description: Option<String>,
}

impl Refused {
    /// Of what the provider says.
    pub(crate) fn new(error: &str, description: Option<&str>) -> Self {
        Self { error: for_log(&error), description: description.map(|text| for_log(&text)) }
    }

    /// Whether it is about the refresh token that was brought, in words for which RFC 6749 has `invalid_grant`: a request
    /// of ours is well formed, so `invalid_request` is about what it holds (Dex, Zitadel); the others want the person back
    /// (Entra ID).
    pub(crate) fn is_of_the_token(&self) -> bool {
        matches!(
            self.error.as_str(),
            "invalid_request" | "access_denied" | "interaction_required" | "login_required" | "consent_required"
        )
    }

    /// The setting that this is about, where trying again changes nothing for anybody.
    pub(crate) fn setting(&self) -> Option<&'static str> {
        match self.error.as_str() {
            "invalid_client" => {
                Some("`client_secret` (or `client_key`, `client_assertion_file`) or `client_authentication`")
            }
            // Also what Keycloak says of another secret.
            "unauthorized_client" => Some("`client_secret`, `client_id`, or what this client may do at the provider"),
            "invalid_scope" => Some("`scopes`"),
            "unsupported_response_type" | "unsupported_grant_type" => Some("what this client may do at the provider"),
            "invalid_target" => Some("`authorization_parameters`"),
            _ => None,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "error `{}`", self.error)?;
        match &self.description {
            Some(description) => write!(formatter, ": {description}"),
            None => Ok(()),
        }
    }
}
