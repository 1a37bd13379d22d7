//! What Istio is told, in a mesh with the real Envoy: the DENY policies, and the limit of streams.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use portcullis_integration::cluster::kustomize_with;
use portcullis_integration::mesh::{GATEWAY_ACCOUNT, ISTIO_NAMESPACE, Mesh, NEIGHBOUR, Service, ServiceOf};
use portcullis_integration::portcullis::HOST;
use portcullis_integration::raw_client::{Response, Stream, Target, http1, http2};
use portcullis_integration::upstream::{Protocol, Upstream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{TEAM, component, eventually};

/// Where Kubeflow's own services are.
const KUBEFLOW: &str = "kubeflow";
/// What a limit of an hour is here.
const LIMIT: Duration = Duration::from_secs(2);

/// All of it on one mesh, since its start costs the most.
#[tokio::test]
async fn visualizations_and_the_registry_are_closed_and_streams_end() {
    let mesh = Mesh::start().await.unwrap();
    // Each on a mesh that the others have left as it was.
    nobody_asks_pipelines_for_visualizations(&mesh).await;
    the_model_registry_is_reached_by_the_gateway_and_its_own_namespaces_alone(&mesh).await;
    a_stream_ends_at_the_limit_and_lives_on_without(&mesh).await;
}

async fn apply(mesh: &Mesh, objects: &[Value]) {
    mesh.cluster.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string()).await.unwrap();
}

async fn delete(mesh: &Mesh, text: &str) {
    mesh.cluster.kubectl_with(&mesh.cluster.admin_kubeconfig(), &["delete", "-f", "-"], text).await.unwrap();
}

async fn get(target: &Target, path: &str, lines: &[(&str, &str)]) -> Response {
    http1::get(target, HOST, path, lines).await.unwrap()
}

/// A call by gRPC: whether the service received it.
async fn call_reaches(target: &Target, path: &str) -> bool {
    let request = http2::Request::get("ml-pipeline", path)
        .pseudo(":method", "POST")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body([0, 0, 0, 0, 0]);
    http2::exchange(target, &request).await.unwrap().is_from_upstream()
}

/// The distribution's policy for `ml-pipeline`: whoever comes without a name, and its own services.
fn policy_of_pipelines() -> Value {
    json!({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": { "name": "ml-pipeline", "namespace": KUBEFLOW },
        "spec": { "selector": { "matchLabels": { "app": "ml-pipeline" } }, "rules": [
            { "from": [{ "source": { "principals": ["cluster.local/ns/kubeflow/sa/ml-pipeline-ui"] } }] },
            { "when": [{ "key": "request.headers[kubeflow-userid]", "notValues": ["*"] }] },
        ] },
    })
}

