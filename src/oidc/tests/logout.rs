//! What a logout asks of the provider.

use std::{collections::HashMap, time::Duration};

use http::StatusCode;
use serde_json::json;
use url::Url;

use super::{
    signed_in,
    support::{CLIENT_ID, ISSUER, Lies, World},
};
use crate::{
    decision::Location,
    oidc::{Limits, Oidc},
    providers::{LogoutConfig, OptionalEndpoints, unusable},
    secret::SecretString,
    session::Tokens,
};

fn parameters(location: &Location) -> HashMap<String, String> {
    Url::parse(location.as_str()).unwrap().query_pairs().into_owned().collect()
}

/// A world in which somebody has signed in, and what was kept of what the provider issued.
async fn signed_in_world(lies: Lies, logout: LogoutConfig) -> (World, Tokens) {
    let world = World::with(|provider| provider.logout = logout, Limits::default());
    world.provider.tell(lies);
    let browser = world.browser();
    let url = browser.begin("/").await.unwrap();
    let query = world.provider.authorize(&url);
    signed_in(&browser.callback(&query).await);
    let ticket = browser.ticket.lock().unwrap().clone().unwrap();
    let tokens = world.sessions.tokens(&ticket, &world.origin.url, world.registration()).await.unwrap();
    (world, tokens)
}

#[tokio::test]
async fn the_browser_is_sent_to_the_provider_with_all_that_it_needs() {
    let (world, tokens) = signed_in_world(Lies::default(), LogoutConfig::default()).await;
    let location = world.oidc.rp_initiated_logout.end_session_url(&world.origin, Some(&tokens.id_token)).unwrap();
    assert!(location.as_str().starts_with(&format!("{ISSUER}/logout?tenant=1&")), "{location:?}");
    let parameters = parameters(&location);
    assert_eq!(parameters["id_token_hint"], tokens.id_token.expose());
    assert_eq!(parameters["client_id"], CLIENT_ID);
    assert_eq!(parameters["post_logout_redirect_uri"], "https://kf.example.com/portcullis/signed-out");
    assert!(world.oidc.rp_initiated_logout.is_back_from_logout(&world.origin, Some(parameters["state"].as_str())));

    // Without a hint, or with one that no URL should hold, the provider is told who asks.
    let long = SecretString::new("a".repeat(7 * 1024));
    for hint in [None, Some(&long)] {
        let location = world.oidc.rp_initiated_logout.end_session_url(&world.origin, hint).unwrap();
        assert!(!location.as_str().contains("id_token_hint"), "{location:?}");
        assert!(location.as_str().contains("client_id=portcullis"), "{location:?}");
    }
}

#[tokio::test]
async fn a_logout_s_state_is_ours_fresh_and_for_one_step_at_one_origin() {
    let (world, tokens) = signed_in_world(Lies::default(), LogoutConfig::default()).await;
    let location = world.oidc.rp_initiated_logout.end_session_url(&world.origin, Some(&tokens.id_token)).unwrap();
    let back = parameters(&location)["state"].clone();
    let suspended = world.oidc.rp_initiated_logout.suspended_logout(&world.origin, Some(&tokens.id_token)).unwrap();
    assert!(!suspended.contains(tokens.id_token.expose()), "the ID token shows");
    let resumed = world.oidc.rp_initiated_logout.resumed_logout(&world.origin, &suspended).unwrap();
    assert_eq!(parameters(&resumed)["id_token_hint"], tokens.id_token.expose());

    assert!(world.oidc.rp_initiated_logout.resumed_logout(&world.origin, &back).is_none());
    assert!(!world.oidc.rp_initiated_logout.is_back_from_logout(&world.origin, Some(&suspended)));
    let elsewhere = super::support::origin("https://other.example.com", "dex");
    assert!(!world.oidc.rp_initiated_logout.is_back_from_logout(&elsewhere, Some(&back)));
    assert!(world.oidc.rp_initiated_logout.resumed_logout(&elsewhere, &suspended).is_none());
    for made_up in ["", "x", &"A".repeat(20_000)] {
        assert!(!world.oidc.rp_initiated_logout.is_back_from_logout(&world.origin, Some(made_up)));
    }
    world.clock.advance(Duration::from_mins(10));
    assert!(!world.oidc.rp_initiated_logout.is_back_from_logout(&world.origin, Some(&back)));
    assert!(world.oidc.rp_initiated_logout.resumed_logout(&world.origin, &suspended).is_none());
}

#[tokio::test]
async fn nobody_is_sent_to_a_provider_that_does_not_want_it() {
    let off = LogoutConfig { at_provider: false, ..LogoutConfig::default() };
    for (lies, logout) in [
        (Lies::default(), off),
        (Lies::discovery(json!({"end_session_endpoint": null})), LogoutConfig::default()),
        (Lies::discovery(json!({"end_session_endpoint": "http://idp.example.com/logout"})), LogoutConfig::default()),
        (Lies::discovery(json!({"end_session_endpoint": "javascript:alert(1)"})), LogoutConfig::default()),
    ] {
        let (world, tokens) = signed_in_world(lies, logout).await;
        assert!(world.oidc.rp_initiated_logout.end_session_endpoint(&world.origin).is_none());
        assert!(world.oidc.rp_initiated_logout.end_session_url(&world.origin, Some(&tokens.id_token)).is_none());
        assert!(world.oidc.rp_initiated_logout.suspended_logout(&world.origin, None).is_none());
    }
}

/// Waits until so many tokens came to be revoked.
async fn revoked(world: &World, count: usize) -> Vec<HashMap<String, String>> {
    while world.provider.calls("/revoke") < count {
        tokio::task::yield_now().await;
    }
    world.provider.posted("/revoke")
}

