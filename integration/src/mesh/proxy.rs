//! A gateway or a sidecar: Istio's agent, which gets certificates and starts a stock Envoy.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tempfile::TempDir;

use super::pod::Pod;
use crate::envoy::Version;
use crate::process::{Launch, Process};

/// A loaded machine may take this long where 2 s are usual.
const READY_WITHIN: Duration = Duration::from_mins(2);
/// Envoy's admin interface, at the pod's address.
const ADMIN_PORT: u16 = 15000;

/// What a proxy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// An ingress gateway.
    Gateway,
    /// The proxy of one workload.
    Sidecar,
}

/// What a proxy needs to join the mesh.
#[derive(Debug)]
pub(super) struct Membership<'a> {
    /// istiod's secure address.
    pub(super) istiod: SocketAddr,
    /// The mesh's root certificate, PEM.
    pub(super) root: &'a str,
    /// A token of the pod's ServiceAccount with audience `istio-ca`.
    pub(super) token: &'a str,
}

/// A running agent with its Envoy.
#[derive(Debug)]
pub(super) struct Proxy {
    process: Process,
    address: Ipv4Addr,
    _folder: TempDir,
}

impl Proxy {
    /// Starts it and does not wait.
    pub(super) fn start(role: Role, pod: &Pod, membership: &Membership<'_>) -> Result<Self> {
        let folder = TempDir::with_prefix("portcullis-agent-")?;
        let envoy = crate::parts::path(Version::V1_40_0.part())?;
        write_wrapper(&folder.path().join("envoy"), &envoy)?;
        write_bootstrap(&folder.path().join("bootstrap.json"), pod.address)?;
        let tokens = folder.path().join("var/run/secrets/tokens");
        fs::create_dir_all(&tokens)?;
        fs::write(tokens.join("istio-token"), membership.token)?;
        // The agent's own server would listen on every address of the machine: zero is none.
        let pod_info = folder.path().join("etc/istio/pod");
        fs::create_dir_all(&pod_info)?;
        fs::write(pod_info.join("annotations"), "status.sidecar.istio.io/port=\"0\"\n")?;
        let root = folder.path().join("root.pem");
        fs::write(&root, membership.root)?;

        let config = json!({
            "binaryPath": folder.path().join("envoy"),
            "proxyBootstrapTemplatePath": folder.path().join("bootstrap.json"),
            "discoveryAddress": membership.istiod.to_string(),
            "concurrency": 1,
            "proxyAdminPort": ADMIN_PORT,
            "terminationDrainDuration": "0s",
        });
        let role = match role {
            Role::Gateway => "router",
            Role::Sidecar => "sidecar",
        };
        let process = Launch::new(format!("proxy-of-{}", pod.name), crate::parts::path("pilot-agent")?)
            .clear_env()
            .directory(folder.path())
            .env("PROXY_CONFIG", config.to_string())
            .env("POD_NAME", &pod.name)
            .env("POD_NAMESPACE", pod.namespace)
            .env("INSTANCE_IP", pod.address.to_string())
            .env("SERVICE_ACCOUNT", &pod.service_account)
            .env("ISTIO_METAJSON_LABELS", serde_json::to_string(&pod.labels)?)
            .env("ISTIO_META_CLUSTER_ID", "Kubernetes")
            // No iptables: listeners are bound to their ports.
            .env("ISTIO_META_INTERCEPTION_MODE", "NONE")
            .env("CA_ADDR", membership.istiod.to_string())
            .env("CA_ROOT_CA", &root)
            .env("XDS_ROOT_CA", &root)
            .env("PILOT_CERT_PROVIDER", "istiod")
            .env("JWT_POLICY", "third-party-jwt")
            .env("CREDENTIAL_FETCHER_TYPE", "")
            .env("TRUST_DOMAIN", "cluster.local")
            .env("CLOUD_PLATFORM", "none")
            // A key that is made in no time.
            .env("ECC_SIGNATURE_ALGORITHM", "ECDSA")
            .args(["proxy", role, "--domain", &format!("{}.svc.cluster.local", pod.namespace)])
            .start()?;
        Ok(Self { process, address: pod.address, _folder: folder })
    }

    /// Waits until its Envoy has all that istiod sends, and listens at `port` of its own address.
    pub(super) async fn ready(&mut self, port: u16) -> Result<()> {
        self.listens((self.address, port).into()).await
    }

    /// Likewise, where it listens at another address.
    pub(super) async fn listens(&mut self, at: SocketAddr) -> Result<()> {
        let url = format!("http://{}:{ADMIN_PORT}/ready", self.address);
        self.process.wait_for_ok(&url, READY_WITHIN).await?;
        self.process.wait_for_port(at, READY_WITHIN).await
    }

    /// Waits until `GET url` answers 200.
    pub(super) async fn wait_for_ok(&mut self, url: &str) -> Result<()> {
        self.process.wait_for_ok(url, READY_WITHIN).await
    }

    /// The last lines of the log of agent and Envoy.
    pub(super) fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}

/// Writes what the agent takes for Envoy: Envoy, which dies when the agent is killed.
fn write_wrapper(file: &Path, envoy: &Path) -> Result<()> {
    let script = format!("#!/bin/sh\nexec setpriv --pdeathsig KILL -- '{}' \"$@\"\n", envoy.display());
    fs::write(file, script)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o700))?;
    Ok(())
}

/// Writes Istio's own bootstrap template, which listens at the pod's address instead of everywhere.
fn write_bootstrap(file: &Path, address: Ipv4Addr) -> Result<()> {
    let template = crate::parts::path("envoy_bootstrap.json")?;
    let template = fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
    let address = address.to_string();
    let own = template.replace("{{ .wildcard }}", &address).replace("{{ .localhost }}", &address);
    anyhow::ensure!(own != template, "the bootstrap template names its addresses in another way");
    fs::write(file, own)?;
    Ok(())
}
