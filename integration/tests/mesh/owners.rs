//! A namespace whose owner has policies of her own, as each profile of Kubeflow has.

use portcullis_integration::mesh::{GATEWAY_ACCOUNT, ISTIO_NAMESPACE, Manifests, Mesh, NAMESPACE, NEIGHBOUR, TEAM};
use portcullis_integration::portcullis::HOST;
use portcullis_integration::raw_client::http1;
use portcullis_integration::visitor::Visitor;

use super::policies::{HER_NAME, get, leave_it_to_the_owner, put_back};
use super::{assert_untouched, at_workload, eventually, is_unanswered, signed_in};

pub(crate) async fn the_component_only_narrows_what_a_namespace_s_owner_allows(mesh: &mut Mesh) {
    let component = Mesh::policies_of_the_team().await.unwrap();
    let mut owner = signed_in(mesh, "alice", "/owners?alice").await;
    let mut stranger = signed_in(mesh, "bob", "/owners?bob").await;

    // Before the component: the owner's policy alone.
    let gateway = mesh.workload_from(ISTIO_NAMESPACE, GATEWAY_ACCOUNT).await.unwrap();
    let neighbour = mesh.workload_from(TEAM, NEIGHBOUR).await.unwrap();
    let elsewhere = mesh.workload_from(NAMESPACE, "portcullis").await.unwrap();
    leave_it_to_the_owner(mesh, &gateway, &mut stranger).await;
    the_owner_passes_and_a_stranger_does_not(mesh, &mut owner, &mut stranger, "before").await;

    // With it: what the gateway brings needs an assertion, and nobody passes who did not before.
    mesh.cluster.apply(&verifying(&component)).await.unwrap();
    eventually("a name without an assertion is refused", async || {
        get(&gateway, "/owners?unasserted", &HER_NAME).await.status == 403
    })
    .await;
    the_owner_passes_and_a_stranger_does_not(mesh, &mut owner, &mut stranger, "with").await;
    assert!(get(&neighbour, "/owners?neighbour", &[]).await.is_from_upstream(), "her own workloads reach each other");
    assert_eq!(get(&elsewhere, "/owners?elsewhere", &HER_NAME).await.status, 403);
    let clear = http1::get(&mesh.workload_in_clear_text(), HOST, "/owners?clear-text", &HER_NAME).await;
    assert!(is_unanswered(&clear), "{clear:?}");
    for path in ["/owners?elsewhere", "/owners?clear-text"] {
        assert_untouched(mesh, path);
    }
    put_back(mesh).await;
}

/// The component alone, as kubectl takes it.
fn verifying(team: &Manifests) -> String {
    let objects = team.objects().iter().filter(|object| object["metadata"]["name"] == "portcullis");
    serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": objects.collect::<Vec<_>>() }).to_string()
}

async fn the_owner_passes_and_a_stranger_does_not(
    mesh: &Mesh,
    owner: &mut Visitor,
    stranger: &mut Visitor,
    when: &str,
) {
    let path = format!("/owners?owner-{when}");
    let page = owner.navigate(&path).await.unwrap();
    assert!(page.is_from_upstream(), "{when}: {} {}", page.status, page.text());
    assert_eq!(at_workload(mesh, &path).headers.all("kubeflow-userid"), ["alice@example.com"]);
    let path = format!("/owners?stranger-{when}");
    let page = stranger.navigate(&path).await.unwrap();
    assert_eq!(page.status, 403, "{when}: {}", page.text());
    assert_untouched(mesh, &path);
}
