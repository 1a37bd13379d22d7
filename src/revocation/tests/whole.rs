//! Lists of which somebody took a part, or that somebody put back.

use allocation_counter::measure;
use tokio::runtime::Builder;

use super::*;

/// What somebody who writes to the store does to its list, of which they kept an earlier copy: both in the order of
/// the entries' names. The generation stays unless it is what is changed.
type Tampering = fn(&List, &List) -> List;

/// By what it is called.
const TAMPERINGS: [(&str, Tampering); 9] = [
    ("an entry deleted", |_, now| List { entries: now.entries[1..].to_vec(), ..now.clone() }),
    ("every entry deleted", |_, now| List { entries: Vec::new(), ..now.clone() }),
    ("an entry put back", |before, now| List { entries: with_first_of(now, before), ..now.clone() }),
    ("every entry put back", |before, now| List { entries: before.entries.clone(), ..now.clone() }),
    ("two entries swapped", |_, now| {
        let mut entries = now.entries.clone();
        let sealed = std::mem::take(&mut entries[0].sealed);
        entries[0].sealed = std::mem::replace(&mut entries[1].sealed, sealed);
        List { entries, ..now.clone() }
    }),
    ("an entry overwritten, as of tomorrow", |_, now| {
        let mut entries = now.entries.clone();
        entries[0].updated_at = entries[0].updated_at.plus(Duration::from_hours(24));
        entries[0].sealed = vec![1; 90];
        List { entries, ..now.clone() }
    }),
    ("an entry and the digest deleted", |_, now| List {
        entries: now.entries[1..].to_vec(),
        digest: None,
        ..now.clone()
    }),
    ("an entry and the generation deleted", |_, now| List {
        generation: Generation::NONE,
        entries: now.entries[1..].to_vec(),
        digest: now.digest.clone(),
    }),
    ("the digest of before put back", |before, now| List { digest: before.digest.clone(), ..now.clone() }),
];

fn with_first_of(now: &List, before: &List) -> Vec<RevocationEntry> {
    let mut entries = now.entries.clone();
    entries[0] = before.entries[0].clone();
    entries
}

fn sorted(mut list: List) -> List {
    list.entries.sort_unstable_by_key(|entry| entry.id);
    list
}

fn accounts() -> [ServiceAccount; 3] {
    ["one", "two", "three"].map(|name| ServiceAccount { name: name.to_owned(), ..robot() })
}

/// Three accounts that were denied, opened again and denied once more: the list, and how it was while they were open.
async fn denied_twice(world: &World, process: &Revocations) -> (List, List) {
    let targets: Vec<_> = accounts().iter().map(|who| account(&format!("team-a/{}", who.name))).collect();
    for target in &targets {
        process.revoke(target.clone(), Measure::Deny).await.unwrap();
        world.clock.advance(SECOND);
        process.lift(target, Reopening::ForAllTokens).await.unwrap().unwrap();
    }
    let open = sorted(world.list().await);
    for target in targets {
        process.revoke(target, Measure::Deny).await.unwrap();
    }
    (open, sorted(world.list().await))
}

fn all_are_revoked(world: &World, process: &Revocations) -> bool {
    accounts().iter().all(|who| is_revoked(process, who, world.now()))
}

#[tokio::test]
async fn whatever_is_done_to_the_list_is_undone_by_the_process_that_runs() {
    for (what, tamper) in TAMPERINGS {
        let world = World::new();
        let here = world.running().await;
        let (open, denied) = denied_twice(&world, &here).await;
        here.refresh().await;
        world.put(&tamper(&open, &denied));
        world.let_compare();
        here.refresh().await;
        assert!(all_are_revoked(&world, &here), "{what}");
        let back = sorted(world.list().await);
        assert_eq!((back.entries, back.digest), (denied.entries.clone(), denied.digest.clone()), "{what}");
        // And it is counted.
        let entries = u64::from(!what.starts_with("the digest"));
        assert!(here.metrics.restored.get() >= entries, "{what}");
        let there = world.running().await;
        assert!(all_are_revoked(&world, &there), "{what}: after a rolling restart");
    }
}

#[tokio::test]
async fn a_process_that_starts_takes_no_part_of_a_list_for_the_whole() {
    for (what, tamper) in TAMPERINGS {
        let world = World::new();
        let here = world.running().await;
        let (open, denied) = denied_twice(&world, &here).await;
        world.put(&tamper(&open, &denied));
        let there = world.running().await;
        let who = &accounts()[0];
        assert_eq!(there.judge(who, None).unwrap_err(), TokenRefusal::Unknown, "{what}");
        // Nor does it make a list out of the part.
        let outcome = there.revoke(account("team-b/ci"), Measure::Deny).await;
        assert!(matches!(outcome, Err(RevokeError::NotWhole)), "{what}: {outcome:?}");
        world.let_compare();
        there.refresh().await;
        assert_eq!(there.judge(who, None).unwrap_err(), TokenRefusal::Unknown, "{what}");
        assert_eq!(there.metrics.incomplete.get(), 1, "{what}");
        // Another one that runs gives the rest back.
        here.refresh().await;
        there.refresh().await;
        assert!(all_are_revoked(&world, &there), "{what}");
        assert_eq!(there.metrics.incomplete.get(), 0, "{what}");
    }
}

