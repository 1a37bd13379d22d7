mod whole;

use std::{sync::Arc, time::Duration};

use super::{digest, entry, service::COMPARE, *};
use crate::{
    clock::{Clock as _, ManualClock, SharedClock, Timestamp},
    memory,
    principal::{BoundPod, Groups, Namespace, ServiceAccount, ServiceAccountName},
    secret::{Label, SharedRootKeyRing},
    store::testing,
    store::{
        Generation, MAX_REVOCATIONS, MemoryStore, RevocationEntry, RevocationId, RevocationList, RevocationStore,
        SessionStore as _,
    },
};

const SECOND: Duration = Duration::from_secs(1);

/// One store, one clock, and whoever shares them.
struct World {
    store: Arc<MemoryStore>,
    ring: SharedRootKeyRing,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::at(testing::now());
        let shared: SharedClock = clock.clone();
        Self { store: Arc::new(MemoryStore::new(shared)), ring: testing::ring(&[1]).shared(), clock }
    }

    /// A process that has not read the list yet.
    fn process(&self) -> Revocations {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Revocations::new(store, self.ring.clone(), clock, Metrics::default())
    }

    async fn running(&self) -> Revocations {
        let process = self.process();
        process.begin().await;
        process
    }

    /// The same processes, whose store was emptied.
    fn empty_store(&self) -> Arc<MemoryStore> {
        Arc::new(MemoryStore::new(self.clock.clone()))
    }

    async fn list(&self) -> List {
        match self.store.revocations(None).await.unwrap() {
            RevocationList::Entries { generation, entries, digest } => List { generation, entries, digest },
            RevocationList::Unchanged => unreachable!("nothing was seen before"),
        }
    }

    async fn entries(&self) -> Vec<RevocationEntry> {
        self.list().await.entries
    }

    /// Puts a list in the place of the store's, as who writes to the store can.
    fn put(&self, list: &List) {
        self.store.put_revocations(Some(list.generation), &list.entries, list.digest.clone());
    }

    /// Puts these entries among the others; nothing else changes but, as an honest store's would, the generation.
    async fn plant(&self, planted: Vec<RevocationEntry>) {
        let List { mut entries, digest, .. } = self.list().await;
        entries.retain(|entry| planted.iter().all(|planted| planted.id != entry.id));
        entries.extend(planted);
        self.put(&List { generation: Generation::random(), entries, digest });
    }

    /// Lets so much time pass that the whole list is compared again.
    fn let_compare(&self) {
        self.clock.advance(COMPARE);
    }

    /// Leaves no room beside one entry, until then.
    async fn fill(&self, until: Option<Timestamp>) {
        let filler = (1..MAX_REVOCATIONS).map(|number| {
            let mut id = [0; RevocationId::BYTES];
            id[..8].copy_from_slice(&(number as u64).to_be_bytes());
            let id = RevocationId::from_bytes(id);
            RevocationEntry { id, updated_at: self.now(), expires_at: until, sealed: vec![0] }
        });
        self.plant(filler.collect()).await;
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// A list as a store keeps it.
#[derive(Clone, Debug, PartialEq)]
struct List {
    generation: Generation,
    entries: Vec<RevocationEntry>,
    digest: Option<Vec<u8>>,
}

fn robot() -> ServiceAccount {
    ServiceAccount {
        namespace: "team-a".to_owned(),
        name: "ci".to_owned(),
        uid: "u-1".to_owned(),
        pod: Some(BoundPod { name: "worker-0".to_owned(), uid: "pod-1".to_owned() }),
        credential_id: Some("JTI=token-1".to_owned()),
        groups: Groups::from_kubernetes([]),
        extra: std::collections::BTreeMap::new(),
    }
}

fn account(name: &str) -> Target {
    Target::ServiceAccount(ServiceAccountName::parse(name).unwrap())
}

fn namespace(name: &str) -> Target {
    Target::Namespace(Namespace::parse(name).unwrap())
}

fn is_revoked(process: &Revocations, who: &ServiceAccount, issued_at: Timestamp) -> bool {
    match process.judge(who, Some(issued_at)) {
        Ok(_) => false,
        Err(TokenRefusal::Revoked) => true,
        Err(TokenRefusal::Unknown) => panic!("the list was read"),
    }
}

#[tokio::test]
async fn what_was_never_read_or_long_ago_is_not_known() {
    let world = World::new();
    let process = world.process();
    assert_eq!(process.judge(&robot(), Some(world.now())).unwrap_err(), TokenRefusal::Unknown);
    process.begin().await;
    assert!(process.judge(&robot(), None).is_ok());
    world.clock.advance(STALE_AFTER);
    assert!(process.judge(&robot(), None).is_ok());
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(process.judge(&robot(), None).unwrap_err(), TokenRefusal::Unknown);
    assert!(!process.is_current());
    process.refresh().await;
    assert!(process.judge(&robot(), None).is_ok());
}

#[tokio::test]
async fn not_before_refuses_by_when_the_token_was_issued() {
    let world = World::new();
    let process = world.running().await;
    for (target, another) in [(account("team-a/ci"), "team-a/other"), (namespace("team-a"), "team-b/ci")] {
        let at = world.now();
        process.revoke(target.clone(), Measure::BeforeNow).await.unwrap();
        assert!(is_revoked(&process, &robot(), at.minus(SECOND)));
        assert!(is_revoked(&process, &robot(), at.plus(ISSUE_MARGIN)), "the API server's clock may be ahead");
        assert!(!is_revoked(&process, &robot(), at.plus(ISSUE_MARGIN).plus(SECOND)));
        assert_eq!(process.judge(&robot(), None).unwrap_err(), TokenRefusal::Revoked, "it may be as old as any");
        let another = ServiceAccountName::parse(another).unwrap();
        let another =
            ServiceAccount { namespace: another.namespace().to_string(), name: another.name().to_owned(), ..robot() };
        assert!(!is_revoked(&process, &another, at.minus(SECOND)), "{another:?}");
        assert!(process.lift(&target, Reopening::ForAllTokens).await.unwrap().is_some());
        assert!(!is_revoked(&process, &robot(), at.minus(SECOND)));
        world.clock.advance(SECOND);
    }
}

#[tokio::test]
async fn an_earlier_moment_takes_nothing_back_and_a_later_one_adds() {
    let world = World::new();
    let process = world.running().await;
    let (target, now) = (account("team-a/ci"), world.now());
    process.revoke(target.clone(), Measure::Before(now.minus(SECOND * 60))).await.unwrap();
    let changed = process.revoke(target.clone(), Measure::Before(now.minus(SECOND * 600))).await.unwrap();
    assert_eq!(changed.not_before(), Some(now.minus(SECOND * 60)));
    let changed = process.revoke(target, Measure::Before(now.minus(SECOND * 30))).await.unwrap();
    assert_eq!(changed.not_before(), Some(now.minus(SECOND * 30)));
}

#[tokio::test]
async fn a_denied_account_stays_closed_until_it_is_lifted_and_may_open_for_new_tokens_only() {
    let world = World::new();
    let process = world.running().await;
    let target = account("team-a/ci");
    process.revoke(target.clone(), Measure::Deny).await.unwrap();
    world.clock.advance(Duration::from_hours(24 * 365 * 3));
    process.refresh().await;
    assert!(is_revoked(&process, &robot(), world.now().plus(Duration::from_hours(1))));
    // A not-before on top does not open it.
    process.revoke(target.clone(), Measure::BeforeNow).await.unwrap();
    assert!(is_revoked(&process, &robot(), world.now().plus(Duration::from_hours(1))));
    let left = process.lift(&target, Reopening::ForNewTokens).await.unwrap().unwrap();
    assert_eq!((left.is_denied(), left.not_before()), (false, Some(world.now())));
    assert!(is_revoked(&process, &robot(), world.now()), "made while it was closed");
    assert!(!is_revoked(&process, &robot(), world.now().plus(Duration::from_hours(1))));
    assert!(process.lift(&target, Reopening::ForAllTokens).await.unwrap().is_some());
    assert!(process.lift(&target, Reopening::ForAllTokens).await.unwrap().is_none(), "nothing is revoked any more");
}

#[tokio::test]
async fn pods_and_tokens_are_denied_by_their_names_alone() {
    let world = World::new();
    let process = world.running().await;
    let now = world.now();
    let pod = Target::Pod(PodUid::parse("pod-1").unwrap());
    let token = Target::Token(TokenId::parse("token-1").unwrap());
    let anonymous = ServiceAccount { pod: None, credential_id: None, ..robot() };
    let empty = ServiceAccount {
        pod: Some(BoundPod { name: String::new(), uid: String::new() }),
        credential_id: Some(String::new()),
        ..robot()
    };
    for target in [pod, token] {
        assert!(!is_revoked(&process, &robot(), now));
        assert!(matches!(
            process.revoke(target.clone(), Measure::BeforeNow).await,
            Err(RevokeError::WholeOnly("pod" | "token"))
        ));
        process.revoke(target.clone(), Measure::Deny).await.unwrap();
        assert!(is_revoked(&process, &robot(), now));
        assert!(!is_revoked(&process, &anonymous, now), "an absent name matches nothing");
        assert!(!is_revoked(&process, &empty, now), "an empty name matches nothing");
        assert!(matches!(process.lift(&target, Reopening::ForNewTokens).await, Err(RevokeError::WholeOnly(_))));
        process.lift(&target, Reopening::ForAllTokens).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_moment_in_the_future_is_refused() {
    let world = World::new();
    let process = world.running().await;
    let later = world.now().plus(Duration::from_hours(1));
    let outcome = process.revoke(account("team-a/ci"), Measure::Before(later)).await;
    assert!(matches!(outcome, Err(RevokeError::Future)), "{outcome:?}");
    assert!(process.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn another_process_hears_of_it_when_it_reads_and_a_new_one_at_its_start() {
    let world = World::new();
    let (here, there) = (world.running().await, world.running().await);
    here.revoke(account("team-a/ci"), Measure::Deny).await.unwrap();
    assert!(is_revoked(&here, &robot(), world.now()));
    there.refresh().await;
    assert!(is_revoked(&there, &robot(), world.now()));
    assert!(is_revoked(&world.running().await, &robot(), world.now()));
    there.lift(&account("team-a/ci"), Reopening::ForAllTokens).await.unwrap().unwrap();
    here.refresh().await;
    assert!(!is_revoked(&here, &robot(), world.now()));
    assert!(here.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_clock_that_is_behind_cannot_lose_a_change() {
    let world = World::new();
    let (here, there) = (world.running().await, world.running().await);
    here.revoke(account("team-a/ci"), Measure::Deny).await.unwrap();
    world.clock.set(world.now().minus(Duration::from_mins(10)));
    there.lift(&account("team-a/ci"), Reopening::ForAllTokens).await.unwrap().unwrap();
    here.refresh().await;
    assert!(!is_revoked(&here, &robot(), world.now()));
    there.revoke(account("team-a/ci"), Measure::Deny).await.unwrap();
    here.refresh().await;
    assert!(is_revoked(&here, &robot(), world.now()));
}

#[tokio::test]
async fn a_store_that_lost_the_list_gets_it_back_with_what_was_lifted() {
    let mut world = World::new();
    let here = world.running().await;
    here.revoke(account("team-a/ci"), Measure::Deny).await.unwrap();
    here.revoke(account("team-a/lifted"), Measure::Deny).await.unwrap();
    let before = world.entries().await;
    here.lift(&account("team-a/lifted"), Reopening::ForAllTokens).await.unwrap().unwrap();
    // The same process, whose store comes back empty.
    world.store = world.empty_store();
    let here = here.with_store(world.store.clone());
    here.refresh().await;
    assert!(is_revoked(&here, &robot(), world.now()));
    let back = world.entries().await;
    assert_eq!(back.len(), 2, "the mark of the lifted one as well");
    // An older copy that comes back revives nothing that was lifted.
    world.plant(before).await;
    here.refresh().await;
    let there = world.running().await;
    let listed = there.list().await.unwrap();
    assert_eq!(listed.iter().map(Revocation::target).collect::<Vec<_>>(), [&account("team-a/ci")]);
}

#[tokio::test]
async fn who_writes_to_the_store_neither_forges_nor_lifts() {
    let world = World::new();
    let here = world.running().await;
    here.revoke(account("team-a/ci"), Measure::Deny).await.unwrap();
    here.revoke(account("team-a/old"), Measure::Deny).await.unwrap();
    here.lift(&account("team-a/old"), Reopening::ForAllTokens).await.unwrap().unwrap();
    let entries = world.entries().await;
    let (in_force, lifted) = match entries.as_slice() {
        [one, other] if one.expires_at.is_none() => (one, other),
        [one, other] => (other, one),
        other => panic!("{other:?}"),
    };
    let later = world.now().plus(Duration::from_hours(1));
    let planted = [
        // The seal of what was lifted, in the place of what is in force.
        RevocationEntry { id: in_force.id, updated_at: later, ..lifted.clone() },
        RevocationEntry { updated_at: later, sealed: vec![1; 90], ..in_force.clone() },
        // One's own seal, to be forgotten soon.
        RevocationEntry { updated_at: later, expires_at: Some(later.plus(SECOND)), ..in_force.clone() },
    ];
    for entry in planted {
        world.plant(vec![entry]).await;
        here.refresh().await;
        assert!(is_revoked(&here, &robot(), world.now()));
    }
    let forged = RevocationEntry { sealed: testing::ring(&[9]).seal(Label::Revocation, &[], b""), ..lifted.clone() };
    world.plant(vec![RevocationEntry { updated_at: later.plus(SECOND), ..forged }]).await;
    here.refresh().await;
    assert!(!is_revoked(&here, &ServiceAccount { name: "old".to_owned(), ..robot() }, world.now()));
}

#[tokio::test]
async fn a_new_root_key_takes_the_list_over_before_the_old_one_leaves() {
    let world = World::new();
    let here = world.running().await;
    here.revoke(account("team-a/ci"), Measure::Deny).await.unwrap();
    here.revoke(account("team-a/other"), Measure::Deny).await.unwrap();
    world.ring.store(Arc::new(testing::ring(&[2, 1])));
    here.refresh().await;
    // Lifted under two keys: neither brings it back.
    here.lift(&account("team-a/other"), Reopening::ForAllTokens).await.unwrap().unwrap();
    for keys in [&[2, 1][..], &[2]] {
        world.ring.store(Arc::new(testing::ring(keys)));
        let there = world.running().await;
        let listed = there.list().await.unwrap();
        assert_eq!(listed.iter().map(Revocation::target).collect::<Vec<_>>(), [&account("team-a/ci")], "{keys:?}");
    }
    world.clock.advance(MARK_LIFE + SECOND);
    world.store.sweep().await.unwrap();
    let there = world.running().await;
    assert_eq!(there.list().await.unwrap().len(), 1);
    assert_eq!(world.entries().await.len(), 1, "what stood under the old key is gone");
}

#[tokio::test]
async fn a_store_that_is_full_while_the_key_changes_gets_the_list_later() {
    let world = World::new();
    let here = world.running().await;
    here.revoke(account("team-a/ci"), Measure::Deny).await.unwrap();
    world.fill(Some(world.now().plus(SECOND * 60))).await;
    world.ring.store(Arc::new(testing::ring(&[2, 1])));
    for _ in 0..2 {
        here.refresh().await;
        assert!(is_revoked(&here, &robot(), world.now()));
    }
    world.clock.advance(SECOND * 61);
    world.store.sweep().await.unwrap();
    here.refresh().await;
    world.ring.store(Arc::new(testing::ring(&[2])));
    assert!(is_revoked(&world.running().await, &robot(), world.now()), "the old key is gone, and the list is not");
}

#[tokio::test]
async fn a_full_list_says_so_and_what_is_in_force_stays() {
    let world = World::new();
    let here = world.running().await;
    here.revoke(account("team-a/ci"), Measure::Deny).await.unwrap();
    world.fill(None).await;
    let outcome = here.revoke(account("team-a/next"), Measure::Deny).await;
    assert!(matches!(&outcome, Err(RevokeError::Store(error)) if error.to_string().contains("10000")), "{outcome:?}");
    assert!(is_revoked(&here, &robot(), world.now()));
}
