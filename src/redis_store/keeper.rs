//! Keeps a link to the primary: connects, asks every second whether it still holds, and connects anew where it does not.
//!
//! A primary that is cut off from its sentinels and replicas does not know that another one took its place, and goes on
//! answering. So the sentinels are asked as well: where they name another one, or do not agree for
//! [`WITHOUT_SENTINELS`], the link is given up. A node of a Cluster that is cut off from the others answers no step any
//! more after `cluster-node-timeout`.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{PushInfo, PushKind, Value};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use tracing::{info, warn};

use super::{
    config::RedisConfig,
    link::{Link, LinkError},
    reach::{Reach, UNREACHABLE},
    steps::Steps,
};
use crate::{calls::Pauses, clock::SharedClock, store::Observers};

/// How often the server is asked whether it is there.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How old the last answered question may be for what is remembered to be used: a connection that fails silently hides
/// a logout no longer.
const HEARD_WITHIN: Duration = Duration::from_secs(3);
/// How long after one answer the sentinels are asked again.
const ASK_SENTINELS: Duration = Duration::from_secs(2);
/// How long the link holds while the sentinels do not say who the primary is.
const WITHOUT_SENTINELS: Duration = Duration::from_secs(30);
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Whether observers hear of every change now.
#[derive(Debug)]
pub(super) struct Hearing {
    clock: SharedClock,
    observers: Observers,
    /// The number of the link over which changes are heard, 0 where there is none.
    link: AtomicU64,
    /// Until when that was heard of it, by the clock that never steps back, in milliseconds.
    until: AtomicU64,
    /// Held while the link changes, so that none is lost and regained between two looks.
    change: Mutex<()>,
}

impl Hearing {
    pub(super) fn new(clock: SharedClock) -> Self {
        let observers = Observers::default();
        Self { clock, observers, link: AtomicU64::new(0), until: AtomicU64::new(0), change: Mutex::default() }
    }

    pub(super) const fn observers(&self) -> &Observers {
        &self.observers
    }

    pub(super) fn is_good(&self) -> bool {
        self.link.load(Ordering::Acquire) != 0 && self.monotonic() < self.until.load(Ordering::Acquire)
    }

    fn monotonic(&self) -> u64 {
        millis(self.clock.monotonic())
    }

    /// Changes are heard over this link from now on: what was remembered before is of no use.
    fn begin(&self, link: u64, asked_at: u64) {
        let _change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        self.observers.all_changed();
        self.until.store(until(asked_at), Ordering::Release);
        self.link.store(link, Ordering::Release);
    }

    /// A question that was asked at that time was answered.
    fn answered(&self, asked_at: u64) {
        self.until.fetch_max(until(asked_at), Ordering::AcqRel);
    }

    /// This link is lost.
    fn end(&self, link: u64) {
        let _change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was lost before it began must not end its successor.
        let _ = self.link.compare_exchange(link, 0, Ordering::AcqRel, Ordering::Acquire);
    }
}

