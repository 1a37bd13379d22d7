//! What a provider's page may end through a browser, and what it cannot.

use serde_json::json;

use super::support::{Browser, ISSUER, Lies, World};
use crate::{
    logout::FrontChannelError,
    oidc::{CallbackOutcome, Limits},
    pages::HostSource,
    providers::LogoutConfig,
};

fn world() -> World {
    // Whether browsers are sent to the provider is another matter.
    let logout = LogoutConfig { front_channel: true, at_provider: false, ..LogoutConfig::default() };
    World::with(|provider| provider.logout = logout, Limits::default())
}

async fn sign_in(browser: &Browser<'_>, world: &World) {
    let url = browser.begin("/").await.unwrap();
    let outcome = browser.callback(&world.provider.authorize(&url)).await;
    assert!(matches!(outcome, CallbackOutcome::SignedIn { .. }), "{outcome:?}");
}

async fn log_out(world: &World, iss: &str, sid: &str) -> Result<(), FrontChannelError> {
    world.oidc.front_channel.log_out(&world.origin, iss, sid).await
}

#[tokio::test]
async fn the_named_session_ends_and_a_store_that_is_away_is_told() {
    let world = world();
    let browser = world.browser();
    sign_in(&browser, &world).await;
    for (iss, sid) in [(ISSUER, "another"), (ISSUER, ""), ("https://evil.example.com", "sid-1"), ("", "sid-1")] {
        assert_eq!(log_out(&world, iss, sid).await, Ok(()));
        assert!(browser.is_signed_in().await, "{iss} {sid}");
    }
    world.store.set_down(true);
    assert_eq!(log_out(&world, ISSUER, "sid-1").await, Err(FrontChannelError::StoreUnavailable));
    world.store.set_down(false);
    assert_eq!(log_out(&world, ISSUER, "sid-1").await, Ok(()));
    assert!(!browser.is_signed_in().await);
}

#[tokio::test]
async fn strangers_leave_no_mark_that_refuses_a_sign_in() {
    let world = world();
    let browser = world.browser();
    let url = browser.begin("/").await.unwrap();
    assert_eq!(log_out(&world, ISSUER, "sid-1").await, Ok(()));
    let outcome = browser.callback(&world.provider.authorize(&url)).await;
    assert!(matches!(outcome, CallbackOutcome::SignedIn { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_crowd_of_strangers_takes_no_place_of_a_logout_token() {
    let world = world();
    let browser = world.browser();
    sign_in(&browser, &world).await;
    let crowd = world.oidc.front_channel.crowd(&world.origin.provider);
    assert_eq!(crowd.len(), 64);
    assert_eq!(log_out(&world, ISSUER, "sid-1").await, Err(FrontChannelError::Busy));
    assert!(browser.is_signed_in().await);
    let token = world.provider.logout_token(&json!({}), &json!({"sid": "sid-1"}));
    assert_eq!(world.oidc.back_channel.log_out("dex", token).await, super::back_channel::ended(1));
    drop(crowd);
    assert_eq!(log_out(&world, ISSUER, "sid-1").await, Ok(()));
}

#[tokio::test]
async fn the_pages_that_may_frame_us_are_the_provider_s() {
    for (endpoint, pages) in [
        (json!(null), vec!["https://idp.example.com"]),
        (json!("https://idp.example.com/end"), vec!["https://idp.example.com"]),
        (json!("https://logout.example.com/end"), vec!["https://idp.example.com", "https://logout.example.com"]),
        (json!("https://a;frame-ancestors *,b.example.com/end"), vec!["https://idp.example.com"]),
        (json!("https://a;frame-ancestors,b.example.com/end"), vec!["https://idp.example.com"]),
    ] {
        let world = world();
        world.provider.tell(Lies::discovery(json!({"end_session_endpoint": endpoint})));
        sign_in(&world.browser(), &world).await;
        let sources = world.oidc.front_channel.pages(&world.origin);
        assert_eq!(sources.iter().map(HostSource::as_str).collect::<Vec<_>>(), pages, "{endpoint}");
    }
}
