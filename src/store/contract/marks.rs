//! What is spent is spent once.

use std::sync::Arc;

use futures::future::join_all;

use super::support::{HOUR, SECOND};
use crate::store::{
    index,
    limits::MARK_GRACE,
    testing::{World, now, ring},
};

pub(crate) async fn a_mark_is_spent_once(world: &World) {
    let mark = index::spent(&ring(&[1]), b"state");
    let callers = (0..50).map(|_| {
        let (store, mark) = (Arc::clone(&world.store), mark.clone());
        tokio::spawn(async move { store.spend(&mark, now().plus(HOUR)).await.unwrap() })
    });
    let told = join_all(callers).await.into_iter().filter(|told| *told.as_ref().unwrap()).count();
    assert_eq!(told, 1);
    assert!(world.store.spend(&index::spent(&ring(&[1]), b"other"), now().plus(HOUR)).await.unwrap());
    let rotated = index::spent(&ring(&[2, 1]), b"state");
    assert!(!world.store.spend(&rotated, now().plus(HOUR)).await.unwrap(), "a key rotation unspent it");
}

pub(crate) async fn a_spent_mark_outlives_a_step_back(world: &World) {
    let store = world.store.as_ref();
    let mark = index::spent(&ring(&[1]), b"state");
    assert!(store.spend(&mark, now().plus(10 * SECOND)).await.unwrap());
    world.clock.advance(MARK_GRACE);
    assert_eq!(store.sweep().await.unwrap(), 0);
    world.clock.set(now());
    assert!(!store.spend(&mark, now().plus(10 * SECOND)).await.unwrap());
    world.clock.advance(MARK_GRACE + 10 * SECOND);
    assert_eq!(store.sweep().await.unwrap(), 1);
    assert!(store.spend(&mark, now().plus(20 * HOUR)).await.unwrap());
}
