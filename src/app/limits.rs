//! What each listener takes at most, and how that fits into what the system gives.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::connection::Patience;

/// File descriptors for everything but the listeners' connections: calls to the providers, the API server and Redis,
/// files, and connections that are about to close.
const OTHER_DESCRIPTORS: u64 = 512;
/// The fewest connections of a kind that a listener has, whatever the system gives.
const FEWEST: usize = 16;

/// What a listener takes at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at once that have sent a complete request; the quietest gives way.
    pub(super) finished: usize,
    /// Connections at once that have not yet; the oldest gives way.
    pub(super) unfinished: usize,
    /// Whether anybody may connect. Else gateways do, whose connections are kept and lose no request.
    pub(super) strangers: bool,
    /// Requests at once on one connection.
    pub(super) streams: u32,
    /// Bytes of one request's header.
    pub(super) header_bytes: u32,
    /// How long a connection may say nothing.
    pub(super) patience: Patience,
}

/// How long strangers may say nothing.
const WITH_STRANGERS: Patience =
    Patience { first_request: Duration::from_secs(10), idle: Some(Duration::from_secs(30)), lets_finish: false };

impl Limits {
    /// The check service: a few gateways with many requests each. What they send of a request comes as a message, not
    /// as a header.
    ///
    /// The messages are bounded together, by `ext_authz`.
    pub(super) const CHECK: Self = Self {
        finished: 1024,
        unfinished: 512,
        strangers: false,
        streams: 4096,
        header_bytes: 32 * 1024,
        // A gateway keeps connections for later. What is on its way is answered.
        patience: Patience { idle: None, lets_finish: true, ..WITH_STRANGERS },
    };
    /// The public listener.
    pub(super) const HTTP: Self = Self {
        finished: 1024,
        unfinished: 512,
        strangers: true,
        streams: 2,
        header_bytes: 16 * 1024,
        patience: WITH_STRANGERS,
    };
    /// Operations: a kubelet and a scraper or two.
    pub(super) const OPERATIONS: Self = Self { finished: 128, unfinished: 128, ..Self::HTTP };
    /// Administrators. More streams than they need.
    pub(super) const ADMIN: Self = Self { finished: 32, unfinished: 32, ..Self::HTTP };
}

/// The limits of all listeners.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllLimits {
    pub(super) check: Limits,
    pub(super) http: Limits,
    pub(super) operations: Limits,
    pub(super) admin: Limits,
}

impl AllLimits {
    /// As they are meant, or less where this process may not have so many file descriptors: a listener that is full
    /// must not take those of another. Raises the soft limit of the system to the hard one.
    pub(super) fn of_this_process() -> Self {
        let available = raised();
        let (this, fitted) = Self::fitted(available);
        if fitted {
            tracing::warn!(
                descriptors = available,
                wanted = Self::wanted(),
                "the system gives this process few file descriptors (RLIMIT_NOFILE): listeners take fewer connections"
            );
        }
        this
    }

    const MEANT: Self =
        Self { check: Limits::CHECK, http: Limits::HTTP, operations: Limits::OPERATIONS, admin: Limits::ADMIN };

    fn wanted() -> u64 {
        Self::MEANT.sum() + OTHER_DESCRIPTORS
    }

    fn sum(&self) -> u64 {
        let all = [self.check, self.http, self.operations, self.admin];
        all.iter().map(|limits| (limits.finished + limits.unfinished) as u64).sum()
    }

    /// The limits for so many descriptors, and whether they are less than what is meant.
    fn fitted(descriptors: u64) -> (Self, bool) {
        let meant = Self::MEANT;
        if descriptors >= Self::wanted() {
            return (meant, false);
        }
        // Half of very few, so that something is left for either.
        let share = descriptors.saturating_sub(OTHER_DESCRIPTORS).max(descriptors / 2);
        let part = |count: usize| {
            let part = count as u64 * share / meant.sum();
            usize::try_from(part).unwrap_or(count).clamp(FEWEST, count)
        };
        let fit =
            |limits: Limits| Limits { finished: part(limits.finished), unfinished: part(limits.unfinished), ..limits };
        let this = Self {
            check: fit(meant.check),
            http: fit(meant.http),
            operations: fit(meant.operations),
            admin: fit(meant.admin),
        };
        (this, true)
    }
}

/// How many file descriptors this process may have, after it has asked for all that it may ask for.
fn raised() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let limit = if setrlimit(Resource::Nofile, all).is_ok() { all } else { limit };
    limit.current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{super::places::LEAVING, *};
    use crate::memory;

    /// What an idle connection takes, with TLS.
    const IDLE_BYTES: u64 = 24 * 1024;
    /// A logout token and its form; other bodies are shorter, and those of checks have a budget of their own.
    const BODY_BYTES: u64 = 20 * 1024;

    /// Without the windows of HTTP/2: what is read at once takes no room in them.
    #[test]
    fn the_connections_of_all_listeners_have_room_in_the_budget() {
        let bodies = |limits: Limits| u64::from(limits.streams) * BODY_BYTES;
        let most = |limits: Limits, bodies| {
            limits.finished as u64 * (IDLE_BYTES + bodies) + limits.unfinished as u64 * IDLE_BYTES
        };
        let served = [Limits::HTTP, Limits::OPERATIONS, Limits::ADMIN].map(|limits| most(limits, bodies(limits)));
        let sum = most(Limits::CHECK, 0) + served.iter().sum::<u64>();
        assert!(sum <= memory::CONNECTIONS, "{sum} bytes, and not {}", memory::CONNECTIONS);
    }

    #[test]
    fn the_listeners_fit_into_what_the_system_gives() {
        assert!(!AllLimits::fitted(AllLimits::wanted()).1);
        for descriptors in [AllLimits::wanted() - 1, 2048, 1024, 512] {
            let (limits, fitted) = AllLimits::fitted(descriptors);
            assert!(fitted);
            // What a process opens before anybody connects is below 64.
            assert!(limits.sum() + 4 * LEAVING as u64 + 64 < descriptors, "{descriptors}: {limits:?}");
            assert!(limits.operations.finished >= FEWEST && limits.operations.unfinished >= FEWEST);
        }
    }
}
