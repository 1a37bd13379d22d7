//! A second provider of CUSTOM policies on the gateway.

use portcullis_integration::check_server::CheckServer;
use portcullis_integration::jwt;
use portcullis_integration::mesh::{ISTIO_NAMESPACE, Mesh, NEIGHBOUR, TEAM};
use portcullis_integration::raw_client::Response;
use serde_json::{Value, json};

use super::{assert_untouched, at_workload, bearer, until};

const FLAG: &str = "PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS";
const FORGED: &str = "root@example.com";

/// Istio since 1.30; before, and where the flag is off, it denies.
pub(crate) async fn a_second_custom_provider_denies_all_or_writes_behind_us_by_its_name(mesh: &mut Mesh) {
    let other = CheckServer::start("kubeflow-userid", FORGED).await.unwrap();
    mesh.cluster.apply(&service_of(&other).to_string()).await.unwrap();
    mesh.custom_providers(&["a-writer", "writer"].map(provider)).await.unwrap();
    let bearer = bearer(mesh, NEIGHBOUR).await;
    let authorized = [("authorization", bearer.as_str())];
    let refused = |answer: &Response| answer.status == 403 && answer.text().contains("RBAC");
    let name = format!("system:serviceaccount:{TEAM}:{NEIGHBOUR}");

    // As istiod is delivered: nobody passes.
    mesh.cluster.apply(&policy("writer").to_string()).await.unwrap();
    until(mesh, "/two-providers?off", &authorized, refused).await;

    // With the flag, one is asked after the other, in the order of their names: what the last one writes stays.
    mesh.restart_istiod(&[(FLAG, "true")]).await.unwrap();
    until(mesh, "/two-providers?waits", &authorized, Response::is_from_upstream).await;
    mesh.get("/two-providers?behind", &authorized).await.unwrap().echo().unwrap();
    let received = at_workload(mesh, "/two-providers?behind");
    assert_eq!(received.headers.all("kubeflow-userid"), [FORGED], "nobody strips behind us");
    let assertion = received.headers.only("portcullis-assertion").unwrap();
    assert_eq!(jwt::claims(assertion).unwrap()["sub"], name, "a service that reads the assertion is not deceived");
    // Who is not signed in is refused by us all the same.
    assert_eq!(mesh.get("/two-providers?anonymous", &[]).await.unwrap().status, 401);
    assert_untouched(mesh, "/two-providers?anonymous");

    // One that is asked before us is stripped like a client.
    mesh.cluster.apply(&policy("a-writer").to_string()).await.unwrap();
    until(mesh, "/two-providers?turns", &authorized, |answer| {
        answer.echo().is_ok_and(|received| received.headers.all("kubeflow-userid") == [&name])
    })
    .await;

    mesh.cluster.kubectl(&["delete", "authorizationpolicy", "writer", "-n", ISTIO_NAMESPACE]).await.unwrap();
    mesh.cluster.kubectl(&["delete", "serviceentry", "writer", "-n", ISTIO_NAMESPACE]).await.unwrap();
    mesh.custom_providers(&[]).await.unwrap();
    mesh.restart_istiod(&[]).await.unwrap();
    until(mesh, "/two-providers?over", &authorized, Response::is_from_upstream).await;
}

fn service_of(server: &CheckServer) -> Value {
    let address = server.address();
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": { "name": "writer", "namespace": ISTIO_NAMESPACE },
        "spec": {
            "hosts": ["writer.test"],
            "location": "MESH_EXTERNAL",
            "resolution": "STATIC",
            "ports": [{ "name": "grpc", "number": 9000, "protocol": "GRPC" }],
            "endpoints": [{ "address": address.ip().to_string(), "ports": { "grpc": address.port() } }],
        },
    })
}

fn provider(name: &str) -> Value {
    json!({
        "name": name,
        "envoyExtAuthzGrpc": { "service": format!("{ISTIO_NAMESPACE}/writer.test"), "port": 9000, "timeout": "10s" },
    })
}

/// The other provider's policy, which is asked about every request as ours is.
fn policy(provider: &str) -> Value {
    json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": { "name": "writer", "namespace": ISTIO_NAMESPACE },
        "spec": {
            "selector": { "matchLabels": { "istio": "ingressgateway" } },
            "action": "CUSTOM",
            "provider": { "name": provider },
            "rules": [{}],
        },
    })
}
