//! A token as it came: read strictly, and not believed.

use std::sync::Arc;

use serde_json::{Map, Value};
use thiserror::Error;

use super::{algorithm::Algorithm, json};
use crate::{clock::Timestamp, reason::Reason, secret};

/// The longest token that is decoded, in bytes, of those that anybody may have sent.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// The longest token that is decoded of those that an issuer's own endpoint gave to us, over TLS: directories tell hundreds
/// of groups.
const MAX_ISSUED_TOKEN_BYTES: usize = 256 * 1024;
/// The longest `kid` that is read, in bytes.
pub(super) const MAX_KEY_ID_BYTES: usize = 256;
/// The last second that a date may name (the year 9999): what lies beyond is a mistake or an attack.
const MAX_NUMERIC_DATE: u64 = 253_402_300_799;

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum TokenError {
    /// It is no JWT at all: some other kind of credential.
    #[error("not a JWT")]
    NotJwt,
    /// It is encrypted (JWE, RFC 7516), and so not for us.
    #[error("an encrypted token")]
    Encrypted,
    /// It is longer than this bound, in bytes.
    #[error("longer than {} KiB", .0 / 1024)]
    TooLarge(usize),
    /// This part of it is not as RFC 7515 and RFC 7519 want it.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// Its header asks for this extension, which is not supported (RFC 7515 section 4.1.11, RFC 7797), or says that it
    /// holds something else than claims (`cty`, RFC 7519 section 5.2).
    #[error("the header holds `{0}`")]
    UnsupportedHeader(&'static str),
    /// Its algorithm is not one that the issuer may use, or does not fit the key.
    #[error("the signature algorithm is not accepted")]
    Algorithm,
    /// The issuer has no such key, or more than one that it could mean.
    #[error("the issuer has no such key")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the signature does not verify")]
    Signature,
    /// Another issuer's token.
    #[error("another issuer's token")]
    Issuer,
    /// It is meant for somebody else (`aud`).
    #[error("meant for another audience")]
    Audience,
    /// It was issued to another client (`azp`), or does not say to which.
    #[error("issued to another client")]
    AuthorizedParty,
    /// It is another kind of token (`typ`).
    #[error("another type of token")]
    Type,
    /// It does not say when it ends.
    #[error("no expiry")]
    NoExpiry,
    /// It has expired.
    #[error("expired")]
    Expired,
    /// It is not valid yet, or says that it was issued in the future.
    #[error("not valid yet")]
    NotYetValid,
}

impl TokenError {
    /// Whether newer keys of the issuer may verify what these did not: a key may be new, or another one under its old
    /// name.
    #[must_use]
    pub const fn newer_keys_may_help(self) -> bool {
        matches!(self, Self::UnknownKey | Self::Signature | Self::Algorithm)
    }

    /// What a decision says about it.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::NotJwt | Self::Encrypted => Reason::BearerNotJwt,
            Self::TooLarge(_) | Self::Malformed(_) | Self::UnsupportedHeader(_) | Self::Type | Self::NoExpiry => {
                Reason::TokenMalformed
            }
            Self::Algorithm | Self::UnknownKey | Self::Signature => Reason::TokenSignature,
            Self::Issuer => Reason::BearerIssuerUnknown,
            Self::Audience | Self::AuthorizedParty => Reason::TokenAudience,
            Self::Expired => Reason::TokenExpired,
            Self::NotYetValid => Reason::TokenNotYetValid,
        }
    }
}

/// What a token says. Whether it may be believed depends on who holds it: an [`UnverifiedToken`] or a
/// [`VerifiedToken`](super::VerifiedToken).
pub(super) struct Token {
    pub(super) text: String,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) algorithm_name: String,
    pub(super) key_id: Option<String>,
    pub(super) typ: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) audiences: Vec<String>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) issued_at: Option<Timestamp>,
    pub(super) jti: Option<String>,
    pub(super) claims: Map<String, Value>,
}

impl Token {
    /// Header, dot and claims, as they were signed (RFC 7515 section 5.1), and the signature, in base64url.
    pub(super) fn signed_and_signature(&self) -> (&str, &str) {
        self.text.rsplit_once('.').unwrap_or_default()
    }
}

