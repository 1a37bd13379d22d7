//! Who may stay connected: the places of a listener.
//!
//! A listener always accepts. A connection that has not yet said anything complete is counted apart from those that
//! have, and where there are too many of a kind the one that was quiet for longest gives way: whatever strangers hold
//! open, whoever says something at once is heard. Those that gave way and have not closed yet are bounded too: they hold
//! a file descriptor each.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tokio::{
    sync::{Notify, futures::Notified},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// How many connections of a listener that had to give way may still be closing while it accepts others.
pub(super) const LEAVING: usize = 32;
/// For how long a listener waits for one of those at most: what a gateway is owed on it is answered first.
const LEAVING_PATIENCE: Duration = Duration::from_secs(1);

/// Why a connection was closed by us while nothing was wrong with it but that it was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its first request was not complete in time.
    Unfinished,
    /// No request came for long.
    Idle,
    /// Others needed its place.
    Crowd,
}

impl Cause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Unfinished => "unfinished",
            Self::Idle => "idle",
            Self::Crowd => "crowd",
        }
    }
}

/// How many connections were turned away. Both labels are of closed sets.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    turned_away: Family<Labels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    listener: &'static str,
    cause: &'static str,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "connections_turned_away",
            "Connections that were closed because they said nothing, or others needed their place",
            metrics.turned_away.clone(),
        );
        metrics
    }
}

/// The places of one listener.
#[derive(Debug)]
pub(super) struct Places {
    listener: &'static str,
    /// Connections that have not yet sent a complete request.
    unfinished: usize,
    /// Those that have.
    finished: usize,
    /// Whether anybody may connect: then also a connection that is being answered gives way, as the last resort.
    strangers: bool,
    /// The number of the last thing that was said on any connection.
    said: AtomicU64,
    held: Mutex<Held>,
    /// Told when a connection has closed.
    closed: Notify,
    metrics: Metrics,
}

/// By the number of what was said before it was accepted: the oldest is the first.
#[derive(Debug, Default)]
struct Held {
    last: u64,
    unfinished: BTreeMap<u64, Arc<State>>,
    finished: BTreeMap<u64, Arc<State>>,
    /// Those that had to give way and have not closed yet, by the same number.
    leaving: BTreeMap<u64, Arc<State>>,
}

impl Held {
    /// A connection that is in no list any more has to close. Where too many are at it, the oldest that owes nothing is
    /// cut.
    fn leave(&mut self, number: u64, state: Arc<State>) {
        state.gives_way.cancel();
        self.leaving.insert(number, state);
        if self.leaving.len() > LEAVING {
            let waits = |state: &&Arc<State>| !state.is_busy() && !state.cut.is_cancelled();
            if let Some(oldest) = self.leaving.values().find(waits) {
                oldest.cut.cancel();
            }
        }
    }
}

#[derive(Debug, Default)]
struct State {
    /// Complete requests that we have not answered yet.
    owed: AtomicU32,
    /// The number of the last thing that was said or answered.
    said: AtomicU64,
    finished: AtomicBool,
    gives_way: CancellationToken,
    cut: CancellationToken,
    changed: Notify,
}

impl State {
    fn is_busy(&self) -> bool {
        self.owed.load(Ordering::Acquire) > 0
    }
}

impl Places {
    pub(super) fn new(
        listener: &'static str,
        unfinished: usize,
        finished: usize,
        strangers: bool,
        metrics: Metrics,
    ) -> Arc<Self> {
        let (said, held) = (AtomicU64::default(), Mutex::default());
        let closed = Notify::new();
        Arc::new(Self { listener, unfinished, finished, strangers, said, held, closed, metrics })
    }

    /// A place for a connection that was accepted. Where there were as many unfinished ones as there may be, the oldest
    /// gives way.
    pub(super) fn take(self: &Arc<Self>) -> Place {
        let state = Arc::new(State::default());
        let mut held = self.held();
        held.last += 1;
        let number = held.last;
        held.unfinished.insert(number, Arc::clone(&state));
        if held.unfinished.len() > self.unfinished
            && let Some((number, oldest)) = held.unfinished.pop_first()
        {
            held.leave(number, oldest);
            self.turned_away(Cause::Crowd);
        }
        drop(held);
        Place { places: Arc::clone(self), number, state }
    }

    /// Waits until almost all that had to give way have closed. To accept is faster than to close, so without this a
    /// crowd would take every file descriptor of the process, and with them those of the other listeners.
    pub(super) async fn settle(&self) {
        let settled = async {
            while self.held().leaving.len() > LEAVING {
                self.closed.notified().await;
            }
        };
        // Who takes longer is waited for before the next one, too.
        let _ = timeout(LEAVING_PATIENCE, settled).await;
    }

