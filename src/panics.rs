//! A panic costs one request, or one round of what runs beside the requests. It is counted and told.
//!
//! The release build unwinds for this (`panic = "unwind"` in `Cargo.toml`). Locks are taken with
//! `PoisonError::into_inner`, so that one panic does not spread.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, resume_unwind},
    time::Duration,
};

use futures::FutureExt as _;
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use tokio::task::JoinError;

/// How long something that panicked rests before it begins anew.
const REST: Duration = Duration::from_secs(1);
/// The most characters of a panic's message that are told.
const MAX_MESSAGE: usize = 128;

/// It panicked. What it was is in the log already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

/// Counts every panic of this process and writes it to the log, from now on.
pub fn tell(registry: &mut Registry) {
    std::panic::set_hook(Box::new(teller(registry)));
}

/// What counts panics into a metric of this registry and tells them.
pub(crate) fn teller(registry: &mut Registry) -> impl Fn(&PanicHookInfo<'_>) + Send + Sync + 'static {
    let panics: Counter = Counter::default();
    registry.register("panics", "Panics, each caught: one request or one round of a task failed", panics.clone());
    move |info| {
        panics.inc();
        told(info);
    }
}

fn told(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(location, said = brief(info.payload()), thread = thread.name().unwrap_or_default(), "a panic");
}

/// The beginning of a panic's message: what was handled at that moment, such as a token, stands behind a quote, a colon
/// or a semicolon (`… is not a char boundary; it is inside 'x' of …`).
fn brief(payload: &(dyn Any + Send)) -> String {
    let literal = payload.downcast_ref::<&str>().copied();
    let message = literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
    let said = message.chars().take_while(|next| !matches!(next, '\'' | '`' | '"' | ':' | ';'));
    said.take(MAX_MESSAGE).filter(|next| matches!(next, ' '..='~')).collect::<String>().trim_end().to_owned()
}

/// The outcome of a future, where it does not panic.
///
/// # Errors
/// Where it does.
pub async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    AssertUnwindSafe(future).catch_unwind().await.map_err(|_| Panicked)
}

/// The outcome of a call, where it does not panic.
///
/// # Errors
/// Where it does.
pub fn caught_call<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Panicked)
}

/// For the outcome of a task that a request waits for: where the task panicked, so does the request, which is caught
/// and counts as one. `Err` where the task was ended from outside, as at the end of the process.
///
/// # Errors
/// Where the task was cancelled.
///
/// # Panics
/// Where the task did.
pub fn passed_on<T>(joined: Result<T, JoinError>) -> Result<T, JoinError> {
    match joined.map_err(JoinError::try_into_panic) {
        Ok(value) => Ok(value),
        Err(Ok(payload)) => resume_unwind(payload),
        Err(Err(cancelled)) => Err(cancelled),
    }
}

/// Runs what `begin` begins; where it panics, it begins anew after a rest. `name` is for the log.
pub async fn kept_up<F: Future>(name: &'static str, mut begin: impl FnMut() -> F) -> F::Output {
    loop {
        if let Ok(output) = caught(async { begin().await }).await {
            return output;
        }
        tracing::error!(task = name, "a task panicked; it begins anew");
        tokio::time::sleep(REST).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_begins_anew() {
        let begun = AtomicUsize::new(0);
        let outcome = kept_up("test", || async {
            assert!(begun.fetch_add(1, Ordering::Relaxed) >= 2, "scripted");
            5
        });
        assert_eq!(outcome.await, 5);
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_task_s_panic_is_that_of_who_waits() {
        let task = tokio::spawn(async { panic!("scripted") });
        let waiting = caught(async { passed_on(task.await) }).await;
        assert!(matches!(waiting, Err(Panicked)));
        let ended = tokio::spawn(std::future::pending::<()>());
        ended.abort();
        assert!(caught(async { passed_on(ended.await) }).await.unwrap().is_err());
    }

    #[test]
    fn what_was_handled_is_not_told() {
        let token = "se\u{fc}cret-token";
        let payload = catch_unwind(|| token[..3].to_owned()).unwrap_err();
        let said = brief(payload.as_ref());
        assert!(!said.contains("cret") && said.contains("char boundary"), "{said}");
        let failed = || "secret".parse::<u8>();
        let payload = catch_unwind(|| failed().expect("numbers are JSON")).unwrap_err();
        assert_eq!(brief(payload.as_ref()), "numbers are JSON");
        let payload = catch_unwind(|| panic!("line\n{}", "x".repeat(1000))).unwrap_err();
        assert!(brief(payload.as_ref()).len() <= MAX_MESSAGE && !brief(payload.as_ref()).contains('\n'));
    }
}
