//! Sign-outs on either side, and what an administrator ends, by logout tokens.

use portcullis_integration::keycloak::{Keycloak, Plan};
use portcullis_integration::portcullis::ORIGIN;
use portcullis_integration::visitor::path_and_query;
use serde_json::json;
use url::Url;

use crate::ground::{Browser, Ground};

/// An administrator deletes one of a person's sessions.
pub(crate) async fn a_session_ends_by_its_sid(keycloak: &Keycloak) {
    let plan = Plan::new().attribute("backchannel.logout.session.required", "true");
    let ground = Ground::open(keycloak, plan, |config| config).await;
    let mut first = ground.signed_in("alice").await;
    let [sid] = ground.realm.sessions("alice").await.unwrap().try_into().unwrap();
    // Two of our sessions come of one session there, a third of another one.
    let mut same = ground.browser("alice");
    same.person = first.person.clone();
    assert!(same.sign_in("/").await.is_allowed());
    let mut other = ground.signed_in("alice").await;
    assert_eq!(ground.realm.sessions("alice").await.unwrap().len(), 2);

    ground.realm.end_session(&sid).await.unwrap();
    ground.ends(&mut first).await;
    ground.ends(&mut same).await;
    assert_eq!((other.status().await, ground.back_channel_logouts().await), (200, 1));
}

/// A client that wants no `sid` is told whose sessions end.
pub(crate) async fn everybody_s_sessions_end_by_sub(keycloak: &Keycloak) {
    let plan = Plan::new().attribute("backchannel.logout.session.required", "false");
    let ground = Ground::open(keycloak, plan, |config| config).await;
    let (mut first, mut second) = (ground.signed_in("alice").await, ground.signed_in("alice").await);
    let mut bob = ground.signed_in("bob").await;
    let sessions = ground.realm.sessions("alice").await.unwrap();
    assert_eq!(sessions.len(), 2);
    // Of both, though one session alone is named there.
    ground.realm.end_session(&sessions[0]).await.unwrap();
    ground.ends(&mut first).await;
    ground.ends(&mut second).await;
    assert_eq!(bob.status().await, 200);
    // All of a person's, from the list of sessions.
    ground.realm.log_out("bob").await.unwrap();
    ground.ends(&mut bob).await;
}

/// From Keycloak's own pages, without us.
pub(crate) async fn whoever_signs_out_at_keycloak_is_signed_out_here(keycloak: &Keycloak) {
    let plan = Plan::new().attribute("backchannel.logout.session.required", "true");
    let ground = Ground::open(keycloak, plan, |config| config).await;
    let (mut alice, mut bob) = (ground.signed_in("alice").await, ground.signed_in("bob").await);
    let end_session = format!("{}/protocol/openid-connect/logout", ground.realm.registration().issuer);
    let back = [("client_id", "portcullis"), ("post_logout_redirect_uri", &format!("{ORIGIN}/portcullis/signed-out"))];
    alice.person.walk(&Url::parse_with_params(&end_session, back).unwrap()).await.unwrap();
    ground.ends(&mut alice).await;
    assert_eq!(bob.status().await, 200);
}

/// By default the refresh token is revoked meanwhile, with which Keycloak ends the session too.
pub(crate) async fn a_sign_out_here_goes_to_keycloak_and_comes_back(keycloak: &Keycloak) {
    for revoke in [true, false] {
        signs_out_at_keycloak_too(keycloak, revoke).await;
    }
}

async fn signs_out_at_keycloak_too(keycloak: &Keycloak, revoke: bool) {
    let logout = json!({ "revoke_tokens": revoke });
    let ground = Ground::open(keycloak, Plan::new(), |config| config.set("/providers/0/logout", logout)).await;
    let mut alice = ground.signed_in("alice").await;
    let thief = alice.clone();
    let to_keycloak = alice.sign_out().await;
    assert!(to_keycloak.as_str().starts_with(&ground.realm.registration().issuer), "{to_keycloak}");

    let back = alice.person.walk(&to_keycloak).await.unwrap();
    assert_eq!(back.path(), "/portcullis/signed-out");
    let page = alice.visitor.navigate(&path_and_query(&back)).await.unwrap();
    assert_eq!(page.status(), 200, "{page:?}");
    for mut browser in [alice.clone(), thief] {
        assert_eq!(browser.status().await, 401);
    }
    assert!(ground.realm.sessions("alice").await.unwrap().is_empty());
    is_asked_for_the_password(&mut alice).await;
}

/// Nobody is signed in at Keycloak any more who sees its form.
async fn is_asked_for_the_password(browser: &mut Browser) {
    let page = browser.person.first_page(&browser.visitor.begin("/").await.unwrap()).await.unwrap();
    assert!(page.contains("kc-form-login"), "{page}");
}
