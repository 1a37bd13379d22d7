//! When a session's access token is to be replaced.

use crate::{
    clock::Timestamp,
    providers::RefreshConfig,
    session::{AccessTokenLife, Session},
    store::CLOCK_TOLERANCE,
};

/// Whether a session is to be refreshed now.
pub(super) fn is_due(config: RefreshConfig, session: &Session, now: Timestamp) -> bool {
    session.renewable().is_some_and(|life| {
        let ahead = config.ahead.min(life.expires_at.since(life.issued_at) / 2);
        now >= life.expires_at.minus(ahead) || is_dated_ahead(life, now)
    })
}

/// Whether the access token is good. One that was issued later than now is of before the clock stepped back: nobody knows
/// how much of its life has passed.
pub(super) fn is_good(life: AccessTokenLife, now: Timestamp) -> bool {
    now < life.expires_at && !is_dated_ahead(life, now)
}

fn is_dated_ahead(life: AccessTokenLife, now: Timestamp) -> bool {
    life.issued_at > now.plus(CLOCK_TOLERANCE)
}
