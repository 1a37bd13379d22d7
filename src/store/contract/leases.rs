//! A lease has one holder.

use std::sync::Arc;

use futures::future::join_all;

use super::support::{HOUR, SECOND};
use crate::store::{
    keys::{LeaseHolder, LeaseKey},
    testing::{World, now},
};

fn lease(number: u8) -> LeaseKey {
    LeaseKey::from_bytes([number; LeaseKey::BYTES])
}

pub(crate) async fn of_many_who_take_a_lease_one_holds_it(world: &World) {
    let takers = (0..50).map(|_| {
        let store = Arc::clone(&world.store);
        tokio::spawn(
            async move { store.take_lease(&lease(1), &LeaseHolder::random(), now().plus(HOUR)).await.unwrap() },
        )
    });
    let holders = join_all(takers).await.into_iter().filter(|holds| *holds.as_ref().unwrap()).count();
    assert_eq!(holders, 1);
    assert!(world.store.take_lease(&lease(2), &LeaseHolder::random(), now().plus(HOUR)).await.unwrap());
}

pub(crate) async fn a_lease_is_renewed_and_given_back_by_its_holder_alone(world: &World) {
    let store = world.store.as_ref();
    let (holder, other) = (LeaseHolder::random(), LeaseHolder::random());
    assert!(!store.release_lease(&lease(1), &holder).await.unwrap());
    assert!(store.take_lease(&lease(1), &holder, now().plus(10 * SECOND)).await.unwrap());
    assert!(!store.take_lease(&lease(1), &other, now().plus(HOUR)).await.unwrap());
    assert!(!store.release_lease(&lease(1), &other).await.unwrap());
    assert!(store.take_lease(&lease(1), &holder, now().plus(20 * SECOND)).await.unwrap());
    world.clock.advance(15 * SECOND);
    assert!(!store.take_lease(&lease(1), &other, now().plus(HOUR)).await.unwrap(), "it was renewed");
    assert!(store.release_lease(&lease(1), &holder).await.unwrap());
    assert!(!store.release_lease(&lease(1), &holder).await.unwrap());
    assert!(store.take_lease(&lease(1), &other, now().plus(HOUR)).await.unwrap());
}

pub(crate) async fn a_lease_ends_by_the_clock_and_outlives_no_step_back(world: &World) {
    let store = world.store.as_ref();
    let holders = [LeaseHolder::random(), LeaseHolder::random(), LeaseHolder::random()];
    assert!(store.take_lease(&lease(1), &holders[0], now().plus(10 * SECOND)).await.unwrap());
    world.clock.advance(10 * SECOND);
    assert!(!store.release_lease(&lease(1), &holders[0]).await.unwrap(), "it has ended");
    assert!(store.take_lease(&lease(1), &holders[1], now().plus(20 * SECOND)).await.unwrap());
    world.clock.set(now());
    assert!(!store.take_lease(&lease(1), &holders[0], now().plus(HOUR)).await.unwrap(), "a small step back");
    world.clock.advance(10 * HOUR);
    assert!(store.take_lease(&lease(1), &holders[0], now().plus(11 * HOUR)).await.unwrap());
    world.clock.set(now());
    assert!(store.take_lease(&lease(1), &holders[2], now().plus(HOUR)).await.unwrap(), "held for eleven hours");
}
