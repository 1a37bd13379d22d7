//! A second ingress gateway, which only the test of it starts.

use anyhow::{Context, Result};
use serde_json::Value;

use super::istiod::NAMESPACE as ISTIO_NAMESPACE;
use super::pod::Pod;
use super::proxy::{Membership, Proxy, Role};
use super::{Manifests, Mesh};
use crate::raw_client::Target;

/// Where it listens, as its Service says.
const PORT: u16 = 8080;

/// A running ingress gateway beside the first.
#[derive(Debug)]
pub struct SecondGateway {
    proxy: Proxy,
    target: Target,
}

impl Mesh {
    /// Applies what Kubeflow's distribution has of the ingress gateway's pods, in the way that leaves kubectl's own note of it.
    pub async fn deploy_ingress_gateway(&self) -> Result<()> {
        let objects = Manifests::parse(&crate::project::read("integration/tests/manifests/distribution/objects.yaml"))?;
        let deployments = objects.objects().iter().filter(|object| object["kind"] == "Deployment");
        let mut gateways = deployments.filter(|object| object["metadata"]["name"] == "istio-ingressgateway");
        let deployment = gateways.next().context("the distribution has no ingress gateway")?.to_string();
        self.cluster.kubectl_with(&self.cluster.admin_kubeconfig(), &["apply", "-f", "-"], &deployment).await.map(drop)
    }

    /// Starts the pod of a Deployment of an ingress gateway, and waits until it listens.
    pub async fn second_gateway(&self, deployment: &str) -> Result<SecondGateway> {
        let get = ["get", "deployment", deployment, "--namespace", ISTIO_NAMESPACE, "--output", "json"];
        let deployment: Value = serde_json::from_str(&self.cluster.kubectl(&get).await?)?;
        let pod = Pod::of_deployment(ISTIO_NAMESPACE, &deployment, self.pods.block.address(50))?;
        pod.create(&self.cluster).await?;
        let token = pod.istio_token(&self.cluster).await?;
        let membership = Membership { istiod: self.istiod.secure_address(), root: &self.root, token: &token };
        let mut proxy = Proxy::start(Role::Gateway, &pod, &membership)?;
        // Kubeflow's Gateway is bound to the first one's address here, for both.
        let address = (self.pods.gateway.address, PORT).into();
        proxy.listens(address).await?;
        Ok(SecondGateway { proxy, target: Target::plain(address) })
    }
}

impl SecondGateway {
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
