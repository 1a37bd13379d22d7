//! How many calls may run at once, and for whom some places are kept.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Places for calls that run at once. Some may be kept for those whom we know, so that a flood of strangers cannot shut
/// them out.
#[derive(Debug)]
pub(crate) struct Places {
    common: Arc<Semaphore>,
    kept: Arc<Semaphore>,
}

/// A place; dropping it gives it back.
#[derive(Debug)]
#[must_use]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// Who wants a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// By anybody: a common place.
    ByAnybody,
    /// By one whom we know: a kept place too.
    ByTheKnown,
}

impl Places {
    /// `bound` places, all of them common; one at least.
    pub(crate) fn new(bound: usize) -> Self {
        Self::of(bound, 0)
    }

    /// `bound` places in all, a quarter of them kept. A single one is common; of more, one at least is kept.
    pub(crate) fn with_kept_quarter(bound: usize) -> Self {
        Self::of(bound, (bound / 4).max(usize::from(bound > 1)))
    }

    fn of(bound: usize, kept: usize) -> Self {
        let bound = bound.clamp(1, Semaphore::MAX_PERMITS);
        let kept = kept.min(bound - 1);
        Self { common: Arc::new(Semaphore::new(bound - kept)), kept: Arc::new(Semaphore::new(kept)) }
    }

    /// A common place, where one is free.
    pub(crate) fn take_now(&self) -> Option<Place> {
        Arc::clone(&self.common).try_acquire_owned().ok().map(|permit| Place { _permit: permit })
    }

    /// Waits for a common place, in the order of arrival, for as long as it takes. `None` never comes: nothing takes the
    /// places away.
    pub(crate) async fn take_in_turn(&self) -> Option<Place> {
        Arc::clone(&self.common).acquire_owned().await.ok().map(|permit| Place { _permit: permit })
    }

    /// Waits for a place, in the order of arrival; `None` where there is none within `patience`.
    pub(crate) async fn take(&self, wanted: Wanted, patience: Duration) -> Option<Place> {
        let common = Arc::clone(&self.common).acquire_owned();
        let permit = async {
            match wanted {
                Wanted::ByAnybody => common.await,
                Wanted::ByTheKnown => {
                    let kept = Arc::clone(&self.kept).acquire_owned();
                    tokio::select! {
                        biased;
                        permit = common => permit,
                        permit = kept => permit,
                    }
                }
            }
        };
        // Nothing closes the semaphores.
        let permit = timeout(patience, permit).await.ok()?.ok()?;
        Some(Place { _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn take(places: &Places, wanted: Wanted) -> Option<Place> {
        places.take(wanted, Duration::from_secs(1)).now_or_never().flatten()
    }

    #[tokio::test]
    async fn strangers_never_get_the_kept_quarter() {
        let places = Places::with_kept_quarter(16);
        let strangers: Vec<_> = std::iter::from_fn(|| take(&places, Wanted::ByAnybody)).collect();
        assert_eq!(strangers.len(), 12);
        let known: Vec<_> = std::iter::from_fn(|| take(&places, Wanted::ByTheKnown)).collect();
        assert_eq!(known.len(), 4);
        drop(strangers);
        assert!(take(&places, Wanted::ByAnybody).is_some());
    }

    #[tokio::test]
    async fn two_places_are_enough_to_keep_one_and_a_single_one_is_common() {
        let places = Places::with_kept_quarter(2);
        let stranger = take(&places, Wanted::ByAnybody);
        assert!(stranger.is_some());
        assert!(take(&places, Wanted::ByAnybody).is_none());
        assert!(take(&places, Wanted::ByTheKnown).is_some());

        let places = Places::with_kept_quarter(1);
        let stranger = take(&places, Wanted::ByAnybody);
        assert!(stranger.is_some());
        assert!(take(&places, Wanted::ByTheKnown).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_longer_than_his_patience_gets_none() {
        let places = Places::new(1);
        let first = places.take_now();
        assert!(first.is_some() && places.take_now().is_none());
        assert!(places.take(Wanted::ByAnybody, Duration::from_secs(1)).await.is_none());
        drop(first);
        assert!(places.take(Wanted::ByAnybody, Duration::from_secs(1)).await.is_some());
    }
}
