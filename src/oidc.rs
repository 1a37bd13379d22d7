//! Sign-in with OpenID Connect: authorization code with PKCE S256, nonce and a sealed state (OpenID Connect Core
//! section 3.1, RFC 7636, RFC 9207).
//!
//! [`Login::begin`] sends a browser to the provider and remembers nothing: everything is sealed into the `state`
//! parameter and bound to one cookie that all tabs of a browser share. [`Login::callback`] takes the answer. Its order
//! is: size, seal, age, provider, cookie, `iss`, then the spent mark, then the exchange; what fails before the mark
//! costs no outbound call and no write.

mod callback_query;
mod callbacks;
mod claims;
mod config;
mod discovery;
mod exchange;
mod http;
mod keys;
mod limits;
mod login;
mod login_cookie;
mod metadata;
mod metrics;
mod outside_text;
mod provider;
mod return_target;
mod state;

#[cfg(test)]
mod tests;

pub use config::{ClaimsConfig, Config, ConfigError, Limits, LoginOrigin, ProviderConfig, SharedClientSecret};
pub use login::{CallbackOutcome, CallbackRequest, Login, LoginError, LoginStart, MAX_ATTEMPTS};
pub use metrics::Metrics;
pub use return_target::ReturnTarget;
