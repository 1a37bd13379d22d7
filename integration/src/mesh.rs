//! A mesh: istiod, an ingress gateway, Portcullis with its sidecar, and a workload with its own.
//!
//! istiod programs the proxies from the very manifests of `manifests/`. Pods are child processes with
//! loopback addresses; what that changes is in `loopback.yaml` and in `Manifests::adapt`, nowhere
//! else.

mod addresses;
mod applications;
mod before;
mod configuration;
mod identity;
mod istiod;
mod local_gateway;
mod manifests;
mod manual;
mod names;
mod pod;
mod proxy;
mod second_gateway;
mod service;
mod sign_in;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use url::Url;

use crate::browser::Browser;
use crate::cluster::Cluster;
use crate::dex::Dex;
use crate::pki::{Authority, Identity};
use crate::portcullis::{HOST, ORIGIN, Portcullis};
use crate::provider::{Provider, Settings, User};
use crate::raw_client::{Response, Target, http1};
use crate::upstream::{Protocol, Upstream};
use crate::visitor::Visitor;

use addresses::Block;
pub use applications::StandIn;
pub use before::Before;
use configuration::{configure, processes};
use istiod::Istiod;
pub use istiod::NAMESPACE as ISTIO_NAMESPACE;
pub use local_gateway::{LOCAL_GATEWAY_ACCOUNT, LocalGateway, MODEL};
pub use manifests::{Manifests, folder as manifests_folder};
pub use manual::distribution;
pub use names::{APPLICATION_NAMESPACES, NAMESPACE, OTHER_SERVICE, SECOND_HOST, SECOND_PROVIDER};
use names::{CHECK_PORT, ISTIO_AUDIENCE, KEYS_PORT};
use pod::Pod;
use proxy::{Membership, Proxy, Role};
pub use second_gateway::SecondGateway;
pub use service::{Service, ServiceOf};

/// The namespace of the workload.
pub const TEAM: &str = "team-a";
/// The gateway's ServiceAccount.
pub const GATEWAY_ACCOUNT: &str = "istio-ingressgateway-service-account";
/// A ServiceAccount of the workload's namespace that is neither the workload's nor the gateway's.
pub const NEIGHBOUR: &str = "neighbour";

/// The ServiceAccount of the workload.
pub const WORKLOAD: &str = "echo";
/// The audience of scripts' tokens, as the manifests say.
pub const TOKEN_AUDIENCE: &str = "portcullis";

/// A loaded machine may take this long where 2 s are usual.
const SETTLED_WITHIN: Duration = Duration::from_mins(1);
/// Where the gateway listens, as the Service of the gateway says.
const GATEWAY_PORT: u16 = 10080;
/// Where the gateway listens for browsers, likewise.
const GATEWAY_TLS_PORT: u16 = 10443;
/// Where the workload's sidecar listens, as the Service of the workload says.
const WORKLOAD_PORT: u16 = 10080;

/// A running mesh. All of it stops when it is dropped.
#[derive(Debug)]
pub struct Mesh {
    /// The product.
    pub portcullis: Portcullis,
    /// Where people sign in.
    pub dex: Dex,
    /// Where people of [`SECOND_HOST`] sign in.
    pub provider: Provider,
    /// The workload's own process, behind its sidecar.
    pub workload: Upstream,
    proxies: Proxies,
    /// What the gateway shows to browsers.
    certificate: Identity,
    root: String,
    istiod: Istiod,
    /// The API server.
    pub cluster: Cluster,
    pods: Pods,
}

#[derive(Debug)]
struct Proxies {
    gateway: Proxy,
    beside_portcullis: Proxy,
    beside_workload: Proxy,
}

/// The pods, and the addresses of everything.
#[derive(Debug)]
struct Pods {
    gateway: Pod,
    portcullis: Pod,
    workload: Pod,
    block: Block,
}

