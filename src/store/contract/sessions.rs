//! Sessions are kept, found and replaced.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::future::join_all;

use super::support::{HOUR, SECOND, exists, insert, listed, name, record, replacement, subject_of, userid_of};
use crate::store::{
    index,
    limits::MAX_SESSIONS_PER_SUBJECT,
    records::{Inserted, NewRecord, Replaced},
    testing::{World, now, ring},
};

pub(crate) async fn what_was_inserted_is_found(world: &World) {
    let store = world.store.as_ref();
    assert!(!exists(store, 1).await);
    insert(store, record(1, "a")).await;
    let found = store.get(&name(1)).await.unwrap().unwrap();
    assert_eq!(found.sealed, b"sealed 1");
    assert_eq!(found.listing, b"listing 1");
    assert_eq!(found.version, 1);
    assert_eq!(found.expires_at, now().plus(HOUR));
    assert!(!exists(store, 2).await);
}

pub(crate) async fn a_name_is_taken_once(world: &World) {
    let store = world.store.as_ref();
    insert(store, record(1, "a")).await;
    let other = NewRecord { sealed: b"other".to_vec(), ..record(1, "b") };
    assert_eq!(store.insert(other).await.unwrap(), Inserted::NameTaken);
    assert_eq!(store.get(&name(1)).await.unwrap().unwrap().sealed, b"sealed 1");
    assert!(listed(store, &subject_of("b")).await.is_empty());
}

pub(crate) async fn what_was_removed_is_gone_for_every_late_call(world: &World) {
    let store = world.store.as_ref();
    insert(store, record(1, "a")).await;
    assert!(store.remove(&name(1)).await.unwrap());
    assert!(!store.remove(&name(1)).await.unwrap());
    assert!(!store.touch(&name(1), b"late".to_vec(), now().plus(HOUR)).await.unwrap());
    assert_eq!(store.replace(&name(1), replacement(1)).await.unwrap(), Replaced::Gone);
    assert!(!exists(store, 1).await);
    assert!(listed(store, &subject_of("a")).await.is_empty());
}

pub(crate) async fn of_two_replacements_one_wins(world: &World) {
    let store = world.store.as_ref();
    insert(store, record(1, "a")).await;
    let (name_1, name_2) = (name(1), name(1));
    let both = join_all([store.replace(&name_1, replacement(1)), store.replace(&name_2, replacement(1))]).await;
    let outcomes: HashSet<_> = both.into_iter().map(|outcome| format!("{:?}", outcome.unwrap())).collect();
    assert_eq!(outcomes, HashSet::from(["Done".to_owned(), "Stale".to_owned()]));
    let found = store.get(&name(1)).await.unwrap().unwrap();
    assert_eq!((found.version, found.sealed.as_slice()), (2, b"replaced".as_slice()));
    assert_eq!(found.listing, b"listing 1", "the listing is the touch's alone");
}

pub(crate) async fn a_touch_moves_the_end(world: &World) {
    let store = world.store.as_ref();
    insert(store, record(1, "a")).await;
    assert!(store.touch(&name(1), b"touched".to_vec(), now().plus(2 * HOUR)).await.unwrap());
    world.clock.advance(HOUR + SECOND);
    assert_eq!(store.sweep().await.unwrap(), 0);
    let found = store.get(&name(1)).await.unwrap().unwrap();
    assert_eq!((found.version, found.listing.as_slice()), (1, b"touched".as_slice()));
    world.clock.advance(HOUR);
    assert!(!exists(store, 1).await);
}

pub(crate) async fn an_index_lists_its_own_the_oldest_first(world: &World) {
    let store = world.store.as_ref();
    for (number, age) in [(1, 20), (2, 30), (3, 10)] {
        insert(store, NewRecord { created_at: now().minus(Duration::from_secs(age)), ..record(number, "a") }).await;
    }
    insert(store, record(4, "b")).await;
    assert_eq!(listed(store, &subject_of("a")).await, [name(2), name(1), name(3)]);
    assert_eq!(listed(store, &record(3, "a").provider_session.unwrap()).await, [name(3)]);
    assert!(listed(store, &subject_of("c")).await.is_empty());
    assert_eq!(store.list(&subject_of("b")).await.unwrap()[0].listing, b"listing 4");
}

