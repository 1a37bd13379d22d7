//! From the configuration of the gatekeepers that we take the place of to ours: oauth2-proxy's and oidc-authservice's.
//!
//! What configures one is found first, whatever form it has ([`crate::gatekeepers`]). Each product's room then takes
//! the settings one by one, and writes into a draft of our configuration ([`crate::config_draft`]) and into a report:
//! carried over, changed, dropped, and what is left is not known, so that nothing goes unsaid. Our own strict reading
//! judges the draft at the end (`verdict`).
//!
//! Two things always hold. No secret is written or told: it is to be put into a file. And nothing opens more than before:
//! what restricted who may pass and cannot be carried over leaves a rule that nobody passes.

mod error;
mod oauth2_proxy;
mod oidc_authservice;
mod openings;
mod outcome;
mod place;
mod redis;
mod verdict;
mod work;

#[cfg(test)]
mod tests;

pub use error::MigrateError;
pub use outcome::Migration;

use crate::{cluster_names::ClusterName, gatekeepers::Input};

/// Our configuration instead of oauth2-proxy's. `origin` is the public address, where the files do not tell it;
/// `names` those that the cluster's objects hold, where they were read.
///
/// # Errors
/// Where the files hold nothing of it, or cannot be read, or sign people in without OpenID Connect.
pub fn from_oauth2_proxy(
    inputs: Vec<Input>,
    origin: Option<&str>,
    names: &[ClusterName],
) -> Result<Migration, MigrateError> {
    Ok(outcome::migrate("oauth2-proxy", inputs, origin, names, oauth2_proxy::settings)?)
}

/// Our configuration instead of oidc-authservice's. `origin` is the public address, where the files do not tell it;
/// `names` those that the cluster's objects hold, where they were read.
///
/// # Errors
/// Where the files hold nothing of it, or cannot be read.
pub fn from_oidc_authservice(
    inputs: Vec<Input>,
    origin: Option<&str>,
    names: &[ClusterName],
) -> Result<Migration, MigrateError> {
    Ok(outcome::migrate("oidc-authservice", inputs, origin, names, oidc_authservice::settings)?)
}
