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
use crate::reason::Reason;

/// How long an answer is kept for one who asks again.
const KEEP: Duration = Duration::from_secs(10);

/// Names a callback: a hash of its state's id and its code.
pub(super) type CallbackKey = [u8; 32];

type Answer = Shared<BoxFuture<'static, CallbackOutcome>>;

/// The callbacks that are being answered or were a moment ago. There are no more than the limits let begin.
#[derive(Debug, Default)]
pub(super) struct Callbacks {
    running: Mutex<HashMap<CallbackKey, Answer>>,
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
        answer.await;
        tokio::time::sleep(KEEP).await;
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}