impl Mesh {
    /// Starts all parts and waits until requests pass through all of them.
    pub async fn start() -> Result<Self> {
        let product = Manifests::build(&of_an_operator("portcullis")).await?;
        let pods = Pods::new(&product)?;
        let (cluster, dex, workload) =
            tokio::try_join!(Cluster::start(), Dex::start_inside(), Upstream::start(Protocol::Http1))?;
        let users = vec![User { email: Some(format!("alice@{SECOND_HOST}")), ..User::new("alice", &[]) }];
        let provider = Provider::start(Settings { users, ..Settings::default() }).await?;
        let certificate = Authority::new("the public's authority")?.server(&[HOST])?;
        for namespace in [ISTIO_NAMESPACE, "auth", TEAM].iter().chain(&APPLICATION_NAMESPACES) {
            cluster.create_namespace(namespace).await?;
        }
        let mut istiod = Istiod::start(&cluster, pods.block.address(1), pods.keys_address())?;

        let config = configure(&product, &dex, &provider)?;
        cluster.install_istio_crds().await?;
        cluster.apply(&manifests::mesh_config(&[])?.to_string()).await?;
        cluster.apply(&product.adapt(pods.portcullis.address, &processes(&config)?)?.to_list()).await?;
        for manifest in [include_str!("mesh/mesh.yaml"), include_str!("mesh/loopback.yaml")] {
            cluster.apply(&pods.fill_in(manifest, workload.address(), dex.address())).await?;
        }
        let applications = Manifests::build(&distribution("applications")).await?;
        cluster.apply(&applications.to_list()).await?;
        cluster.apply(&gateway_secret(&certificate).to_string()).await?;
        for pod in [&pods.gateway, &pods.portcullis, &pods.workload] {
            pod.create(&cluster).await?;
        }

        let kubeconfig = cluster.kubeconfig_of(NAMESPACE, &pods.portcullis.service_account).await?;
        let config = config.set("/service_accounts/kubeconfig", kubeconfig.to_str());
        let root = istiod.ready(&cluster).await?;
        let address = istiod.secure_address();
        let start = async |role, pod: &Pod| {
            let token = pod.istio_token(&cluster).await?;
            Proxy::start(role, pod, &Membership { istiod: address, root: &root, token: &token })
        };
        let (portcullis, gateway, beside_portcullis, beside_workload) = tokio::try_join!(
            config.start(),
            start(Role::Gateway, &pods.gateway),
            start(Role::Sidecar, &pods.portcullis),
            start(Role::Sidecar, &pods.workload),
        )?;
        let proxies = Proxies { gateway, beside_portcullis, beside_workload };
        let mut mesh = Self { portcullis, dex, provider, workload, proxies, certificate, root, istiod, cluster, pods };
        match mesh.settle().await {
            Ok(()) => Ok(mesh),
            Err(error) => Err(error.context(mesh.log_tails())),
        }
    }

