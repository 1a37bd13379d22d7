//! Whoever began a call decides nothing for those who wait for it, when it gives up or breaks off.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::sync::Notify;

use super::{
    back_channel::{ended, send, sign_in},
    failure,
    refresh::Person,
    signed_in,
    support::{Lies, World},
};
use crate::{
    jose::{Algorithm, testing::P384},
    logout::BackChannelError,
    oidc::{Limits, LoginError, ReturnTarget},
    providers::RefreshConfig,
    reason::Reason,
};

const DOCUMENT: &str = "/.well-known/openid-configuration";

/// A provider that signs with a key that is not known yet, as old as it must be to be asked for.
async fn rotated() -> World {
    let world = World::with(|provider| provider.timeout = Duration::from_mins(1), Limits::default());
    sign_in(&world.browser(), &world).await;
    world.clock.advance(Duration::from_secs(30));
    world.provider.tell(new_key());
    world
}

fn new_key() -> Lies {
    Lies { key: &P384, algorithm: Algorithm::Es384, published: vec![P384.jwk.clone()], ..Lies::default() }
}

fn shut(gate: &std::sync::Mutex<Option<Arc<Notify>>>) -> Arc<Notify> {
    Arc::clone(gate.lock().unwrap().insert(Arc::new(Notify::new())))
}

/// The second fetch of keys has begun.
async fn keys_are_asked_for(world: &World) {
    while world.provider.calls("/keys") < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_whose_deadline_passes_leaves_the_keys_to_the_next() {
    let world = rotated().await;
    let gate = shut(&world.provider.gate_of_keys);
    let (first, second) = (world.browser(), world.browser());
    let queries = [
        world.provider.authorize(&first.begin("/").await.unwrap()),
        world.provider.authorize(&second.begin("/").await.unwrap()),
    ];
    let half = Limits::default().callback_deadline / 2;
    let second = async {
        tokio::time::sleep(half).await;
        second.callback(&queries[1]).await
    };
    let open = async {
        tokio::time::sleep(half * 2 + half / 2).await;
        gate.notify_waiters();
    };
    let (first, second, ()) = tokio::join!(first.callback(&queries[0]), second, open);
    assert_eq!(failure(&first), Reason::ProviderUnavailable);
    assert_eq!(signed_in(&second), "/");
    assert_eq!(world.provider.calls("/keys"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_whose_deadline_passes_loses_no_logout_token() {
    let world = rotated().await;
    let gate = shut(&world.provider.gate_of_keys);
    let browser = world.browser();
    let query = world.provider.authorize(&browser.begin("/").await.unwrap());
    let logout = async {
        keys_are_asked_for(&world).await;
        send(&world, json!({}), json!({})).await
    };
    let open = async {
        tokio::time::sleep(Limits::default().callback_deadline * 2).await;
        gate.notify_waiters();
    };
    let (outcome, logout, ()) = tokio::join!(browser.callback(&query), logout, open);
    assert_eq!(failure(&outcome), Reason::ProviderUnavailable);
    assert_eq!(logout, ended(1));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_of_keys_that_breaks_off_is_no_word_about_a_key() {
    let world = rotated().await;
    world.provider.tell(Lies { breaking: vec!["/keys"], ..new_key() });
    assert_eq!(send(&world, json!({}), json!({})).await, Err(BackChannelError::KeysUnavailable));
    world.clock.advance(Duration::from_secs(1));
    let lies = Lies { breaking: vec!["/keys"], ..new_key() };
    assert_eq!(failure(&world.sign_in_with(lies).await), Reason::ProviderUnavailable);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(signed_in(&world.sign_in_with(new_key()).await), "/");
    assert_eq!(world.provider.calls("/keys"), 4);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_for_discovery_takes_nobody_along() {
    let world = World::new();
    let gate = shut(&world.provider.gate_of_keys);
    let begin = async || {
        let target = ReturnTarget::parse("/", |_| false);
        world.browser().request_login(target, 0).await.map(drop)
    };
    let first = tokio::time::timeout(Duration::from_secs(1), begin());
    let open = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        gate.notify_waiters();
    };
    let (first, second, ()) = tokio::join!(first, begin(), open);
    assert!(first.is_err(), "it gave up");
    assert_eq!(second, Ok(()));
    assert_eq!(world.provider.calls(DOCUMENT), 1);
}

#[tokio::test(start_paused = true)]
async fn a_discovery_that_breaks_off_is_not_the_last() {
    let world = World::new();
    world.provider.tell(Lies { breaking: vec![DOCUMENT], ..Lies::default() });
    let begin = async || {
        let target = ReturnTarget::parse("/", |_| false);
        world.browser().request_login(target, 0).await.map(drop)
    };
    assert_eq!(begin().await, Err(LoginError { reason: Reason::ProviderUnavailable }));
    world.provider.tell(Lies::default());
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(begin().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_for_a_refresh_takes_nobody_along() {
    let ahead = Duration::from_mins(1);
    let person = Person::with(Lies::default(), |provider| provider.refresh = Some(RefreshConfig { ahead })).await;
    let gate = shut(&person.world.provider.gate);
    person.world.clock.advance(Duration::from_mins(5));
    let first = tokio::time::timeout(Duration::from_secs(1), person.check());
    let open = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        gate.notify_waiters();
    };
    let (first, second, ()) = tokio::join!(first, person.check(), open);
    assert!(first.is_err(), "it gave up");
    assert_eq!(second.unwrap().version(), 2);
    assert_eq!(person.refreshes(), 1);
}
