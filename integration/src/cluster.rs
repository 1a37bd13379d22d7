//! A real Kubernetes API server with its etcd, and no controllers unless a test starts some.
//!
//! Nothing of a cluster that a controller would make exists: ServiceAccounts named `default`,
//! endpoints and the status of pods are made by the tests. Admission, RBAC, server-side apply, tokens
//! and reviews are the real ones.

mod controllers;
mod etcd;
mod kubectl;
mod token;
mod token_keys;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::{DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use serde_json::json;
use tempfile::{NamedTempFile, TempDir};

use crate::pki::Authority;
use crate::ports::Port;
use crate::process::{Launch, Process, Signal};

pub use controllers::Controllers;
use etcd::Etcd;
pub use kubectl::{kustomize, kustomize_with};
pub use token::TokenRequest;

/// A loaded machine may take this long where 5 s are usual.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// The issuer of the cluster's ServiceAccount tokens.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// The API server's own audience: of a token that is asked for with no other, and never Portcullis's.
pub const API_AUDIENCE: &str = ISSUER;

/// A running API server with its etcd. Both are killed when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    // The API server goes first, so that it does not log that its etcd has gone.
    api_server: Process,
    _etcd: Etcd,
    settings: Settings,
}

/// All that a start of the API server needs; a restart uses it again.
#[derive(Debug)]
struct Settings {
    folder: TempDir,
    port: Port,
    etcd_url: String,
    authority_pem: String,
    admin_token: String,
}

impl Cluster {
    /// Starts both and waits until the API server is ready.
    pub async fn start() -> Result<Self> {
        crate::http::install_crypto();
        // etcd is ready long before the API server asks it, which then tries again.
        let etcd = Etcd::start()?;
        let settings = Settings::write(etcd.url())?;
        let api_server = settings.launch().await?;
        Ok(Self { api_server, _etcd: etcd, settings })
    }

    /// The API server's URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.settings.url()
    }

    /// Who signed the API server's certificate, PEM.
    #[must_use]
    pub fn authority_pem(&self) -> &str {
        &self.settings.authority_pem
    }

    /// A kubeconfig with all rights.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.settings.admin_kubeconfig()
    }

    /// A folder for files that live as long as the cluster.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.settings.folder.path()
    }

    /// A client with all rights. It works in the runtime that asked for it, so each test asks anew.
    pub async fn client(&self) -> Result<Client> {
        client_of(&self.admin_kubeconfig()).await
    }

    /// A client that has the rights of a ServiceAccount.
    pub async fn client_of(&self, namespace: &str, name: &str) -> Result<Client> {
        client_of(&self.kubeconfig_of(namespace, name).await?).await
    }

    /// Writes a kubeconfig with a ServiceAccount's own token for the API server.
    pub async fn kubeconfig_of(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let token = self.token(namespace, name).issue().await?;
        let file = self.folder().join(format!("{namespace}.{name}.kubeconfig"));
        self.settings.write_kubeconfig(&file, &token)?;
        Ok(file)
    }

    /// Creates a namespace with its `default` ServiceAccount.
    pub async fn create_namespace(&self, name: &str) -> Result<()> {
        let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
        let api: Api<Namespace> = Api::all(self.client().await?);
        api.create(&PostParams::default(), &namespace).await.with_context(|| format!("namespace {name}"))?;
        self.create_service_account(name, "default").await
    }

    /// Creates a ServiceAccount.
    pub async fn create_service_account(&self, namespace: &str, name: &str) -> Result<()> {
        let account: ServiceAccount = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
        let api: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        api.create(&PostParams::default(), &account)
            .await
            .with_context(|| format!("ServiceAccount {namespace}/{name}"))?;
        Ok(())
    }

    /// Deletes a ServiceAccount.
    pub async fn delete_service_account(&self, namespace: &str, name: &str) -> Result<()> {
        let api: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        api.delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Creates a pod that runs nowhere, for tokens bound to it.
    pub async fn create_pod(&self, namespace: &str, name: &str, service_account: &str) -> Result<Pod> {
        let pod = serde_json::from_value(json!({
            "metadata": { "name": name },
            "spec": {
                "serviceAccountName": service_account,
                "containers": [{ "name": "main", "image": "registry.invalid/never-pulled" }],
            },
        }))?;
        let api: Api<Pod> = Api::namespaced(self.client().await?, namespace);
        api.create(&PostParams::default(), &pod).await.with_context(|| format!("pod {namespace}/{name}"))
    }

    /// Deletes a pod at once.
    pub async fn delete_pod(&self, namespace: &str, name: &str) -> Result<()> {
        let api: Api<Pod> = Api::namespaced(self.client().await?, namespace);
        api.delete(name, &DeleteParams::default().grace_period(0)).await?;
        Ok(())
    }

    /// How many requests of every verb the API server has answered for a resource, such as
    /// `tokenreviews`, since its start.
    pub async fn requests_for(&self, resource: &str) -> Result<u64> {
        let metrics = self.client().await?.request_text(http::Request::get("/metrics").body(Vec::new())?).await?;
        let label = format!("resource=\"{resource}\"");
        let samples = metrics.lines().filter(|line| line.starts_with("apiserver_request_total{"));
        let counts = samples.filter(|line| line.contains(&label)).map(|line| {
            let count = line.rsplit(' ').next().unwrap_or_default();
            count.parse::<u64>().with_context(|| format!("no count: {line}"))
        });
        counts.sum()
    }

    /// The API server's process, for its log and for signals.
    pub fn api_server(&mut self) -> &mut Process {
        &mut self.api_server
    }

    /// Makes the API server hang: connections are still accepted, by the kernel.
    pub fn pause(&self) -> Result<()> {
        self.api_server.signal(Signal::STOP)
    }

    /// Ends [`Cluster::pause`].
    pub fn resume(&self) -> Result<()> {
        self.api_server.signal(Signal::CONT)
    }

    /// Kills the API server: connections are refused.
    pub fn kill(&mut self) -> Result<()> {
        self.api_server.kill().map(drop)
    }

    /// Kills the API server if it runs, and starts it again with the same data and keys.
    pub async fn restart(&mut self) -> Result<()> {
        self.api_server.kill()?;
        self.api_server = self.settings.launch().await?;
        Ok(())
    }
}

