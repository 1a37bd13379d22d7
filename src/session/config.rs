//! For how long sessions live.

use std::time::Duration;

/// For how long sessions live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long a session lives at most.
    pub absolute_lifetime: Duration,
    /// How long it lives without being used; to the minute.
    pub idle_lifetime: Duration,
    /// How many bytes the sessions may take that are kept open in memory. One more than fits is read from the store for
    /// each check.
    pub open_bytes: u64,
}
