//! Observers hear of every change.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, Weak},
};

use super::support::{HOUR, exists, insert, name, record, replacement};
use crate::store::{
    keys::RecordName,
    limits::MAX_SESSIONS_PER_SUBJECT,
    observers::StoreObserver,
    records::{Inserted, NewRecord},
    testing::{World, now},
};

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
