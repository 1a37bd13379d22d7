//! The contract of [`SessionStore`] as tests. Each backend runs all of them: `contract::run!(factory)` in its tests,
//! where `factory` makes a fresh [`World`] and whatever must outlive it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use futures::future::join_all;

use super::{
    index,
    keeping::{
        CLOCK_TOLERANCE, Generation, IndexKeys, Inserted, LeaseHolder, LeaseKey, MARK_GRACE, MAX_REVOCATIONS,
        MAX_SESSIONS_PER_SUBJECT, NewRecord, RecordName, Replaced, Replacement, RevocationChange, RevocationEntry,
        RevocationId, RevocationList, SWEEP_BATCH, SessionStore, StoreError, StoreObserver,
    },
    testing::{World, now, ring},
};

const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);
const A_SECOND_LESS_THAN_AN_HOUR: Duration = Duration::from_secs(3599);

macro_rules! cases {
    ($($case:ident,)+) => {
        /// Runs every case on worlds that `$factory` makes: `async fn() -> (World, impl Sized)`.
        macro_rules! run {
            ($factory:path) => {$(
                #[tokio::test]
                async fn $case() {
                    let (world, _alive) = $factory().await;
                    $crate::store::contract::$case(&world).await;
                }
            )+};
        }
        pub(crate) use run;
    };
}

cases! {
    what_was_inserted_is_found,
    a_name_is_taken_once,
    what_was_removed_is_gone_for_every_late_call,
    of_two_replacements_one_wins,
    a_touch_moves_the_end,
    what_expired_is_not_found_nor_revived,
    what_expired_unseen_is_not_revived,
    a_store_works_on_after_the_clock_was_set_back,
    a_small_step_back_changes_nothing,
    an_index_lists_its_own_the_oldest_first,
    an_index_is_found_after_a_key_rotation,
    ending_an_index_refuses_logins_that_had_begun,
    a_mark_of_a_logout_ends_after_its_time,
    a_logout_wins_against_a_racing_insert,
    a_removal_wins_against_a_racing_touch_or_replacement,
    a_mark_is_spent_once,
    of_many_who_end_an_index_once_one_does,
    what_was_ended_once_is_not_ended_again,
    two_indexes_are_ended_in_one_step,
    a_spent_mark_outlives_a_step_back,
    the_oldest_of_too_many_ends,
    expired_sessions_do_not_count_as_too_many,
    sweeping_deletes_in_bounded_steps,
    observers_hear_of_every_change_before_it_returns,
    a_person_is_found_and_ended_by_the_name_that_services_know,
    of_many_who_take_a_lease_one_holds_it,
    a_lease_is_renewed_and_given_back_by_its_holder_alone,
    a_lease_ends_by_the_clock_and_outlives_no_step_back,
    a_revocation_takes_the_place_of_one_of_its_name,
    a_list_is_changed_only_as_it_was_seen,
    a_list_of_revocations_tells_whether_it_changed,
    revocations_expire_by_the_clock,
    revocations_are_bounded,
}

/// A session named by a number, of a person named by a word, that lives an hour.
pub(crate) fn record(number: u64, person: &str) -> NewRecord {
    let ring = ring(&[1]);
    NewRecord {
        name: name(number),
        sealed: format!("sealed {number}").into_bytes(),
        listing: format!("listing {number}").into_bytes(),
        created_at: now(),
        expires_at: now().plus(HOUR),
        login_began_at: now(),
        subject: index::subject(&ring, "issuer", person),
        provider_session: Some(index::provider_session(&ring, "issuer", &format!("sid of {number}"))),
        userid: userid_of(person),
    }
}

pub(crate) fn name(number: u64) -> RecordName {
    let mut bytes = [7; RecordName::BYTES];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    RecordName::from_bytes(bytes)
}

pub(crate) fn subject_of(person: &str) -> IndexKeys {
    index::subject(&ring(&[1]), "issuer", person)
}

fn userid_of(person: &str) -> IndexKeys {
    index::userid(&ring(&[1]), &format!("{person}@example.com"))
}

fn replacement(version: u64) -> Replacement {
    Replacement { version, sealed: b"replaced".to_vec(), expires_at: now().plus(HOUR) }
}

async fn insert(store: &dyn SessionStore, record: NewRecord) {
    assert_eq!(store.insert(record).await.unwrap(), Inserted::Stored { ended: Vec::new() });
}

