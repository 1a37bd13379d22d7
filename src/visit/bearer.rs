//! The bearer token of a request, by what it says of itself.

use crate::{
    jose::{self, TokenError},
    request::Authorization,
};

/// What the `authorization` header holds of a bearer token. Nothing of it is verified: it decides who judges the token,
/// never what the judgement is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// There is none.
    None,
    /// Several values, a bearer among them.
    Ambiguous,
    /// No JWT: the application's own.
    NotJwt,
    /// It looks like a JWT, and two readers could take two issuers of it.
    Malformed,
    /// A JWT of this issuer, where it names one.
    Jwt {
        /// The `iss` claim (RFC 7519 section 4.1.1).
        issuer: Option<String>,
    },
}

impl Bearer {
    pub(super) fn of(authorization: Authorization<'_>) -> Self {
        let token = match authorization {
            Authorization::Absent | Authorization::Other => return Self::None,
            Authorization::Ambiguous => return Self::Ambiguous,
            Authorization::Bearer(token) => token.expose(),
        };
        match jose::stated_issuer(token) {
            Ok(issuer) => Self::Jwt { issuer },
            Err(TokenError::NotJwt | TokenError::Encrypted) => Self::NotJwt,
            Err(_) => Self::Malformed,
        }
    }
}
