//! Whether the servers of a store are reached.

use crate::clock::Timestamp;

/// How the servers of a store are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreReach {
    /// There is a connection.
    Reached,
    /// There is none.
    Lost {
        /// Since when.
        since: Timestamp,
        /// Why, in one word of a closed set: `unreachable` (nobody answers), `refused` (somebody must change the
        /// configuration or the server).
        problem: &'static str,
    },
}
