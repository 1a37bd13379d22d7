//! Logouts, against all that comes late.

use std::sync::Arc;

use futures::future::join_all;

use super::support::{HOUR, SECOND, exists, insert, listed, name, record, subject_of};
use crate::store::{
    index,
    limits::MARK_GRACE,
    records::{Inserted, NewRecord},
    testing::{World, now, ring},
};

pub(crate) async fn ending_an_index_refuses_logins_that_had_begun(world: &World) {
    let store = world.store.as_ref();
    insert(store, record(1, "a")).await;
    insert(store, record(2, "a")).await;
    insert(store, record(3, "b")).await;
    let logout = now().plus(SECOND);
    let mut ended = store.end_all(&subject_of("a"), logout, now().plus(HOUR)).await.unwrap();
    ended.sort_unstable();
    assert_eq!(ended, [name(1), name(2)]);
    assert!(!exists(store, 1).await && !exists(store, 2).await && exists(store, 3).await);
    let began = |number, began| NewRecord { login_began_at: began, ..record(number, "a") };
    assert_eq!(store.insert(began(4, now())).await.unwrap(), Inserted::LoggedOut);
    assert_eq!(store.insert(began(4, logout)).await.unwrap(), Inserted::LoggedOut);
    insert(store, began(4, logout.plus(SECOND))).await;
    // An earlier logout that comes late takes nothing back.
    assert_eq!(store.end_all(&subject_of("a"), now(), now()).await.unwrap(), [name(4)]);
    assert_eq!(store.insert(began(5, logout)).await.unwrap(), Inserted::LoggedOut);
    // One session at the provider.
    let one = record(6, "c");
    assert!(store.end_all(one.provider_session.as_ref().unwrap(), logout, now().plus(HOUR)).await.unwrap().is_empty());
    assert_eq!(store.insert(one).await.unwrap(), Inserted::LoggedOut);
    insert(store, record(7, "c")).await;
}

pub(crate) async fn a_mark_of_a_logout_ends_after_its_time(world: &World) {
    let store = world.store.as_ref();
    store.end_all(&subject_of("a"), now(), now().plus(HOUR)).await.unwrap();
    let late = || NewRecord { expires_at: now().plus(9 * HOUR), ..record(1, "a") };
    world.clock.advance(HOUR);
    assert_eq!(store.sweep().await.unwrap(), 0);
    assert_eq!(store.insert(late()).await.unwrap(), Inserted::LoggedOut);
    world.clock.advance(MARK_GRACE);
    assert_eq!(store.sweep().await.unwrap(), 1);
    insert(store, late()).await;
}

pub(crate) async fn a_logout_wins_against_a_racing_insert(world: &World) {
    for round in 0..20 {
        let person = format!("person {round}");
        let index = subject_of(&person);
        let inserts = join_all((0..4).map(|number| {
            let (store, record) = (Arc::clone(&world.store), record(round * 10 + number, &person));
            tokio::spawn(async move { store.insert(record).await.unwrap() })
        }));
        let (store, ending) = (Arc::clone(&world.store), index.clone());
        let end = tokio::spawn(async move { store.end_all(&ending, now(), now().plus(HOUR)).await.unwrap() });
        let (_, ended) = futures::join!(inserts, end);
        ended.unwrap();
        assert!(listed(world.store.as_ref(), &index).await.is_empty(), "round {round}");
    }
}

pub(crate) async fn of_many_who_end_an_index_once_one_does(world: &World) {
    insert(world.store.as_ref(), record(1, "a")).await;
    let callers = (0..50).map(|_| {
        let store = Arc::clone(&world.store);
        tokio::spawn(async move {
            let mark = index::spent(&ring(&[1]), b"logout");
            store.end_all_once(&mark, &subject_of("a"), now(), now().plus(HOUR)).await.unwrap()
        })
    });
    let told: Vec<_> = join_all(callers).await.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(told, [[name(1)]]);
}

pub(crate) async fn what_was_ended_once_is_not_ended_again(world: &World) {
    let store = world.store.as_ref();
    let mark = index::spent(&ring(&[1]), b"logout");
    let (logout, until) = (now().plus(SECOND), now().plus(HOUR));
    insert(store, record(1, "a")).await;
    assert_eq!(store.end_all_once(&mark, &subject_of("a"), logout, until).await.unwrap(), Some(vec![name(1)]));
    assert_eq!(store.insert(record(2, "a")).await.unwrap(), Inserted::LoggedOut, "its login had begun");
    let began = |number, began| NewRecord { login_began_at: began, ..record(number, "a") };
    insert(store, began(3, logout.plus(SECOND))).await;
    for ring in [ring(&[1]), ring(&[2, 1])] {
        let again = index::spent(&ring, b"logout");
        let later = logout.plus(9 * SECOND);
        assert_eq!(store.end_all_once(&again, &subject_of("a"), later, until).await.unwrap(), None);
    }
    assert!(exists(store, 3).await);
    insert(store, began(4, logout.plus(2 * SECOND))).await;
    assert!(!store.spend(&mark, until).await.unwrap(), "a mark is a mark");
    let other = index::spent(&ring(&[1]), b"another");
    let ended = store.end_all_once(&other, &subject_of("a"), logout.plus(3 * SECOND), until).await.unwrap().unwrap();
    assert_eq!(ended.len(), 2);
}

pub(crate) async fn two_indexes_are_ended_in_one_step(world: &World) {
    let store = world.store.as_ref();
    let ring = ring(&[1]);
    for number in 1..=3 {
        insert(store, record(number, &format!("person {number}"))).await;
    }
    let both = || subject_of("person 1").and(record(2, "person 2").provider_session.unwrap());
    let mark = index::spent(&ring, b"logout");
    let mut ended = store.end_all_once(&mark, &both(), now(), now().plus(HOUR)).await.unwrap().unwrap();
    ended.sort_unstable();
    assert_eq!(ended, [name(1), name(2)]);
    assert!(exists(store, 3).await);
    let again = |number, like: u64| NewRecord { name: name(number), ..record(like, &format!("person {like}")) };
    assert_eq!(store.insert(again(4, 1)).await.unwrap(), Inserted::LoggedOut);
    assert_eq!(store.insert(again(5, 2)).await.unwrap(), Inserted::LoggedOut);
    insert(store, again(6, 3)).await;
}
