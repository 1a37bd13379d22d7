//! Stand-ins for Kubeflow's applications: in each of their namespaces a sidecar, and behind it a process for each Service.
//!
//! One sidecar is enough, because istiod goes by the labels of its pod: with those of an application it is told the
//! policies of that application, and of no other.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::manual::distribution;
use super::names::APPLICATION_NAMESPACES;
use super::pod::Pod;
use super::proxy::{Membership, Proxy, Role};
use super::{Manifests, Mesh};
use crate::raw_client::Target;
use crate::upstream::{Protocol, Received, Upstream};

/// The ServiceAccount of all stand-ins.
const ACCOUNT: &str = "stand-in";
/// The label that a stand-in keeps, whatever it stands in for.
const LABEL: (&str, &str) = ("stands-in-for", "applications");
/// The Service whose pod has no sidecar.
const WITHOUT_SIDECAR: &str = "metadata-envoy-service";
/// The ports of the stand-ins' sidecars count from here: Services that have one pod here must not have one port.
const FIRST_PORT: u16 = 20001;

/// A running stand-in for the applications of one namespace.
#[derive(Debug)]
pub struct StandIn {
    pod: Pod,
    proxy: Proxy,
    services: BTreeMap<String, Service>,
}

/// What stands behind a Service.
#[derive(Debug)]
struct Service {
    /// The labels of its pods.
    selector: Value,
    /// Where the gateway reaches it.
    address: SocketAddr,
    process: Upstream,
}

impl Mesh {
    /// Starts a stand-in for the applications of a namespace, and waits until it listens. It is none of them yet, so that
    /// no policy lets anybody in.
    pub async fn stand_in(&self, namespace: &'static str) -> Result<StandIn> {
        let number = APPLICATION_NAMESPACES.iter().position(|name| *name == namespace).context("no such namespace")?;
        let first = 60 + 10 * u8::try_from(number)?;
        // Endpoints at the pod's own address would give the sidecar their labels.
        let [pod, behind, bare] = [0, 1, 2].map(|offset| self.pods.block.address(first + offset));
        let pod = Pod::new(namespace, ACCOUNT, &[LABEL], pod);
        let manifests = Manifests::build(&distribution("applications")).await?;
        let of_namespace =
            |object: &&Value| object["kind"] == "Service" && object["metadata"]["namespace"] == namespace;
        let mut services = BTreeMap::new();
        let mut objects = vec![json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": ACCOUNT, "namespace": namespace },
        })];
        for (object, port) in manifests.objects().iter().filter(of_namespace).zip(FIRST_PORT..) {
            let name = object["metadata"]["name"].as_str().context("a Service has a name")?;
            let has_sidecar = name != WITHOUT_SIDECAR;
            let entry = Entry::of(object, port, if has_sidecar { behind } else { bare })?;
            let process = if has_sidecar {
                Upstream::start(Protocol::Http1).await
            } else {
                Upstream::start_at(Protocol::Http1, entry.address).await
            };
            objects.push(entry.object(has_sidecar));
            let service = Service {
                selector: object["spec"]["selector"].clone(),
                address: entry.address,
                process: process.with_context(|| format!("what stands behind {name}"))?,
            };
            services.insert(name.to_owned(), service);
        }
        objects.push(sidecar(namespace, services.iter().filter(|(name, _)| *name != WITHOUT_SIDECAR)));
        self.cluster.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string()).await?;

        let gone = ["delete", "pod", &pod.name, "--namespace", namespace, "--ignore-not-found"];
        self.cluster.kubectl(&gone).await?;
        pod.create(&self.cluster).await?;
        let token = pod.istio_token(&self.cluster).await?;
        let membership = Membership { istiod: self.istiod.secure_address(), root: &self.root, token: &token };
        let mut proxy = Proxy::start(Role::Sidecar, &pod, &membership)?;
        for service in services.values().filter(|service| service.address.ip() == behind) {
            proxy.listens(service.address).await?;
        }
        Ok(StandIn { pod, proxy, services })
    }
}