#[tokio::test]
async fn an_administrator_takes_what_is_left_for_all() {
    let world = World::new();
    let here = world.running().await;
    let (_, denied) = denied_twice(&world, &here).await;
    world.put(&List { entries: denied.entries[1..].to_vec(), ..denied });
    let [there, another] = [world.running().await, world.running().await];
    assert_eq!(there.list().await.unwrap().len(), 2, "what is left");
    assert_eq!(there.accept().await.unwrap(), 2);
    let passes = |process: &Revocations| accounts().iter().filter(|who| !is_revoked(process, who, world.now())).count();
    assert_eq!(passes(&there), 1);
    another.refresh().await;
    assert_eq!(passes(&another), 1, "the next one hears of it");
    assert_eq!(passes(&world.running().await), 1);
    there.revoke(account("team-b/ci"), Measure::Deny).await.unwrap();
    assert_eq!(there.accept().await.unwrap(), 3, "what is whole stays as it is");
}

#[tokio::test]
async fn what_expires_may_vanish() {
    let world = World::new();
    let here = world.running().await;
    denied_twice(&world, &here).await;
    here.lift(&account("team-a/one"), Reopening::ForAllTokens).await.unwrap().unwrap();
    world.clock.advance(MARK_LIFE + SECOND);
    assert_eq!(world.store.sweep().await.unwrap(), 1);
    here.refresh().await;
    assert_eq!((here.metrics.restored.get(), world.entries().await.len()), (0, 2));
    let there = world.running().await;
    assert_eq!(there.list().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_list_of_an_earlier_version_is_taken_over_once() {
    let world = World::new();
    let ring = world.ring.load_full();
    let of_earlier = accounts().map(|who| {
        let target = account(&format!("team-a/{}", who.name));
        let id = entry::id(&ring, ring.sealing_key(), &target).unwrap();
        let updated_at = world.now();
        let denied =
            Revocation { target, not_before: None, denied: true, updated_at, expires_at: None, under_digest: false };
        denied.seal(&ring, id)
    });
    world.plant(of_earlier.to_vec()).await;
    let here = world.running().await;
    assert!(all_are_revoked(&world, &here));
    // A process of the earlier version adds one.
    let id = entry::id(&ring, ring.sealing_key(), &account("team-a/ci")).unwrap();
    let added = of_earlier[0].clone();
    let added = Revocation { target: account("team-a/ci"), ..Revocation::open(&ring, &added).unwrap() }.seal(&ring, id);
    world.plant(vec![added]).await;
    let there = world.running().await;
    assert!(all_are_revoked(&world, &there) && is_revoked(&there, &robot(), world.now()));
    // Now there is a digest, and nobody takes the list for one of an earlier version again.
    let list = sorted(world.list().await);
    assert!(list.digest.is_some());
    world.put(&List { entries: list.entries[1..].to_vec(), digest: None, ..list });
    assert_eq!(world.running().await.judge(&robot(), None).unwrap_err(), TokenRefusal::Unknown);
}

#[tokio::test]
async fn a_whole_list_that_was_put_back_is_seen_by_whoever_runs_and_by_nobody_else() {
    let world = World::new();
    let here = world.running().await;
    let (open, denied) = denied_twice(&world, &here).await;
    world.put(&open);
    // What the limits page tells.
    let alone = world.running().await;
    assert!(!is_revoked(&alone, &accounts()[0], world.now()));
    here.refresh().await;
    assert_eq!(sorted(world.list().await).entries, denied.entries);
    alone.refresh().await;
    assert!(all_are_revoked(&world, &alone));
}

#[tokio::test]
async fn a_list_without_entries_goes_under_the_next_key_too() {
    let world = World::new();
    let here = world.running().await;
    here.revoke(account("team-a/ci"), Measure::Deny).await.unwrap();
    here.lift(&account("team-a/ci"), Reopening::ForAllTokens).await.unwrap().unwrap();
    world.ring.store(Arc::new(testing::ring(&[2, 1])));
    here.refresh().await;
    world.ring.store(Arc::new(testing::ring(&[2])));
    let there = world.running().await;
    assert!(there.judge(&robot(), None).is_ok());
}

#[tokio::test]
async fn a_list_whose_key_left_the_ring_too_early_is_not_whole() {
    let world = World::new();
    world.running().await.revoke(account("team-a/ci"), Measure::Deny).await.unwrap();
    world.ring.store(Arc::new(testing::ring(&[2])));
    assert_eq!(world.running().await.judge(&robot(), None).unwrap_err(), TokenRefusal::Unknown);
}

#[test]
fn the_longest_list_takes_no_more_than_its_part_also_while_it_is_read_anew() {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let world = World::new();
    let ring = world.ring.load_full();
    // As long as names of accounts are in practice, and longer.
    let denied = |number: usize| {
        let target = account(&format!("{}/{}-{number:05}", "n".repeat(63), "a".repeat(57)));
        let (updated_at, id) = (world.now(), entry::id(&ring, ring.sealing_key(), &target).unwrap());
        Revocation { target, not_before: None, denied: true, updated_at, expires_at: None, under_digest: true }
            .seal(&ring, id)
    };
    let mut entries: Vec<_> = (0..MAX_REVOCATIONS).map(denied).collect();
    entries.sort_unstable_by_key(|entry| entry.id);
    let digest = Some(digest::make(&ring, entries.iter()));
    world.put(&List { generation: Generation::random(), entries: entries.clone(), digest: digest.clone() });
    let process = world.process();
    let read = measure(|| {
        runtime.block_on(async {
            process.begin().await;
            world.put(&List { generation: Generation::random(), entries, digest });
            process.refresh().await;
        });
    });
    assert_eq!(runtime.block_on(process.list()).unwrap().len(), MAX_REVOCATIONS);
    assert!(read.bytes_max <= memory::REVOCATIONS, "{read:?}");
}
