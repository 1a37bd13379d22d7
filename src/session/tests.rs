//! What [`Sessions`] promises, over the memory store.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;

use self::watched::Watched;
use super::{
    Config, CreateError, Metrics, OpenError, Registration, Renewal, Renewed, Sessions, Tokens,
    testing::{ABSOLUTE, IDLE, ISSUER, ORIGIN, World, config, dex, new_session, now, ring},
    ticket::Ticket,
};
use crate::{
    clock::Clock as _,
    principal::{ProviderName, Userid},
    secret::SecretString,
    store::{
        CLOCK_TOLERANCE, Inserted, LeaseHolder, MemoryStore, NewRecord, RecordName, StoreObserver, StoredRecord,
        Stores, index,
    },
};

const MINUTE: Duration = Duration::from_mins(1);
/// A minute less than [`IDLE`].
const ALMOST_IDLE: Duration = Duration::from_mins(8 * 60 - 1);

mod named;
mod remembered;
mod watched;

async fn open(sessions: &Sessions, ticket: &str) -> Result<Arc<super::Session>, OpenError> {
    sessions.open(ticket, ORIGIN, &dex()).await
}

/// What the store holds for a ticket.
async fn stored(world: &World, ticket: &str) -> (RecordName, StoredRecord) {
    let name = *Ticket::parse(&world.ring.load(), ticket).unwrap().name();
    let stored = world.store.get(&name).await.unwrap().unwrap();
    (name, stored)
}

/// Writes to the store as somebody without our keys would: a record put in the place of another.
async fn plant(world: &World, name: RecordName, stored: StoredRecord) {
    world.store.remove(&name).await.unwrap();
    let planted = NewRecord {
        name,
        sealed: stored.sealed,
        listing: stored.listing,
        created_at: now(),
        expires_at: stored.expires_at,
        login_began_at: now(),
        subject: index::subject(&ring(&[9]), "planted", "planted"),
        provider_session: None,
        userid: index::userid(&ring(&[9]), "planted"),
    };
    assert_eq!(world.store.insert(planted).await.unwrap(), Inserted::Stored { ended: Vec::new() });
}