async fn nobody_asks_pipelines_for_visualizations(mesh: &Mesh) {
    let (http, grpc) =
        (Upstream::start(Protocol::Http1).await.unwrap(), Upstream::start(Protocol::Http2).await.unwrap());
    let pipelines = ServiceOf {
        namespace: KUBEFLOW,
        name: "ml-pipeline",
        labels: &[("app", "ml-pipeline")],
        ports: &[(8888, "HTTP", http.address()), (8887, "GRPC", grpc.address())],
        address: 50,
    };
    let pipelines = mesh.service(&pipelines).await.unwrap();
    let ui = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": "ml-pipeline-ui", "namespace": KUBEFLOW },
    });
    apply(mesh, &[policy_of_pipelines(), ui]).await;
    // A pod of a team's, and Kubeflow's own pages.
    let mut callers = Vec::new();
    for (namespace, account) in [(TEAM, NEIGHBOUR), (KUBEFLOW, "ml-pipeline-ui")] {
        let [http, grpc] =
            [8888, 8887].map(async |port| mesh.service_from(&pipelines, port, namespace, account).await.unwrap());
        callers.push((http.await, grpc.await));
    }

    let asked = [
        "/apis/v1beta1/visualizations/",
        "/apis/v1beta1/visualizations",
        "/apis/v1beta1/visualizations/team-a",
        "/apis/v2beta1/visualizations/team-a?type=custom",
        "/apis/v1beta1/%76isualizations/team-a",
        "/apis/./v1beta1/visualizations/team-a",
        "/apis/v1beta1%2Fvisualizations/team-a",
        "/apis%2fv2beta1/visualizations/team-a",
    ];
    let called = [
        "/api.VisualizationService/CreateVisualizationV1",
        "/kubeflow.pipelines.backend.api.v2beta1.VisualizationService/CreateVisualizationV1",
    ];
    let others = ["/apis/v2beta1/runs?namespace=team-a", "/apis/v1beta1/healthz", "/apis/v1beta1/pipelines"];
    let (team, _) = &callers[0];
    eventually("the distribution's policy lets in who has no name", async || {
        get(team, "/apis/v1beta1/healthz", &[]).await.is_from_upstream()
    })
    .await;
    for (http, grpc) in &callers {
        for path in asked.iter().chain(&others) {
            assert!(get(http, path, &[]).await.is_from_upstream(), "without it, {path} reaches the service");
        }
        for path in called {
            assert!(call_reaches(grpc, path).await, "without it, {path} reaches the service");
        }
    }

    let text = component("kubeflow-deny-visualizations").await;
    mesh.cluster.apply(&text).await.unwrap();
    eventually("visualizations are refused", async || get(team, asked[0], &[]).await.status == 403).await;
    let (before, called_before) = (http.received().len(), grpc.received().len());
    for (http, grpc) in &callers {
        for path in asked {
            let answer = get(http, path, &[("authorization", "Bearer a")]).await;
            assert_eq!((answer.status, answer.text().as_str()), (403, "RBAC: access denied"), "{path}");
        }
        for path in called {
            assert!(!call_reaches(grpc, path).await, "{path}");
        }
    }
    assert_eq!((http.received().len(), grpc.received().len()), (before, called_before));
    for (http, grpc) in &callers {
        for path in others {
            assert!(get(http, path, &[]).await.is_from_upstream(), "{path}: {}", pipelines.log_tail());
        }
        assert!(call_reaches(grpc, "/api.RunService/ListRunsV1").await);
    }
    delete(mesh, &text).await;
}

/// The distribution's policy for the registry's server.
fn policy_of_the_registry() -> Value {
    let gateway = format!("cluster.local/ns/{ISTIO_NAMESPACE}/sa/{GATEWAY_ACCOUNT}");
    json!({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": { "name": "model-registry-service", "namespace": TEAM },
        "spec": { "selector": { "matchLabels": { "component": "model-registry-server" } }, "rules": [
            { "from": [{ "source": { "principals": [gateway] } }] },
            { "when": [
                { "key": "request.headers[authorization]", "values": ["*"] },
                { "key": "request.headers[kubeflow-userid]", "notValues": ["*"] },
            ] },
        ] },
    })
}

