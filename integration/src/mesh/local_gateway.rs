//! The gateway inside the cluster, which only the test of it starts.

use anyhow::Result;

use super::istiod::NAMESPACE as ISTIO_NAMESPACE;
use super::pod::Pod;
use super::proxy::{Membership, Proxy, Role};
use super::{GATEWAY_PORT, Mesh};
use crate::raw_client::Target;

/// Its ServiceAccount.
pub const LOCAL_GATEWAY_ACCOUNT: &str = "cluster-local-gateway-service-account";
/// The host of a model that is called through it.
pub const MODEL: &str = "model.team-a.svc.cluster.local";

/// A running gateway inside the cluster. Its objects stay when it is dropped.
#[derive(Debug)]
pub struct LocalGateway {
    proxy: Proxy,
    target: Target,
}

impl Mesh {
    /// Starts a gateway inside the cluster that leads to the workload, and waits until it listens.
    pub async fn local_gateway(&self) -> Result<LocalGateway> {
        let labels = [("app", "cluster-local-gateway"), ("istio", "cluster-local-gateway")];
        let pod = Pod::new(ISTIO_NAMESPACE, LOCAL_GATEWAY_ACCOUNT, &labels, self.pods.block.address(40));
        let objects = include_str!("local-gateway.yaml").replace("${LOCAL_GATEWAY}", &pod.address.to_string());
        self.cluster.apply(&objects).await?;
        pod.create(&self.cluster).await?;
        let token = pod.istio_token(&self.cluster).await?;
        let membership = Membership { istiod: self.istiod.secure_address(), root: &self.root, token: &token };
        let mut proxy = Proxy::start(Role::Gateway, &pod, &membership)?;
        proxy.ready(GATEWAY_PORT).await?;
        Ok(LocalGateway { proxy, target: Target::plain((pod.address, GATEWAY_PORT).into()) })
    }
}

impl LocalGateway {
    /// The gateway, in clear text.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.proxy.log_tail()
    }
}
