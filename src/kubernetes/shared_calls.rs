//! One call in flight per token, whoever asks.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::sync::oneshot;

use super::cache::TokenKey;
use crate::memory::Budget;

/// Calls that are running, each shared by all who want its result.
///
/// A call runs in a task of its own, so that no caller's going away ends it for the others.
pub(super) struct SharedCalls<T: Clone> {
    running: Arc<Mutex<Running<T>>>,
    budget: Arc<Budget>,
}

type Running<T> = HashMap<TokenKey, Call<T>>;

/// A call's result; `None` where the call's task panicked.
pub(super) type Call<T> = Shared<BoxFuture<'static, Option<T>>>;

/// How a caller takes part.
pub(super) enum Part<T: Clone> {
    /// It was known already.
    Known(T),
    /// The call was started for this caller.
    Leads(Call<T>),
    /// The call had been started for another one.
    Follows(Call<T>),
    /// Too many calls are running.
    TooMany,
}

/// What a new call needs.
#[derive(Clone, Copy)]
pub(super) struct Needs {
    /// The bytes that it takes while it runs.
    pub(super) bytes: usize,
    /// How many calls may run beside it.
    pub(super) bound: usize,
    /// Whether it may use the quarter of the bytes that is kept for some.
    pub(super) kept: bool,
}

impl<T: Clone + Send + Sync + 'static> SharedCalls<T> {
    /// No call; all together take `bytes` at most.
    pub(super) fn new(bytes: u64) -> Self {
        Self { running: Arc::default(), budget: Budget::new(bytes) }
    }

    /// Joins the running call for `key`. Where there is none: what `known` tells, else a new one of `start`, unless
    /// there is no room for what it `needs`.
    ///
    /// `known` is asked while no call can end unseen: a call that stores its result before it ends is never repeated.
    pub(super) fn join<F>(
        &self,
        key: TokenKey,
        needs: Needs,
        known: impl FnOnce() -> Option<T>,
        start: impl FnOnce() -> F,
    ) -> Part<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut running = lock(&self.running);
        if let Some(call) = running.get(&key) {
            return Part::Follows(call.clone());
        }
        if let Some(value) = known() {
            return Part::Known(value);
        }
        if running.len() >= needs.bound {
            return Part::TooMany;
        }
        let room = if needs.kept { self.budget.take(needs.bytes) } else { self.budget.take_common(needs.bytes) };
        let Some(room) = room else { return Part::TooMany };
        let (sender, receiver) = oneshot::channel();
        let call: Call<T> = receiver.map(Result::ok).boxed().shared();
        running.insert(key, call.clone());
        let leaves = Leaves { running: Arc::clone(&self.running), key };
        let future = start();
        tokio::spawn(async move {
            let value = future.await;
            drop(leaves);
            drop(room);
            // Nobody may be waiting any more.
            let _ = sender.send(value);
        });
        Part::Leads(call)
    }
}

impl<T: Clone> fmt::Debug for SharedCalls<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SharedCalls").finish_non_exhaustive()
    }
}

/// Takes a call out of the list when it ends, also by a panic.
struct Leaves<T: Clone> {
    running: Arc<Mutex<Running<T>>>,
    key: TokenKey,
}

impl<T: Clone> Drop for Leaves<T> {
    fn drop(&mut self) {
        lock(&self.running).remove(&self.key);
    }
}

fn lock<T: Clone>(running: &Mutex<Running<T>>) -> std::sync::MutexGuard<'_, Running<T>> {
    // The map is whole between any two of its operations, so a panic elsewhere does not spoil it.
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: TokenKey = TokenKey([7; 32]);
    const ONE: Needs = Needs { bytes: 1, bound: 1, kept: true };

    #[tokio::test]
    async fn a_call_that_panics_is_over_for_everyone_and_can_be_made_again() {
        let calls = SharedCalls::<u8>::new(100);
        let Part::Leads(call) = calls.join(KEY, ONE, || None, || async { panic!("scripted") }) else {
            panic!("nothing runs yet");
        };
        assert_eq!(call.await, None);
        let Part::Leads(call) = calls.join(KEY, ONE, || None, || async { 5 }) else {
            panic!("the call has ended");
        };
        assert_eq!(call.await, Some(5));
    }

    #[tokio::test]
    async fn a_call_goes_on_when_its_first_caller_goes_away() {
        let calls = SharedCalls::<u8>::new(100);
        let (open, gate) = oneshot::channel::<()>();
        let first = calls.join(KEY, ONE, || None, || gate.map(|_| 5));
        assert!(matches!(first, Part::Leads(_)));
        drop(first);
        let Part::Follows(second) = calls.join(KEY, ONE, || None, || async { 6 }) else {
            panic!("the call still runs");
        };
        open.send(()).unwrap();
        assert_eq!(second.await, Some(5));
    }

    #[tokio::test]
    async fn the_bound_counts_calls_and_not_callers() {
        let calls = SharedCalls::<u8>::new(100);
        let first = calls.join(KEY, ONE, || None, futures::future::pending::<u8>);
        assert!(matches!(first, Part::Leads(_)));
        assert!(matches!(calls.join(KEY, ONE, || None, || async { 1 }), Part::Follows(_)));
        assert!(matches!(calls.join(TokenKey([8; 32]), ONE, || None, || async { 1 }), Part::TooMany));
    }

    #[tokio::test]
    async fn the_bytes_of_all_calls_are_bounded_and_a_quarter_is_kept() {
        let calls = SharedCalls::<u8>::new(100);
        let needs = |bytes, kept| Needs { bytes, bound: usize::MAX, kept };
        let join = |key, needs| calls.join(TokenKey([key; 32]), needs, || None, futures::future::pending::<u8>);
        assert!(matches!(join(1, needs(75, false)), Part::Leads(_)));
        assert!(matches!(join(2, needs(1, false)), Part::TooMany));
        assert!(matches!(join(3, needs(25, true)), Part::Leads(_)));
        assert!(matches!(join(4, needs(1, true)), Part::TooMany));

        let calls = SharedCalls::<u8>::new(100);
        for key in 0..10 {
            let Part::Leads(call) = calls.join(TokenKey([key; 32]), needs(60, false), || None, || async { 1 }) else {
                panic!("the call before has ended, and its room with it");
            };
            assert_eq!(call.await, Some(1));
        }
    }

    #[tokio::test]
    async fn what_is_known_is_not_asked() {
        let calls = SharedCalls::<u8>::new(100);
        assert!(matches!(calls.join(KEY, ONE, || Some(3), || async { 1 }), Part::Known(3)));
    }
}
