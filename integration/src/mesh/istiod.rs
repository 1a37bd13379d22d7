//! Istio's control plane.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use crate::cluster::Cluster;
use crate::process::{Launch, Process};

/// The namespace of istiod and of the ingress gateway.
pub const NAMESPACE: &str = "istio-system";

/// A loaded machine may take this long where 3 s are usual.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// A running istiod.
#[derive(Debug)]
pub(super) struct Istiod {
    process: Process,
    address: Ipv4Addr,
}

impl Istiod {
    /// Starts it at an address of its own and does not wait.
    ///
    /// Its JWKS requests go to `jwks_proxy` whatever host they name: there is no DNS for the
    /// services of the mesh.
    pub(super) fn start(cluster: &Cluster, address: Ipv4Addr, jwks_proxy: SocketAddr) -> Result<Self> {
        Ok(Self { process: launch(cluster, address, jwks_proxy, &[])?, address })
    }

    /// Kills it, starts it again with these further variables, and waits until it is ready. Its root stays in the cluster.
    pub(super) async fn restart(
        &mut self,
        cluster: &Cluster,
        jwks_proxy: SocketAddr,
        variables: &[(&str, &str)],
    ) -> Result<()> {
        self.process.kill()?;
        self.process = launch(cluster, self.address, jwks_proxy, variables)?;
        self.ready(cluster).await.map(drop)
    }

    /// Waits until it is ready, and gives the mesh's root certificate, PEM.
    pub(super) async fn ready(&mut self, cluster: &Cluster) -> Result<String> {
        let url = format!("http://{}:15080/ready", self.address);
        self.process.wait_for_ok(&url, READY_WITHIN).await?;
        let api: Api<ConfigMap> = Api::namespaced(cluster.client().await?, NAMESPACE);
        let what = "publishes no root certificate";
        self.process
            .wait_until(what, READY_WITHIN, async |_| {
                let published = api.get_opt("istio-ca-root-cert").await.ok()??;
                published.data?.remove("root-cert.pem")
            })
            .await
            .context("istiod")
    }

    /// Where proxies and workloads get configuration and certificates.
    pub(super) fn secure_address(&self) -> SocketAddr {
        (self.address, 15012).into()
    }

    /// The last lines of the log.
    pub(super) fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}

fn launch(cluster: &Cluster, address: Ipv4Addr, jwks_proxy: SocketAddr, variables: &[(&str, &str)]) -> Result<Process> {
    let launch = Launch::new("istiod", crate::parts::path("pilot-discovery")?)
        .clear_env()
        .env("POD_NAMESPACE", NAMESPACE)
        .env("POD_NAME", "istiod")
        .env("CLUSTER_ID", "Kubernetes")
        .env("REVISION", "default")
        // A further name in its certificate: proxies reach it by its address.
        .env("ISTIOD_CUSTOM_HOST", address.to_string())
        // Both filters exist in Istio's build of Envoy only.
        .env("PILOT_ENABLE_ALPN_FILTER", "false")
        .env("PILOT_ENABLE_METADATA_EXCHANGE", "false")
        // It is in no cloud, and need not look for one.
        .env("CLOUD_PLATFORM", "none")
        // One istiod needs no election, and no webhook of it is registered.
        .env("ENABLE_LEADER_ELECTION", "false")
        .env("VALIDATION_WEBHOOK_CONFIG_NAME", "")
        .env("INJECTION_WEBHOOK_CONFIG_NAME", "")
        // A change reaches the proxies sooner than after 100 ms of silence.
        .env("PILOT_DEBOUNCE_AFTER", "20ms")
        .env("HTTP_PROXY", format!("http://{jwks_proxy}"))
        .args(["discovery", "--kubeconfig"])
        .arg(cluster.admin_kubeconfig())
        .args(["--grpcAddr", &format!("{address}:15010")])
        .args(["--secureGRPCAddr", &format!("{address}:15012")])
        .args(["--httpAddr", &format!("{address}:15080")])
        .args(["--httpsAddr", &format!("{address}:15017")])
        .args(["--monitoringAddr", &format!("{address}:15014")])
        .args(["--ctrlz_port", "0"]);
    variables.iter().fold(launch, |launch, (name, value)| launch.env(name, value)).start()
}
