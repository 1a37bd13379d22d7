//! Authorino, which asks the real API server about tokens, as its guide says.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use serde_json::json;

use super::case::Processes;
use super::ground::Server;
use crate::cluster::Cluster;
use crate::portcullis::{HOST, TOKEN_AUDIENCE};
use crate::ports::Port;
use crate::process::{Launch, Process};

/// The host whose reviews are not remembered.
pub(super) const UNCACHED_HOST: &str = "uncached.test";
/// Where its configuration lies.
const NAMESPACE: &str = "bench";
/// A loaded machine may take this long where a second is usual.
const WITHIN: Duration = Duration::from_mins(1);

/// A running Authorino. It is killed when it is dropped.
#[derive(Debug)]
pub(super) struct Authorino {
    /// As a server of checks.
    pub server: Server,
    _process: Process,
    _ports: Vec<Port>,
}

impl Authorino {
    /// Starts it beside this API server, with reviews that are remembered for [`HOST`], and with no limit on reviews.
    pub(super) async fn start(cluster: &Cluster) -> Result<Self> {
        cluster.create_namespace(NAMESPACE).await?;
        define(cluster).await?;
        configure(cluster, "cached", HOST, true).await?;
        configure(cluster, "uncached", UNCACHED_HOST, false).await?;
        let ports = (0..6).map(|_| Port::take()).collect::<std::io::Result<Vec<_>>>()?;
        let number = |index: usize| ports[index].number();
        let mut process = Launch::new("authorino", crate::parts::path("authorino")?)
            .args(["server", "--log-level=error", "--kube-client-qps=5000", "--kube-client-burst=5000"])
            .arg(format!("--watch-namespace={NAMESPACE}"))
            .arg(format!("--ext-auth-grpc-port={}", number(0)))
            .arg(format!("--ext-auth-http-port={}", number(1)))
            .arg(format!("--oidc-http-port={}", number(2)))
            .arg(format!("--metrics-addr=127.0.0.1:{}", number(3)))
            .arg(format!("--health-probe-addr=127.0.0.1:{}", number(4)))
            .arg(format!("--webhook-service-port={}", number(5)))
            .arg("--pprof-bind-address=0")
            .env("KUBECONFIG", cluster.admin_kubeconfig())
            .start()?;
        let address = ports[0].address();
        process.wait_for_port(address, WITHIN).await?;
        process.wait_for_ok(&format!("http://{}/readyz", ports[4].address()), WITHIN).await?;
        let server = Server::at(address, Processes::alone(process.id())).await?;
        Ok(Self { server, _process: process, _ports: ports })
    }
}

/// Defines the resource that configures it.
async fn define(cluster: &Cluster) -> Result<()> {
    let file = crate::parts::path("authorino.kuadrant.io_authconfigs.yaml")?;
    let definition: CustomResourceDefinition = serde_saphyr::from_str(&fs::read_to_string(file)?)?;
    let definitions: Api<CustomResourceDefinition> = Api::all(cluster.client().await?);
    definitions.create(&PostParams::default(), &definition).await.context("the definition of AuthConfig")?;
    Ok(())
}

/// Reviews tokens for a host, and tells the service behind who calls.
async fn configure(cluster: &Cluster, name: &str, host: &str, cached: bool) -> Result<()> {
    let mut reviewed = json!({ "kubernetesTokenReview": { "audiences": [TOKEN_AUDIENCE] } });
    if cached {
        let key = json!({ "selector": "context.request.http.headers.authorization" });
        reviewed["cache"] = json!({ "key": key, "ttl": 600 });
    }
    let user = json!({ "plain": { "selector": "auth.identity.user.username" } });
    let spec = json!({
        "hosts": [host],
        "authentication": { "service-accounts": reviewed },
        "response": { "success": { "headers": { "kubeflow-userid": user } } },
    });
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("authorino.kuadrant.io", "v1beta3", "AuthConfig"));
    let mut object = DynamicObject::new(name, &resource).within(NAMESPACE);
    object.data = json!({ "spec": spec });
    let created = async || -> Result<()> {
        let configurations: Api<DynamicObject> = Api::namespaced_with(cluster.client().await?, NAMESPACE, &resource);
        configurations.create(&PostParams::default(), &object).await?;
        Ok(())
    };
    // The API server serves a new resource a moment after it is defined.
    let deadline = std::time::Instant::now() + WITHIN;
    loop {
        match created().await {
            Ok(()) => return Ok(()),
            Err(error) if std::time::Instant::now() >= deadline => {
                return Err(error.context(format!("AuthConfig {name}")));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
