//! Portcullis: an Envoy `ext_authz` server that authenticates browsers by OpenID Connect and scripts by Kubernetes
//! ServiceAccount tokens, strips forged identity headers and injects a trusted, signed identity.
//!
//! ARCHITECTURE.md tells the floors that the modules stand on; a module imports lower floors only.

// What comes from outside must not end a request by a panic. Each place that stays says why it cannot. Tests may panic.
#![cfg_attr(
    not(test),
    warn(
        clippy::expect_used,
        clippy::get_unwrap,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
    )
)]

// Floor 0: no imports from this crate.
pub mod clock;
pub mod http_client;
pub mod memory;
pub mod panics;
pub mod reason;
pub mod secret;

// Floor 1.
pub mod calls;
pub mod config_file;
pub mod decision;
pub mod logging;
pub mod principal;
pub mod request;
pub mod store;

// Floor 2.
mod config_values;
pub mod jose;
pub mod origin;
pub mod pages;
pub mod told;

// Floor 3.
pub mod key_directory;
pub mod kubernetes;
pub mod revocation;
pub mod session;
pub mod visit;

// Floor 4.
pub mod authz;
pub mod cluster_names;
pub mod embedded_store;
pub mod identity;
pub mod providers;
pub mod redis_store;
pub mod removals;

// Floor 5.
pub mod claims;
pub mod logout;

// Floor 6.
pub mod oidc;
pub mod stores;

// Floor 7.
pub mod authn;
pub mod provider_check;

// Floor 8.
pub mod endpoints;

// Floor 9.
pub mod check;

// Floor 10.
pub mod admin;
pub mod ext_authz;
pub mod http;

// Floor 11.
pub mod config;

// Floor 12.
pub mod assembly;
pub mod config_draft;
pub mod gatekeepers;

// Floor 13.
pub mod app;
pub mod migrate;
#[cfg(any(test, feature = "fuzzing"))]
pub mod properties;
pub mod rule_tests;

// Floor 14.
pub mod cli;