pub(crate) async fn an_index_is_found_after_a_key_rotation(world: &World) {
    let store = world.store.as_ref();
    let rotated = index::subject(&ring(&[2, 1]), "issuer", "a");
    insert(store, record(1, "a")).await;
    insert(store, NewRecord { created_at: now().plus(SECOND), subject: rotated.clone(), ..record(2, "a") }).await;
    assert_eq!(listed(store, &rotated).await, [name(1), name(2)]);
    assert_eq!(store.end_all(&rotated, now(), now().plus(HOUR)).await.unwrap(), [name(1), name(2)]);
    let before = NewRecord { name: name(3), ..record(3, "a") };
    assert_eq!(store.insert(before).await.unwrap(), Inserted::LoggedOut, "a replica that has the old key alone");
}

pub(crate) async fn a_removal_wins_against_a_racing_touch_or_replacement(world: &World) {
    for number in 0..20 {
        insert(world.store.as_ref(), record(number, &format!("person {number}"))).await;
        let store = || Arc::clone(&world.store);
        let (first, second, third) = (store(), store(), store());
        let touch =
            tokio::spawn(async move { first.touch(&name(number), b"late".to_vec(), now().plus(2 * HOUR)).await });
        let removal = tokio::spawn(async move { second.remove(&name(number)).await });
        let replace = tokio::spawn(async move { third.replace(&name(number), replacement(1)).await });
        let (touch, removal, replace) = futures::join!(touch, removal, replace);
        assert!(removal.unwrap().unwrap());
        touch.unwrap().unwrap();
        replace.unwrap().unwrap();
        assert!(!exists(world.store.as_ref(), number).await);
    }
}

pub(crate) async fn the_oldest_of_too_many_ends(world: &World) {
    let store = world.store.as_ref();
    let most = MAX_SESSIONS_PER_SUBJECT as u64;
    // The oldest is not the first that was inserted.
    let age = |number: u64| Duration::from_secs(if number == 5 { 100 } else { 10 });
    for number in 0..most {
        insert(store, NewRecord { created_at: now().minus(age(number)), ..record(number, "a") }).await;
    }
    insert(store, record(most, "b")).await;
    let one_more = store.insert(record(most + 1, "a")).await.unwrap();
    assert_eq!(one_more, Inserted::Stored { ended: vec![name(5)] });
    assert!(!exists(store, 5).await && exists(store, 0).await && exists(store, most + 1).await);
    assert_eq!(listed(store, &subject_of("a")).await.len(), MAX_SESSIONS_PER_SUBJECT);
    assert!(exists(store, most).await, "somebody else's session");
}

pub(crate) async fn a_person_is_found_and_ended_by_the_name_that_services_know(world: &World) {
    let store = world.store.as_ref();
    insert(store, record(1, "a")).await;
    let elsewhere = NewRecord { subject: subject_of("a at another provider"), ..record(2, "a") };
    insert(store, elsewhere).await;
    insert(store, record(3, "b")).await;
    assert_eq!(listed(store, &userid_of("a")).await, [name(1), name(2)]);
    assert!(store.remove(&name(1)).await.unwrap());
    assert_eq!(listed(store, &userid_of("a")).await, [name(2)]);
    let logout = now().plus(SECOND);
    assert_eq!(store.end_all(&userid_of("a"), logout, now().plus(HOUR)).await.unwrap(), [name(2)]);
    assert!(!exists(store, 2).await && exists(store, 3).await);
    assert_eq!(store.insert(record(4, "a")).await.unwrap(), Inserted::LoggedOut);
    insert(store, NewRecord { login_began_at: logout.plus(SECOND), ..record(5, "a") }).await;
    let rotated = index::userid(&ring(&[2, 1]), "a@example.com");
    assert_eq!(listed(store, &rotated).await, [name(5)]);
}
