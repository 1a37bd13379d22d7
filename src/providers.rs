//! The OpenID providers: what is configured of each, what its discovery told, its keys, and how its endpoints are called.

mod answers;
mod authentication;
mod client_request;
mod config;
mod discovery;
mod endpoint;
mod http;
mod keys;
mod metadata;
mod metrics;
mod oddities;
mod once;
mod outside_text;
mod provider;
mod refused;
mod registry;
mod token_endpoint;
pub(crate) mod told_times;
mod troubles;

pub(crate) use answers::Answer;
#[cfg(test)]
pub(crate) use answers::{Reading, TABLE};
pub use authentication::{ClientAuthentication, SecretMethod};
pub(crate) use client_request::form;
pub use config::{
    ClaimsConfig, ConfigError, EndpointsConfig, LogoutConfig, Outbound, ProviderConfig, RefreshConfig, Scopes,
    StrictAsk, StrictConfig,
};
pub(crate) use discovery::Known;
pub(crate) use endpoint::Endpoint;
#[cfg(test)]
pub(crate) use endpoint::tests::unusable;
pub(crate) use http::{CallError, ProviderHttp, may_be_json, media_type};
#[cfg(test)]
pub(crate) use metadata::OptionalEndpoints;
pub(crate) use metadata::{Discovered, Published};
pub(crate) use metrics::{Metrics, Outcomes, ProviderLabels};
pub(crate) use oddities::Oddity;
pub(crate) use once::AskedOnce;
pub(crate) use outside_text::for_log;
pub(crate) use provider::Provider;
pub(crate) use refused::Refused;
pub(crate) use registry::PerProvider;
pub use registry::{Providers, SharedProviders};
pub(crate) use token_endpoint::{
    AccessToken, TokenEndpointError, Told, ToldIdToken, ask as ask_token_endpoint, refusal_of,
};
pub use troubles::ProviderFailure;
pub(crate) use troubles::{ProviderCall, Trouble};
