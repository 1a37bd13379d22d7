//! What strangers can cause.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use tokio::sync::Notify;

use super::{
    failure, signed_in,
    support::{Lies, World},
};
use crate::{
    oidc::{CallbackOutcome, Limits},
    reason::Reason,
};

#[tokio::test]
async fn ten_thousand_anonymous_navigations_touch_no_store() {
    let world = World::new();
    let browser = world.browser();
    for index in 0..10_000 {
        // Half of them by one browser, half by strangers.
        let browser = if index % 2 == 0 { &browser } else { &world.browser() };
        browser.begin("/notebook").await.unwrap();
    }
    assert_eq!(world.store.calls(), 0);
    assert_eq!(world.provider.calls("/.well-known/openid-configuration"), 1);
}

#[tokio::test]
async fn made_up_codes_stay_within_the_rate() {
    let limits = Limits { marks_per_second: 10, marks_burst: 20, ..Limits::default() };
    let world = World::with(|_| {}, limits);
    let browser = world.browser();
    let mut refused = 0;
    for index in 0..1000 {
        let url = browser.begin("/").await.unwrap();
        let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let query = format!("state={state}&code=made-up-{index}&iss=https%3A%2F%2Fidp.example.com%2Fdex");
        match failure(&browser.callback(&query).await) {
            Reason::TooManyLogins => refused += 1,
            reason => assert_eq!(reason, Reason::ProviderDenied),
        }
    }
    assert_eq!((refused, world.store.calls(), world.provider.calls("/token")), (980, 20, 20));

    // A callback that was refused is not spent: later it works.
    let query = world.provider.authorize(&browser.begin("/x").await.unwrap());
    assert_eq!(failure(&browser.callback(&query).await), Reason::TooManyLogins);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(signed_in(&browser.callback(&query).await), "/x");
}

#[tokio::test]
async fn exchanges_at_once_are_bounded() {
    let world = World::with(|_| {}, Limits { concurrent_exchanges: 3, ..Limits::default() });
    let gate = Arc::new(Notify::new());
    *world.provider.gate.lock().unwrap() = Some(gate.clone());
    let browser = world.browser();
    let mut queries = Vec::new();
    for _ in 0..5 {
        queries.push(world.provider.authorize(&browser.begin("/").await.unwrap()));
    }
    let callbacks = futures::future::join_all(queries.iter().map(|query| browser.callback(query)));
    let release = async {
        while world.provider.calls("/token") < 3 {
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            gate.notify_one();
            tokio::task::yield_now().await;
        }
        gate.notify_waiters();
    };
    let (outcomes, ()) = tokio::join!(callbacks, release);
    let refused = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, CallbackOutcome::Failed { reason: Reason::TooManyLogins, .. }))
        .count();
    assert_eq!((refused, world.provider.calls("/token")), (2, 3));
}

#[tokio::test]
async fn a_provider_that_fails_is_not_asked_by_everybody() {
    let world = World::new();
    let browser = world.browser();
    let down = || Lies { statuses: [("/token", StatusCode::SERVICE_UNAVAILABLE)].into(), ..Lies::default() };
    world.provider.tell(down());
    for _ in 0..20 {
        let query = world.provider.authorize(&browser.begin("/").await.unwrap());
        assert_eq!(failure(&browser.callback(&query).await), Reason::ProviderUnavailable);
    }
    assert_eq!((world.provider.calls("/token"), world.store.calls()), (3, 3));
    world.provider.tell(Lies::default());
    world.clock.advance(Duration::from_secs(1));
    let query = world.provider.authorize(&browser.begin("/").await.unwrap());
    assert_eq!(signed_in(&browser.callback(&query).await), "/");
}