impl Settings {
    /// Makes keys and certificates, and writes all files.
    fn write(etcd_url: String) -> Result<Self> {
        let authority = Authority::new("the test cluster's authority")?;
        let settings = Self {
            folder: TempDir::with_prefix("portcullis-cluster-")?,
            port: Port::take()?,
            etcd_url,
            authority_pem: authority.pem(),
            admin_token: crate::jwt::random_id(),
        };
        let folder = settings.folder.path();
        authority.server(&["kubernetes.default.svc", "localhost"])?.write(folder, "api-server")?;
        token_keys::write_keys(folder)?;
        let admin = format!("{},admin,admin,system:masters\n", settings.admin_token);
        fs::write(folder.join("tokens.csv"), admin)?;
        settings.write_kubeconfig(&settings.admin_kubeconfig(), &settings.admin_token)?;
        Ok(settings)
    }

    fn url(&self) -> String {
        format!("https://{}", self.port.address())
    }

    fn admin_kubeconfig(&self) -> PathBuf {
        self.folder.path().join("admin.kubeconfig")
    }

    fn write_kubeconfig(&self, file: &Path, token: &str) -> Result<()> {
        // JSON is YAML.
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{
                "name": "test",
                "cluster": {
                    "server": self.url(),
                    "certificate-authority-data": BASE64.encode(&self.authority_pem),
                },
            }],
            "users": [{ "name": "test", "user": { "token": token } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
            "current-context": "test",
        });
        // Written aside and renamed: other tests, and Portcullis itself, may be reading it.
        let mut aside = NamedTempFile::new_in(self.folder.path())?;
        aside.write_all(&serde_json::to_vec_pretty(&kubeconfig)?)?;
        aside.persist(file).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(())
    }

    async fn launch(&self) -> Result<Process> {
        let folder = self.folder.path();
        let file = |name: &str| folder.join(name).display().to_string();
        let mut process = Launch::new("kube-apiserver", crate::parts::path("kube-apiserver")?)
            .arg(format!("--etcd-servers={}", self.etcd_url))
            .arg("--bind-address=127.0.0.1")
            .arg(format!("--secure-port={}", self.port.number()))
            // Nobody connects there, and the API server refuses a loopback address.
            .args(["--advertise-address=192.0.2.1", "--endpoint-reconciler-type=none"])
            .arg(format!("--tls-cert-file={}", file("api-server.crt")))
            .arg(format!("--tls-private-key-file={}", file("api-server.key")))
            .arg(format!("--cert-dir={}", folder.display()))
            .arg(format!("--service-account-issuer={ISSUER}"))
            .arg(format!("--api-audiences={API_AUDIENCE}"))
            .arg(format!("--service-account-key-file={}", file(token_keys::PUBLIC_KEY)))
            .arg(format!("--service-account-signing-key-file={}", file(token_keys::PRIVATE_KEY)))
            .args(["--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC"])
            .arg(format!("--token-auth-file={}", file("tokens.csv")))
            .start()?;
        let client = crate::http::client_with(&[&self.authority_pem])?;
        let ready = format!("{}/readyz", self.url());
        let what = format!("does not answer 200 at {ready}");
        process
            .wait_until(&what, READY_WITHIN, async |_| {
                let response = client.get(&ready).bearer_auth(&self.admin_token).send().await.ok()?;
                response.status().is_success().then_some(())
            })
            .await?;
        Ok(process)
    }
}

/// A client for a kubeconfig's only context.
async fn client_of(kubeconfig: &Path) -> Result<Client> {
    crate::http::install_crypto();
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

#[cfg(test)]
mod tests;
