//! The spans of time that the list of revocations keeps to.

use std::time::Duration;

/// How long after the moment of a revocation tokens must have been issued to pass: the API server's clock may be ahead
/// of ours by less.
pub const ISSUE_MARGIN: Duration = Duration::from_mins(1);

/// How old the list may be.
pub const STALE_AFTER: Duration = Duration::from_secs(30);

/// How long it is remembered that a revocation was lifted.
pub const MARK_LIFE: Duration = Duration::from_hours(30 * 24);
