//! What is remembered of the store, and when it is not.

use super::*;
use crate::{
    decision::HeaderText,
    principal::Method,
    session::Session,
    told::{Configuration, Statement, Wanted},
};

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

/// A statement for an audience, as whoever tells services makes one.
fn tell(session: &Session, configuration: &Arc<Configuration>, audience: &str) {
    let key = &"key".into();
    let wanted = Wanted { configuration, key, audience: Some(audience), method: Method::SESSION, now: now() };
    let statement = Statement {
        userid: None,
        groups: None,
        assertion: HeaderText::parse_shared(&"a".repeat(1000)).ok(),
        terms: wanted.terms(),
        issued_at: now(),
        fresh_until: now().plus(MINUTE),
    };
    session.told().keep(statement, wanted);
}

#[tokio::test]
async fn what_was_told_by_a_session_is_kept_where_it_is_read_anew_and_says_the_same() {
    let world = World::in_memory();
    let ticket = world.sign_in("user").await;
    let session = open(&world.sessions, &ticket).await.unwrap();
    tell(&session, &Arc::default(), "audience");
    assert!(session.told().heap_bytes() > 1000);
    let mut current = world.sessions.current(&ticket, ORIGIN, &dex()).await.unwrap();
    let kept = world.sessions.keep_refresh_token(&mut current, &SecretString::new("next".into())).await;
    assert!(matches!(kept, Ok(Renewed::Done(()))), "{kept:?}");
    let again = open(&world.sessions, &ticket).await.unwrap();
    assert!(!Arc::ptr_eq(&session, &again) && Arc::ptr_eq(session.told(), again.told()));
    let renewal = Renewal { user: session.user().clone(), tokens: current.tokens().clone() };
    assert!(matches!(world.sessions.renew(&current, &renewal).await, Ok(Renewed::Done(_))));
    let renewed = open(&world.sessions, &ticket).await.unwrap();
    assert_eq!((renewed.version(), renewed.told().heap_bytes()), (2, 0), "a new version is told of anew");
}

#[tokio::test]
async fn sessions_that_were_told_of_are_weighed_with_that() {
    let world = World::in_memory();
    let store = Watched::new(&world, true);
    // Room for some hundred sessions, or a third of that once services were told of them.
    let sessions = sessions_with(&world, Arc::clone(&store), Config { open_bytes: 256 * 1024, ..config() });
    let (mut calls, configuration) = (Vec::new(), Arc::default());
    for tells in [false, true] {
        let mut tickets = Vec::new();
        for number in 0..60 {
            tickets.push(world.sign_in(&format!("user-{tells}-{number}")).await);
        }
        for ticket in &tickets {
            let session = open(&sessions, ticket).await.unwrap();
            if tells {
                for audience in ["a", "b", "c"] {
                    tell(&session, &configuration, audience);
                }
                sessions.weigh(ticket);
            }
        }
        let before = store.calls();
        for ticket in &tickets {
            assert!(open(&sessions, ticket).await.is_ok());
        }
        calls.push(store.calls() - before);
    }
    assert!(calls[0] < calls[1], "{calls:?} were read again");
}

#[tokio::test]
async fn every_session_of_a_store_in_memory_is_kept_open_while_it_lives() {
    let world = World::in_memory();
    let store = Watched::new(&world, true);
    store.say_in_memory();
    let sessions = sessions_with(&world, Arc::clone(&store), Config { open_bytes: 1024, ..config() });
    let mut tickets = Vec::new();
    for number in 0..200 {
        tickets.push(world.sign_in(&format!("user-{number}")).await);
        assert!(open(&sessions, tickets.last().unwrap()).await.is_ok());
    }
    let calls = store.calls();
    for ticket in &tickets {
        assert!(open(&sessions, ticket).await.is_ok());
    }
    assert_eq!(store.calls(), calls);
    for ticket in &tickets {
        assert_eq!(world.sessions.end(ticket).await, Ok(true));
    }
    assert!(format!("{sessions:?}").contains("len: 200"), "{sessions:?}");
    sessions.sweep().await;
    assert!(format!("{sessions:?}").contains("len: 0"), "{sessions:?}");
}