async fn the_model_registry_is_reached_by_the_gateway_and_its_own_namespaces_alone(mesh: &Mesh) {
    let server = Upstream::start(Protocol::Http1).await.unwrap();
    let registry = ServiceOf {
        namespace: TEAM,
        name: "model-registry-server",
        labels: &[("component", "model-registry-server")],
        ports: &[(8080, "HTTP", server.address())],
        address: 51,
    };
    let registry: Service = mesh.service(&registry).await.unwrap();
    // The team's other policies hold for the registry as well; what they ask for is in another test.
    for kind in ["authorizationpolicy", "requestauthentication", "peerauthentication"] {
        mesh.cluster.kubectl(&["delete", kind, "--all", "--namespace", TEAM]).await.unwrap();
    }
    let other_team = "team-b";
    mesh.cluster.create_namespace(other_team).await.unwrap();
    apply(mesh, &[policy_of_the_registry()]).await;
    let mut from = Vec::new();
    for (namespace, account) in
        [(ISTIO_NAMESPACE, GATEWAY_ACCOUNT), (KUBEFLOW, "default"), (TEAM, "default"), (other_team, "default")]
    {
        from.push(mesh.service_from(&registry, 8080, namespace, account).await.unwrap());
    }
    let [gateway, kubeflow, team, stranger] = &from[..] else { unreachable!() };
    let some_token = [("authorization", "Bearer a")];
    let reaches = async |target: &Target| match http1::get(target, HOST, "/api/model_registry", &some_token).await {
        Ok(answer) => answer.is_from_upstream(),
        // The sidecar is being told another mode of mutual TLS.
        Err(_) => false,
    };
    eventually("the distribution's policy is in force", async || {
        reaches(stranger).await && http1::get(stranger, HOST, "/", &[]).await.is_ok_and(|answer| answer.status == 403)
    })
    .await;
    for target in [gateway, kubeflow, team] {
        eventually("without it, any pod with a token reaches the server", async || reaches(target).await).await;
    }

    let for_the_team = |patches: Value| {
        kustomize_with(move |root| {
            json!({
                "namespace": TEAM,
                "components": [root.join("manifests/components/kubeflow-deny-model-registry")],
                "patches": patches,
            })
        })
    };
    let text = for_the_team(json!([])).await.unwrap();
    mesh.cluster.apply(&text).await.unwrap();
    for target in [stranger, team] {
        eventually("who is neither the gateway nor Kubeflow is refused", async || !reaches(target).await).await;
    }
    assert!(reaches(gateway).await && reaches(kubeflow).await, "{}", registry.log_tail());

    // As its comment tells the owner of a team's registry.
    let comment =
        portcullis_integration::project::read("manifests/components/kubeflow-deny-model-registry/kustomization.yaml");
    let lines = comment.lines().filter_map(|line| line.strip_prefix("#   "));
    let written: Value = serde_saphyr::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap();
    mesh.cluster.apply(&for_the_team(written["patches"].clone()).await.unwrap()).await.unwrap();
    eventually("its own namespace reaches it", async || reaches(team).await).await;
    assert!(reaches(gateway).await && reaches(kubeflow).await && !reaches(stranger).await);
    delete(mesh, &text).await;
    mesh.cluster.apply(&Mesh::policies_of_the_team().await.unwrap().to_list()).await.unwrap();
}

/// A service that echoes what comes over a WebSocket, and else never stops to answer.
async fn terminal() -> SocketAddr {
    async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        if String::from_utf8_lossy(&head).to_lowercase().contains("upgrade: websocket") {
            let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
            stream.write_all(answer.as_bytes()).await?;
            let (mut reader, mut writer) = stream.split();
            return tokio::io::copy(&mut reader, &mut writer).await.map(drop);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
        loop {
            stream.write_all(b"1\r\n.\r\n").await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// A way from the gateway to the terminal, as the notebook's controller writes it, with the route's own timeout if any.
fn route(terminal: SocketAddr, timeout: Option<&str>) -> [Value; 2] {
    let metadata = json!({ "name": "terminal", "namespace": TEAM });
    let entry = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": metadata,
        "spec": {
            "hosts": ["terminal.test"], "location": "MESH_EXTERNAL", "resolution": "STATIC",
            "ports": [{ "name": "http", "number": 80, "protocol": "HTTP" }],
            "endpoints": [{ "address": terminal.ip().to_string(), "ports": { "http": terminal.port() } }],
        },
    });
    let mut service = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata,
        "spec": {
            "gateways": ["kubeflow/kubeflow-gateway"], "hosts": ["*"],
            "http": [{
                "match": [{ "uri": { "prefix": "/notebook/team-a/terminal/" } }],
                "route": [{ "destination": { "host": "terminal.test", "port": { "number": 80 } } }],
            }],
        },
    });
    if let Some(timeout) = timeout {
        service["spec"]["http"][0]["timeout"] = json!(timeout);
    }
    [entry, service]
}

const TERMINAL: &str = "/notebook/team-a/terminal/";

/// An open terminal: its stream, and when it was asked for.
struct Open {
    stream: Box<dyn Stream>,
    since: Instant,
}

/// Asks for a terminal; the answer where it is refused.
async fn open(mesh: &Mesh, token: &str) -> Result<Open, Response> {
    let bearer = format!("Bearer {token}");
    let lines = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("authorization", &bearer),
    ];
    let mut connection = http1::Connection::open(&mesh.gateway()).await.unwrap();
    let since = Instant::now();
    connection.send(&http1::request("GET", HOST, TERMINAL, &lines)).await.unwrap();
    let answer = connection.receive("GET").await.unwrap();
    if answer.status == 101 { Ok(Open { stream: connection.into_stream(), since }) } else { Err(answer) }
}

