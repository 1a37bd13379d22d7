//! The real server of Katib's UI, with experiments of two teams.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis_integration::cluster::Cluster;
use portcullis_integration::parts;
use portcullis_integration::ports::Port;
use portcullis_integration::process::{Launch, Process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;

/// A loaded machine may take this long where 0.2 s is usual.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// What its page says here: the module has no pages that are built.
pub(crate) const PAGE: &str = "<title>the page of Katib's UI</title>";

/// A running server of Katib's UI. It is killed when it is dropped.
pub(crate) struct Katib {
    _process: Process,
    port: Port,
    _folder: TempDir,
    measurements: JoinHandle<()>,
}

impl Katib {
    /// Starts one, and gives each of the namespaces an experiment and a trial of it, named for it.
    pub(crate) async fn start(cluster: &Cluster, namespaces: &[&str]) -> Self {
        let objects: Vec<Value> = ["Experiment", "Trial"].map(definition).into();
        cluster.apply(&list(&objects)).await.unwrap();
        for plural in ["experiments", "trials"] {
            let definition = format!("crd/{plural}.kubeflow.org");
            cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", &definition]).await.unwrap();
        }
        let objects: Vec<Value> = namespaces.iter().flat_map(|name| [experiment(name), trial(name)]).collect();
        cluster.apply(&list(&objects)).await.unwrap();

        let folder = TempDir::with_prefix("portcullis-katib-").unwrap();
        std::fs::create_dir(folder.path().join("static")).unwrap();
        std::fs::write(folder.path().join("static/index.html"), PAGE).unwrap();
        std::fs::write(folder.path().join("static/main.js"), "// a script").unwrap();
        let (manager, measurements) = serve_measurements().await;
        let port = Port::take().unwrap();
        let mut process = Launch::new("katib-ui", parts::path("katib-ui").unwrap())
            .clear_env()
            .env("KUBECONFIG", cluster.admin_kubeconfig())
            // As Kubeflow starts it, but for the prefix: without one of its own, it cuts a colon out of an account's name.
            .env("APP_DISABLE_AUTH", "false")
            .env("USERID_PREFIX", "")
            .args(["-host", "127.0.0.1", "-port", &port.address().port().to_string()])
            .arg("-build-dir")
            .arg(folder.path())
            .args(["-db-manager-address", &manager.to_string()])
            .start()
            .unwrap();
        process.wait_for_ok(&format!("http://{}/katib/", port.address()), READY_WITHIN).await.unwrap();
        Self { _process: process, port, _folder: folder, measurements }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }
}

impl Drop for Katib {
    fn drop(&mut self) {
        self.measurements.abort();
    }
}

fn list(items: &[Value]) -> String {
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}

/// A kind of Katib's, which takes whatever it is given.
fn definition(kind: &str) -> Value {
    let singular = kind.to_lowercase();
    let plural = format!("{singular}s");
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let version =
        json!({ "name": "v1beta1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.kubeflow.org") },
        "spec": {
            "group": "kubeflow.org",
            "scope": "Namespaced",
            "names": { "kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": singular },
            "versions": [version],
        },
    })
}

fn experiment(namespace: &str) -> Value {
    json!({
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": { "namespace": namespace, "name": format!("experiment-of-{namespace}") },
        "spec": {},
        "status": { "conditions": [{ "type": "Running", "status": "True" }] },
    })
}

/// One of an experiment that has the same name in every team.
fn trial(namespace: &str) -> Value {
    json!({
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Trial",
        "metadata": {
            "namespace": namespace,
            "name": format!("trial-of-{namespace}"),
            "labels": { "katib.kubeflow.org/experiment": "search" },
        },
        "spec": { "parameterAssignments": [
            { "name": "architecture", "value": "[]" },
            { "name": "nn_config", "value": "{}" },
        ] },
        "status": { "conditions": [{ "type": "Succeeded", "status": "True" }] },
    })
}

/// What Katib's manager of measurements answers about every trial: that there are none.
#[derive(Clone, PartialEq, prost::Message)]
struct Measurements {
    #[prost(message, optional, tag = "1")]
    log: Option<()>,
}

struct NoMeasurements;

impl tonic::server::UnaryService<()> for NoMeasurements {
    type Response = Measurements;
    type Future = std::future::Ready<Result<tonic::Response<Measurements>, tonic::Status>>;

    fn call(&mut self, _about: tonic::Request<()>) -> Self::Future {
        std::future::ready(Ok(tonic::Response::new(Measurements { log: Some(()) })))
    }
}

/// Stands in for `katib-db-manager`, of which the UI asks nothing else.
async fn serve_measurements() -> (SocketAddr, JoinHandle<()>) {
    let answer = async |request: axum::extract::Request| {
        let codec = tonic_prost::ProstCodec::<Measurements, ()>::default();
        tonic::server::Grpc::new(codec).unary(NoMeasurements, request).await
    };
    let routes = axum::Router::new().route("/api.v1.beta1.DBManager/GetObservationLog", axum::routing::post(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder().add_routes(routes.into());
    let task = tokio::spawn(async move {
        server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
    });
    (address, task)
}
