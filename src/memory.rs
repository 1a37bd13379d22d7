//! What this process may take of memory: every cache, and everything else that grows with what others send, has its part
//! in bytes here. The manifests' memory limit is derived from [`MOST`], and `docs/operations.md` tells the parts.
//!
//! The session store `memory` has no part: it is for tests, holds all sessions that there are, and is bounded by their
//! number and lifetime alone.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Opened sessions, by their tickets, with what services were told by each.
pub const OPENED_SESSIONS: u64 = 88 * MIB;
/// ServiceAccount tokens that were accepted, with what services were told by each.
pub const ACCEPTED_TOKENS: u64 = 24 * MIB;
/// ServiceAccount tokens that were refused.
pub const REFUSED_TOKENS: u64 = 4 * MIB;
/// When a provider last vouched for a session (`strict`).
pub const STRICT_ANSWERS: u64 = 8 * MIB;
/// The outcomes of callbacks, for whoever asks again.
pub const CALLBACKS: u64 = 4 * MIB;
/// Calls about sessions that run or failed a moment ago: refreshes, and as much for the questions of `strict`.
pub const SESSION_CALLS: u64 = 2 * SESSION_CALLS_OF_A_KIND;
const SESSION_CALLS_OF_A_KIND: u64 =
    SESSION_CALLS_RUNNING as u64 * SESSION_CALL_BYTES + SESSION_CALLS_FAILED as u64 * KIB;
/// How many calls about sessions run or wait, of each kind.
pub const SESSION_CALLS_RUNNING: usize = 256;
/// What a call about a session takes while it runs, beside the checks that wait for it.
pub const SESSION_CALL_BYTES: u64 = 24 * KIB;
/// How many of them are remembered as failed, of each kind.
pub const SESSION_CALLS_FAILED: usize = 2048;
/// Tokens that are being reviewed or wait for that.
pub const REVIEWS: u64 = 8 * MIB;
/// What the API server said that somebody may do, and may not.
pub const ACCESS_ANSWERS: u64 = 4 * MIB;
/// Questions what somebody may do that are being asked or wait for that.
pub const ACCESS_CALLS: u64 = 4 * MIB;
/// The list of revoked tokens, at its longest, while it is read anew.
pub const REVOCATIONS: u64 = 16 * MIB;
/// What the embedded store keeps of its file, and uses of sessions that wait to be stored.
pub const EMBEDDED_STORE: u64 = 40 * MIB;
/// Checks that are under way, by their messages.
pub const CHECKS: u64 = 64 * MIB;
/// Connections to all listeners, with what each may have sent and not yet been answered.
pub const CONNECTIONS: u64 = 128 * MIB;
/// Answers of one provider that are being read. Each further provider adds as much.
pub const PROVIDER_ANSWERS: u64 = PROVIDER_CALLS as u64 * PROVIDER_ANSWER_BYTES as u64;
/// How many calls to one provider run at once.
pub const PROVIDER_CALLS: usize = 64;
/// The largest answer of a provider that is read, in bytes.
pub const PROVIDER_ANSWER_BYTES: usize = 256 * 1024;
/// Records of the log that wait to be written.
pub const LOG: u64 = 4 * MIB;
/// The program, its threads, keys and the configuration.
pub const PROGRAM: u64 = 32 * MIB;

/// Every part, with its name for people.
pub const PARTS: [(&str, u64); 16] = [
    ("opened sessions", OPENED_SESSIONS),
    ("accepted tokens", ACCEPTED_TOKENS),
    ("refused tokens", REFUSED_TOKENS),
    ("answers about sessions", STRICT_ANSWERS),
    ("answered callbacks", CALLBACKS),
    ("calls about sessions", SESSION_CALLS),
    ("token reviews", REVIEWS),
    ("answers to access reviews", ACCESS_ANSWERS),
    ("access reviews", ACCESS_CALLS),
    ("revocations", REVOCATIONS),
    ("embedded store", EMBEDDED_STORE),
    ("checks under way", CHECKS),
    ("connections", CONNECTIONS),
    ("answers of a provider", PROVIDER_ANSWERS),
    ("the log", LOG),
    ("the program", PROGRAM),
];

/// The sum of all parts.
pub const SUM: u64 = {
    let (mut sum, mut rest) = (0, PARTS.as_slice());
    while let [(_, bytes), others @ ..] = rest {
        sum += *bytes;
        rest = others;
    }
    sum
};

/// The most that the process takes: the sum, and an eighth of it for what an allocator cannot give back.
pub const MOST: u64 = SUM + SUM / 8;

/// A cache that is bounded in bytes.
pub type BoundedCache<K, V, W> = Cache<K, V, W, DefaultHashBuilder, DefaultLifecycle<K, V>>;

/// In how many parts a cache is divided, each with its own lock. No entry is kept that does not fit into one of them.
const SHARDS: usize = 16;
/// What a cache adds to the key and the value of an entry: its place in two lists, and its mark.
const LINKS: usize = 24;
/// What an entry takes in a cache's index, where that has just grown.
const INDEXED: usize = 12;

