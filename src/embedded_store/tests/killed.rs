//! What was acknowledged holds, whenever the process is killed and whatever the disk does.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;

use super::{Place, open, process};
use crate::{
    clock::{ManualClock, SystemClock},
    embedded_store::EmbeddedStore,
    secret::random_bytes,
    session::{
        CreateError, Metrics, OpenError, Sessions,
        testing::{ORIGIN, World, config, dex, new_session, now, ring},
    },
    store::{Store, StoreError, Stores},
};

const ROUNDS: usize = 6;

/// What is known of a session by what the child said before it was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    SignedIn,
    Leaving,
    LoggedOut,
}

#[tokio::test]
async fn what_was_acknowledged_holds_after_a_kill() {
    let place = Place::new();
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    for round in 0..ROUNDS {
        let [random] = random_bytes::<1>();
        let listened = listen_and_kill(&place, 20 + usize::from(random), &mut known);
        assert!(listened > 0, "round {round}: the child said nothing");
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&place.path(), SystemClock::shared()).unwrap());
        let sessions = sessions(store);
        for (ticket, known) in &known {
            let opened = sessions.open(ticket, ORIGIN, &dex()).await.map(drop);
            match known {
                Known::SignedIn => assert_eq!(opened, Ok(()), "round {round}: a sign-in was lost"),
                Known::LoggedOut => assert_eq!(opened, Err(OpenError::Ended), "round {round}: a logout was lost"),
                Known::Leaving => assert!(matches!(opened, Ok(()) | Err(OpenError::Ended)), "{opened:?}"),
            }
        }
    }
    assert!(known.values().any(|known| *known == Known::LoggedOut), "no logout was tried");
}

/// Lets the child say so many things and kills it; how many it said.
fn listen_and_kill(place: &Place, things: usize, known: &mut BTreeMap<String, Known>) -> usize {
    let mut child = process::command("embedded_store::tests::killed::signs_in_and_out", &place.path()).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let (mut line, mut count) = (String::new(), 0);
    while said.read_line(&mut line).unwrap() > 0 {
        // A line that the kill cut short says nothing.
        if let Some(text) = line.strip_suffix('\n').and_then(process::heard) {
            let (what, ticket) = text.split_once(' ').unwrap();
            let now_known = match what {
                "in" => Known::SignedIn,
                "leaving" => Known::Leaving,
                "out" => Known::LoggedOut,
                other => panic!("{other}"),
            };
            known.insert(ticket.to_owned(), now_known);
            count += 1;
            if count == things {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    child.wait().unwrap();
    count
}

fn sessions(store: Arc<dyn Store>) -> Sessions {
    Sessions::new(&Stores::of(store), ring(&[1]).shared(), SystemClock::shared(), &config(), Metrics::default())
}

/// Signs people in and out, and says each time what was acknowledged, until it is killed.
#[tokio::test]
#[ignore = "a child of another test"]
async fn signs_in_and_out() {
    let Some(path) = process::path_of_child() else { return };
    let store = Arc::new(EmbeddedStore::open(&path, SystemClock::shared()).unwrap());
    let sessions = sessions(store);
    join_all((0..8).map(|_| sign_in_and_out(&sessions))).await;
}

async fn sign_in_and_out(sessions: &Sessions) {
    loop {
        let name = crate::secret::random_id().replace(['-', '_'], "x");
        let began = crate::clock::Timestamp::from_unix_seconds(u64::from(u32::MAX));
        let (ticket, _) = sessions.create(new_session(&name, began)).await.unwrap();
        let ticket = ticket.expose();
        process::say(&format!("in {ticket}"));
        if random_bytes::<1>()[0] < 128 {
            process::say(&format!("leaving {ticket}"));
            assert_eq!(sessions.end(ticket).await, Ok(true));
            process::say(&format!("out {ticket}"));
        }
    }
}

#[test]
fn a_full_disk_is_told_and_overcome() {
    let place = Place::new();
    let said = process::run("embedded_store::tests::killed::fills_the_disk", &place.path(), None);
    assert_eq!(said, ["full", "still read", "all kept"]);
}

/// Runs into a limit on the size of files, which is to a process as a full disk is, and lifts it again.
#[tokio::test]
#[ignore = "a child of another test"]
async fn fills_the_disk() {
    let Some(path) = process::path_of_child() else { return };
    // Without a handler the signal that tells of the limit ends the process.
    let _handler = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(25)).unwrap();
    let clock = ManualClock::at(now());
    let world = World::over_with(&clock, Arc::new(EmbeddedStore::open(&path, clock.clone()).unwrap()));
    let first = world.sign_in("first").await;
    let size = std::fs::metadata(&path).unwrap().len();
    limit_file_size(Some(size));
    let mut kept = vec![first.clone()];
    let refused = loop {
        match world.sessions.create(new_session(&format!("user{}", kept.len()), now())).await {
            Ok((ticket, _)) => kept.push(ticket.expose().to_owned()),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, CreateError::Store(StoreError::Full(_))), "{refused:?}");
    process::say("full");
    for sessions in [&world.sessions, &world.another_replica()] {
        assert!(sessions.open(&first, ORIGIN, &dex()).await.is_ok());
    }
    assert!(world.sessions.end(&first).await.is_err());
    process::say("still read");
    limit_file_size(None);
    clock.advance(Duration::from_secs(1));
    for ticket in &kept {
        assert_eq!(open(&world, ticket).await, Ok(()));
    }
    let (ticket, _) = world.sessions.create(new_session("last", now())).await.unwrap();
    assert_eq!(world.sessions.end(ticket.expose()).await, Ok(true));
    process::say("all kept");
}

fn limit_file_size(most: Option<u64>) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: most, maximum }).unwrap();
}
