//! One call for all who want its outcome.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::sync::oneshot;
use tracing::Instrument as _;

use crate::{
    memory::{Budget, Taken},
    panics::caught,
};

/// Calls that are running, and outcomes that are told for a while, each shared by all who want it.
///
/// A call runs in a task of its own, so that no caller's going away ends it for the others.
pub(crate) struct SharedCalls<K, T: Clone> {
    calls: Arc<Mutex<Calls<K, T>>>,
    memory: Option<Memory<T>>,
}

struct Calls<K, T: Clone> {
    by_key: HashMap<K, Call<T>>,
    running: usize,
}

/// A call's outcome; `None` where it panicked.
pub(crate) type Call<T> = Shared<BoxFuture<'static, Option<T>>>;

/// How a caller takes part.
pub(crate) enum Part<T: Clone> {
    /// The call was started for this caller.
    Leads(Call<T>),
    /// The call had been started for another one, and may have ended.
    Follows(Call<T>),
}

impl<T: Clone> Part<T> {
    /// The call, whoever leads it.
    pub(crate) fn call(self) -> Call<T> {
        match self {
            Self::Leads(call) | Self::Follows(call) => call,
        }
    }
}

/// Which outcomes are told to whoever asks next, and for how long.
pub(crate) struct Memory<T> {
    /// For how long.
    pub(crate) time: Duration,
    /// What all remembered outcomes take together.
    pub(crate) room: Arc<Budget>,
    /// What of that an outcome takes; `None` for one that is not remembered.
    pub(crate) weigh: fn(Option<&T>) -> Option<usize>,
}

impl<K, T> SharedCalls<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// No call. An outcome is told to those who asked for it.
    pub(crate) fn new() -> Self {
        Self::with(None)
    }

    /// No call. An outcome is told also to those who ask later, as `memory` says.
    pub(crate) fn remembering(memory: Memory<T>) -> Self {
        Self::with(Some(memory))
    }

    fn with(memory: Option<Memory<T>>) -> Self {
        Self { calls: Arc::new(Mutex::new(Calls { by_key: HashMap::new(), running: 0 })), memory }
    }

    /// Joins the call for `key`. Where there is none, `begin` is asked for one, and hears how many run.
    ///
    /// No call can end unseen meanwhile: one that stores its outcome, where `begin` looks for it, is never repeated.
    ///
    /// # Errors
    /// What `begin` says in the place of a call.
    pub(crate) fn join<F, E>(&self, key: K, begin: impl FnOnce(usize) -> Result<F, E>) -> Result<Part<T>, E>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut calls = lock(&self.calls);
        if let Some(call) = calls.by_key.get(&key) {
            return Ok(Part::Follows(call.clone()));
        }
        // On the heap, since each of what is put around a future would hold another copy of it.
        let future = begin(calls.running)?.boxed();
        let (tell, told) = oneshot::channel();
        let call: Call<T> = told.map(|told| told.ok().flatten()).boxed().shared();
        calls.by_key.insert(key.clone(), call.clone());
        calls.running += 1;
        let (calls, memory) = (Arc::clone(&self.calls), self.memory.clone());
        let run = async move {
            let outcome = caught(future).await.ok();
            end(&calls, key, memory, outcome.as_ref());
            // Nobody may be waiting any more.
            let _ = tell.send(outcome);
        };
        tokio::spawn(run.in_current_span());
        Ok(Part::Leads(call))
    }

    #[cfg(test)]
    pub(crate) fn running(&self) -> usize {
        lock(&self.calls).running
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        let calls = lock(&self.calls);
        calls.by_key.len() - calls.running
    }
}

/// A call is over: it is forgotten, at once or later.
fn end<K, T>(shared: &Arc<Mutex<Calls<K, T>>>, key: K, memory: Option<Memory<T>>, outcome: Option<&T>)
where
    K: Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    let kept = memory.and_then(|memory| memory.keeps(outcome));
    let mut calls = lock(shared);
    calls.running -= 1;
    match kept {
        None => {
            calls.by_key.remove(&key);
        }
        // A task of its own, which takes less than the one that made the call.
        Some((time, room)) => {
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                lock(&shared).by_key.remove(&key);
                drop(room);
            });
        }
    }
}

