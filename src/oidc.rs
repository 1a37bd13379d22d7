//! Sign-in with OpenID Connect, and what sessions owe their provider afterwards: authorization code with PKCE S256, nonce
//! and a sealed state (OpenID Connect Core section 3.1, RFC 7636, RFC 9207).
//!
//! [`SignIn::begin`] sends a browser to the provider and remembers nothing: everything is sealed into the `state`
//! parameter and bound to one cookie that all tabs of a browser share. [`SignIn::callback`] takes the answer. Its order
//! is: size, seal, age, provider with its issuer and our client id, cookie, `iss`, then the spent mark, then the
//! exchange; what fails before the mark costs no outbound call and no write.
//!
//! Each component is a type of its own over what it needs: [`SignIn`], [`Freshness`] and those of [`crate::logout`]. [`Oidc`]
//! builds them over one registry of providers.

mod assembly;
mod authorization;
mod browser_forms;
mod callback;
mod callback_query;
mod config;
mod due;
mod exchange;
mod exchange_error;
mod freshness;
mod kept_tokens;
mod login_ask;
mod login_cookie;
mod metrics;
mod refresh;
mod refresh_grant;
mod refreshes;
mod return_target;
mod session_calls;
mod sign_in;
mod state;
mod strict;
mod vouchers;

#[cfg(test)]
pub(crate) mod tests;

pub use assembly::Oidc;
pub(crate) use authorization::authorization_url;
pub use browser_forms::{BrowserForm, BrowserForms};
pub use callback::{CallbackOutcome, CallbackRequest};
pub use config::{Config, Limits};
pub use freshness::Freshness;
pub use login_ask::{ACR_VALUES, LoginAsk, MAX_AGE};
pub use metrics::Metrics;
pub use return_target::ReturnTarget;
pub use session_calls::Presented;
pub use sign_in::{LoginError, LoginStart, MAX_ATTEMPTS, SignIn};
