//! A step that panics costs the steps of its transaction, and not the store.

use super::*;
use crate::store::StoreError;

#[tokio::test]
async fn a_step_that_panics_does_not_end_the_writer() {
    let place = Place::new();
    let clock = ManualClock::at(now());
    let store = Arc::new(EmbeddedStore::open(&place.path(), clock.clone()).unwrap());
    let world = World::over_with(&clock, store.clone());
    let ticket = world.sign_in("alice").await;

    let failed: Result<(), StoreError> = store.write(|_| panic!("scripted")).await;
    assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    clock.advance(Duration::from_secs(1));
    let opened = world.sessions.open(&ticket, ORIGIN, &dex()).await;
    assert!(opened.is_ok(), "what was stored is there: {opened:?}");
    world.sign_in("alice").await;
}
