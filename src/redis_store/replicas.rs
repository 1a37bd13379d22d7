//! How many Redis replicas a change must reach.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::config::RedisServers;

/// For how long a primary must have named fewer replicas before fewer are enough. A replica that is promoted leaves its
/// primary first, and what that one takes then is lost.
///
/// With Sentinel: by then the sentinels have named the new primary.
const SETTLED_BY_SENTINELS: Duration = Duration::from_secs(10);
/// How long after the primary named fewer the sentinels must have named it still.
const NAMED_STILL: Duration = Duration::from_secs(5);
/// In a Cluster: a primary that the others replace has stopped by then, with the usual `cluster-node-timeout` of 15 s.
const SETTLED_IN_A_CLUSTER: Duration = Duration::from_secs(20);

/// The replicas that a primary has, as far as its word counts.
#[derive(Debug)]
pub(super) struct Replicas {
    settled: Duration,
    has_sentinels: bool,
    /// When the sentinels were last asked and named this primary, by the clock that never steps back, in milliseconds.
    named_at: AtomicU64,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    count: u32,
    /// Since when the primary named fewer, and the most that it named since.
    fewer: Option<(Duration, u32)>,
}

impl Replicas {
    /// None are known yet of one of these servers.
    pub(super) fn of(servers: &RedisServers) -> Self {
        let (settled, has_sentinels) = match servers {
            RedisServers::Standalone(_) => (Duration::ZERO, false),
            RedisServers::Sentinel { .. } => (SETTLED_BY_SENTINELS, true),
            RedisServers::Cluster(_) => (SETTLED_IN_A_CLUSTER, false),
        };
        Self { settled, has_sentinels, named_at: AtomicU64::new(0), counted: Mutex::default() }
    }

    /// The sentinels, asked at that time, named this primary.
    pub(super) fn note_named(&self, at: Duration) {
        self.named_at.fetch_max(u64::try_from(at.as_millis()).unwrap_or(u64::MAX), Ordering::AcqRel);
    }

    /// The primary has so many at that time, as it says. More count at once, fewer only after a while.
    pub(super) fn note(&self, said: u32, at: Duration) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if said >= counted.count {
            *counted = Counted { count: said, fewer: None };
            return;
        }
        let (since, most) = counted.fewer.map_or((at, said), |(since, most)| (since, most.max(said)));
        counted.fewer = Some((since, most));
        let named_still = !self.has_sentinels
            || Duration::from_millis(self.named_at.load(Ordering::Acquire)) >= since.saturating_add(NAMED_STILL);
        if named_still && at.saturating_sub(since) >= self.settled {
            *counted = Counted { count: most, fewer: None };
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).count
    }
}

#[cfg(test)]
mod tests {
    use super::{super::config::RedisAddress, *};

    const SECOND: Duration = Duration::from_secs(1);

    fn sentinel() -> RedisServers {
        RedisServers::Sentinel { name: "sessions".to_owned(), sentinels: Vec::new(), password_file: None }
    }

    #[test]
    fn more_replicas_count_at_once_and_fewer_only_once_that_lasts() {
        let replicas = Replicas::of(&sentinel());
        for (said, second, count) in
            [(2, 0, 2), (1, 1, 2), (0, 5, 2), (1, 10, 2), (1, 11, 1), (0, 12, 1), (1, 13, 1), (0, 14, 1), (0, 24, 0)]
        {
            replicas.note_named(second * SECOND);
            replicas.note(said, second * SECOND);
            assert_eq!(replicas.count(), count, "{said} at {second}");
        }
        replicas.note(3, 25 * SECOND);
        assert_eq!(replicas.count(), 3);
    }

    #[test]
    fn a_primary_that_no_sentinel_names_any_more_has_no_fewer_replicas_than_before() {
        let replicas = Replicas::of(&sentinel());
        replicas.note(1, SECOND);
        replicas.note_named(3 * SECOND);
        for second in 2..100 {
            replicas.note(0, second * SECOND);
            assert_eq!(replicas.count(), 1);
        }
        replicas.note_named(100 * SECOND);
        replicas.note(0, 100 * SECOND);
        assert_eq!(replicas.count(), 0);
    }

    #[test]
    fn where_nobody_promotes_a_replica_by_himself_its_end_counts_at_once() {
        let replicas = Replicas::of(&RedisServers::Standalone(RedisAddress { host: "a".to_owned(), port: 1 }));
        replicas.note(1, SECOND);
        replicas.note(0, SECOND);
        assert_eq!(replicas.count(), 0);
    }
}
