//! What has expired is gone, whatever the clock does.

use std::time::Duration;

use futures::future::join_all;

use super::support::{HOUR, SECOND, exists, insert, listed, name, record, subject_of};
use crate::store::{
    limits::{CLOCK_TOLERANCE, MAX_SESSIONS_PER_SUBJECT, SWEEP_BATCH},
    records::NewRecord,
    testing::{World, now},
};

const A_SECOND_LESS_THAN_AN_HOUR: Duration = Duration::from_secs(3599);

pub(crate) async fn what_expired_is_not_found_nor_revived(world: &World) {
    let store = world.store.as_ref();
    insert(store, record(1, "a")).await;
    world.clock.advance(A_SECOND_LESS_THAN_AN_HOUR);
    assert!(exists(store, 1).await);
    world.clock.advance(SECOND);
    assert!(!exists(store, 1).await);
    world.clock.set(now());
    assert!(!exists(store, 1).await, "a step back of the clock revived it");
    assert!(!store.remove(&name(1)).await.unwrap());
}

pub(crate) async fn what_expired_unseen_is_not_revived(world: &World) {
    let store = world.store.as_ref();
    insert(store, record(1, "a")).await;
    insert(store, NewRecord { expires_at: now().plus(3 * HOUR), ..record(2, "a") }).await;
    world.clock.advance(2 * HOUR);
    // The store sees the time, but nobody asks for the first session.
    assert!(exists(store, 2).await);
    world.clock.set(now());
    assert!(!exists(store, 1).await);
    assert!(exists(store, 2).await);
    assert_eq!(listed(store, &subject_of("a")).await, [name(2)]);
}

pub(crate) async fn a_store_works_on_after_the_clock_was_set_back(world: &World) {
    let store = world.store.as_ref();
    // For a moment the clock was ten years ahead.
    world.clock.advance(87_600 * HOUR);
    insert(store, NewRecord { expires_at: now().plus(87_601 * HOUR), ..record(1, "a") }).await;
    world.clock.set(now());
    insert(store, record(2, "a")).await;
    assert!(exists(store, 2).await);
    world.clock.advance(A_SECOND_LESS_THAN_AN_HOUR);
    assert!(exists(store, 2).await);
    world.clock.advance(SECOND);
    assert!(!exists(store, 2).await);
}

pub(crate) async fn a_small_step_back_changes_nothing(world: &World) {
    let store = world.store.as_ref();
    insert(store, record(1, "a")).await;
    insert(store, NewRecord { expires_at: now().plus(2 * HOUR), ..record(2, "a") }).await;
    world.clock.advance(HOUR);
    assert!(exists(store, 2).await);
    world.clock.set(now().plus(HOUR).minus(CLOCK_TOLERANCE));
    assert!(!exists(store, 1).await);
    assert!(exists(store, 2).await);
}

pub(crate) async fn expired_sessions_do_not_count_as_too_many(world: &World) {
    let store = world.store.as_ref();
    for number in 0..MAX_SESSIONS_PER_SUBJECT as u64 {
        let lives = if number == 50 { 2 * HOUR } else { HOUR };
        insert(store, NewRecord { expires_at: now().plus(lives), ..record(number, "a") }).await;
    }
    world.clock.advance(HOUR);
    insert(store, NewRecord { expires_at: now().plus(2 * HOUR), ..record(1000, "a") }).await;
    assert_eq!(listed(store, &subject_of("a")).await, [name(50), name(1000)]);
}

pub(crate) async fn sweeping_deletes_in_bounded_steps(world: &World) {
    let store = world.store.as_ref();
    let count = SWEEP_BATCH as u64 + 10;
    join_all((0..count).map(|number| insert(store, record(number, &format!("person {}", number / 50))))).await;
    insert(store, NewRecord { expires_at: now().plus(2 * HOUR), ..record(count, "z") }).await;
    assert_eq!(store.sweep().await.unwrap(), 0);
    world.clock.advance(HOUR);
    assert_eq!(store.sweep().await.unwrap(), SWEEP_BATCH);
    assert_eq!(store.sweep().await.unwrap(), 10);
    assert_eq!(store.sweep().await.unwrap(), 0);
    assert!(exists(store, count).await);
}