async fn exists(store: &dyn SessionStore, number: u64) -> bool {
    store.get(&name(number)).await.unwrap().is_some()
}

async fn listed(store: &dyn SessionStore, index: &IndexKeys) -> Vec<RecordName> {
    store.list(index).await.unwrap().into_iter().map(|listing| listing.name).collect()
}

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

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<RecordName>>);

impl Heard {
    fn take(&self) -> HashSet<RecordName> {
        self.0.lock().unwrap().drain(..).collect()
    }
}

impl StoreObserver for Heard {
    fn changed(&self, name: &RecordName) {
        self.0.lock().unwrap().push(*name);
    }

    fn all_changed(&self) {
        panic!("nothing was lost");
    }
}

pub(crate) async fn observers_hear_of_every_change_before_it_returns(world: &World) {
    let store = world.store.as_ref();
    let heard = Arc::new(Heard::default());
    let observer: Arc<dyn StoreObserver> = heard.clone();
    let observer: Weak<dyn StoreObserver> = Arc::downgrade(&observer);
    if !store.observe(observer) {
        return;
    }
    for number in 1..=5 {
        insert(store, record(number, "a")).await;
    }
    // A store may tell more than it must, and a little later; a read comes after what was told before.
    assert!(exists(store, 1).await);
    heard.take();
    store.touch(&name(1), b"touched".to_vec(), now().plus(HOUR)).await.unwrap();
    assert!(exists(store, 1).await);
    assert!(heard.take().is_empty(), "a use is no change");
    store.replace(&name(1), replacement(1)).await.unwrap();
    assert!(heard.take().contains(&name(1)));
    store.remove(&name(2)).await.unwrap();
    assert!(heard.take().contains(&name(2)));
    store.end_all(&record(3, "a").provider_session.unwrap(), now(), now().plus(HOUR)).await.unwrap();
    assert!(heard.take().contains(&name(3)));
    world.clock.advance(HOUR);
    assert!(!exists(store, 4).await);
    assert!(heard.take().contains(&name(4)));
    store.sweep().await.unwrap();
    for number in 100..100 + MAX_SESSIONS_PER_SUBJECT as u64 {
        insert(store, NewRecord { expires_at: now().plus(2 * HOUR), ..record(number, "c") }).await;
    }
    assert!(exists(store, 100).await);
    heard.take();
    let Inserted::Stored { ended } =
        store.insert(NewRecord { expires_at: now().plus(2 * HOUR), ..record(9, "c") }).await.unwrap()
    else {
        panic!("not stored")
    };
    assert!(heard.take().is_superset(&ended.into_iter().collect()));
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

fn revocation(number: u64, updated_at: u64, sealed: &str) -> RevocationEntry {
    let mut id = [3; RevocationId::BYTES];
    id[..8].copy_from_slice(&number.to_be_bytes());
    RevocationEntry {
        id: RevocationId::from_bytes(id),
        updated_at: now().plus(Duration::from_secs(updated_at)),
        expires_at: None,
        sealed: sealed.as_bytes().to_vec(),
    }
}

/// Changes the list as it is now; its digest stays.
async fn change(store: &dyn SessionStore, entries: Vec<RevocationEntry>) -> Result<bool, StoreError> {
    let (seen, _) = revoked(store).await;
    store.change_revocations(RevocationChange { seen, entries, digest: b"digest".to_vec() }).await
}

/// The list and its generation.
async fn revoked(store: &dyn SessionStore) -> (Generation, Vec<RevocationEntry>) {
    let RevocationList::Entries { generation, mut entries, .. } = store.revocations(None).await.unwrap() else {
        panic!("nothing was seen before");
    };
    entries.sort_unstable_by_key(|entry| entry.id);
    (generation, entries)
}

pub(crate) async fn a_revocation_takes_the_place_of_one_of_its_name(world: &World) {
    let store = world.store.as_ref();
    let (one, other) = (revocation(1, 1, "one"), revocation(2, 1, "other \0 \u{ff}"));
    assert!(change(store, vec![one, other.clone()]).await.unwrap());
    let next = RevocationEntry { expires_at: Some(now().plus(HOUR)), ..revocation(1, 2, "next") };
    assert!(change(store, vec![next.clone()]).await.unwrap());
    assert_eq!(revoked(store).await.1, [next, other.clone()]);
    // What somebody wrote as of later gives way as well.
    let earlier = revocation(1, 0, "earlier");
    assert!(change(store, vec![earlier.clone()]).await.unwrap());
    assert_eq!(revoked(store).await.1, [earlier, other]);
}

pub(crate) async fn a_list_is_changed_only_as_it_was_seen(world: &World) {
    let store = world.store.as_ref();
    let of = |seen, sealed: &str| RevocationChange {
        seen,
        entries: vec![revocation(1, 1, sealed)],
        digest: sealed.as_bytes().to_vec(),
    };
    let (never, _) = revoked(store).await;
    assert!(!store.change_revocations(of(Generation::random(), "never seen")).await.unwrap());
    assert_eq!(revoked(store).await, (never, Vec::new()));
    assert!(store.change_revocations(of(never, "one")).await.unwrap());
    let (first, _) = revoked(store).await;
    assert!(!store.change_revocations(of(never, "too late")).await.unwrap(), "as of an older list");
    assert!(store.change_revocations(of(first, "two")).await.unwrap());
    // Entries and digest are of one change.
    let RevocationList::Entries { entries, digest, .. } = store.revocations(Some(first)).await.unwrap() else {
        panic!("it changed");
    };
    assert_eq!((entries, digest.as_deref()), (vec![revocation(1, 1, "two")], Some(b"two".as_slice())));
    // Another digest alone is a change too.
    let (second, entries) = revoked(store).await;
    let change = RevocationChange { seen: second, entries: entries.clone(), digest: b"three".to_vec() };
    assert!(store.change_revocations(change).await.unwrap());
    let (third, same) = revoked(store).await;
    assert_ne!(third, second);
    assert_eq!(same, entries);
}

pub(crate) async fn a_list_of_revocations_tells_whether_it_changed(world: &World) {
    let store = world.store.as_ref();
    let (never, entries) = revoked(store).await;
    assert_eq!((never, entries), (Generation::NONE, Vec::new()));
    assert_eq!(store.revocations(Some(never)).await.unwrap(), RevocationList::Unchanged);
    change(store, vec![revocation(1, 1, "one")]).await.unwrap();
    let (first, entries) = revoked(store).await;
    assert_eq!(entries.len(), 1);
    assert_ne!(first, never);
    assert_eq!(store.revocations(Some(first)).await.unwrap(), RevocationList::Unchanged);
    change(store, vec![revocation(1, 1, "one")]).await.unwrap();
    assert_eq!(store.revocations(Some(first)).await.unwrap(), RevocationList::Unchanged, "nothing new came");
    change(store, vec![revocation(1, 2, "two")]).await.unwrap();
    let RevocationList::Entries { generation, entries, .. } = store.revocations(Some(first)).await.unwrap() else {
        panic!("it changed");
    };
    assert_ne!(generation, first);
    assert_eq!(entries, [revocation(1, 2, "two")]);
}

pub(crate) async fn revocations_expire_by_the_clock(world: &World) {
    let store = world.store.as_ref();
    let ends = RevocationEntry { expires_at: Some(now().plus(HOUR)), ..revocation(1, 1, "ends") };
    let stays = revocation(2, 1, "stays");
    change(store, vec![ends.clone(), stays.clone()]).await.unwrap();
    assert_eq!(store.sweep().await.unwrap(), 0);
    world.clock.advance(HOUR);
    assert_eq!(revoked(store).await.1, std::slice::from_ref(&stays));
    assert_eq!(store.sweep().await.unwrap(), 1);
    assert!(change(store, vec![ends]).await.unwrap());
    assert_eq!(revoked(store).await.1, [stays], "it has expired");
}

pub(crate) async fn revocations_are_bounded(world: &World) {
    let store = world.store.as_ref();
    let most = MAX_REVOCATIONS as u64;
    let all = (0..most).map(|number| revocation(number, 1, "x")).collect();
    assert!(change(store, all).await.unwrap());
    let more = vec![revocation(0, 2, "changed"), revocation(most, 1, "one more")];
    assert!(matches!(change(store, more).await, Err(StoreError::Full(_))));
    let (_, entries) = revoked(store).await;
    assert_eq!((entries.len(), &entries[0]), (MAX_REVOCATIONS, &revocation(0, 1, "x")), "all or nothing");
    assert!(change(store, vec![revocation(0, 2, "changed")]).await.unwrap());
    insert(store, record(1, "a")).await;
    assert!(exists(store, 1).await, "the store works on");
}
