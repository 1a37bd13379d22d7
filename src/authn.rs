//! The ordered authenticators: each turns a credential of one kind into a principal.
//!
//! A credential that is ours to judge and is rejected never falls through to the next one.
//!
//! A new kind of credential is a file here with its [`Authenticator`], its place in the list in `assembly/wiring.rs`, its
//! part of the configuration, its reasons with the words of their pages, and what the documents say of it.

mod authenticator;
mod bearer;
mod list;
mod outcome;
mod session_cookie;

pub use authenticator::{Attempt, Authenticator, Look};
pub use bearer::BearerAuthenticator;
pub use list::{Authenticators, Identified};
pub use outcome::{Authenticated, BrowserSession, Outcome};
pub use session_cookie::SessionAuthenticator;
