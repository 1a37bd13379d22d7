//! Who is signed in, and what is known of them.

use portcullis_integration::keycloak::{Keycloak, Plan, mapper};
use portcullis_integration::visitor::path_and_query;
use serde_json::{Value, json};
use url::Url;

use crate::ground::Ground;

fn scope(authorization: &Url) -> Option<String> {
    authorization.query_pairs().find(|(name, _)| name == "scope").map(|(_, value)| value.into_owned())
}

/// A rule for one group, of all paths.
fn only(group: &str) -> Value {
    json!([{ "name": "only", "paths": [{ "prefix": "/" }], "access": "authenticated", "groups": [group] }])
}

/// Nothing but what has to be written, on both sides.
pub(crate) async fn the_first_try_signs_people_in(keycloak: &Keycloak) {
    let ground = Ground::open(keycloak, Plan::new(), |config| config).await;
    let mut alice = ground.browser("alice");
    let asked = alice.visitor.begin("/").await.unwrap();
    assert_eq!(scope(&asked).as_deref(), Some("openid email profile"), "Keycloak lists no scope `groups`");
    let answer = alice.sign_in("/").await;
    assert_eq!(answer.passed("kubeflow-userid"), ["alice@example.com"], "{answer:?}");
    assert_eq!(ground.told("WARN", "no_groups_claim").await.len(), 1, "the operator hears why nobody has groups");

    // What whoever writes the scope reads.
    let ground = Ground::open(keycloak, Plan::new(), |config| {
        config.set("/providers/0/scopes", json!(["openid", "email", "profile", "groups"]))
    })
    .await;
    assert_eq!(ground.browser("alice").refusal().await, (503, "sign_in_not_set_up".to_owned()));
    let told = ground.told("ERROR", "Invalid scopes: openid email profile groups").await;
    assert!(told.len() == 1 && told[0].contains("invalid_scope"), "{told:?}");
}

pub(crate) async fn realm_roles_decide(keycloak: &Keycloak) {
    let plan = Plan::new().mapper(mapper::realm_roles());
    let ground = Ground::open(keycloak, plan, |config| {
        config.set("/providers/0/groups_claim", "realm_access.roles").rules(only("admins"))
    })
    .await;
    let mut alice = ground.signed_in("alice").await;
    assert!(alice.groups().await.contains(&"admins".to_owned()));
    let refused = ground.browser("bob").sign_in("/").await;
    assert_eq!((refused.status(), refused.reason().as_deref()), (403, Some("not_permitted")), "{refused:?}");
}

pub(crate) async fn groups_decide_with_their_path(keycloak: &Keycloak) {
    let plan = Plan::new().mapper(mapper::groups());
    let ground = Ground::open(keycloak, plan, |config| config.rules(only("/admins"))).await;
    let mut alice = ground.signed_in("alice").await;
    assert_eq!(alice.groups().await, ["/admins", "/team-a"]);
    let refused = ground.browser("bob").sign_in("/").await;
    assert_eq!((refused.status(), refused.reason().as_deref()), (403, Some("not_permitted")), "{refused:?}");
}

/// The ID token is too long to be sent as a hint, so that Keycloak asks whether it is meant.
pub(crate) async fn somebody_in_500_groups_signs_in_and_out(keycloak: &Keycloak) {
    let groups: Vec<String> = (0..500).map(|number| format!("team-{number:03}")).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let plan = Plan::new().mapper(mapper::groups()).user("carol", &groups, &[]);
    // Else the question is spared where the refresh token is revoked before it is asked: the session has ended with it.
    let left = json!({ "revoke_tokens": false });
    let ground =
        Ground::open(keycloak, plan, |config| config.set("/providers/0/logout", left).rules(only("/team-499"))).await;
    assert_eq!(ground.realm.groups("carol").await.unwrap().len(), 500);
    let mut carol = ground.signed_in("carol").await;
    let told = carol.groups().await;
    assert!(told.contains(&"/team-499".to_owned()), "{told:?}");
    let refused = ground.browser("alice").sign_in("/").await;
    assert_eq!(refused.status(), 403, "{refused:?}");

    let to_keycloak = carol.sign_out().await;
    assert!(!to_keycloak.query_pairs().any(|(name, _)| name == "id_token_hint"), "{to_keycloak}");
    let page = carol.person.first_page(&to_keycloak).await.unwrap();
    assert!(page.contains("confirmLogout"), "{page}");
    let back = carol.person.walk(&to_keycloak).await.unwrap();
    assert_eq!(carol.visitor.navigate(&path_and_query(&back)).await.unwrap().status(), 200);
    assert!(ground.realm.sessions("carol").await.unwrap().is_empty());
}
