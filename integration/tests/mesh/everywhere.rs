//! The assertion in the whole mesh: whom it speaks of can be named anywhere, and anywhere it can be asked for.

use portcullis_integration::mesh::{GATEWAY_ACCOUNT, ISTIO_NAMESPACE, Mesh, NEIGHBOUR, TEAM};
use portcullis_integration::project;
use portcullis_integration::raw_client::http1;
use serde_json::json;

use super::logout_tokens::is_answered_by_portcullis;
use super::policies::{HER_NAME, allow, get, leave_it_to_the_owner, put_back, take_away};
use super::{assert_untouched, at_workload, bearer, caught_assertion, eventually, signed_in};

/// Another team, whose name begins as this one's.
const OTHER_TEAM: &str = "team-a-b";

pub(crate) async fn an_owner_can_name_the_accounts_of_a_namespace(mesh: &mut Mesh) {
    mesh.cluster.create_namespace(OTHER_TEAM).await.unwrap();
    let theirs = format!("Bearer {}", mesh.script_token(OTHER_TEAM, "default").await.unwrap());
    let theirs = [("authorization", theirs.as_str())];
    let ours = bearer(mesh, NEIGHBOUR).await;
    let ours = [("authorization", ours.as_str())];
    let mut person = signed_in(mesh, "alice", "/accounts?before").await;
    let assertion = caught_assertion(mesh, "/accounts?caught").await;

    take_away(mesh).await;
    let accounts = format!("{}/system:serviceaccount:{TEAM}:*", mesh.assertion_issuer().unwrap());
    mesh.cluster.apply(&allow("accounts", &json!({ "requestPrincipals": [accounts] }))).await.unwrap();
    eventually("only the team's accounts are let in", async || {
        let refused = mesh.get("/accounts?theirs", &theirs).await.unwrap().status == 403
            && person.navigate("/accounts?person").await.unwrap().status == 403;
        refused && mesh.get("/accounts?settled", &ours).await.unwrap().is_from_upstream()
    })
    .await;
    mesh.get("/accounts?ours", &ours).await.unwrap().echo().unwrap();
    let name = format!("system:serviceaccount:{TEAM}:{NEIGHBOUR}");
    assert_eq!(at_workload(mesh, "/accounts?ours").headers.all("kubeflow-userid"), [name]);
    let refused = mesh.get("/accounts?refused", &theirs).await.unwrap();
    assert_eq!(refused.status, 403, "{}", refused.text());

    // Past the gateway: a name that nobody signed is none, and an assertion that nobody signed less.
    let neighbour = mesh.workload_from(TEAM, NEIGHBOUR).await.unwrap();
    let named = [("kubeflow-userid", "system:serviceaccount:team-a:neighbour")];
    assert_eq!(get(&neighbour, "/accounts?named", &named).await.status, 403);
    let unsigned = assertion.rsplit_once('.').unwrap().0.to_owned() + ".AAAA";
    let forged = [("portcullis-assertion", unsigned.as_str())];
    assert_eq!(get(&neighbour, "/accounts?forged", &forged).await.status, 401);
    // Whoever is handed a real one is whom it speaks of: an owner who minds names the gateway beside it.
    let handed = [("portcullis-assertion", assertion.as_str())];
    assert!(get(&neighbour, "/accounts?handed-on", &handed).await.is_from_upstream());
    let gateway = format!("cluster.local/ns/{ISTIO_NAMESPACE}/sa/{GATEWAY_ACCOUNT}");
    let both = json!({ "principals": [gateway], "requestPrincipals": [accounts] });
    mesh.cluster.apply(&allow("accounts", &both)).await.unwrap();
    eventually("and only by the gateway", async || get(&neighbour, "/accounts?handed", &handed).await.status == 403)
        .await;
    mesh.get("/accounts?by-the-gateway", &ours).await.unwrap().echo().unwrap();
    for path in ["/accounts?refused", "/accounts?named", "/accounts?forged"] {
        assert_untouched(mesh, path);
    }
    put_back(mesh).await;
}

pub(crate) async fn what_the_gateway_brings_without_an_assertion_is_refused_everywhere(mesh: &mut Mesh) {
    let gateway = mesh.workload_from(ISTIO_NAMESPACE, GATEWAY_ACCOUNT).await.unwrap();
    let neighbour = mesh.workload_from(TEAM, NEIGHBOUR).await.unwrap();
    let mut owner = signed_in(mesh, "alice", "/everywhere?before").await;
    let mut stranger = signed_in(mesh, "bob", "/everywhere?before").await;
    leave_it_to_the_owner(mesh, &gateway, &mut stranger).await;

    let component = project::read("manifests/components/verify-assertion-everywhere/authorization-policy.yaml");
    mesh.cluster.apply(&component).await.unwrap();
    eventually("a name without an assertion is refused", async || {
        get(&gateway, "/everywhere?unasserted", &HER_NAME).await.status == 403
    })
    .await;
    owner.navigate("/everywhere?owner").await.unwrap().echo().unwrap();
    assert_eq!(stranger.navigate("/everywhere?stranger").await.unwrap().status, 403, "it opens nothing");
    assert!(get(&neighbour, "/everywhere?neighbour", &[]).await.is_from_upstream(), "others do not notice");
    // Portcullis itself is not cut off: it is asked (as above), its keys are read, and logout tokens come.
    let keys = http1::get(&mesh.keys_in_clear_text(), "any", "/.well-known/jwks.json", &[]).await.unwrap();
    assert_eq!(keys.status, 200, "{}", keys.text());
    assert!(is_answered_by_portcullis(mesh).await);

    mesh.cluster
        .kubectl(&["delete", "authorizationpolicy", "portcullis-assertion", "-n", ISTIO_NAMESPACE])
        .await
        .unwrap();
    eventually("it is gone", async || get(&gateway, "/everywhere?gone", &HER_NAME).await.is_from_upstream()).await;
    put_back(mesh).await;
}
