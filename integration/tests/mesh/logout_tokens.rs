//! A provider's logout tokens, from outside of the cluster to Portcullis (OpenID Connect Back-Channel Logout 1.0).

use portcullis_integration::cluster::Cluster;
use portcullis_integration::jwt;
use portcullis_integration::mesh::{
    ISTIO_NAMESPACE, Manifests, Mesh, NAMESPACE, SECOND_HOST, SECOND_PROVIDER, manifests_folder,
};
use portcullis_integration::raw_client::{Response, Target, http1};
use portcullis_integration::visitor::Visitor;
use serde_json::{Value, json};

use super::{assert_untouched, call_check, eventually};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// The gateway that the overlay for Kubeflow lets call the check port as well.
const LOCAL_GATEWAY: &str = "cluster-local-gateway-service-account";

fn uri() -> String {
    format!("/backchannel-logout/{SECOND_PROVIDER}")
}

async fn post(target: &Target, path: &str, form: &str) -> Response {
    let length = form.len().to_string();
    let lines = [("content-type", "application/x-www-form-urlencoded"), ("content-length", length.as_str())];
    let request = [http1::request("POST", SECOND_HOST, path, &lines), form.as_bytes().to_vec()].concat();
    http1::exchange(target, &request).await.unwrap()
}

async fn signed_in(mesh: &Mesh) -> Visitor {
    let mut visitor = Visitor::new(mesh.gateway(), &format!("https://{SECOND_HOST}")).unwrap();
    let page = visitor.sign_in("alice", "/second").await.unwrap();
    assert!(page.is_from_upstream(), "{} {}", page.status, page.text());
    visitor
}

/// The form that the provider sends about the newest of its sessions.
fn newest_ends(mesh: &Mesh) -> String {
    let session = mesh.provider.signed_in().pop().unwrap().session;
    let now = jwt::now();
    let claims = json!({
        "iss": mesh.provider.issuer(), "aud": mesh.provider.client().id, "iat": now, "exp": now + 120,
        "jti": jwt::random_id(), "events": { EVENT: {} }, "sid": session,
    });
    format!("logout_token={}", mesh.provider.sign(&claims).unwrap())
}

/// One session ends by a token that comes through the gateway, and another one stays.
async fn a_session_ends(mesh: &Mesh) {
    let (mut other, mut visitor) = (signed_in(mesh).await, signed_in(mesh).await);
    let answer = post(&mesh.gateway(), &uri(), &newest_ends(mesh)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(visitor.fetch("GET", "/second").await.unwrap().status, 401);
    assert_eq!(other.fetch("GET", "/second").await.unwrap().status, 200);
}

pub(crate) async fn a_logout_token_reaches_portcullis_through_the_gateway(mesh: &Mesh) {
    a_session_ends(mesh).await;
    // Portcullis itself refuses what is no logout token: nobody in between does.
    let keys = mesh.keys_in_clear_text();
    for target in [&mesh.gateway(), &keys] {
        let answer = post(target, &uri(), "logout_token=none").await;
        assert_eq!((answer.status, answer.text().contains("invalid_request")), (400, true), "{}", answer.text());
        assert_eq!(post(target, "/backchannel-logout/unknown", "logout_token=none").await.status, 404);
    }
    // Nothing else may be sent there.
    for path in ["/backchannel-logout", "/.well-known/jwks.json", "/backchannel-logout/../.well-known/jwks.json", "/"] {
        let answer = post(&keys, path, "logout_token=none").await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text());
        assert!(answer.text().contains("RBAC"), "{path}: the sidecar refuses it: {}", answer.text());
    }
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = http1::exchange(&keys, &http1::request(method, SECOND_HOST, &uri(), &[])).await.unwrap();
        assert_eq!(answer.status, 403, "{method}: {}", answer.text());
    }
    assert_untouched(mesh, "backchannel-logout");
}

pub(crate) async fn logout_tokens_pass_in_every_overlay(mesh: &mut Mesh) {
    let overlays = manifests_folder().join("overlays");
    let told = async |folder: &str| {
        let manifests = Manifests::build(&manifests_folder().join(folder)).await.unwrap();
        manifests.of_the_mesh().objects().to_vec()
    };
    // What this one tells the mesh is what the base does, which the other tests run on.
    assert_eq!(told("overlays/redis").await, told("base").await);
    let mut names: Vec<_> = std::fs::read_dir(&overlays).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["kubeflow", "redis"], "another overlay needs its part of this test");

    mesh.cluster.create_service_account(ISTIO_NAMESPACE, LOCAL_GATEWAY).await.unwrap();
    mesh.apply(&overlays.join("kubeflow")).await.unwrap();
    // Told by what this overlay alone allows.
    let local = mesh.check_port_from(ISTIO_NAMESPACE, LOCAL_GATEWAY).await.unwrap();
    eventually("the overlay is in force", async || {
        let answer = call_check(&local, "/checked-by-the-local-gateway").await;
        answer.is_ok_and(|answer| answer.trailers.only("grpc-status") == Some("0"))
    })
    .await;
    a_session_ends(mesh).await;

    // Kubeflow's own policy denies what has no assertion, so it needs the path among its exceptions.
    let answered = async || post(&mesh.gateway(), &uri(), "logout_token=none").await.status;
    assert_eq!(answered().await, 400);
    mesh.cluster.apply(&kubeflows_deny(&["/dex/*"]).to_string()).await.unwrap();
    eventually("Kubeflow's policy is in force", async || answered().await == 403).await;
    mesh.cluster.apply(&kubeflows_deny(&["/dex/*", "/backchannel-logout/*"]).to_string()).await.unwrap();
    eventually("the exception is in force", async || answered().await == 400).await;
    a_session_ends(mesh).await;
    take_back(mesh).await;
}

/// `istio-ingressgateway-require-jwt` of Kubeflow's manifests.
fn kubeflows_deny(but: &[&str]) -> Value {
    json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": { "name": "istio-ingressgateway-require-jwt", "namespace": ISTIO_NAMESPACE },
        "spec": {
            "action": "DENY",
            "selector": { "matchLabels": { "app": "istio-ingressgateway" } },
            "rules": [{
                "from": [{ "source": { "notRequestPrincipals": ["*"] } }],
                "to": [{ "operation": { "notPaths": but } }],
            }],
        },
    })
}

async fn take_back(mesh: &Mesh) {
    let delete = async |cluster: &Cluster, kind: &str, name: &str| {
        cluster.kubectl(&["delete", kind, name, "--namespace", ISTIO_NAMESPACE]).await.unwrap();
    };
    for name in ["istio-ingressgateway-require-jwt", "portcullis-cluster-local"] {
        delete(&mesh.cluster, "authorizationpolicy", name).await;
    }
    delete(&mesh.cluster, "requestauthentication", "portcullis").await;
    mesh.apply(&manifests_folder().join("base")).await.unwrap();
    let local = mesh.check_port_from(ISTIO_NAMESPACE, LOCAL_GATEWAY).await.unwrap();
    eventually(&format!("{NAMESPACE} is as the base has it"), async || {
        let answer = call_check(&local, "/checked-by-the-local-gateway").await;
        answer.is_ok_and(|answer| answer.headers.only("grpc-status") == Some("7"))
    })
    .await;
}
