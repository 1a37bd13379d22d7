//! Time as a value: nothing in the product reads the wall clock but through [`Clock`].
//!
//! Tests travel in time with [`ManualClock`].

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// A moment of wall-clock time, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `milliseconds` after the Unix epoch.
    #[must_use]
    pub const fn from_unix_millis(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// The moment `seconds` after the Unix epoch, as JWT's `NumericDate` counts (RFC 7519 section 2).
    #[must_use]
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// The moment that the standard library's type tells; the epoch where it is before that.
    #[must_use]
    pub fn from_system_time(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, millis))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_unix_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_unix_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// The moment `duration` later; the end of time where that cannot be told.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// The moment `duration` earlier; the epoch where that cannot be told.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// The first moment that is later than this one.
    #[must_use]
    pub fn just_after(self) -> Self {
        self.plus(Duration::from_millis(1))
    }

    /// How long after `earlier` this is; zero where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The same moment as the standard library's type.
    #[must_use]
    pub fn to_system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // RFC 3339 ends with the year 9999.
        if self.0 < 253_402_300_800_000 {
            write!(formatter, "{}", humantime::format_rfc3339_millis(self.to_system_time()))
        } else {
            write!(formatter, "{} ms", self.0)
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Where time comes from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The wall clock's time. It may step, backwards too.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment of this process; never steps back. For intervals and latencies.
    fn monotonic(&self) -> Duration;
}

/// A clock that everyone shares.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// The machine's clock; its monotonic time starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn shared() -> SharedClock {
        Arc::new(Self { started: Instant::now() })
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        // A machine whose clock stands before 1970 gets the epoch: every token and session is then refused as
        // dated in the future, which is the safe side.
        Timestamp::from_system_time(SystemTime::now())
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The machine's time since the Unix epoch, for the log alone: its records are dated by the machine where a test plays
/// with time too.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
pub fn machine_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicU64,
    monotonic: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self { wall: AtomicU64::new(now.0), monotonic: AtomicU64::new(0) })
    }

    /// Lets `duration` pass, for the wall clock and for the monotonic one.
    pub fn advance(&self, duration: Duration) {
        self.wall.fetch_add(millis(duration), Ordering::SeqCst);
        self.monotonic.fetch_add(millis(duration), Ordering::SeqCst);
    }

    /// Lets `duration` pass for the monotonic clock alone: the wall clock stood still, or was set back by as much.
    pub fn advance_monotonic(&self, duration: Duration) {
        self.monotonic.fetch_add(millis(duration), Ordering::SeqCst);
    }

    /// Steps the wall clock to `now`; the monotonic time does not move.
    pub fn set(&self, now: Timestamp) {
        self.wall.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_never_wraps() {
        let end = Timestamp::from_unix_seconds(u64::MAX);
        assert_eq!(end.plus(Duration::MAX), end);
        assert_eq!(Timestamp::from_unix_millis(5).minus(Duration::MAX).as_unix_millis(), 0);
        assert_eq!(Timestamp::from_unix_millis(5).since(end), Duration::ZERO);
        assert_eq!(format!("{end:?}"), format!("{} ms", u64::MAX));
        assert_eq!(format!("{:?}", Timestamp::from_unix_seconds(0)), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_step_of_the_wall_clock_leaves_the_monotonic_time() {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1000));
        clock.advance(Duration::from_secs(5));
        clock.set(Timestamp::from_unix_seconds(10));
        assert_eq!(clock.now().as_unix_seconds(), 10);
        assert_eq!(clock.monotonic(), Duration::from_secs(5));
    }

    #[test]
    fn the_machine_s_clock_runs() {
        let clock = SystemClock::shared();
        assert!(clock.now() > Timestamp::from_unix_seconds(1_700_000_000));
        assert!(clock.monotonic() <= clock.monotonic());
    }
}