fn until(asked_at: u64) -> u64 {
    asked_at.saturating_add(millis(HEARD_WITHIN))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The link of the moment, and what keeps it.
#[derive(Debug)]
pub(super) struct Keeper {
    config: RedisConfig,
    steps: Steps,
    hearing: Arc<Hearing>,
    reach: Reach,
    link: watch::Sender<Option<Arc<Link>>>,
    /// Told by a call that found the link broken.
    broken: Notify,
    last: AtomicU64,
}

impl Keeper {
    pub(super) fn new(config: RedisConfig, steps: Steps, hearing: Arc<Hearing>, reach: Reach) -> Arc<Self> {
        let (link, _) = watch::channel(None);
        Arc::new(Self { config, steps, hearing, reach, link, broken: Notify::new(), last: AtomicU64::new(0) })
    }

    /// Whether the primary is reached.
    pub(super) const fn reach(&self) -> &Reach {
        &self.reach
    }

    /// The link, as soon as there is one.
    pub(super) async fn link(&self) -> Option<Arc<Link>> {
        let mut links = self.link.subscribe();
        links.wait_for(Option::is_some).await.ok().and_then(|link| link.clone())
    }

    /// Whether this is the link of the moment.
    pub(super) fn is_current(&self, link: &Arc<Link>) -> bool {
        self.link.borrow().as_ref().is_some_and(|current| Arc::ptr_eq(current, link))
    }

    /// Gives the link up, where it is still the one that failed.
    pub(super) fn report_broken(&self, link: &Arc<Link>) {
        let was_current = self.link.send_if_modified(|current| {
            let is_current = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, link));
            if is_current {
                *current = None;
                // Here, so that a next link is not told of before.
                self.reach.lost(UNREACHABLE);
            }
            is_current
        });
        if was_current {
            self.hearing.end(self.last.load(Ordering::Acquire));
            self.broken.notify_one();
        }
    }

    /// Connects once.
    pub(super) async fn connect(&self) -> Result<(), LinkError> {
        let number = self.last.fetch_add(1, Ordering::AcqRel) + 1;
        let asked_at = self.hearing.monotonic();
        let (hearing, steps) = (Arc::clone(&self.hearing), self.steps.clone());
        // Whether it was lost before it was in use.
        let lost = Arc::new(AtomicU64::new(0));
        let lost_early = Arc::clone(&lost);
        let pushed = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                lost_early.store(1, Ordering::Release);
                hearing.end(number);
            }
            heard(&push, &steps, &hearing);
            Ok(())
        };
        // Several servers may be asked in turn, and each has its own bound.
        let connected = Link::connect(&self.config, &self.steps, Duration::from_millis(asked_at), pushed).await;
        let link = connected.inspect_err(|error| self.reach.lost(error.word()))?;
        info!(address = %link.address, replicas = link.replicas(), "connected to Redis");
        self.hearing.begin(number, asked_at);
        if lost.load(Ordering::Acquire) != 0 {
            self.hearing.end(number);
        }
        self.link.send_modify(|current| {
            *current = Some(Arc::new(link));
            self.reach.found();
        });
        Ok(())
    }

    /// Keeps the link for as long as this is polled.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut pauses = Pauses::new(SHORTEST_PAUSE, LONGEST_PAUSE);
        loop {
            if self.link.borrow().is_none() {
                match self.connect().await {
                    Ok(()) => pauses.succeeded(),
                    Err(error) => {
                        warn!(%error, "the session store is not reached");
                        tokio::time::sleep(pauses.failed()).await;
                        continue;
                    }
                }
            }
            tokio::select! {
                () = self.hold() => {}
                // This ends with the link.
                () = self.follow_sentinels() => {}
            }
        }
    }

    /// Gives the link up where the sentinels name another primary, or nobody for long.
    async fn follow_sentinels(&self) {
        let mut agreed_at = self.hearing.monotonic();
        loop {
            tokio::time::sleep(ASK_SENTINELS).await;
            let Some(link) = self.link.borrow().clone() else { continue };
            let asked_at = self.hearing.monotonic();
            let problem = match Link::named_by_sentinels(&self.config).await {
                // Nobody else than the primary itself is to be asked.
                Ok(None) => return std::future::pending().await,
                Ok(Some(primary)) if primary == link.address => {
                    agreed_at = asked_at;
                    link.note_named(Duration::from_millis(asked_at));
                    continue;
                }
                Ok(Some(primary)) => format!("the sentinels name {primary} as the primary"),
                Err(_) if asked_at.saturating_sub(agreed_at) < millis(WITHOUT_SENTINELS) => continue,
                Err(error) => error.to_string(),
            };
            warn!(address = %link.address, problem, "the connection to Redis is given up");
            self.report_broken(&link);
        }
    }

    /// Asks again and again, until the link is broken.
    async fn hold(&self) {
        loop {
            let Some(link) = self.link.borrow().clone() else { return };
            if timeout(HEARTBEAT, self.broken.notified()).await.is_ok() {
                continue;
            }
            let asked_at = self.hearing.monotonic();
            let problem =
                match timeout(self.config.timeout.max(HEARTBEAT), link.check(Duration::from_millis(asked_at))).await {
                    Ok(Ok(())) if self.hearing.link.load(Ordering::Acquire) != 0 => {
                        self.hearing.answered(asked_at);
                        continue;
                    }
                    Ok(Ok(())) => "changes are no longer heard of".to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => "it does not answer".to_owned(),
                };
            warn!(address = %link.address, problem, "the connection to Redis is given up");
            self.report_broken(&link);
        }
    }
}

/// What the server says by itself: which records changed, or that all did.
fn heard(push: &PushInfo, steps: &Steps, hearing: &Hearing) {
    if push.kind != PushKind::Invalidate {
        return;
    }
    match push.data.first() {
        Some(Value::Array(keys)) => {
            let names: Vec<_> = keys
                .iter()
                .filter_map(|key| match key {
                    Value::BulkString(key) => steps.record_of(key),
                    _ => None,
                })
                .collect();
            hearing.observers.changed(&names);
        }
        // The database was emptied, or something is said that we do not know.
        _ => hearing.observers.all_changed(),
    }
}