    /// Waits for the proxies, lets the gateway ask, gives the workload its policies, and waits until all of it is enforced.
    async fn settle(&mut self) -> Result<()> {
        tokio::try_join!(
            self.proxies.gateway.ready(GATEWAY_TLS_PORT),
            self.proxies.beside_portcullis.ready(CHECK_PORT),
            self.proxies.beside_workload.ready(WORKLOAD_PORT),
        )?;
        // istiod asks for the keys as soon as it sees the policy, and after a failure not soon again.
        let policies = Self::policies_of_the_team().await?;
        let keys = &policies.only("RequestAuthentication", TEAM)?["spec"]["jwtRules"][0]["jwksUri"];
        let keys = Url::parse(keys.as_str().context("no jwksUri")?)?;
        let url = format!("http://{}{}", self.pods.keys_address(), keys.path());
        self.proxies.beside_portcullis.wait_for_ok(&url).await?;
        self.apply(&of_an_operator("gateway")).await?;
        self.cluster.apply(&policies.to_list()).await?;

        let gateway = self.gateway();
        let token = self.script_token(TEAM, NEIGHBOUR).await?;
        let bearer = format!("Bearer {token}");
        let unasserted = self.workload_from(ISTIO_NAMESPACE, GATEWAY_ACCOUNT).await?;
        let deadline = Instant::now() + SETTLED_WITHIN;
        loop {
            let passed = http1::get(&gateway, HOST, "/settled", &[("authorization", &bearer)]).await;
            let refused = http1::get(&unasserted, HOST, "/settled", &[]).await;
            if passed.as_ref().is_ok_and(Response::is_from_upstream) && refused.as_ref().is_ok_and(|r| r.status == 403)
            {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("not settled: a token gets {passed:?}, a request without assertion {refused:?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What the owner of [`TEAM`] has applied there.
    pub async fn policies_of_the_team() -> Result<Manifests> {
        Manifests::build(&of_an_operator("team-a")).await
    }

    /// Applies what a kustomization of `manifests/` tells the mesh.
    pub async fn apply(&self, kustomization: &Path) -> Result<()> {
        let manifests = Manifests::build(kustomization).await?.of_the_mesh();
        let processes = processes(self.portcullis.config())?;
        self.cluster.apply(&manifests.adapt(self.pods.portcullis.address, &processes)?.to_list()).await.map(drop)
    }

    /// Gives the mesh's configuration further providers of CUSTOM policies.
    pub async fn custom_providers(&self, further: &[Value]) -> Result<()> {
        self.cluster.apply(&manifests::mesh_config(further)?.to_string()).await.map(drop)
    }

    /// Starts istiod again, with these further variables.
    pub async fn restart_istiod(&mut self, variables: &[(&str, &str)]) -> Result<()> {
        self.istiod.restart(&self.cluster, self.pods.keys_address(), variables).await
    }

    /// The gateway, in clear text, as behind a load balancer that ends TLS.
    #[must_use]
    pub fn gateway(&self) -> Target {
        Target::plain((self.pods.gateway.address, GATEWAY_PORT).into())
    }

    /// The address of the gateway's pod.
    #[must_use]
    pub fn gateway_address(&self) -> IpAddr {
        self.pods.gateway.address.into()
    }

    /// A visitor of the public origin, without cookies.
    pub fn visitor(&self) -> Result<Visitor> {
        Visitor::new(self.gateway(), ORIGIN)
    }

    /// A browser that finds the public origin at the gateway, over TLS.
    pub async fn browser(&self) -> Result<Browser> {
        let gateway = (self.pods.gateway.address, GATEWAY_TLS_PORT).into();
        Browser::builder().host(HOST, gateway).trust(&self.certificate)?.start().await
    }

    /// `GET` through the gateway with the given header lines.
    pub async fn get(&self, path: &str, lines: &[(&str, &str)]) -> Result<Response> {
        http1::get(&self.gateway(), HOST, path, lines).await
    }

    /// A token of a ServiceAccount, as a script asks for it: with the audience of the manifests.
    pub async fn script_token(&self, namespace: &str, account: &str) -> Result<String> {
        self.cluster.token(namespace, account).audience(TOKEN_AUDIENCE).issue().await
    }

    /// The workload's sidecar, reached with the mesh's certificate of any ServiceAccount.
    pub async fn workload_from(&self, namespace: &str, account: &str) -> Result<Target> {
        self.mutual_tls((self.pods.workload.address, WORKLOAD_PORT).into(), namespace, account).await
    }

    /// The workload's sidecar in clear text.
    #[must_use]
    pub fn workload_in_clear_text(&self) -> Target {
        Target::plain((self.pods.workload.address, WORKLOAD_PORT).into())
    }

    /// The port of the assertion's keys at Portcullis's sidecar, in clear text.
    #[must_use]
    pub fn keys_in_clear_text(&self) -> Target {
        Target::plain(self.pods.keys_address())
    }

    /// The check port of Portcullis's sidecar, reached with the mesh's certificate of any ServiceAccount.
    pub async fn check_port_from(&self, namespace: &str, account: &str) -> Result<Target> {
        self.mutual_tls(self.check_address(), namespace, account).await
    }

    /// The check port of Portcullis's sidecar in clear text.
    #[must_use]
    pub fn check_port_in_clear_text(&self) -> Target {
        Target::plain(self.check_address())
    }

    fn check_address(&self) -> SocketAddr {
        (self.pods.portcullis.address, CHECK_PORT).into()
    }

    async fn mutual_tls(&self, address: SocketAddr, namespace: &str, account: &str) -> Result<Target> {
        let token = self.cluster.token(namespace, account).audience(ISTIO_AUDIENCE).issue().await?;
        let config = identity::tls_client(self.istiod.secure_address(), &self.root, &token).await?;
        Target::tls_with(address, "any.name.invalid", config)
    }

    /// The issuer of the assertion, as the manifests say.
    pub fn assertion_issuer(&self) -> Result<&str> {
        let issuer = self.portcullis.config().get("/assertion/issuer").and_then(Value::as_str);
        issuer.context("the manifests name no assertion.issuer")
    }

    /// The last lines of every log.
    #[must_use]
    pub fn log_tails(&self) -> String {
        let Proxies { gateway, beside_portcullis, beside_workload } = &self.proxies;
        let proxies = [gateway, beside_portcullis, beside_workload].map(Proxy::log_tail);
        [self.istiod.log_tail(), proxies.join("\n"), self.portcullis.log_tail()].join("\n")
    }
}

impl Pods {
    fn new(product: &Manifests) -> Result<Self> {
        let block = Block::take()?;
        let labels = [("app", "istio-ingressgateway"), ("istio", "ingressgateway")];
        let deployment = product.only("Deployment", NAMESPACE)?;
        Ok(Self {
            gateway: Pod::new(ISTIO_NAMESPACE, GATEWAY_ACCOUNT, &labels, block.address(10)),
            portcullis: Pod::of_deployment(NAMESPACE, deployment, block.address(20))?,
            workload: Pod::new(TEAM, WORKLOAD, &[("app", "echo")], block.address(30)),
            block,
        })
    }

    /// Where Portcullis's sidecar serves the assertion's keys.
    fn keys_address(&self) -> SocketAddr {
        (self.portcullis.address, KEYS_PORT).into()
    }

    fn fill_in(&self, manifest: &str, workload: SocketAddr, dex: SocketAddr) -> String {
        manifest
            .replace("${GATEWAY}", &self.gateway.address.to_string())
            .replace("${ECHO}", &self.workload.address.to_string())
            .replace("${ECHO_PROCESS}", &workload.to_string())
            .replace("${DEX}", &dex.ip().to_string())
            .replace("${DEX_PORT}", &dex.port().to_string())
    }
}

/// A kustomization of `manifests/` as an operator writes it.
#[must_use]
pub fn of_an_operator(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/mesh").join(name)
}

/// The certificate that the Gateway of `mesh.yaml` names, where istiod looks for it.
fn gateway_secret(certificate: &Identity) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": { "name": "kubeflow-gateway-cert", "namespace": ISTIO_NAMESPACE },
        "stringData": { "tls.crt": certificate.certificate, "tls.key": certificate.key },
    })
}
