//! Sessions that follow Keycloak: by refresh, and by asking.

use portcullis_integration::keycloak::{Keycloak, Plan, mapper};
use portcullis_integration::patience::until;
use portcullis_integration::portcullis::Config;
use serde_json::json;

use crate::ground::{Browser, Ground};

/// Access tokens so short that they are refreshed after half of the least life that counts.
fn short_lived() -> Plan {
    Plan::new().set("accessTokenLifespan", 2).set("revokeRefreshToken", true).set("refreshTokenMaxReuse", 0)
}

fn refreshed(config: Config) -> Config {
    config.set("/providers/0/refresh", json!({ "ahead": "1m" }))
}

fn strict(config: Config, ask: &str) -> Config {
    config.set("/providers/0/strict", json!({ "every": "1s", "ask": ask }))
}

/// Each refresh token is good once: a second refresh shows that the new one was kept.
pub(crate) async fn tokens_are_refreshed_with_rotation_and_groups_follow(keycloak: &Keycloak) {
    let ground = Ground::open(keycloak, short_lived().mapper(mapper::groups()), refreshed).await;
    let mut alice = ground.signed_in("alice").await;
    until("the second refresh", async || {
        assert_eq!(alice.groups().await, ["/admins", "/team-a"]);
        (ground.refreshes().await >= 2).then_some(())
    })
    .await;
    ground.realm.leave("alice", "admins").await.unwrap();
    until("the end of the membership", async || (alice.groups().await == ["/team-a"]).then_some(())).await;
}

/// None of this is told by a logout token.
pub(crate) async fn what_an_administrator_ends_ends_at_the_next_refresh(keycloak: &Keycloak) {
    let plan = short_lived().user("carol", &[], &[]);
    let ground = Ground::open(keycloak, plan, refreshed).await;
    let (mut alice, mut bob) = (ground.signed_in("alice").await, ground.signed_in("bob").await);
    let mut carol = ground.signed_in("carol").await;
    ground.realm.disable("alice").await.unwrap();
    ground.realm.delete("carol").await.unwrap();
    ground.ends(&mut alice).await;
    ground.ends(&mut carol).await;
    assert_eq!(bob.status().await, 200);
    ground.realm.log_out_all().await.unwrap();
    ground.ends(&mut bob).await;
    assert_eq!(ground.count("portcullis_oidc_refreshes_total", r#"outcome="ended""#).await, 3);
    assert_eq!(ground.back_channel_logouts().await, 0);
}

/// Uses the session until Keycloak was asked about it, and said yes.
async fn is_asked_about(ground: &Ground, browser: &mut Browser) {
    until("the question", async || {
        assert_eq!(browser.status().await, 200, "{}", ground.portcullis.log_tail());
        (ground.count("portcullis_oidc_strict_checks_total", r#"outcome="active""#).await > 0).then_some(())
    })
    .await;
}

pub(crate) async fn strict_by_introspection_wants_the_client_in_the_audience(keycloak: &Keycloak) {
    let plan = Plan::new().mapper(mapper::audience());
    let ground = Ground::open(keycloak, plan, |config| strict(config, "introspection")).await;
    let mut alice = ground.signed_in("alice").await;
    is_asked_about(&ground, &mut alice).await;
    ground.realm.log_out_all().await.unwrap();
    ground.ends(&mut alice).await;

    // As Keycloak makes clients, it calls each of their tokens inactive: what is said of it, and how often.
    let ground = Ground::open(keycloak, Plan::new(), |config| strict(config, "introspection")).await;
    let (mut alice, mut bob) = (ground.signed_in("alice").await, ground.signed_in("bob").await);
    ground.ends(&mut alice).await;
    ground.ends(&mut bob).await;
    let told = ground.told("WARN", "inactive_at_once").await;
    let names_both = |told: &String| told.contains("audience") && told.contains("strict.ask: userinfo");
    assert!(told.len() == 1 && names_both(&told[0]), "{told:?}");
    assert_eq!(ground.count("portcullis_oidc_strict_checks_total", r#"outcome="active""#).await, 0);
}

pub(crate) async fn strict_by_userinfo_wants_no_audience(keycloak: &Keycloak) {
    let ground = Ground::open(keycloak, Plan::new(), |config| strict(config, "userinfo")).await;
    let (mut alice, mut bob) = (ground.signed_in("alice").await, ground.signed_in("bob").await);
    is_asked_about(&ground, &mut alice).await;
    ground.realm.disable("alice").await.unwrap();
    ground.ends(&mut alice).await;
    assert_eq!(bob.status().await, 200);
}
