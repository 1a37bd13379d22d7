//! Sessions: who is signed in at which browser, kept so that a copy of the store reveals nobody and a writer of the
//! store forges nobody.
//!
//! A browser holds a **ticket** (an id, a secret and our tag over both) in its cookie. The store holds a **record** under
//! a keyed hash of the id, sealed under the server's key and the ticket's secret together, for one name, one origin and
//! one provider. It names the issuer and the client that it came of, and counts while the provider's name stands for
//! them. What lists of sessions need stands beside it as the **listing**, sealed under the server's key alone.

mod belonging;
mod cache;
mod config;
mod listings;
mod login;
mod metrics;
mod provider_logout;
mod record;
mod registration;
mod selection;
mod service;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod ticket;
mod wire;

pub use config::Config;
pub use login::Login;
pub use metrics::Metrics;
pub use provider_logout::{Ended, LogoutOf, Named, ProviderLogout};
pub use record::{AccessTokenLife, NewSession, Renewal, Session, SessionListing, Tokens};
pub use registration::Registration;
pub use service::{CreateError, Current, OpenError, Renewed, Sessions};
pub use ticket::Handle;