    /// Lets one connection go that says nothing now, where there is one: the system has no place for another.
    pub(super) fn make_room(&self) {
        let mut held = self.held();
        let gone = held.unfinished.pop_first().or_else(|| self.quietest(&mut held, 0));
        if let Some((number, gone)) = gone {
            held.leave(number, gone);
            self.turned_away(Cause::Crowd);
        }
    }

    pub(super) fn turned_away(&self, cause: Cause) {
        let labels = Labels { listener: self.listener, cause: cause.as_str() };
        self.metrics.turned_away.get_or_create(&labels).inc();
    }

    /// A connection's first request is complete.
    fn finish(&self, number: u64, state: &Arc<State>) {
        let mut held = self.held();
        // Who had to give way meanwhile is in neither list.
        if held.unfinished.remove(&number).is_none() {
            return;
        }
        held.finished.insert(number, Arc::clone(state));
        if held.finished.len() > self.finished {
            let gone = self.quietest(&mut held, number).or_else(|| held.finished.remove_entry(&number));
            if let Some((number, gone)) = gone {
                held.leave(number, gone);
                self.turned_away(Cause::Crowd);
            }
        }
    }

    /// Takes out the finished connection, other than `but`, on which nothing was said for longest; one that waits for
    /// our answer only as the last resort.
    fn quietest(&self, held: &mut Held, but: u64) -> Option<(u64, Arc<State>)> {
        let quiet = held.finished.iter().filter(|(number, _)| **number != but);
        let ranked = quiet.map(|(number, state)| (state.is_busy(), state.said.load(Ordering::Acquire), *number));
        let (is_busy, _, number) = ranked.min()?;
        if is_busy && !self.strangers {
            return None;
        }
        held.finished.remove_entry(&number)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection, which is free when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    state: Arc<State>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.held();
        held.unfinished.remove(&self.number);
        held.finished.remove(&self.number);
        held.leaving.remove(&self.number);
        drop(held);
        self.places.closed.notify_one();
    }
}

impl Place {
    /// Told once others need this place.
    pub(super) fn gives_way(&self) -> WaitForCancellationFuture<'_> {
        self.state.gives_way.cancelled()
    }

    /// Told once it had to give way and may not wait for anything any more.
    pub(super) fn cut(&self) -> WaitForCancellationFuture<'_> {
        self.state.cut.cancelled()
    }

    /// Told when the first request was complete, and where strangers may connect also when anything else was said or
    /// answered, since it was told last.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.state.changed.notified()
    }

    /// Whether a complete request came ever.
    pub(super) fn is_finished(&self) -> bool {
        self.state.finished.load(Ordering::Acquire)
    }

    /// Whether a complete request waits for our answer.
    pub(super) fn is_busy(&self) -> bool {
        self.state.is_busy()
    }

    pub(super) fn turned_away(&self, cause: Cause) {
        self.places.turned_away(cause);
    }

    /// A request that has begun to come.
    pub(super) fn turn(&self) -> Turn {
        Turn {
            places: Arc::clone(&self.places),
            number: self.number,
            state: Arc::clone(&self.state),
            step: AtomicU32::new(SPEAKING),
        }
    }
}

const SPEAKING: u32 = 0;
const OWED: u32 = 1;
const OVER: u32 = 2;

/// One request: first it is the peer's turn, which sends it; when it is complete it is ours, until we have an answer.
/// Reading that is the peer's again.
#[derive(Debug)]
pub(super) struct Turn {
    places: Arc<Places>,
    number: u64,
    state: Arc<State>,
    step: AtomicU32,
}

impl Turn {
    /// The request is complete.
    pub(super) fn complete(&self) {
        if self.step.compare_exchange(SPEAKING, OWED, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.state.owed.fetch_add(1, Ordering::AcqRel);
            self.something_was_said();
        }
    }

    /// Our answer is there. What was answered before it was complete was enough.
    pub(super) fn answered(&self) {
        self.given_up();
        self.something_was_said();
    }

    /// Nobody waits for our answer any more, or it is there.
    pub(super) fn given_up(&self) {
        if self.step.swap(OVER, Ordering::AcqRel) == OWED {
            self.state.owed.fetch_sub(1, Ordering::AcqRel);
            self.changed(false);
        }
    }

