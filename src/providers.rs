//! The OpenID providers: what is configured of each, what its discovery told, its keys, and how its endpoints are called.

mod client_request;
mod config;
mod discovery;
mod endpoint;
mod http;
mod keys;
mod metadata;
mod metrics;
mod outside_text;
mod provider;
mod registry;
mod token_endpoint;
pub(crate) mod told_times;

pub(crate) use client_request::form;
pub use config::{
    ClaimsConfig, ConfigError, LogoutConfig, Outbound, ProviderConfig, RefreshConfig, StrictAsk, StrictConfig,
};
pub(crate) use discovery::Known;
pub(crate) use endpoint::Endpoint;
#[cfg(test)]
pub(crate) use endpoint::tests::unusable;
pub(crate) use http::{CallError, ProviderHttp, media_type};
pub(crate) use metadata::Client;
#[cfg(test)]
pub(crate) use metadata::OptionalEndpoints;
pub(crate) use metrics::{Metrics, Outcomes, ProviderLabels};
pub(crate) use outside_text::for_log;
pub(crate) use provider::Provider;
pub(crate) use registry::PerProvider;
pub use registry::{Providers, SharedProviders};
pub(crate) use token_endpoint::{TokenEndpoint, Told, ToldIdToken};
