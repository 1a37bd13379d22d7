//! JSON Web Tokens: reading them strictly, fetching an issuer's keys, verifying, and signing our own assertions.
//!
//! A token starts as an [`UnverifiedToken`] ([`peek`]); only a [`JwksCache`] makes a [`VerifiedToken`] of it. What neither
//! has looked at cannot be mistaken for what both have. Of a token that may be anybody's, [`stated_issuer`] alone is read.

mod algorithm;
mod assertion_keys;
mod audience;
mod client_key;
mod json;
mod jwks;
mod jwks_cache;
mod public_key;
mod stated_issuer;
mod token;
mod verify;

#[cfg(test)]
pub(crate) mod testing;

pub use algorithm::Algorithm;
pub use assertion_keys::{AssertionKey, AssertionKeyError, AssertionKeyRing, SharedAssertionKeyRing, SignError};
pub use audience::{Audience, AudienceError};
pub use client_key::{ClientKey, ClientKeyError};
pub use json::parse_object;
pub use jwks::{Jwks, JwksError, KeyLookupError, VerificationKey};
pub use jwks_cache::{
    ByKnownKeys, FetchError, FetchJwks, JwksCache, JwksCacheConfig, NotByKnownKeys, Sender, VerifyError,
};
pub use stated_issuer::stated_issuer;
pub use token::{MAX_TOKEN_BYTES, TokenError, UnverifiedToken, peek, peek_issued};
pub use verify::{Expectation, TokenType, VerifiedToken};
