//! Pods: objects in the API, and addresses of the loopback network.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1 as core;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::cluster::Cluster;

/// A pod that runs as child processes of the test.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) namespace: &'static str,
    pub(super) name: String,
    pub(super) service_account: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) address: Ipv4Addr,
    spec: Value,
}

impl Pod {
    /// A pod of one container that is said to run under an account.
    pub(super) fn new(
        namespace: &'static str,
        service_account: &str,
        labels: &[(&str, &str)],
        address: Ipv4Addr,
    ) -> Self {
        let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            namespace,
            name: format!("{service_account}-0"),
            service_account: service_account.to_owned(),
            labels: labels.collect(),
            address,
            spec: json!({
                "serviceAccountName": service_account,
                "containers": [{ "name": "main", "image": "registry.invalid/never-pulled" }],
            }),
        }
    }

    /// The pod that a Deployment's controller would create.
    pub(super) fn of_deployment(namespace: &'static str, deployment: &Value, address: Ipv4Addr) -> Result<Self> {
        let template = &deployment["spec"]["template"];
        let name = deployment["metadata"]["name"].as_str().context("a Deployment has a name")?;
        let account = template["spec"]["serviceAccountName"].as_str().context("its pods have an account")?;
        let labels = serde_json::from_value(template["metadata"]["labels"].clone())?;
        let (name, service_account) = (format!("{name}-0"), account.to_owned());
        Ok(Self { namespace, name, service_account, labels, address, spec: template["spec"].clone() })
    }

    /// Creates its object, with the status that a kubelet would report.
    pub(super) async fn create(&self, cluster: &Cluster) -> Result<()> {
        let mut labels = self.labels.clone();
        // What Istio's injection adds: this pod speaks mutual TLS.
        labels.insert("security.istio.io/tlsMode".to_owned(), "istio".to_owned());
        let pod = json!({ "metadata": { "name": self.name, "labels": labels }, "spec": self.spec });
        let pod = serde_json::from_value(pod)?;
        let status = json!({ "status": {
            "phase": "Running",
            "podIP": self.address,
            "podIPs": [{ "ip": self.address }],
            "conditions": [{ "type": "Ready", "status": "True" }],
        }});
        let api: Api<core::Pod> = Api::namespaced(cluster.client().await?, self.namespace);
        let what = || format!("pod {}/{}", self.namespace, self.name);
        api.create(&PostParams::default(), &pod).await.with_context(what)?;
        api.patch_status(&self.name, &PatchParams::default(), &Patch::Merge(status)).await.with_context(what)?;
        Ok(())
    }

    /// A token with which the pod's proxy gets its certificate.
    pub(super) async fn istio_token(&self, cluster: &Cluster) -> Result<String> {
        let request = cluster.token(self.namespace, &self.service_account);
        request.audience(super::names::ISTIO_AUDIENCE).bound_to_pod(&self.name).issue().await
    }
}