impl Open {
    /// Whether what is typed still comes back.
    async fn echoes(&mut self) -> bool {
        let mut back = [0; 3];
        let typed = self.stream.write_all(b"ls\n").await.is_ok() && self.stream.flush().await.is_ok();
        typed && self.stream.read_exact(&mut back).await.is_ok() && back == *b"ls\n"
    }

    /// How long it lasted in all, where it ends within `most`.
    async fn lasts(mut self, most: Duration) -> Option<Duration> {
        while self.since.elapsed() < most {
            if !self.echoes().await {
                return Some(self.since.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        None
    }
}

/// How long an answer lasts that never ends by itself, where it ends within `most`.
async fn an_endless_answer_lasts(mesh: &Mesh, token: &str, most: Duration) -> Option<Duration> {
    let bearer = format!("Bearer {token}");
    let mut connection = http1::Connection::open(&mesh.gateway()).await.unwrap();
    let since = Instant::now();
    connection.send(&http1::request("GET", HOST, TERMINAL, &[("authorization", &bearer)])).await.unwrap();
    let mut stream = connection.into_stream();
    let mut bytes = [0; 1024];
    while let Ok(read) = tokio::time::timeout(most.saturating_sub(since.elapsed()), stream.read(&mut bytes)).await {
        if read.is_err() || matches!(read, Ok(0)) {
            return Some(since.elapsed());
        }
    }
    None
}

async fn a_stream_ends_at_the_limit_and_lives_on_without(mesh: &Mesh) {
    let terminal = terminal().await;
    apply(mesh, &route(terminal, None)).await;
    let token = mesh.script_token(TEAM, NEIGHBOUR).await.unwrap();
    eventually("the way to the terminal is there", async || open(mesh, &token).await.is_ok()).await;

    // Without it: nothing ends them.
    let longer = LIMIT * 3;
    assert_eq!(an_endless_answer_lasts(mesh, &token, longer).await, None);
    apply(mesh, &route(terminal, Some("1s"))).await;
    eventually("the route has a timeout", async || an_endless_answer_lasts(mesh, &token, longer).await.is_some()).await;
    assert_eq!(open(mesh, &token).await.ok().unwrap().lasts(longer).await, None, "a WebSocket outlives it");
    who_has_left_keeps_the_terminal_that_is_open(mesh).await;
    apply(mesh, &route(terminal, None)).await;
    eventually("the route has none", async || an_endless_answer_lasts(mesh, &token, longer).await.is_none()).await;

    let delivered = component("gateway-stream-limit").await;
    assert!(delivered.contains("max_stream_duration: 3600s"), "{delivered}");
    let text = delivered.replace("3600s", &format!("{}s", LIMIT.as_secs()));
    mesh.cluster.apply(&text).await.unwrap();
    eventually("streams end", async || open(mesh, &token).await.ok().unwrap().lasts(longer).await.is_some()).await;
    let lasted = open(mesh, &token).await.ok().unwrap().lasts(longer * 5).await.unwrap();
    assert!(lasted >= LIMIT, "no sooner: {lasted:?}");
    let lasted = an_endless_answer_lasts(mesh, &token, longer * 5).await.unwrap();
    assert!(lasted >= LIMIT, "no sooner: {lasted:?}");
    // Who comes again is asked again, and goes on.
    assert!(open(mesh, &token).await.ok().unwrap().echoes().await);
    assert_eq!(open(mesh, "none").await.err().unwrap().status, 401);
    assert!(mesh.get("/short", &[("authorization", &format!("Bearer {token}"))]).await.unwrap().is_from_upstream());

    delete(mesh, &text).await;
    eventually("they live on", async || open(mesh, &token).await.ok().unwrap().lasts(longer).await.is_none()).await;
}

/// What the limit is for.
async fn who_has_left_keeps_the_terminal_that_is_open(mesh: &Mesh) {
    mesh.cluster.create_service_account(TEAM, "leaver").await.unwrap();
    let token = mesh.script_token(TEAM, "leaver").await.unwrap();
    let mut terminal = open(mesh, &token).await.ok().unwrap();
    mesh.cluster.delete_service_account(TEAM, "leaver").await.unwrap();
    eventually("the account is refused", async || open(mesh, &token).await.is_err()).await;
    assert!(terminal.echoes().await, "what is open was checked at its beginning alone");
}
