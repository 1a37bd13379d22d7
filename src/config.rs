//! What the configuration means: from the forms of its file to each component's own `Config`, every field checked, and
//! the fields against each other. Pure: everything outside was read before, by `config_file`.
//!
//! No value is spelled a third time in between: a new setting of a component touches its form in `config_file`, its
//! resolving here, the component's own `Config`, and the documents; the JSON Schema and the error about a missing field
//! follow from the form. What refers to a file or a variable is named in `config_file/material.rs` too.

mod faults;
mod identity;
mod issuers;
mod keys;
mod listener;
mod listeners;
mod offline;
mod origins;
mod provider_client;
mod provider_requests;
mod providers;
mod redis;
mod reload;
mod resolve;
mod reviews;
mod rule_files;
mod rules;
mod service_accounts;
mod sessions;
mod settings;
mod tls;
mod written;

#[cfg(test)]
mod tests;

pub(crate) use faults::faults;
pub use listener::{Bind, Listener, Listeners, ServerTls};
pub(crate) use offline::without_files;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use reload::of_text;
pub use reload::{Metrics, Source, load};
pub use settings::{Drain, KeySource, Keys, Settings};
