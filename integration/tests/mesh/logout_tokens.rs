//! A provider's logout tokens, from outside of the cluster to Portcullis (OpenID Connect Back-Channel Logout 1.0).

use portcullis_integration::jwt;
use portcullis_integration::mesh::{
    Manifests, Mesh, NAMESPACE, SECOND_HOST, SECOND_PROVIDER, manifests_folder, of_an_operator,
};
use portcullis_integration::raw_client::{Response, Target, http1};
use portcullis_integration::visitor::Visitor;
use serde_json::json;

use super::{assert_untouched, eventually};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

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

/// Whether what is sent to the gateway as a logout token comes to Portcullis, which refuses what is none.
pub(crate) async fn is_answered_by_portcullis(mesh: &Mesh) -> bool {
    let answer = post(&mesh.gateway(), &uri(), "logout_token=none").await;
    assert!(matches!(answer.status, 400 | 403), "{} {}", answer.status, answer.text());
    answer.status == 400
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
    // What each installation tells the mesh is what the other tests run on.
    let told = async |folder: &str| {
        let manifests = Manifests::build(&manifests_folder().join(folder)).await.unwrap();
        let mut objects = manifests.of_the_mesh().objects().to_vec();
        // Where the gateway's own policy is the other step.
        objects.retain(|object| object["metadata"]["namespace"] == NAMESPACE);
        objects
    };
    let kubeflow = told("overlays/kubeflow/portcullis").await;
    for folder in ["base", "overlays/redis", "overlays/kubeflow/portcullis-redis"] {
        assert_eq!(told(folder).await, kubeflow, "{folder}");
    }

    // The second lock denies what has no assertion, so it needs the path among its exceptions.
    assert!(is_answered_by_portcullis(mesh).await);
    mesh.apply(&manifests_folder().join("overlays/kubeflow/gateway")).await.unwrap();
    eventually("the lock is as it is delivered", async || !is_answered_by_portcullis(mesh).await).await;
    mesh.apply(&of_an_operator("gateway")).await.unwrap();
    eventually("the exception is in force", async || is_answered_by_portcullis(mesh).await).await;
    a_session_ends(mesh).await;
}
