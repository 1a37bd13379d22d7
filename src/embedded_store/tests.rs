//! What the file promises beyond the contract that all stores keep.

mod damage;
mod edited;
mod killed;
mod model;
mod panicking;
mod place;
mod process;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    clock::ManualClock,
    embedded_store::{EmbeddedStore, OpenError as StoreOpenError},
    session::{
        OpenError,
        testing::{ISSUER, ORIGIN, World, dex, new_session, now, ring},
    },
    store::{Store, contract, index},
};

/// Where a test keeps its store.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("sessions/sessions.redb")
    }

    fn open(&self) -> World {
        let clock = ManualClock::at(now());
        World::over_with(&clock, self.store(&clock))
    }

    fn store(&self, clock: &Arc<ManualClock>) -> Arc<dyn Store> {
        Arc::new(EmbeddedStore::open(&self.path(), clock.clone()).unwrap())
    }

    fn refused(&self) -> StoreOpenError {
        refused(&self.path())
    }
}

fn refused(path: &Path) -> StoreOpenError {
    EmbeddedStore::open(path, ManualClock::at(now())).unwrap_err()
}

fn world() -> (World, Place) {
    let place = Place::new();
    (place.open(), place)
}

mod keeps_the_contract {
    use super::{Place, World, contract};

    #[expect(clippy::unused_async, reason = "other stores are waited for")]
    async fn world() -> (World, Place) {
        super::world()
    }

    contract::run!(world);
}

async fn open(world: &World, ticket: &str) -> Result<(), OpenError> {
    world.sessions.open(ticket, ORIGIN, &dex()).await.map(drop)
}

#[tokio::test]
async fn a_restart_keeps_sessions_logouts_and_marks() {
    let place = Place::new();
    let world = place.open();
    let (stays, leaves) = (world.sign_in("stays").await, world.sign_in("leaves").await);
    assert_eq!(world.sessions.end(&leaves).await, Ok(true));
    assert_eq!(world.sessions.end_subject(ISSUER, "subject-of-banned").await, Ok(0));
    assert_eq!(world.sessions.spend(b"state", now().plus(Duration::from_mins(10))).await, Ok(true));
    drop(world);
    let world = place.open();
    assert_eq!(open(&world, &stays).await, Ok(()));
    assert_eq!(open(&world, &leaves).await, Err(OpenError::Ended));
    assert!(world.sessions.create(new_session("banned", now())).await.is_err());
    assert_eq!(world.sessions.spend(b"state", now().plus(Duration::from_mins(10))).await, Ok(false));
    assert_eq!(world.sessions.list_subject(ISSUER, "subject-of-stays").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_restart_with_the_clock_set_back_revives_nothing() {
    let place = Place::new();
    let world = place.open();
    let expires = world.sign_in("user").await;
    world.clock.advance(crate::session::testing::IDLE);
    let later = world.sign_in("user").await;
    drop(world);
    // The new process's clock stands at the beginning.
    let world = place.open();
    assert_eq!(open(&world, &expires).await, Err(OpenError::Ended));
    assert_eq!(open(&world, &later).await, Err(OpenError::Ended), "dated ahead");
    let newest = world.sign_in("user").await;
    assert_eq!(open(&world, &newest).await, Ok(()));
}

#[tokio::test]
async fn a_copy_of_the_file_reveals_nobody() {
    let place = Place::new();
    let world = place.open();
    let mut secrets: Vec<Vec<u8>> = Vec::new();
    for name in ["alice", "bob"] {
        let (ticket, session) = world.sessions.create(new_session(name, now())).await.unwrap();
        let ticket = ticket.expose();
        let raw = crate::secret::decode(ticket).unwrap();
        secrets.extend([ticket.as_bytes().to_vec(), raw[4..36].to_vec(), raw[36..68].to_vec(), raw[68..].to_vec()]);
        secrets.extend([name.as_bytes().to_vec(), session.handle().to_string().into_bytes()]);
    }
    let shared = ["token-of", "subject-of", "sid-of", "example.com", "192.0.2.7", "team-a", "kubeflow", "state-of"];
    secrets.extend(shared.map(|text| text.as_bytes().to_vec()));
    world.sessions.spend(b"state-of-login", now()).await.unwrap();
    world.sessions.end_subject(ISSUER, "subject-of-bob").await.unwrap();
    drop(world);
    let file = std::fs::read(place.path()).unwrap();
    // The search finds what is there.
    let stored = index::subject(&ring(&[1]), ISSUER, "subject-of-alice");
    assert!(holds(&file, stored.stored().as_bytes()));
    for secret in secrets {
        assert!(!holds(&file, &secret), "{}", String::from_utf8_lossy(&secret));
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sign_ins_at_once_are_all_kept() {
    let place = Place::new();
    let world = Arc::new(place.open());
    let people = (0..500).map(|number| {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.sign_in(&format!("user{number}")).await })
    });
    let tickets = futures::future::try_join_all(people).await.unwrap();
    drop(world);
    let world = place.open();
    for ticket in &tickets {
        assert_eq!(open(&world, ticket).await, Ok(()));
    }
}

#[tokio::test]
async fn who_gives_up_waiting_takes_nothing_back() {
    let place = Place::new();
    let world = place.open();
    let ticket = world.sign_in("user").await;
    {
        let end = world.sessions.end(&ticket);
        tokio::pin!(end);
        // Polled once, so that the step is queued, and dropped.
        assert!(futures::poll!(end).is_pending());
    }
    drop(world);
    assert_eq!(open(&place.open(), &ticket).await, Err(OpenError::Ended));
}
