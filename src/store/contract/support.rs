//! What the cases share.

use std::time::Duration;

use crate::store::{
    bundle::Store,
    index,
    keys::{IndexKeys, RecordName},
    records::{Inserted, NewRecord, Replacement},
    testing::{now, ring},
};

pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);

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

pub(super) fn userid_of(person: &str) -> IndexKeys {
    index::userid(&ring(&[1]), &format!("{person}@example.com"))
}

pub(super) fn replacement(version: u64) -> Replacement {
    Replacement { version, sealed: b"replaced".to_vec(), expires_at: now().plus(HOUR) }
}

pub(super) async fn insert(store: &dyn Store, record: NewRecord) {
    assert_eq!(store.insert(record).await.unwrap(), Inserted::Stored { ended: Vec::new() });
}

pub(super) async fn exists(store: &dyn Store, number: u64) -> bool {
    store.get(&name(number)).await.unwrap().is_some()
}

pub(super) async fn listed(store: &dyn Store, index: &IndexKeys) -> Vec<RecordName> {
    store.list(index).await.unwrap().into_iter().map(|listing| listing.name).collect()
}