impl StandIn {
    /// The Services that it stands in for.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// Gives its pod the labels of a Service's pods, or of nobody's.
    pub async fn becomes(&self, mesh: &Mesh, service: Option<&str>) -> Result<()> {
        let mut labels = match service {
            Some(name) => self.service(name)?.selector.clone(),
            None => json!({}),
        };
        labels[LABEL.0] = LABEL.1.into();
        labels["security.istio.io/tlsMode"] = "istio".into();
        let patch = json!([{ "op": "replace", "path": "/metadata/labels", "value": labels }]).to_string();
        let (name, namespace) = (self.pod.name.as_str(), self.pod.namespace);
        let patch = ["patch", "pod", name, "--namespace", namespace, "--type", "json", "--patch", &patch];
        mesh.cluster.kubectl(&patch).await.map(drop)
    }

    /// What stands behind a Service, reached past the gateway with the mesh's certificate of any ServiceAccount.
    pub async fn reached_from(&self, mesh: &Mesh, service: &str, namespace: &str, account: &str) -> Result<Target> {
        mesh.mutual_tls(self.service(service)?.address, namespace, account).await
    }

    /// The requests that came to the process behind a Service, and whose target contains `part`.
    pub fn received_with(&self, service: &str, part: &str) -> Result<Vec<Received>> {
        Ok(self.service(service)?.process.received_with(part))
    }

    /// The last lines of the sidecar's log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.proxy.log_tail()
    }

    fn service(&self, name: &str) -> Result<&Service> {
        self.services.get(name).with_context(|| format!("no Service {name} in {}", self.pod.namespace))
    }
}

/// An endpoint of a Service, which Services select as they select pods. A slice of endpoints refuses loopback addresses.
struct Entry<'a> {
    service: &'a Value,
    /// Its port by the name that the Service has for it, where it has one.
    named: Option<(&'a str, u16)>,
    address: SocketAddr,
}

impl<'a> Entry<'a> {
    /// The endpoint of a Service's first port, at a port of its own where the Service leaves a choice.
    fn of(service: &'a Value, own: u16, address: Ipv4Addr) -> Result<Self> {
        let port = &service["spec"]["ports"][0];
        let target = port.get("targetPort").unwrap_or(&port["port"]);
        let name = target.as_str().or_else(|| port["name"].as_str());
        let named = name.map(|name| (name, own));
        let number = match named {
            Some((_, own)) => own,
            None => u16::try_from(target.as_u64().context("a port has a number")?)?,
        };
        Ok(Self { service, named, address: (address, number).into() })
    }

    fn object(&self, has_sidecar: bool) -> Value {
        let mut labels = self.service["spec"]["selector"].clone();
        let mut spec = json!({ "address": self.address.ip() });
        if has_sidecar {
            labels["security.istio.io/tlsMode"] = "istio".into();
            spec["serviceAccount"] = ACCOUNT.into();
        }
        spec["labels"] = labels;
        if let Some((name, port)) = self.named {
            spec["ports"] = json!({ name: port });
        }
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "WorkloadEntry",
            "metadata": { "name": self.service["metadata"]["name"], "namespace": self.service["metadata"]["namespace"] },
            "spec": spec,
        })
    }
}

/// Leads from each Service's port at the sidecar to its process.
fn sidecar<'a>(namespace: &str, services: impl Iterator<Item = (&'a String, &'a Service)>) -> Value {
    let listener = |(name, service): (&String, &Service)| {
        json!({
            "port": { "name": format!("http-{name}"), "number": service.address.port(), "protocol": "HTTP" },
            "bind": service.address.ip(),
            "captureMode": "NONE",
            "defaultEndpoint": service.process.address().to_string(),
        })
    };
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "Sidecar",
        "metadata": { "name": ACCOUNT, "namespace": namespace },
        "spec": {
            "workloadSelector": { "labels": { LABEL.0: LABEL.1 } },
            "ingress": services.map(listener).collect::<Vec<_>>(),
            // Outbound listeners would all be bound, too.
            "egress": [{ "hosts": ["~/*"] }],
        },
    })
}
