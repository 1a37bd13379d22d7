//! The list of revocations.

use std::time::Duration;

use super::support::{HOUR, exists, insert, record};
use crate::store::{
    bundle::Store,
    error::StoreError,
    keys::RevocationId,
    limits::MAX_REVOCATIONS,
    revocations::{Generation, RevocationChange, RevocationEntry, RevocationList},
    testing::{World, now},
};

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
async fn change(store: &dyn Store, entries: Vec<RevocationEntry>) -> Result<bool, StoreError> {
    let (seen, _) = revoked(store).await;
    store.change_revocations(RevocationChange { seen, entries, digest: b"digest".to_vec() }).await
}

/// The list and its generation.
async fn revoked(store: &dyn Store) -> (Generation, Vec<RevocationEntry>) {
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
