//! How many calls may run at once, and for whom some places are kept.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places for calls to the API server. A quarter of them is kept for tokens that were good before, so that a flood
/// of strangers' tokens cannot shut out those whom we know.
#[derive(Debug)]
pub(super) struct Places {
    common: Arc<Semaphore>,
    kept: Arc<Semaphore>,
}

/// A place; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// `bound` places in all. A single one is common; of more, one at least is kept.
    pub(super) fn new(bound: usize) -> Self {
        let bound = bound.min(Semaphore::MAX_PERMITS);
        let kept = (bound / 4).max(usize::from(bound > 1));
        Self { common: Arc::new(Semaphore::new(bound - kept)), kept: Arc::new(Semaphore::new(kept)) }
    }

    /// Waits for a place, in the order of arrival.
    #[expect(clippy::expect_used, reason = "nothing closes the semaphores")]
    pub(super) async fn take(&self, was_good: bool) -> Place {
        let common = Arc::clone(&self.common).acquire_owned();
        let permit = if was_good {
            let kept = Arc::clone(&self.kept).acquire_owned();
            tokio::select! {
                biased;
                permit = common => permit,
                permit = kept => permit,
            }
        } else {
            common.await
        };
        Place { _permit: permit.expect("the semaphores are never closed") }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn strangers_never_get_the_kept_quarter() {
        let places = Places::new(16);
        let strangers: Vec<_> = std::iter::from_fn(|| places.take(false).now_or_never()).collect();
        assert_eq!(strangers.len(), 12);
        let known: Vec<_> = std::iter::from_fn(|| places.take(true).now_or_never()).collect();
        assert_eq!(known.len(), 4);
        drop(strangers);
        assert!(places.take(false).now_or_never().is_some());
    }

    #[tokio::test]
    async fn two_places_are_enough_to_keep_one_and_a_single_one_is_common() {
        let places = Places::new(2);
        let stranger = places.take(false).now_or_never();
        assert!(stranger.is_some());
        assert!(places.take(false).now_or_never().is_none());
        assert!(places.take(true).now_or_never().is_some());

        let places = Places::new(1);
        let stranger = places.take(false).now_or_never();
        assert!(stranger.is_some());
        assert!(places.take(true).now_or_never().is_none());
    }
}
