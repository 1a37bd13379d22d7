//! The bounds and the spans of time that every store keeps to.

use std::time::Duration;

/// The most sessions that one person has at a time; the oldest ends for the next.
pub const MAX_SESSIONS_PER_SUBJECT: usize = 100;

/// How much longer a mark is kept than it must: a clock that steps back by less still finds it.
pub const MARK_GRACE: Duration = Duration::from_hours(1);

/// How far the clock may step back before a store forgets the later time that it saw, and how far ahead a thing may be
/// dated before it is refused.
pub const CLOCK_TOLERANCE: Duration = Duration::from_mins(1);

/// The most revocations that a store holds, those that were lifted included.
pub const MAX_REVOCATIONS: usize = 10_000;

/// How many expired things one call of [`SessionStore::sweep`](super::SessionStore::sweep) deletes at most.
pub const SWEEP_BATCH: usize = 1000;
