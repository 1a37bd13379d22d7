//! What is remembered of the store, and when it is not.

use super::*;

#[tokio::test]
async fn a_session_in_use_costs_no_call_of_the_store() {
    let world = World::in_memory();
    let ticket = world.sign_in("user").await;
    let store = Watched::new(&world, true);
    let sessions = sessions_over(&world, Arc::clone(&store));
    assert!(open(&sessions, &ticket).await.is_ok());
    let calls = store.calls();
    store.go_down();
    for _ in 0..100 {
        assert!(open(&sessions, &ticket).await.is_ok());
    }
    assert_eq!(store.calls(), calls);
    world.clock.advance(MINUTE);
    assert!(open(&sessions, &ticket).await.is_ok(), "the last use is not stored, and that is all");
    world.clock.advance(IDLE);
    assert_eq!(open(&sessions, &ticket).await.unwrap_err(), OpenError::Unavailable);
}

#[tokio::test]
async fn nothing_is_remembered_of_a_store_that_does_not_tell_of_changes() {
    let world = World::in_memory();
    let ticket = world.sign_in("user").await;
    let store = Watched::new(&world, false);
    let sessions = sessions_over(&world, Arc::clone(&store));
    for calls in 1..=3 {
        assert!(open(&sessions, &ticket).await.is_ok());
        assert_eq!(store.calls(), calls);
    }
    assert_eq!(world.sessions.end(&ticket).await, Ok(true));
    assert_eq!(open(&sessions, &ticket).await.unwrap_err(), OpenError::Ended);
}

#[tokio::test]
async fn nothing_is_remembered_while_changes_are_not_heard_of() {
    let world = World::in_memory();
    let ticket = world.sign_in("user").await;
    let store = Watched::new(&world, true);
    let sessions = sessions_over(&world, Arc::clone(&store));
    assert!(open(&sessions, &ticket).await.is_ok() && open(&sessions, &ticket).await.is_ok());
    assert_eq!(store.calls(), 1);
    store.set_deaf(true);
    assert!(open(&sessions, &ticket).await.is_ok() && open(&sessions, &ticket).await.is_ok());
    assert_eq!(store.calls(), 3);
    store.go_down();
    assert_eq!(open(&sessions, &ticket).await.unwrap_err(), OpenError::Unavailable);
    store.set_deaf(false);
    assert!(open(&sessions, &ticket).await.is_ok());
}
