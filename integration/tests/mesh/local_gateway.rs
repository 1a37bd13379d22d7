//! Kubeflow's second gateway, inside the cluster: off unless a component switches it on.

use portcullis_integration::mesh::{
    ISTIO_NAMESPACE, LOCAL_GATEWAY_ACCOUNT, MODEL, Mesh, NEIGHBOUR, TEAM, of_an_operator,
};
use portcullis_integration::raw_client::{Response, Target, http1};
use serde_json::{Value, json};

use super::{assert_untouched, at_workload, bearer, call_check, eventually};

async fn predict(gateway: &Target, path: &str, lines: &[(&str, &str)]) -> Response {
    http1::get(gateway, MODEL, path, lines).await.unwrap()
}

pub(crate) async fn the_gateway_inside_the_cluster_asks_where_it_is_told_to(mesh: &mut Mesh) {
    let local = mesh.local_gateway().await.unwrap();
    let gateway = local.target();
    let check_port = mesh.check_port_from(ISTIO_NAMESPACE, LOCAL_GATEWAY_ACCOUNT).await.unwrap();
    // What a call of the check port is answered, as gRPC says it: in the headers where there is no more. None where the
    // sidecar is being told something new.
    let asks = async || {
        let answer = call_check(&check_port, "/asked-inside").await.ok()?;
        answer.headers.only("grpc-status").or_else(|| answer.trailers.only("grpc-status")).map(str::to_owned)
    };

    // Unless it is told, it is as Kubeflow has it, and may not ask.
    eventually("the gateway leads to the model", async || {
        predict(gateway, "/inside?before", &[]).await.is_from_upstream()
    })
    .await;
    eventually("PERMISSION_DENIED", async || asks().await.as_deref() == Some("7")).await;

    mesh.apply(&of_an_operator("both-gateways/portcullis")).await.unwrap();
    eventually("it may ask", async || asks().await.as_deref() == Some("0")).await;
    mesh.apply(&of_an_operator("both-gateways/gateway")).await.unwrap();
    mesh.cluster.apply(&kubeflows_deny().to_string()).await.unwrap();
    eventually("it asks", async || predict(gateway, "/inside?unasked", &[]).await.status == 401).await;
    let token = bearer(mesh, NEIGHBOUR).await;
    let lines = [("authorization", token.as_str()), ("kubeflow-userid", "root@example.com")];
    eventually("it knows the assertion", async || predict(gateway, "/inside?token", &lines).await.is_from_upstream())
        .await;
    let answer = predict(gateway, "/inside?as-one", &lines).await;
    assert!(answer.is_from_upstream(), "{} {}", answer.status, local.log_tail());
    let received = at_workload(mesh, "/inside?as-one");
    let name = format!("system:serviceaccount:{TEAM}:{NEIGHBOUR}");
    assert_eq!(received.headers.all("kubeflow-userid"), [name]);
    assert!(received.headers.has("portcullis-assertion"));
    // No sign-in there, and no host that nobody named.
    let page = [("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    assert_eq!(predict(gateway, "/inside?page", &page).await.status, 401);
    let elsewhere = http1::get(gateway, "model.team-b.svc.cluster.local", "/inside?elsewhere", &lines).await.unwrap();
    assert_eq!(elsewhere.status, 421, "{}", elsewhere.text());
    // The workload asks the same of it as of the other gateway.
    let bare = mesh.workload_from(ISTIO_NAMESPACE, LOCAL_GATEWAY_ACCOUNT).await.unwrap();
    eventually("the model refuses what has no assertion", async || {
        http1::get(&bare, MODEL, "/inside?bare", &[]).await.unwrap().status == 403
    })
    .await;
    for path in ["/inside?page", "/inside?elsewhere"] {
        assert_untouched(mesh, path);
    }
    take_back(mesh, asks).await;
}

/// What Kubeflow's overlay for tokens at this gateway asks of every request.
fn kubeflows_deny() -> Value {
    json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": { "name": "cluster-local-gateway-require-jwt", "namespace": ISTIO_NAMESPACE },
        "spec": {
            "action": "DENY",
            "selector": { "matchLabels": { "app": "cluster-local-gateway" } },
            "rules": [{ "from": [{ "source": { "notRequestPrincipals": ["*"] } }] }],
        },
    })
}

async fn take_back(mesh: &Mesh, asks: impl AsyncFn() -> Option<String>) {
    for (namespace, name) in [
        (ISTIO_NAMESPACE, "portcullis-cluster-local"),
        (ISTIO_NAMESPACE, "portcullis-assertion"),
        (ISTIO_NAMESPACE, "cluster-local-gateway-require-jwt"),
        (TEAM, "from-the-local-gateway"),
    ] {
        mesh.cluster.kubectl(&["delete", "authorizationpolicy", name, "--namespace", namespace]).await.unwrap();
    }
    mesh.apply(&of_an_operator("portcullis")).await.unwrap();
    eventually("it may not ask any more", async || asks().await.as_deref() == Some("7")).await;
}
