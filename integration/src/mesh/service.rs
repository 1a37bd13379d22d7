//! Another service of the mesh with its sidecar, which only the tests of it start.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use serde_json::json;

use super::Mesh;
use super::pod::Pod;
use super::proxy::{Membership, Proxy, Role};
use crate::raw_client::Target;

/// A service that is to be started.
#[derive(Debug)]
pub struct ServiceOf<'a> {
    /// Its namespace, which is there.
    pub namespace: &'static str,
    /// Its name, and that of its ServiceAccount.
    pub name: &'a str,
    /// The labels of its pod.
    pub labels: &'a [(&'a str, &'a str)],
    /// Its ports: the number, Istio's name of the protocol, and the process behind.
    pub ports: &'a [(u16, &'a str, SocketAddr)],
    /// The last byte of its address, which no other pod has.
    pub address: u8,
}

/// A running service's sidecar. Its objects stay when it is dropped.
#[derive(Debug)]
pub struct Service {
    proxy: Proxy,
    address: Ipv4Addr,
}

impl Mesh {
    /// Starts the sidecar of a service, and waits until it listens.
    pub async fn service(&self, service: &ServiceOf<'_>) -> Result<Service> {
        let ServiceOf { namespace, name, labels, ports, address } = *service;
        let pod = Pod::new(namespace, name, labels, self.pods.block.address(address));
        let ports_of_it = ports.iter().map(|(number, protocol, _)| {
            let name = format!("{}-{number}", protocol.to_lowercase());
            json!({ "name": name, "port": number, "targetPort": number })
        });
        let ingress = ports.iter().map(|(number, protocol, process)| {
            json!({
                "port": { "name": format!("{}-{number}", protocol.to_lowercase()), "number": number, "protocol": protocol },
                "bind": pod.address.to_string(),
                "captureMode": "NONE",
                "defaultEndpoint": process.to_string(),
            })
        });
        let metadata = json!({ "name": name, "namespace": namespace });
        let objects = json!({ "apiVersion": "v1", "kind": "List", "items": [
            { "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata },
            {
                "apiVersion": "v1", "kind": "Service", "metadata": metadata,
                "spec": { "selector": pod.labels, "ports": ports_of_it.collect::<Vec<_>>() },
            },
            {
                "apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": metadata,
                "spec": {
                    "workloadSelector": { "labels": pod.labels },
                    "ingress": ingress.collect::<Vec<_>>(),
                    "egress": [{ "hosts": ["~/*"] }],
                },
            },
        ] });
        self.cluster.apply(&objects.to_string()).await?;
        pod.create(&self.cluster).await?;
        let token = pod.istio_token(&self.cluster).await?;
        let membership = Membership { istiod: self.istiod.secure_address(), root: &self.root, token: &token };
        let mut proxy = Proxy::start(Role::Sidecar, &pod, &membership)?;
        let (first, ..) = ports.first().context("a service has a port")?;
        proxy.ready(*first).await?;
        Ok(Service { proxy, address: pod.address })
    }

    /// A port of a service's sidecar, reached with the mesh's certificate of any ServiceAccount.
    pub async fn service_from(&self, service: &Service, port: u16, namespace: &str, account: &str) -> Result<Target> {
        self.mutual_tls((service.address, port).into(), namespace, account).await
    }
}

impl Service {
    /// The last lines of its sidecar's log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.proxy.log_tail()
    }
}
