//! What `manifests/` holds, as the API server gets it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// The folder of all manifests.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests")
}

/// The objects of one kustomization.
#[derive(Debug, Clone)]
pub struct Manifests {
    objects: Vec<Value>,
}

impl Manifests {
    /// Builds a kustomization.
    pub async fn build(kustomization: &Path) -> Result<Self> {
        let yaml = crate::cluster::kustomize(kustomization).await?;
        Self::parse(&yaml).with_context(|| kustomization.display().to_string())
    }

    /// Reads a stream of YAML documents.
    pub fn parse(yaml: &str) -> Result<Self> {
        let objects = serde_saphyr::from_multiple(yaml)?;
        Ok(Self { objects })
    }

    /// The objects, in the order in which they are applied.
    #[must_use]
    pub fn objects(&self) -> &[Value] {
        &self.objects
    }

    /// All in one, for `Cluster::apply`.
    #[must_use]
    pub fn to_list(&self) -> String {
        json!({ "apiVersion": "v1", "kind": "List", "items": self.objects }).to_string()
    }

    /// The only object of a kind in a namespace.
    pub fn only(&self, kind: &str, namespace: &str) -> Result<&Value> {
        let matches = |object: &&Value| object["kind"] == kind && object["metadata"]["namespace"] == namespace;
        let mut found = self.objects.iter().filter(matches);
        let only = found.next().with_context(|| format!("no {kind} in {namespace}"))?;
        ensure!(found.next().is_none(), "more than one {kind} in {namespace}");
        Ok(only)
    }

    /// Only the objects that a mesh acts on.
    #[must_use]
    pub fn of_the_mesh(mut self) -> Self {
        self.objects.retain(|object| object["apiVersion"].as_str().is_some_and(|group| group.contains(".istio.io/")));
        self
    }

    /// The product's configuration in its `ConfigMap`, as it stands there.
    pub fn config(&self) -> Result<&str> {
        let map = self.only("ConfigMap", super::names::NAMESPACE)?;
        map["data"]["portcullis.yaml"].as_str().context("the ConfigMap has no portcullis.yaml")
    }

    /// Puts the process's addresses into the Sidecar, and binds its listeners to the pod's address:
    /// there is no iptables that leads a pod's connections to them.
    pub(super) fn adapt(mut self, pod: Ipv4Addr, processes: &[(u16, SocketAddr)]) -> Result<Self> {
        let sidecars = self.objects.iter_mut().filter(|object| object["kind"] == "Sidecar");
        for sidecar in sidecars {
            let listeners = sidecar["spec"]["ingress"].as_array_mut().context("a Sidecar without ingress")?;
            for listener in listeners {
                let wanted = listener["defaultEndpoint"].as_str().unwrap_or_default();
                let process = processes.iter().find(|(port, _)| wanted == format!("127.0.0.1:{port}"));
                let (_, process) = process.with_context(|| format!("nothing listens at {wanted:?}"))?;
                listener["defaultEndpoint"] = process.to_string().into();
                listener["bind"] = pod.to_string().into();
                listener["captureMode"] = "NONE".into();
            }
            // Outbound listeners would all be bound, too.
            sidecar["spec"]["egress"] = json!([{ "hosts": ["~/*"] }]);
        }
        Ok(self)
    }
}

/// The mesh's configuration (the object `istio`) as the component for Kubeflow writes it, with these providers behind its own.
pub(super) fn mesh_config(further: &[Value]) -> Result<Value> {
    let file = folder().join("components/kubeflow-mesh/mesh.yaml");
    let object = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut object: Value = serde_saphyr::from_str(&object).with_context(|| file.display().to_string())?;
    let mesh = object["data"]["mesh"].as_str().context("no configuration of the mesh")?;
    let mut mesh: Value = serde_saphyr::from_str(mesh).with_context(|| file.display().to_string())?;
    let providers = mesh["extensionProviders"].as_array_mut().context("no extensionProviders")?;
    providers.extend_from_slice(further);
    // The proxies' logs are what a failure shows.
    mesh["accessLogFile"].take();
    // JSON is YAML.
    object["data"] = json!({ "mesh": mesh.to_string(), "meshNetworks": "networks: {}" });
    Ok(object)
}