macro_rules! claims_of {
    ($type:ty) => {
        impl $type {
            /// The token itself. It is a credential: whoever calls this answers for where it goes.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0.text
            }

            /// The algorithm that the header names; nothing where it is none that could be accepted.
            #[must_use]
            pub fn algorithm(&self) -> Option<Algorithm> {
                self.0.algorithm
            }

            /// The algorithm that the header names, as it names it.
            #[must_use]
            pub fn algorithm_name(&self) -> &str {
                &self.0.algorithm_name
            }

            /// The key that the header names (`kid`): at most 256 bytes of visible ASCII.
            #[must_use]
            pub fn key_id(&self) -> Option<&str> {
                self.0.key_id.as_deref()
            }

            /// The type that the header names (`typ`).
            #[must_use]
            pub fn token_type(&self) -> Option<&str> {
                self.0.typ.as_deref()
            }

            /// `iss`.
            #[must_use]
            pub fn issuer(&self) -> Option<&str> {
                self.0.issuer.as_deref()
            }

            /// `sub`.
            #[must_use]
            pub fn subject(&self) -> Option<&str> {
                self.0.subject.as_deref()
            }

            /// `aud`, as a list also where it came as one string; empty where there is none.
            #[must_use]
            pub fn audiences(&self) -> &[String] {
                &self.0.audiences
            }

            /// `exp`.
            #[must_use]
            pub fn expires_at(&self) -> Option<Timestamp> {
                self.0.expires_at
            }

            /// `nbf`.
            #[must_use]
            pub fn not_before(&self) -> Option<Timestamp> {
                self.0.not_before
            }

            /// `iat`.
            #[must_use]
            pub fn issued_at(&self) -> Option<Timestamp> {
                self.0.issued_at
            }

            /// `jti`.
            #[must_use]
            pub fn token_id(&self) -> Option<&str> {
                self.0.jti.as_deref()
            }

            /// The claim of this name.
            #[must_use]
            pub fn claim(&self, name: &str) -> Option<&serde_json::Value> {
                self.0.claims.get(name)
            }

            /// Every claim.
            #[must_use]
            pub fn claims(&self) -> &serde_json::Map<String, serde_json::Value> {
                &self.0.claims
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(concat!(stringify!($type), " [redacted]"))
            }
        }
    };
}
pub(super) use claims_of;

/// A token that nobody has verified: good for choosing who shall judge it, and for refusing it.
#[derive(Clone)]
pub struct UnverifiedToken(pub(super) Arc<Token>);

claims_of!(UnverifiedToken);

/// Reads a token in JWS compact form (RFC 7515 section 3.1) strictly, without believing it.
///
/// `jku`, `jwk`, `x5u` and `x5c` in the header are not looked at: a token does not choose its own key.
///
/// # Errors
/// [`TokenError::NotJwt`] and [`TokenError::Encrypted`] for what is some other credential; any other error is about a
/// JWT that nobody should accept.
pub fn peek(text: &str) -> Result<UnverifiedToken, TokenError> {
    read(text, MAX_TOKEN_BYTES, |claims| string(claims, "jti"))
}

/// Reads a token as [`peek`], of those that an issuer's own endpoint gave to us over TLS: up to 256 KiB. Its `jti` decides
/// nothing, and so counts as not told where it is no text.
///
/// # Errors
/// As [`peek`].
pub fn peek_issued(text: &str) -> Result<UnverifiedToken, TokenError> {
    read(text, MAX_ISSUED_TOKEN_BYTES, |claims| Ok(string(claims, "jti").unwrap_or_default()))
}

fn read(
    text: &str,
    most_bytes: usize,
    token_id: impl Fn(&Map<String, Value>) -> Result<Option<String>, TokenError>,
) -> Result<UnverifiedToken, TokenError> {
    if text.len() > most_bytes {
        return Err(TokenError::TooLarge(most_bytes));
    }
    let parts = Parts::split(text)?;
    let header = Header::read(parts.header)?;
    let claims = secret::decode(parts.claims)
        .and_then(|json| json::parse_object(&json))
        .ok_or(TokenError::Malformed("claims"))?;
    // The empty signature of an unsigned token is let pass here: its algorithm is not.
    secret::decode(parts.signature).ok_or(TokenError::Malformed("signature"))?;
    Ok(UnverifiedToken(Arc::new(Token {
        text: text.to_owned(),
        algorithm: Algorithm::from_name(&header.algorithm_name),
        algorithm_name: header.algorithm_name,
        key_id: header.key_id,
        typ: header.typ,
        issuer: string(&claims, "iss")?,
        subject: string(&claims, "sub")?,
        audiences: audiences(&claims)?,
        expires_at: numeric_date(&claims, "exp")?,
        not_before: numeric_date(&claims, "nbf")?,
        issued_at: numeric_date(&claims, "iat")?,
        jti: token_id(&claims)?,
        claims,
    })))
}