impl<T> Memory<T> {
    fn keeps(&self, outcome: Option<&T>) -> Option<(Duration, Taken)> {
        let room = self.room.take((self.weigh)(outcome)?)?;
        Some((self.time, room))
    }
}

impl<T> Clone for Memory<T> {
    fn clone(&self) -> Self {
        Self { time: self.time, room: Arc::clone(&self.room), weigh: self.weigh }
    }
}

impl<K, T: Clone> fmt::Debug for SharedCalls<K, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SharedCalls").finish_non_exhaustive()
    }
}

fn lock<K, T: Clone>(calls: &Mutex<Calls<K, T>>) -> MutexGuard<'_, Calls<K, T>> {
    // The map is whole between any two of its operations, so a panic elsewhere does not spoil it.
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Numbers = SharedCalls<u8, u8>;

    #[derive(Debug, PartialEq, Eq)]
    enum Other {
        Known(u8),
        TooMany,
    }

    #[tokio::test]
    async fn a_call_that_panics_is_over_for_everyone_and_can_be_made_again() {
        let calls = Numbers::new();
        let Ok(Part::Leads(call)) = calls.join(7, |_| Ok::<_, Other>(async { panic!("scripted") })) else {
            panic!("nothing runs yet");
        };
        assert_eq!(call.await, None);
        let Ok(Part::Leads(call)) = calls.join(7, |_| Ok::<_, Other>(async { 5 })) else {
            panic!("the call has ended");
        };
        assert_eq!(call.await, Some(5));
    }

    #[tokio::test]
    async fn a_call_goes_on_when_its_first_caller_goes_away() {
        let calls = Numbers::new();
        let (open, gate) = oneshot::channel::<()>();
        let first = calls.join(7, |_| Ok::<_, Other>(gate.map(|_| 5)));
        assert!(matches!(first, Ok(Part::Leads(_))));
        drop(first);
        let Ok(Part::Follows(second)) = calls.join(7, |_| Ok::<_, Other>(async { 6 })) else {
            panic!("the call still runs");
        };
        open.send(()).unwrap();
        assert_eq!(second.await, Some(5));
    }

    #[tokio::test]
    async fn the_bound_counts_calls_and_not_callers() {
        let calls = Numbers::new();
        let join = |key| {
            calls.join(key, |running| if running < 1 { Ok(futures::future::pending()) } else { Err(Other::TooMany) })
        };
        assert!(matches!(join(7), Ok(Part::Leads(_))));
        assert!(matches!(join(7), Ok(Part::Follows(_))));
        assert!(matches!(join(8), Err(Other::TooMany)));
    }

    #[tokio::test]
    async fn what_is_known_is_not_asked() {
        let calls = Numbers::new();
        let known = calls.join(7, |_| Err::<futures::future::Pending<u8>, _>(Other::Known(3)));
        assert_eq!(known.err(), Some(Other::Known(3)));
        assert_eq!(calls.running(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn outcomes_are_told_for_a_while_where_they_are_worth_it_and_there_is_room() {
        let second = Duration::from_secs(1);
        let memory = Memory { time: second, room: Budget::new(2), weigh: |outcome| outcome.is_none().then_some(1) };
        let calls = Numbers::remembering(memory);
        let join = |key, outcome: Option<u8>| {
            let part = calls.join(key, |_| Ok::<_, Other>(async move { outcome.expect("scripted") }));
            part.unwrap().call()
        };
        assert_eq!(join(1, Some(5)).await, Some(5));
        assert_eq!(join(1, None).await, None, "a success is not remembered");
        assert_eq!(join(1, Some(5)).await, None, "a failure is");
        assert_eq!((join(2, None).await, join(3, None).await), (None, None));
        assert_eq!(calls.remembered(), 2, "for a third one there is no room");
        assert_eq!(join(3, Some(5)).await, Some(5));
        tokio::time::sleep(2 * second).await;
        assert_eq!((calls.remembered(), join(1, Some(6)).await), (0, Some(6)));
    }
}
