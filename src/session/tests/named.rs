//! Sessions that are listed, and ended by their names.

use super::*;

#[tokio::test]
async fn a_handle_ends_its_session_under_an_older_key_and_for_whom_it_may() {
    let world = World::in_memory();
    let (first, second, third) = (world.sign_in("me").await, world.sign_in("me").await, world.sign_in("you").await);
    let mut opened = Vec::new();
    for ticket in [&first, &second, &third] {
        opened.push(open(&world.sessions, ticket).await.unwrap());
    }
    let [mine, my_other, yours] = &opened[..] else { panic!("three are open") };
    world.ring.store(Arc::new(ring(&[2, 1])));
    let sessions = &world.sessions;

    assert!(!sessions.end_one_of_same_person(yours, mine.handle()).await.unwrap());
    let you = Userid::parse("you@example.com").unwrap();
    assert!(!sessions.end_one_of_userid(&you, mine.handle()).await.unwrap());
    assert!(open(sessions, &first).await.is_ok(), "nobody else's handle ends it");

    assert!(sessions.end_one_of_same_person(my_other, mine.handle()).await.unwrap());
    assert_eq!(open(sessions, &first).await.unwrap_err(), OpenError::Ended);
    assert!(open(sessions, &second).await.is_ok() && open(sessions, &third).await.is_ok());
    assert!(sessions.end_one_of_userid(&you, yours.handle()).await.unwrap());
    assert_eq!(open(sessions, &third).await.unwrap_err(), OpenError::Ended);

    assert!(sessions.end_one(my_other.handle()).await.unwrap());
    assert_eq!(open(sessions, &second).await.unwrap_err(), OpenError::Ended);
    assert!(!sessions.end_one(my_other.handle()).await.unwrap(), "it has ended");
}

#[tokio::test]
async fn a_handle_of_a_key_that_left_the_ring_ends_nothing() {
    let world = World::in_memory();
    let ticket = world.sign_in("me").await;
    let session = open(&world.sessions, &ticket).await.unwrap();
    world.ring.store(Arc::new(ring(&[2])));
    assert!(!world.sessions.end_one(session.handle()).await.unwrap());
}

#[tokio::test]
async fn a_listing_that_was_planted_is_nobodys() {
    let world = World::in_memory();
    let (mine, yours) = (world.sign_in("me").await, world.sign_in("you").await);
    let me = open(&world.sessions, &mine).await.unwrap();
    let your_handle = open(&world.sessions, &yours).await.unwrap().handle().clone();
    let (_, my_record) = stored(&world, &mine).await;
    let (your_name, your_record) = stored(&world, &yours).await;
    // My listing beside your record: then it would be mine to end.
    assert!(world.store.touch(&your_name, my_record.listing, your_record.expires_at).await.unwrap());
    assert!(!world.sessions.end_one_of_same_person(&me, &your_handle).await.unwrap());
    assert!(world.sessions.end_one(&your_handle).await.unwrap(), "an administrator ends it all the same");
}

#[tokio::test]
async fn a_list_shows_no_more_than_it_may_and_nothing_that_was_planted() {
    let world = World::in_memory();
    let mine = world.sign_in("me").await;
    world.clock.advance(MINUTE);
    world.sign_in("me").await;
    let yours = world.sign_in("you").await;
    let me = "subject-of-me";
    let list = world.sessions.list_subject(ISSUER, me).await.unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(list[0].handle, *open(&world.sessions, &mine).await.unwrap().handle());
    assert_eq!((list[0].userid.as_str(), list[0].source.as_str()), ("me@example.com", "192.0.2.7"));
    assert_eq!((list[0].created_at, list[1].created_at), (now(), now().plus(MINUTE)));
    // Your session, and nonsense, planted in my index.
    let (_, your_record) = stored(&world, &yours).await;
    for (name, listing) in
        [(RecordName::from_bytes([1; 32]), your_record.listing.clone()), (RecordName::from_bytes([2; 32]), vec![0; 80])]
    {
        let planted = NewRecord {
            name,
            sealed: your_record.sealed.clone(),
            listing,
            created_at: now(),
            expires_at: your_record.expires_at,
            login_began_at: now(),
            subject: index::subject(&world.ring.load(), ISSUER, me),
            provider_session: None,
            userid: index::userid(&world.ring.load(), "me@example.com"),
        };
        world.store.insert(planted).await.unwrap();
    }
    assert_eq!(world.sessions.list_subject(ISSUER, me).await.unwrap(), list);
    let userid = Userid::parse("me@example.com").unwrap();
    assert_eq!(world.sessions.list_userid(&userid).await.unwrap(), list);
}

#[tokio::test]
async fn an_administrator_ends_a_person_by_the_name_that_services_know() {
    let world = World::in_memory();
    let (ticket, other) = (world.sign_in("user").await, world.sign_in("other").await);
    let userid = Userid::parse("user@example.com").unwrap();
    assert_eq!(world.sessions.list_userid(&userid).await.unwrap().len(), 1);
    assert_eq!(world.sessions.end_userid(&userid).await, Ok(1));
    assert_eq!(open(&world.sessions, &ticket).await.unwrap_err(), OpenError::Ended);
    assert!(open(&world.sessions, &other).await.is_ok());
    let begun = world.sessions.create(new_session("user", now())).await;
    assert!(matches!(begun, Err(CreateError::LoggedOut)));
}
