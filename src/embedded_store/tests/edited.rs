//! What somebody else does to the file, while it is open and between two runs.

use std::{fs, sync::Arc};

use redb::{Database, ReadableTable as _, TableDefinition};

use super::{Place, open};
use crate::{
    clock::ManualClock,
    principal::{BoundPod, Groups, ServiceAccount, ServiceAccountName},
    revocation::{self, Measure, Revocations, TokenRefusal},
    session::{
        OpenError,
        testing::{new_session, now, ring},
    },
    store::{Store, StoreError},
};

async fn running(clock: &Arc<ManualClock>, store: &Arc<dyn Store>) -> Revocations {
    let (store, ring) = (Arc::clone(store), ring(&[1]).shared());
    let process = Revocations::new(store, ring, clock.clone(), revocation::Metrics::default());
    process.begin().await;
    process
}

fn account(name: &str) -> ServiceAccount {
    ServiceAccount {
        namespace: "team-a".to_owned(),
        name: name.to_owned(),
        uid: "u-1".to_owned(),
        pod: Some(BoundPod { name: "worker-0".to_owned(), uid: "pod-1".to_owned() }),
        credential_id: None,
        groups: Groups::from_kubernetes([]),
        extra: std::collections::BTreeMap::new(),
    }
}

#[tokio::test]
async fn an_entry_that_somebody_deletes_from_the_file_is_seen() {
    let (place, clock) = (Place::new(), ManualClock::at(now()));
    let store = place.store(&clock);
    let process = running(&clock, &store).await;
    for name in ["one", "two"] {
        let target = revocation::Target::ServiceAccount(ServiceAccountName::new("team-a", name).unwrap());
        process.revoke(target, Measure::Deny).await.unwrap();
    }
    drop((process, store));
    let whole = fs::read(place.path()).unwrap();

    let database = Database::open(place.path()).unwrap();
    let transaction = database.begin_write().unwrap();
    let revocations = TableDefinition::<&[u8; 32], (u64, Option<u64>, &[u8])>::new("revocations");
    let mut table = transaction.open_table(revocations).unwrap();
    let id = *table.first().unwrap().unwrap().0.value();
    drop(table.remove(&id).unwrap().unwrap());
    drop(table);
    transaction.commit().unwrap();
    drop(database);

    let store = place.store(&clock);
    let process = running(&clock, &store).await;
    for name in ["one", "two"] {
        assert_eq!(process.judge(&account(name), None).unwrap_err(), TokenRefusal::Unknown);
    }
    assert_eq!(process.accept().await.unwrap(), 1, "an administrator takes what is left");
    drop((process, store));
    let store = place.store(&clock);
    assert!(running(&clock, &store).await.is_current(), "and that holds");
    drop(store);

    // The file of before, put back whole, is itself: what the limits page tells.
    fs::write(place.path(), whole).unwrap();
    let store = place.store(&clock);
    assert_eq!(running(&clock, &store).await.list().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_file_that_was_replaced_while_it_is_open_acknowledges_nothing() {
    let place = Place::new();
    let world = place.open();
    let ticket = world.sign_in("user").await;
    let (aside, copy) = (place.path().with_extension("aside"), place.path().with_extension("copy"));
    fs::copy(place.path(), &copy).unwrap();
    fs::rename(place.path(), &aside).unwrap();
    for replaced in [false, true] {
        if replaced {
            fs::rename(&copy, place.path()).unwrap();
        }
        let outcome = world.sessions.end(&ticket).await;
        let Err(StoreError::Unavailable(problem)) = outcome else { panic!("acknowledged: {outcome:?}") };
        assert!(problem.contains("removed or replaced while it is open"), "{problem}");
        assert!(world.sessions.create(new_session("another", now())).await.is_err());
        assert_eq!(open(&world, &ticket).await, Ok(()), "who is signed in goes on");
    }
    // What is there is left as it is; once the file is back, everything works again.
    fs::rename(&aside, place.path()).unwrap();
    assert_eq!(world.sessions.end(&ticket).await, Ok(true));
    assert_eq!(open(&world, &ticket).await, Err(OpenError::Ended));
    drop(world);
    assert_eq!(open(&place.open(), &ticket).await, Err(OpenError::Ended));
}
