//! The callbacks that are being answered: the same one twice shares one exchange, since Envoy may repeat a check.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tracing::Instrument as _;

use super::login::CallbackOutcome;
use crate::{
    memory::{self, Budget},
    reason::Reason,
};

/// How long an answer is kept for one who asks again, where there is room for it.
const KEEP: Duration = Duration::from_secs(10);

/// Names a callback: a hash of its state's id and its code.
pub(super) type CallbackKey = [u8; 32];

type Answer = Shared<BoxFuture<'static, CallbackOutcome>>;

/// What an answer takes beside what it says: its place, its future and the task that forgets it.
const ANSWER_BYTES: usize = 2048;

/// The callbacks that are being answered or were a moment ago. Of the first there are no more than the limits let begin;
/// what the others say is bounded in bytes.
#[derive(Debug)]
pub(super) struct Callbacks {
    running: Mutex<HashMap<CallbackKey, Answer>>,
    kept: Arc<Budget>,
}

impl Default for Callbacks {
    fn default() -> Self {
        Self { running: Mutex::default(), kept: Budget::new(memory::CALLBACKS) }
    }
}

impl Callbacks {
    /// The answer to this callback: that of an earlier, equal one, or else that of `begin`'s future, which runs in a
    /// task of its own. Whoever waits may give up; the task goes on.
    ///
    /// # Errors
    /// What `begin` says where the callback must not be answered now.
    pub(super) fn share<F>(
        self: &Arc<Self>,
        key: CallbackKey,
        begin: impl FnOnce() -> Result<F, Reason>,
    ) -> Result<Answer, Reason>
    where
        F: Future<Output = CallbackOutcome> + Send + 'static,
    {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = running.get(&key) {
            return Ok(answer.clone());
        }
        let task = tokio::spawn(begin()?.in_current_span());
        let answer =
            async { task.await.unwrap_or_else(|_| CallbackOutcome::failed(Reason::Internal)) }.boxed().shared();
        running.insert(key, answer.clone());
        tokio::spawn(Arc::clone(self).forget(key, answer.clone()));
        Ok(answer)
    }

    async fn forget(self: Arc<Self>, key: CallbackKey, answer: Answer) {
        let bytes = ANSWER_BYTES + answer.await.heap_bytes();
        // Without room whoever asks again hears that the callback was answered, and goes on with the session.
        if let Some(_kept) = self.kept.take(bytes) {
            tokio::time::sleep(KEEP).await;
        }
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use allocation_counter::measure;
    use tokio::runtime::Builder;

    use super::*;
    use crate::oidc::ReturnTarget;

    /// More answers than are kept, one after the other, of some 4 KiB each.
    async fn fill(callbacks: &Arc<Callbacks>) {
        let target = ReturnTarget::from(format!("/{}", "a".repeat(2000)));
        for number in 0..10_000_u32 {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&number.to_be_bytes());
            let outcome = CallbackOutcome::Failed { reason: Reason::ProviderDenied, target: Some(target.clone()) };
            let answer = callbacks.share(key, || Ok(async move { outcome })).unwrap();
            assert!(matches!(answer.await, CallbackOutcome::Failed { .. }), "{number}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_answers_say_is_kept_for_a_while_and_bounded_in_bytes() {
        let callbacks = Arc::new(Callbacks::default());
        fill(&callbacks).await;
        tokio::time::sleep(KEEP / 2).await;
        let kept = || callbacks.running.lock().unwrap().len() as u64;
        let most = memory::CALLBACKS / 4096;
        assert!((most / 2..=most).contains(&kept()), "{} answers of 4 KiB are kept", kept());
        tokio::time::sleep(KEEP).await;
        assert_eq!(kept(), 0);
    }

    #[test]
    fn kept_answers_take_no_more_than_their_part() {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let callbacks = Arc::new(Callbacks::default());
        let filled = measure(|| runtime.block_on(fill(&callbacks)));
        assert!(filled.bytes_max <= memory::CALLBACKS, "{filled:?}");
        assert!(filled.bytes_max >= memory::CALLBACKS / 4, "else nothing was filled: {filled:?}");
    }
}