    fn something_was_said(&self) {
        self.state.said.store(self.places.said.fetch_add(1, Ordering::Relaxed), Ordering::Release);
        let is_first = !self.state.finished.swap(true, Ordering::AcqRel);
        if is_first {
            self.places.finish(self.number, &self.state);
        }
        self.changed(is_first);
    }

    fn changed(&self, is_first: bool) {
        // A gateway's connection has no more deadlines, and many requests.
        if is_first || self.places.strangers {
            self.state.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(unfinished: usize, finished: usize, strangers: bool) -> Arc<Places> {
        Places::new("test", unfinished, finished, strangers, Metrics::default())
    }

    fn gave_way(place: &Place) -> bool {
        place.state.gives_way.is_cancelled()
    }

    fn says_something(place: &Place) {
        let turn = place.turn();
        turn.complete();
        turn.answered();
    }

    #[test]
    fn the_oldest_unfinished_connection_gives_way_and_no_finished_one() {
        let places = places(2, 2, true);
        let finished = places.take();
        says_something(&finished);
        let silent: Vec<_> = (0..4).map(|_| places.take()).collect();
        assert_eq!(silent.iter().map(gave_way).collect::<Vec<_>>(), [true, true, false, false]);
        assert!(!gave_way(&finished));
        let label = Labels { listener: "test", cause: "crowd" };
        assert_eq!(places.metrics.turned_away.get_or_create(&label).get(), 2);
    }

    #[test]
    fn the_quietest_finished_connection_gives_way_before_one_that_waits_for_us() {
        let places = places(8, 3, true);
        let all: Vec<_> = (0..3).map(|_| places.take()).collect();
        let owed = all[0].turn();
        owed.complete();
        says_something(&all[1]);
        says_something(&all[2]);
        says_something(&all[1]);
        let newcomer = places.take();
        says_something(&newcomer);
        assert_eq!(all.iter().map(gave_way).collect::<Vec<_>>(), [false, false, true]);
        assert!(!gave_way(&newcomer));
    }

    #[test]
    fn where_all_wait_for_us_the_newcomer_or_the_oldest_gives_way() {
        for strangers in [false, true] {
            let places = places(8, 1, strangers);
            let (first, second) = (places.take(), places.take());
            let turns = (first.turn(), second.turn());
            turns.0.complete();
            turns.1.complete();
            assert_eq!((gave_way(&first), gave_way(&second)), (strangers, !strangers));
        }
    }

    #[test]
    fn half_a_request_does_not_finish_and_an_answer_does() {
        let places = places(8, 8, true);
        let place = places.take();
        let turn = place.turn();
        assert!(!place.is_finished() && !place.is_busy());
        turn.complete();
        assert!(place.is_finished() && place.is_busy());
        turn.answered();
        turn.complete();
        assert!(!place.is_busy(), "the rest of a body that was answered before is nothing that we owe");

        let place = places.take();
        let turn = place.turn();
        turn.given_up();
        turn.complete();
        assert!(!place.is_finished(), "half a request that is taken back is nothing said");
    }

    #[test]
    fn a_place_is_free_when_its_connection_ends() {
        let places = places(1, 1, true);
        for _ in 0..3 {
            says_something(&places.take());
            drop(places.take());
        }
        let (first, second) = (places.take(), places.take());
        assert!(gave_way(&first) && !gave_way(&second));
        drop((first, second));
        places.make_room();
        let held = places.held();
        assert!(held.unfinished.is_empty() && held.finished.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_accepted_while_too_many_have_to_close() {
        use futures::FutureExt as _;

        let places = places(1, 1, true);
        let mut all: Vec<_> = (0..=LEAVING).map(|_| places.take()).collect();
        assert!(places.settle().now_or_never().is_some(), "a few may be closing");
        let busy = all[0].turn();
        busy.complete();
        all.push(places.take());
        assert!(places.settle().now_or_never().is_none());
        let was_cut = |place: &Place| place.state.cut.is_cancelled();
        assert!(!was_cut(&all[0]) && was_cut(&all[1]) && !was_cut(&all[2]), "the oldest that owes nothing is cut");
        let waits = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.settle().await }
        });
        tokio::task::yield_now().await;
        all.remove(1);
        let soon = LEAVING_PATIENCE / 2;
        timeout(soon, waits).await.expect("as soon as one has closed").unwrap();

        all.push(places.take());
        assert!(timeout(soon, places.settle()).await.is_err());
        timeout(LEAVING_PATIENCE, places.settle()).await.expect("whoever does not close keeps nobody out for longer");
    }
}