/// Lets what was spawned run until `done`.
async fn until(done: impl AsyncFn() -> bool) {
    for _ in 0..10_000 {
        if done().await {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it was never done");
}

#[tokio::test]
async fn a_session_opens_with_its_ticket_on_every_replica() {
    let world = World::in_memory();
    let (ticket, created) = world.sessions.create(new_session("user", now())).await.unwrap();
    for sessions in [&world.sessions, &world.sessions, &world.another_replica()] {
        let session = open(sessions, ticket.expose()).await.unwrap();
        assert_eq!(session.user(), created.user());
        assert_eq!(session.user().groups.dropped(), 1);
        assert_eq!(session.origin(), ORIGIN);
        assert_eq!(session.handle(), created.handle());
        assert_eq!((session.version(), session.created_at()), (1, now()));
        assert_eq!(session.expires_at(), now().plus(ABSOLUTE));
        assert_eq!(session.login(), &new_session("user", now()).login);
    }
    let tokens = world.sessions.tokens(ticket.expose(), ORIGIN, &dex()).await.unwrap();
    assert_eq!(tokens, new_session("user", now()).tokens);
}

#[tokio::test]
async fn a_ticket_that_we_did_not_make_costs_no_call_of_the_store() {
    let world = World::in_memory();
    let ticket = world.sign_in("user").await;
    let store = Watched::new(&world, true);
    let sessions = sessions_over(&world, Arc::clone(&store));
    store.go_down();
    let foreign = Ticket::issue(&ring(&[2])).to_cookie_value();
    let mut forged = ticket.clone();
    forged.replace_range(50..51, if &ticket[50..51] == "A" { "B" } else { "A" });
    for other in [foreign.expose(), forged.as_str(), "", "session", &"A".repeat(134)] {
        assert_eq!(open(&sessions, other).await.unwrap_err(), OpenError::NotOurs);
        assert_eq!(sessions.end(other).await, Ok(false));
    }
    assert_eq!(store.calls(), 0);
    assert_eq!(open(&sessions, &ticket).await.unwrap_err(), OpenError::Unavailable);
    assert!(sessions.end(&ticket).await.is_err());
    let created = sessions.create(new_session("user", now())).await;
    assert!(matches!(created, Err(CreateError::Store(_))));
}

#[tokio::test]
async fn after_a_logout_the_ticket_is_dead_on_every_replica() {
    let world = World::in_memory();
    let other = world.another_replica();
    let ticket = world.sign_in("user").await;
    assert!(open(&world.sessions, &ticket).await.is_ok() && open(&other, &ticket).await.is_ok());
    assert_eq!(other.end(&ticket).await, Ok(true));
    for sessions in [&world.sessions, &other, &world.another_replica()] {
        assert_eq!(open(sessions, &ticket).await.unwrap_err(), OpenError::Ended);
    }
    assert_eq!(world.sessions.end(&ticket).await, Ok(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_logout_wins_against_racing_opens() {
    let world = Arc::new(World::in_memory());
    for _ in 0..50 {
        let ticket = world.sign_in("user").await;
        let openers = (0..8).map(|_| {
            let (world, ticket) = (Arc::clone(&world), ticket.clone());
            tokio::spawn(async move {
                for _ in 0..20 {
                    let _ = open(&world.sessions, &ticket).await;
                }
            })
        });
        let openers: Vec<_> = openers.collect();
        assert_eq!(world.sessions.end(&ticket).await, Ok(true));
        assert_eq!(open(&world.sessions, &ticket).await.unwrap_err(), OpenError::Ended);
        join_all(openers).await;
        assert_eq!(open(&world.sessions, &ticket).await.unwrap_err(), OpenError::Ended);
    }
}

#[tokio::test]
async fn a_session_is_for_one_origin_and_one_provider() {
    let world = World::in_memory();
    let ticket = world.sign_in("user").await;
    let other_provider = Registration { provider: ProviderName::parse("other").unwrap(), ..dex() };
    for cached in [false, true] {
        let elsewhere = world.sessions.open(&ticket, "https://other.example.com", &dex()).await;
        assert_eq!(elsewhere.unwrap_err(), OpenError::NotOurs, "cached: {cached}");
        let otherwise = world.sessions.open(&ticket, ORIGIN, &other_provider).await;
        assert_eq!(otherwise.unwrap_err(), OpenError::NotOurs, "cached: {cached}");
        assert!(world.sessions.tokens(&ticket, "https://other.example.com", &dex()).await.is_err());
        assert!(open(&world.sessions, &ticket).await.is_ok());
    }
}

#[tokio::test]
async fn a_session_ends_with_the_issuer_and_the_client_that_it_came_of() {
    let other_issuer = Registration { issuer: "https://other.example.com".to_owned(), ..dex() };
    let other_client = Registration { client_id: "other".to_owned(), ..dex() };
    for other in [other_issuer, other_client] {
        for cached in [false, true] {
            let world = World::in_memory();
            let ticket = world.sign_in("user").await;
            if cached {
                open(&world.sessions, &ticket).await.unwrap();
            }
            let sessions = [&world.sessions, &world.another_replica()];
            for sessions in sessions {
                let tokens = sessions.tokens(&ticket, ORIGIN, &other).await;
                assert_eq!(tokens.unwrap_err(), OpenError::Ended, "no token of it goes there: {other:?}");
            }
            assert_eq!(world.sessions.open(&ticket, ORIGIN, &other).await.unwrap_err(), OpenError::Ended);
            // It is over, and not only out of sight: meanwhile nobody could have ended it.
            assert_eq!(open(&world.sessions, &ticket).await.unwrap_err(), OpenError::Ended);
            assert!(world.sessions.list_subject(ISSUER, "subject-of-user").await.unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn a_record_without_a_client_belongs_to_its_id_tokens_audience() {
    let id_token = |audience: serde_json::Value| {
        let part = |value: &serde_json::Value| crate::secret::encode(value.to_string().as_bytes());
        let claims = serde_json::json!({"iss": ISSUER, "sub": "subject-of-user", "aud": audience});
        SecretString::new(format!("{}.{}.c2ln", part(&serde_json::json!({"alg": "ES256"})), part(&claims)))
    };
    let other = Registration { client_id: "other".to_owned(), ..dex() };
    for (audience, belongs_to_other) in [(serde_json::json!("portcullis"), false), (serde_json::json!(["other"]), true)]
    {
        let world = World::in_memory();
        let mut new = new_session("user", now());
        new.tokens.id_token = id_token(audience);
        let (ticket, session) = world.sessions.create(new).await.unwrap();
        let (name, before) = stored(&world, ticket.expose()).await;
        // As a release before this one wrote it.
        let sealed = super::record::testing::without_client(&world.ring.load(), ticket.expose(), &before.sealed);
        plant(&world, name, StoredRecord { sealed, ..before }).await;
        drop(session);
        let (at, not_at) = if belongs_to_other { (&other, &dex()) } else { (&dex(), &other) };
        let sessions = world.another_replica();
        assert!(sessions.open(ticket.expose(), ORIGIN, at).await.is_ok());
        assert_eq!(sessions.open(ticket.expose(), ORIGIN, not_at).await.unwrap_err(), OpenError::Ended);
    }
}

#[tokio::test]
async fn a_refresh_token_is_kept_without_another_word_and_against_no_logout() {
    let world = World::in_memory();
    let ticket = world.sign_in("user").await;
    let next = SecretString::new("the-next-refresh-token".to_owned());
    let mut current = world.sessions.current(&ticket, ORIGIN, &dex()).await.unwrap();
    let mut raced = world.sessions.current(&ticket, ORIGIN, &dex()).await.unwrap();
    let kept = world.sessions.keep_refresh_token(&mut current, &next).await.unwrap();
    assert!(matches!(kept, Renewed::Done(())), "{kept:?}");
    let other = world.another_replica();
    let session = open(&other, &ticket).await.unwrap();
    assert_eq!(session.version(), 1, "it says nothing else of the person");
    let tokens = other.tokens(&ticket, ORIGIN, &dex()).await.unwrap();
    assert_eq!(tokens, Tokens { refresh_token: Some(next.clone()), ..new_session("user", now()).tokens });
    let late = world.sessions.keep_refresh_token(&mut raced, &next).await.unwrap();
    assert!(matches!(late, Renewed::Superseded), "{late:?}");
    let renewal = Renewal { user: session.user().clone(), tokens };
    let renewed = world.sessions.renew(&current, &renewal).await.unwrap();
    assert!(matches!(&renewed, Renewed::Done(session) if session.version() == 2), "{renewed:?}");
    world.sessions.end(&ticket).await.unwrap();
    let gone = world.sessions.keep_refresh_token(&mut current, &next).await.unwrap();
    assert!(matches!(gone, Renewed::Ended), "{gone:?}");
}

#[tokio::test]
async fn a_last_use_ahead_of_a_clock_that_stepped_back_is_not_kept() {
    let world = World::in_memory();
    let ticket = world.sign_in("user").await;
    world.clock.advance(ALMOST_IDLE);
    open(&world.sessions, &ticket).await.unwrap();
    let stepped = now().plus(MINUTE);
    world.clock.set(stepped);
    let session = open(&world.sessions, &ticket).await.unwrap();
    assert_eq!(session.last_seen(), stepped);
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used() {
    let world = World::in_memory();
    let ticket = world.sign_in("user").await;
    world.clock.advance(ALMOST_IDLE);
    assert!(open(&world.sessions, &ticket).await.is_ok());
    let (name, before) = stored(&world, &ticket).await;
    until(async || world.store.get(&name).await.unwrap().unwrap().expires_at == world.clock.now().plus(IDLE)).await;
    assert_ne!(stored(&world, &ticket).await.1.listing, before.listing);
    world.clock.advance(ALMOST_IDLE);
    assert!(open(&world.another_replica(), &ticket).await.is_ok(), "another replica knows of the use");
    world.clock.advance(IDLE);
    assert_eq!(open(&world.sessions, &ticket).await.unwrap_err(), OpenError::Ended);
    world.clock.set(now());
    assert_eq!(open(&world.sessions, &ticket).await.unwrap_err(), OpenError::Ended, "the clock revived it");
}

#[tokio::test]
async fn a_session_that_is_used_ends_at_its_absolute_end() {
    let world = World::in_memory();
    let ticket = world.sign_in("user").await;
    let (name, _) = stored(&world, &ticket).await;
    for _ in 0..3 {
        world.clock.advance(ALMOST_IDLE);
        assert!(open(&world.sessions, &ticket).await.is_ok());
        let end = world.clock.now().plus(IDLE).min(now().plus(ABSOLUTE));
        until(async || world.store.get(&name).await.unwrap().unwrap().expires_at == end).await;
    }
    world.clock.advance(3 * MINUTE);
    assert_eq!(open(&world.sessions, &ticket).await.unwrap_err(), OpenError::Ended);
}

#[tokio::test]
async fn a_shortened_lifetime_holds_for_sessions_that_had_begun() {
    let world = World::in_memory();
    let ticket = world.sign_in("user").await;
    let short = Config { absolute_lifetime: 10 * MINUTE, ..config() };
    let sessions =
        Sessions::new(&world.stores(), Arc::clone(&world.ring), world.clock.clone(), &short, Metrics::default());
    assert!(open(&sessions, &ticket).await.is_ok());
    world.clock.advance(10 * MINUTE);
    assert_eq!(open(&sessions, &ticket).await.unwrap_err(), OpenError::Ended);
}

#[tokio::test]
async fn the_last_use_is_stored_at_most_once_a_minute_and_never_after_the_end() {
    let world = World::in_memory();
    let ticket = world.sign_in("user").await;
    let (name, first) = stored(&world, &ticket).await;
    world.clock.advance(Duration::from_secs(59));
    for _ in 0..100 {
        assert!(open(&world.sessions, &ticket).await.is_ok());
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stored(&world, &ticket).await.1, first);
    world.clock.advance(Duration::from_secs(1));
    // The use is noted in a task of its own, which runs after the logout.
    assert!(open(&world.sessions, &ticket).await.is_ok());
    assert_eq!(world.sessions.end(&ticket).await, Ok(true));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.store.get(&name).await, Ok(None));
}

#[tokio::test]
async fn a_session_from_the_future_is_refused_until_then() {
    let world = World::in_memory();
    let ticket = world.sign_in("user").await;
    for cached in [false, true] {
        world.clock.set(now().minus(CLOCK_TOLERANCE));
        assert!(open(&world.sessions, &ticket).await.is_ok(), "cached: {cached}");
        world.clock.set(now().minus(CLOCK_TOLERANCE + Duration::from_millis(1)));
        assert_eq!(open(&world.sessions, &ticket).await.unwrap_err(), OpenError::Ended, "cached: {cached}");
        world.clock.set(now());
        assert!(open(&world.sessions, &ticket).await.is_ok());
    }
}

#[tokio::test]
async fn records_that_were_swapped_or_moved_do_not_open() {
    let world = World::in_memory();
    let (mine, yours) = (world.sign_in("me").await, world.sign_in("you").await);
    let (my_name, my_record) = stored(&world, &mine).await;
    let (your_name, your_record) = stored(&world, &yours).await;
    // Swapped, whole.
    plant(&world, my_name, your_record.clone()).await;
    plant(&world, your_name, my_record.clone()).await;
    assert_eq!(open(&world.sessions, &mine).await.unwrap_err(), OpenError::NotOurs);
    assert_eq!(open(&world.sessions, &yours).await.unwrap_err(), OpenError::NotOurs);
    // My record with your listing, and the reverse.
    let mixed = StoredRecord { listing: your_record.listing.clone(), ..my_record.clone() };
    plant(&world, my_name, mixed).await;
    assert_eq!(open(&world.sessions, &mine).await.unwrap_err(), OpenError::NotOurs);
    // A byte changed.
    for position in [0, my_record.sealed.len() / 2, my_record.sealed.len() - 1] {
        let mut damaged = my_record.clone();
        damaged.sealed[position] ^= 1;
        plant(&world, my_name, damaged).await;
        assert_eq!(open(&world.sessions, &mine).await.unwrap_err(), OpenError::NotOurs);
    }
    // Put back as it was, it opens: nothing else was in the way.
    plant(&world, my_name, my_record).await;
    assert!(open(&world.sessions, &mine).await.is_ok());
}

#[tokio::test]
async fn a_logout_at_the_provider_ends_what_came_of_it_and_what_was_about_to() {
    let world = World::in_memory();
    let (first, second) = (world.sign_in("me").await, world.sign_in("me").await);
    let other = world.sign_in("you").await;
    assert!(open(&world.sessions, &first).await.is_ok());
    world.clock.advance(MINUTE);
    assert_eq!(world.sessions.end_subject(ISSUER, "subject-of-me").await, Ok(2));
    for ticket in [&first, &second] {
        assert_eq!(open(&world.sessions, ticket).await.unwrap_err(), OpenError::Ended);
    }
    let late = world.sessions.create(new_session("me", now())).await;
    assert_eq!(late.unwrap_err(), CreateError::LoggedOut);
    world.clock.advance(MINUTE);
    assert!(world.sessions.create(new_session("me", world.clock.now())).await.is_ok());
    assert_eq!(world.sessions.end_provider_session(ISSUER, "sid-of-you").await, Ok(1));
    assert_eq!(open(&world.sessions, &other).await.unwrap_err(), OpenError::Ended);
    assert_eq!(world.sessions.end_provider_session("https://other", "sid-of-me").await, Ok(0));
}

#[tokio::test]
async fn a_key_that_left_the_ring_takes_its_sessions_along() {
    let world = World::in_memory();
    let ticket = world.sign_in("user").await;
    assert!(open(&world.sessions, &ticket).await.is_ok());
    world.ring.store(Arc::new(ring(&[2, 1])));
    assert!(open(&world.sessions, &ticket).await.is_ok());
    assert_eq!(world.sessions.list_subject(ISSUER, "subject-of-user").await.unwrap().len(), 1);
    let newer = world.sign_in("user").await;
    world.ring.store(Arc::new(ring(&[2])));
    assert_eq!(open(&world.sessions, &ticket).await.unwrap_err(), OpenError::NotOurs);
    assert!(open(&world.sessions, &newer).await.is_ok());
}

#[tokio::test]
async fn what_is_spent_stays_spent() {
    let world = World::in_memory();
    let until = now().plus(10 * MINUTE);
    assert_eq!(world.sessions.spend(b"state", until).await, Ok(true));
    assert_eq!(world.another_replica().spend(b"state", until).await, Ok(false));
    assert_eq!(world.sessions.spend(b"other", until).await, Ok(true));
}

#[tokio::test]
async fn nothing_secret_prints() {
    let world = World::in_memory();
    let (ticket, session) = world.sessions.create(new_session("user", now())).await.unwrap();
    let printed = format!("{session:?} {:?} {:?} {ticket:?}", world.sessions, new_session("user", now()));
    for secret in ["id-token-of", "access-token-of", "refresh-token-of", ticket.expose()] {
        assert!(!printed.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn an_outcome_is_counted_once() {
    let world = World::in_memory();
    let mut registry = prometheus_client::registry::Registry::default();
    let stores = Stores::of(Arc::new(MemoryStore::new(world.clock.clone())));
    let config = config();
    let metrics = Metrics::register(&mut registry);
    let sessions = Sessions::new(&stores, Arc::clone(&world.ring), world.clock.clone(), &config, metrics);
    let (ticket, _): (SecretString, _) = sessions.create(new_session("user", now())).await.unwrap();
    for _ in 0..3 {
        open(&sessions, ticket.expose()).await.unwrap();
    }
    sessions.end(ticket.expose()).await.unwrap();
    assert!(open(&sessions, ticket.expose()).await.is_err() && open(&sessions, "x").await.is_err());
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "session_opens_total{outcome=\"stored\"} 1",
        "session_opens_total{outcome=\"cached\"} 2",
        "session_opens_total{outcome=\"ended\"} 1",
        "session_opens_total{outcome=\"not_ours\"} 1",
        "sessions_created_total 1",
        "sessions_ended_total 1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_expired_is_swept_from_time_to_time() {
    let world = World::in_memory();
    let ticket = world.sign_in("user").await;
    let name = *Ticket::parse(&world.ring.load(), &ticket).unwrap().name();
    let heard = Arc::new(Heard::default());
    let observer: Arc<dyn StoreObserver> = heard.clone();
    world.store.observe(Arc::downgrade(&observer));
    let maintained = async {
        world.clock.advance(IDLE);
        tokio::time::sleep(MINUTE).await;
    };
    tokio::select! {
        () = world.sessions.maintain() => {}
        () = maintained => {}
    }
    assert_eq!(*heard.0.lock().unwrap(), [name]);
}

#[derive(Debug, Default)]
struct Heard(std::sync::Mutex<Vec<RecordName>>);

impl StoreObserver for Heard {
    fn changed(&self, name: &RecordName) {
        self.0.lock().unwrap().push(*name);
    }

    fn all_changed(&self) {}
}

fn sessions_over(world: &World, store: Arc<Watched>) -> Sessions {
    sessions_with(world, store, config())
}

fn sessions_with(world: &World, store: Arc<Watched>, config: Config) -> Sessions {
    Sessions::new(&Stores::of(store), Arc::clone(&world.ring), world.clock.clone(), &config, Metrics::default())
}

#[tokio::test]
async fn of_two_replicas_one_has_the_lease_on_a_session() {
    let world = World::in_memory();
    let ticket = world.sign_in("user").await;
    let (ours, theirs) = (LeaseHolder::random(), LeaseHolder::random());
    let other = world.another_replica();
    let (session, same) = (open(&world.sessions, &ticket).await.unwrap(), open(&other, &ticket).await.unwrap());
    assert_eq!(world.sessions.take_lease(&session, &ours, MINUTE).await, Ok(true));
    assert_eq!(other.take_lease(&same, &theirs, MINUTE).await, Ok(false));
    // A key that came meanwhile makes no second lease.
    world.ring.store(Arc::new(ring(&[2, 1])));
    assert_eq!(other.take_lease(&same, &theirs, MINUTE).await, Ok(false));
    assert_eq!(world.sessions.release_lease(&session, &ours).await, Ok(true));
    assert_eq!(other.take_lease(&same, &theirs, MINUTE).await, Ok(true));
}
