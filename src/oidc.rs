//! Sign-in with OpenID Connect: authorization code with PKCE S256, nonce and a sealed state (OpenID Connect Core
//! section 3.1, RFC 7636, RFC 9207).
//!
//! [`Login::begin`] sends a browser to the provider and remembers nothing: everything is sealed into the `state`
//! parameter and bound to one cookie that all tabs of a browser share. [`Login::callback`] takes the answer. Its order
//! is: size, seal, age, provider with its issuer and our client id, cookie, `iss`, then the spent mark, then the
//! exchange; what fails before the mark costs no outbound call and no write.

mod back_channel;
mod callback_query;
mod callbacks;
mod claims;
mod client_request;
mod config;
mod discovery;
mod endpoint;
mod exchange;
mod front_channel;
mod http;
mod keys;
mod limits;
mod login;
mod login_cookie;
mod logout;
mod metadata;
mod metrics;
mod outside_text;
mod provider;
mod refresh;
mod refresh_grant;
mod return_target;
mod state;
mod strict;
mod token_endpoint;
mod told_times;

#[cfg(test)]
pub(crate) mod tests;

pub use back_channel::{BackChannelError, BackChannelLogout};
pub use config::{
    ClaimsConfig, Config, ConfigError, Limits, LoginOrigin, LogoutConfig, ProviderConfig, RefreshConfig,
    SharedClientSecret, StrictAsk, StrictConfig,
};
pub use front_channel::FrontChannelError;
pub use login::{CallbackOutcome, CallbackRequest, Login, LoginError, LoginStart, MAX_ATTEMPTS, SharedLogin};
pub use metrics::Metrics;
pub use refresh::{NotFresh, Presented};
pub use return_target::ReturnTarget;
