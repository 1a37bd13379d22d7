//! How long to wait before the next try.

use std::time::Duration;

/// The pauses between tries that fail: each is twice the one before, up to the longest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Pauses {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The pause after one more failure.
    pub(crate) fn failed(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.longest);
        pause
    }

    /// A try did not fail: the next pause is the first one again.
    pub(crate) const fn succeeded(&mut self) {
        self.next = self.first;
    }
}

/// So many tries in all, with pauses between them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    tries_left: u32,
    pauses: Pauses,
}

impl Patience {
    /// For `tries` in all; the first pause is `first`.
    pub(crate) const fn new(tries: u32, first: Duration) -> Self {
        Self { tries_left: tries.saturating_sub(1), pauses: Pauses::new(first, Duration::MAX) }
    }

    /// Whether to try once more after a failure; waits before that.
    pub(crate) async fn lasts(&mut self) -> bool {
        if self.tries_left == 0 {
            return false;
        }
        self.tries_left -= 1;
        tokio::time::sleep(self.pauses.failed()).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_the_longest_and_begins_anew_after_a_success() {
        let second = Duration::from_secs(1);
        let mut pauses = Pauses::new(second, 5 * second);
        let failed: Vec<u64> = (0..5).map(|_| pauses.failed().as_secs()).collect();
        assert_eq!(failed, [1, 2, 4, 5, 5]);
        pauses.succeeded();
        assert_eq!(pauses.failed(), second);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_lasts_for_so_many_tries() {
        let began = tokio::time::sleep(Duration::ZERO).deadline();
        let mut patience = Patience::new(3, Duration::from_secs(1));
        assert!(patience.lasts().await && patience.lasts().await && !patience.lasts().await);
        assert_eq!(began.elapsed(), Duration::from_secs(3));
    }
}
