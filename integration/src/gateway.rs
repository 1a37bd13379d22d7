//! The usual ensemble in one call: Envoy, Portcullis, the scripted provider and API server, and two
//! upstreams.

use std::net::Ipv4Addr;

use anyhow::Result;

use crate::check_client::CheckClient;
use crate::envoy::{Builder, Envoy, Variant};
use crate::jwt::Algorithm;
use crate::portcullis::{Config, ORIGIN, Portcullis, TOKEN_AUDIENCE};
use crate::provider::{Provider, Settings};
use crate::raw_client::{Response, Target, http1};
use crate::review_api::ReviewApi;
use crate::upstream::{Protocol, Upstream};
use crate::visitor::Visitor;

pub use crate::portcullis::HOST;

/// All parts, running. They stop when it is dropped.
#[derive(Debug)]
pub struct Gateway {
    /// The gateway.
    pub envoy: Envoy,
    /// The product.
    pub portcullis: Portcullis,
    /// Where people sign in: alice (groups `team-a`, `everyone`) and bob (`team-b`, `everyone`).
    pub provider: Provider,
    /// What reviews ServiceAccount tokens.
    pub review_api: ReviewApi,
    /// What stands behind [`Envoy::to_http1`].
    pub http1: Upstream,
    /// What stands behind [`Envoy::to_http2`].
    pub http2: Upstream,
}

impl Gateway {
    /// Starts all parts; `configure` changes the product's configuration before it starts.
    pub async fn start(variant: Variant, configure: impl FnOnce(Config) -> Config) -> Result<Self> {
        Self::start_with(variant, configure, |envoy| envoy).await
    }

    /// Like [`Gateway::start`]; `set_up` changes Envoy before it starts.
    pub async fn start_with(
        variant: Variant,
        configure: impl FnOnce(Config) -> Config,
        set_up: impl FnOnce(Builder) -> Builder,
    ) -> Result<Self> {
        let provider = Provider::start(Settings::default()).await?;
        // Keys for RS256, which the real API server uses, take long to make.
        let review_api = ReviewApi::start_at((Ipv4Addr::LOCALHOST, 0).into(), Algorithm::Es256).await?;
        let http1 = Upstream::start(Protocol::Http1).await?;
        let http2 = Upstream::start(Protocol::Http2).await?;
        let config = Config::new()?.provider(&provider)?.service_accounts(&review_api)?;
        let portcullis = configure(config).start().await?;
        let envoy = Envoy::builder(variant)?.check(portcullis.check_address()).upstream(&http1).upstream(&http2);
        let envoy = set_up(envoy).start().await?;
        Ok(Self { envoy, portcullis, provider, review_api, http1, http2 })
    }

    /// The listener in front of the HTTP/1.1 upstream.
    #[must_use]
    pub fn target(&self) -> Target {
        self.envoy.to_http1()
    }

    /// Sends bytes to the gateway over HTTP/1 and reads the answer.
    pub async fn exchange(&self, bytes: &[u8]) -> Result<Response> {
        http1::exchange(&self.target(), bytes).await
    }

    /// `GET` on the public host with the given header lines.
    pub async fn get(&self, path: &str, lines: &[(&str, &str)]) -> Result<Response> {
        http1::get(&self.target(), HOST, path, lines).await
    }

    /// A visitor of the public origin, without cookies.
    pub fn visitor(&self) -> Result<Visitor> {
        Visitor::new(self.target(), ORIGIN)
    }

    /// Issues a token that Portcullis accepts for a ServiceAccount.
    #[must_use]
    pub fn mint_token(&self, namespace: &str, name: &str) -> String {
        self.review_api.token(namespace, name).audience(TOKEN_AUDIENCE).issue()
    }

    /// A client of the check service itself.
    pub async fn check_client(&self) -> Result<CheckClient> {
        CheckClient::connect(&self.portcullis.check_address()).await
    }
}

/// Makes one test for each of the Envoys out of each `async fn(Variant)`.
///
/// ```text
/// portcullis_integration::on_each_envoy!(forged_headers_never_arrive);
///
/// async fn forged_headers_never_arrive(variant: Variant) { … }
/// ```
#[macro_export]
macro_rules! on_each_envoy {
    ($($suite:ident),+ $(,)?) => {
        $(
            mod $suite {
                use $crate::envoy::Variant;

                #[tokio::test]
                async fn envoy_1_36_4() {
                    super::$suite(Variant::ALL[0]).await;
                }

                #[tokio::test]
                async fn envoy_1_38_3() {
                    super::$suite(Variant::ALL[1]).await;
                }

                #[tokio::test]
                async fn envoy_1_40_0() {
                    super::$suite(Variant::NEWEST).await;
                }

                #[tokio::test]
                async fn envoy_1_40_0_hardened() {
                    super::$suite(Variant::HARDENED).await;
                }
            }
        )+
    };
}
