//! What the suites stand on: an API server with the manifests' own RBAC, and Portcullis behind an Envoy.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use portcullis_integration::cluster::{Cluster, ISSUER};
use portcullis_integration::envoy::{Envoy, Variant};
use portcullis_integration::portcullis::{Config, HOST, Portcullis, TOKEN_AUDIENCE};
use portcullis_integration::raw_client::{Response, http1};
use portcullis_integration::upstream::{Protocol, Upstream};
use serde_json::json;
use tokio::sync::Mutex;

/// The API server that tests share which do not count its calls and do not stop it. It ends with the last of them.
pub(crate) async fn shared_cluster() -> Arc<Cluster> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::const_new(Weak::new());

    let mut shared = SHARED.lock().await;
    if let Some(cluster) = shared.upgrade() {
        return cluster;
    }
    let cluster = Arc::new(own_cluster().await);
    *shared = Arc::downgrade(&cluster);
    cluster
}

/// An API server of one's own, with the account and the rights that the manifests give to Portcullis.
pub(crate) async fn own_cluster() -> Cluster {
    let cluster = Cluster::start().await.unwrap();
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/base");
    for file in ["namespace.yaml", "rbac.yaml"] {
        cluster.apply(&std::fs::read_to_string(base.join(file)).unwrap()).await.unwrap();
    }
    cluster
}

/// A name that no other test of this process uses.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The value of `authorization`.
pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// A gateway whose tokens a cluster reviews.
pub(crate) struct Door {
    pub(crate) envoy: Envoy,
    pub(crate) portcullis: Portcullis,
    _upstream: Upstream,
}

impl Door {
    /// Portcullis has the account of the manifests.
    pub(crate) async fn open(variant: Variant, cluster: &Cluster, configure: impl FnOnce(Config) -> Config) -> Self {
        let kubeconfig = cluster.kubeconfig_of("portcullis", "portcullis").await.unwrap();
        Self::open_as(variant, kubeconfig, configure).await
    }

    pub(crate) async fn open_as(
        variant: Variant,
        kubeconfig: PathBuf,
        configure: impl FnOnce(Config) -> Config,
    ) -> Self {
        let accounts = json!({ "audiences": [TOKEN_AUDIENCE], "issuers": [ISSUER], "kubeconfig": kubeconfig });
        let config = Config::new().unwrap().set("/service_accounts", accounts);
        let portcullis = configure(config).start().await.unwrap();
        let upstream = Upstream::start(Protocol::Http1).await.unwrap();
        let envoy = Envoy::builder(variant)
            .unwrap()
            .check(portcullis.check_address())
            .upstream(&upstream)
            .start()
            .await
            .unwrap();
        Self { envoy, portcullis, _upstream: upstream }
    }

    pub(crate) async fn get(&self, path: &str, lines: &[(&str, &str)]) -> Response {
        http1::get(&self.envoy.to_http1(), HOST, path, lines).await.unwrap()
    }

    /// A request with a token and nothing else.
    pub(crate) async fn present(&self, token: &str) -> Response {
        self.get("/", &[("authorization", &bearer(token))]).await
    }

    /// Fails unless the upstream sees the account.
    pub(crate) async fn expect_account(&self, token: &str, namespace: &str, name: &str) {
        let answer = self.present(token).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let account = format!("system:serviceaccount:{namespace}:{name}");
        assert_eq!(answer.echo().unwrap().headers.all("kubeflow-userid"), [account.as_str()]);
    }

    /// How many reviews Portcullis has made, by its own count.
    pub(crate) async fn reviews(&self) -> u64 {
        let metrics = self.portcullis.metrics().await.unwrap();
        let samples = metrics.lines().filter(|line| line.contains("token_reviews_total{"));
        samples.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}