#[tokio::test]
async fn the_refresh_token_is_revoked_and_else_the_access_token() {
    for (token, revoked_token, hint) in [
        (json!({"refresh_token": "refresh-1"}), "refresh-1", "refresh_token"),
        (json!({}), "access-token-1", "access_token"),
    ] {
        let lies = Lies { token, ..Lies::default() };
        let (world, tokens) = signed_in_world(lies, LogoutConfig::default()).await;
        world.oidc.token_revocation.revoke(&world.origin.provider, &tokens);
        let forms = revoked(&world, 1).await;
        assert_eq!((forms[0]["token"].as_str(), forms[0]["token_type_hint"].as_str()), (revoked_token, hint));
    }
}

#[tokio::test]
async fn nothing_is_kept_or_revoked_where_that_is_switched_off() {
    let lies = Lies { token: json!({"refresh_token": "refresh-1"}), ..Lies::default() };
    let (world, tokens) = signed_in_world(lies, LogoutConfig { revoke_tokens: false, ..LogoutConfig::default() }).await;
    assert_eq!((&tokens.refresh_token, &tokens.access_token), (&None, &None));
    let tokens = Tokens { refresh_token: Some(SecretString::new("x".to_owned())), ..tokens };
    world.oidc.token_revocation.revoke(&world.origin.provider, &tokens);
    tokio::task::yield_now().await;
    assert_eq!(world.provider.calls("/revoke"), 0);
}

#[tokio::test]
async fn a_provider_that_hangs_is_not_asked_without_bound_and_nobody_waits() {
    let (world, tokens) = signed_in_world(Lies::default(), LogoutConfig::default()).await;
    world.provider.tell(Lies { hanging: vec!["/revoke"], ..Lies::default() });
    for _ in 0..500 {
        world.oidc.token_revocation.revoke(&world.origin.provider, &tokens);
    }
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.provider.calls("/revoke"), 16);
    world.provider.tell(Lies { statuses: [("/revoke", StatusCode::BAD_REQUEST)].into(), ..Lies::default() });
    world.oidc.token_revocation.revoke(&world.origin.provider, &tokens);
}

/// `https://{tenant}.idp.example/revoke` was a URL, and no URI: an `expect` stood between the two.
#[tokio::test]
async fn an_endpoint_that_no_client_can_call_counts_as_none() {
    for url in unusable() {
        let endpoints = json!({"revocation_endpoint": url, "end_session_endpoint": url, "introspection_endpoint": url});
        let (world, tokens) = signed_in_world(Lies::discovery(endpoints), LogoutConfig::default()).await;
        let known = world.oidc.providers.get(&world.origin.provider).unwrap().discovery.known_now().unwrap();
        let OptionalEndpoints { end_session, revocation, introspection } = &known.endpoints;
        assert_eq!((end_session, revocation, introspection), (&None, &None, &None), "{url:.60}");
        world.oidc.token_revocation.revoke(&world.origin.provider, &tokens);
        tokio::task::yield_now().await;
        assert_eq!(world.provider.calls("/revoke"), 0, "{url:.60}");
        assert!(world.oidc.rp_initiated_logout.end_session_url(&world.origin, None).is_none(), "{url:.60}");
    }
    let odd = json!({"revocation_endpoint": 7, "end_session_endpoint": ["https://idp.example.com"]});
    let (world, _) = signed_in_world(Lies::discovery(odd), LogoutConfig::default()).await;
    assert!(world.oidc.rp_initiated_logout.end_session_url(&world.origin, None).is_none());
}

#[tokio::test]
async fn what_was_hinted_at_goes_to_its_own_issuer_alone() {
    const OTHER: &str = "https://other.example.com/dex";
    let (world, tokens) = signed_in_world(Lies::default(), LogoutConfig::default()).await;
    let parameter = world.oidc.rp_initiated_logout.suspended_logout(&world.origin, Some(&tokens.id_token)).unwrap();
    assert!(world.oidc.rp_initiated_logout.resumed_logout(&world.origin, &parameter).is_some());

    let refuses = async |oidc: Oidc| {
        while oidc.rp_initiated_logout.end_session_url(&world.origin, None).is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(oidc.rp_initiated_logout.resumed_logout(&world.origin, &parameter), None);
    };
    refuses(world.reconfigured(|provider| provider.client_id = "another".to_owned())).await;
    world.provider.tell(Lies::discovery(json!({"issuer": OTHER})));
    refuses(world.reconfigured(|provider| provider.issuer = OTHER.to_owned())).await;
}

#[tokio::test]
async fn a_provider_may_have_names_of_its_own_for_a_logout() {
    let logout = LogoutConfig {
        redirect_parameter: "logout_uri".to_owned(),
        id_token_hint: false,
        state: false,
        ..LogoutConfig::default()
    };
    let (world, tokens) = signed_in_world(Lies::default(), logout).await;
    let logout = &world.oidc.rp_initiated_logout;
    let location = logout.end_session_url(&world.origin, Some(&tokens.id_token)).unwrap();
    let told = parameters(&location);
    assert_eq!(told["logout_uri"], "https://kf.example.com/portcullis/signed-out");
    for absent in ["id_token_hint", "state", "post_logout_redirect_uri"] {
        assert!(!told.contains_key(absent), "{absent}");
    }
    assert!(logout.is_back_from_logout(&world.origin, None));
    assert!(!logout.is_back_from_logout(&world.origin, Some("made-up")));
    let (world, _) = signed_in_world(Lies::default(), LogoutConfig::default()).await;
    assert!(!world.oidc.rp_initiated_logout.is_back_from_logout(&world.origin, None), "others bring their state back");
}
