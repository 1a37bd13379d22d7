//! What the configuration means: from the forms of its file to each component's own `Config`, every field checked, and
//! the fields against each other. Pure: everything outside was read before, by `config_file`.

mod context;
mod identity;
mod issuers;
mod keys;
mod listener;
mod listeners;
mod names;
mod origins;
mod providers;
mod redis;
mod reload;
mod resolve;
mod rules;
mod service_accounts;
mod sessions;
mod settings;
mod tls;
mod weak_secrets;

#[cfg(test)]
mod tests;

pub use listener::{Bind, Listener, Listeners, ServerTls};
pub use reload::{Metrics, Source, load};
pub use settings::{Drain, KeySource, Keys, Provider, Settings};
