//! What came of some load, as the one who made it saw it.

use std::time::Duration;

/// Answers, and how long they took.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    /// How many there were; each came, and was no error of the protocol.
    pub answers: usize,
    /// The time from the first to the last.
    pub elapsed: Duration,
    /// The bytes of all bodies.
    pub bytes: u64,
    /// How long one took.
    pub latencies: Latencies,
}

impl Outcome {
    /// Answers in a second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52 of them")]
    pub(super) fn rate(&self) -> f64 {
        self.answers as f64 / self.elapsed.as_secs_f64()
    }
}

/// In microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Latencies {
    /// Half of all answers came within this time.
    pub p50: f64,
    /// All but one in a hundred.
    pub p99: f64,
    /// All but one in a thousand.
    pub p999: f64,
}

impl Latencies {
    /// Of times in microseconds, in any order.
    #[must_use]
    pub(super) fn of(mut times: Vec<u32>) -> Self {
        times.sort_unstable();
        let at = |thousandth: usize| {
            let index = (times.len() * thousandth / 1000).min(times.len().saturating_sub(1));
            times.get(index).copied().map_or(0.0, f64::from)
        };
        Self { p50: at(500), p99: at(990), p999: at(999) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let latencies = Latencies::of((1..=1000).rev().collect());
        assert_eq!(latencies, Latencies { p50: 501.0, p99: 991.0, p999: 1000.0 });
        assert_eq!(Latencies::of(Vec::new()), Latencies::default());
    }
}