/// A cache that takes `bytes` at most, of entries that weigh what `weighter` says by [`entry`]. Most entries weigh about
/// `usual`, which bounds how many evicted keys are remembered.
///
/// # Panics
/// Never: the options are complete.
#[must_use]
#[expect(clippy::expect_used, reason = "both capacities are given")]
pub fn cache<K, V, W>(bytes: u64, usual: u64, weighter: W) -> BoundedCache<K, V, W>
where
    K: Eq + std::hash::Hash,
    V: Clone,
    W: Weighter<K, V> + Clone,
{
    let usual_entries = bytes / usual.max(1);
    // Half as many evicted keys are remembered, each in a place of the same size.
    let remembered = usual_entries / 2 * entry::<K, V>(0);
    let options = OptionsBuilder::new()
        .shards(SHARDS)
        .estimated_items_capacity(usize::try_from(usual_entries).unwrap_or(usize::MAX))
        .weight_capacity(bytes.saturating_sub(remembered))
        .build()
        .expect("both capacities are given");
    Cache::with_options(options, weighter, DefaultHashBuilder::default(), DefaultLifecycle::default())
}

/// What an entry of a [`cache`] takes: its place, which may be twice as large while the cache grows, and `heap` bytes
/// that it points to.
#[must_use]
pub const fn entry<K, V>(heap: usize) -> u64 {
    (2 * (size_of::<(K, V)>() + LINKS + INDEXED) + heap) as u64
}

/// What a block of so many bytes takes of an allocator that rounds up by an eighth at most; nothing for an empty one.
#[must_use]
pub const fn block(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes + bytes / 8 + 8 }
}

/// What a value behind an [`Arc`] takes.
#[must_use]
pub const fn shared<T>() -> usize {
    block(size_of::<T>() + 2 * size_of::<usize>())
}

/// A number of bytes that many share, each as much as it needs for a while.
#[derive(Debug)]
pub struct Budget {
    bytes: usize,
    taken: AtomicUsize,
}

/// A part of a [`Budget`], given back when it is dropped.
#[derive(Debug)]
pub struct Taken {
    budget: Arc<Budget>,
    bytes: AtomicUsize,
}

impl Budget {
    /// All of it is free.
    #[must_use]
    pub fn new(bytes: u64) -> Arc<Self> {
        Arc::new(Self { bytes: usize::try_from(bytes).unwrap_or(usize::MAX), taken: AtomicUsize::new(0) })
    }

    /// Takes so many bytes, where the budget has them.
    #[must_use]
    pub fn take(self: &Arc<Self>, bytes: usize) -> Option<Taken> {
        self.has(bytes, self.bytes).then(|| Taken { budget: Arc::clone(self), bytes: AtomicUsize::new(bytes) })
    }

    /// As [`Budget::take`], but a quarter of the budget stays free.
    #[must_use]
    pub fn take_common(self: &Arc<Self>, bytes: usize) -> Option<Taken> {
        self.has(bytes, self.common()).then(|| Taken { budget: Arc::clone(self), bytes: AtomicUsize::new(bytes) })
    }

    const fn common(&self) -> usize {
        self.bytes - self.bytes / 4
    }

    fn has(&self, bytes: usize, most: usize) -> bool {
        let more = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= most);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

impl Taken {
    /// Takes more, but leaves a quarter of the budget free; whether there was as much.
    pub fn more_common(&self, bytes: usize) -> bool {
        self.more_within(bytes, self.budget.common())
    }

    /// Takes more; whether there was as much.
    pub fn more(&self, bytes: usize) -> bool {
        self.more_within(bytes, self.budget.bytes)
    }

    fn more_within(&self, bytes: usize, most: usize) -> bool {
        let had = self.budget.has(bytes, most);
        if had {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        had
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    struct ByLength;

    impl Weighter<u64, Arc<[u8]>> for ByLength {
        fn weight(&self, _: &u64, value: &Arc<[u8]>) -> u64 {
            entry::<u64, Arc<[u8]>>(block(value.len() + 16))
        }
    }

    fn filled(bytes: u64, usual: u64, length: usize) -> usize {
        let cache = cache(bytes, usual, ByLength);
        for key in 0..200_000 {
            cache.insert(key, vec![0; length].into());
        }
        cache.len()
    }

    #[test]
    fn a_cache_holds_as_many_entries_as_its_bytes_allow_large_or_small() {
        let large = filled(MIB, KIB, 16 * 1024);
        assert!((32..=64).contains(&large), "{large} entries of 16 KiB in 1 MiB");
        let small = filled(MIB, KIB, 0);
        let most = usize::try_from(MIB / entry::<u64, Arc<[u8]>>(block(16))).unwrap();
        assert!((most / 2..=most).contains(&small), "{small} empty entries in 1 MiB, {most} at most");
        assert_eq!(filled(MIB, KIB, 128 * 1024), 0, "what does not fit into a part of the cache is not kept");
    }

    #[test]
    fn a_budget_is_given_back_and_a_quarter_of_it_stays_for_some() {
        let budget = Budget::new(100);
        let first = budget.take_common(50).unwrap();
        assert!(budget.take_common(26).is_none() && first.more_common(25) && !first.more_common(1));
        let second = budget.take(20).unwrap();
        assert!(second.more(5) && !second.more(1) && budget.take(1).is_none());
        drop(first);
        assert!(budget.take(75).is_some() && budget.take(76).is_none());
        drop(second);
        assert!(budget.take(usize::MAX).is_none() && budget.take(100).is_some());
    }
}