pub(super) struct Parts<'a> {
    pub(super) header: &'a str,
    pub(super) claims: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    pub(super) fn split(text: &'a str) -> Result<Self, TokenError> {
        let mut parts = text.split('.');
        let (header, claims, signature) = (parts.next(), parts.next(), parts.next());
        match (header, claims, signature, parts.count()) {
            (Some(header), Some(claims), Some(signature), 0) => Ok(Self { header, claims, signature }),
            (Some(header), _, _, 2) if decode_header(header).is_some() => Err(TokenError::Encrypted),
            _ => Err(TokenError::NotJwt),
        }
    }
}

struct Header {
    algorithm_name: String,
    key_id: Option<String>,
    typ: Option<String>,
}

impl Header {
    fn read(text: &str) -> Result<Self, TokenError> {
        let json = decode_header(text).ok_or(TokenError::NotJwt)?;
        let header = json::parse_object(&json).ok_or(TokenError::Malformed("header"))?;
        // Every JOSE header has an `alg`; other signed strings in three parts begin with a JSON object too.
        let algorithm = header.get("alg").and_then(Value::as_str).ok_or(TokenError::NotJwt)?;
        for unsupported in ["crit", "b64", "zip", "enc", "cty"] {
            if header.contains_key(unsupported) {
                return Err(TokenError::UnsupportedHeader(unsupported));
            }
        }
        let key_id = string(&header, "kid")?;
        if key_id.as_deref().is_some_and(|key_id| !is_key_id(key_id)) {
            return Err(TokenError::Malformed("kid"));
        }
        Ok(Self { algorithm_name: algorithm.to_owned(), key_id, typ: string(&header, "typ")? })
    }
}

/// The header's JSON, where it could be a JOSE header: base64url of something in braces.
pub(super) fn decode_header(text: &str) -> Option<Vec<u8>> {
    let json = secret::decode(text)?;
    let trimmed = json.trim_ascii();
    (trimmed.starts_with(b"{") && trimmed.ends_with(b"}")).then_some(json)
}

pub(super) fn is_key_id(text: &str) -> bool {
    (1..=MAX_KEY_ID_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The string of this name; nothing where it is absent.
fn string(object: &Map<String, Value>, name: &'static str) -> Result<Option<String>, TokenError> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(TokenError::Malformed(name)),
    }
}

/// `aud`: one string or an array of strings (RFC 7519 section 4.1.3).
fn audiences(claims: &Map<String, Value>) -> Result<Vec<String>, TokenError> {
    let malformed = TokenError::Malformed("aud");
    match claims.get("aud") {
        None => Ok(Vec::new()),
        Some(Value::String(audience)) => Ok(vec![audience.clone()]),
        Some(Value::Array(audiences)) => {
            audiences.iter().map(|audience| audience.as_str().map(str::to_owned).ok_or(malformed)).collect()
        }
        Some(_) => Err(malformed),
    }
}

/// A `NumericDate` (RFC 7519 section 2): seconds since the epoch; fractions are cut off.
fn numeric_date(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, TokenError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_u64().or_else(|| value.as_f64().and_then(whole_seconds));
    let seconds = seconds.filter(|seconds| *seconds <= MAX_NUMERIC_DATE).ok_or(TokenError::Malformed(name))?;
    Ok(Some(Timestamp::from_unix_seconds(seconds)))
}

fn whole_seconds(seconds: f64) -> Option<u64> {
    #[expect(clippy::cast_precision_loss, reason = "the bound is below 2^53, so it is exact")]
    let in_range = seconds >= 0.0 && seconds <= MAX_NUMERIC_DATE as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range; the fraction is cut off")]
    in_range.then_some(seconds as u64)
}

#[cfg(test)]
mod tests;
