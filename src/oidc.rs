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
mod config;
mod exchange;
mod front_channel;
mod login;
mod login_cookie;
mod logout;
mod metrics;
mod provider;
mod refresh;
mod refresh_grant;
mod return_target;
mod state;
mod strict;

#[cfg(test)]
pub(crate) mod tests;

pub use back_channel::{BackChannelError, BackChannelLogout};
pub use config::{Config, Limits, LoginOrigin};
pub use front_channel::FrontChannelError;
pub use login::{CallbackOutcome, CallbackRequest, Login, LoginError, LoginStart, MAX_ATTEMPTS, SharedLogin};
pub use metrics::Metrics;
pub use refresh::{NotFresh, Presented};
pub use return_target::ReturnTarget;
