//! What goes wrong with a provider, told once for all who meet it: when it begins, and when it is over.
//!
//! Discovery, sign-ins and sessions come to one provider by several calls. What fails is kept by its kind, with the calls
//! that meet it; the first of a kind is told, and so is its end, which is the success of any of these calls. A call that
//! fails in another way than before leaves the kind that it was of.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::{endpoint::Endpoint, outside_text::for_log, refused::Refused};
use crate::{
    calls::Failing,
    clock::{SharedClock, Timestamp},
    principal::ProviderName,
};

/// How long the provider must have been waited for before a call that was cut off says anything of it.
const LONG: Duration = Duration::from_secs(2);

/// What a provider is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ProviderCall {
    /// Its document and its keys.
    Discovery,
    /// A browser that comes back from it.
    Authorization,
    /// The token endpoint, with a code.
    SignIn,
    /// The token endpoint, with a refresh token.
    Refresh,
    /// What a refresh brought, judged.
    RefreshAnswer,
    /// Userinfo.
    Userinfo,
    /// Introspection.
    Introspection,
    /// Revocation.
    Revocation,
}

impl ProviderCall {
    /// Its name, as the log says it.
    const fn name(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Authorization => "authorization",
            Self::SignIn => "sign_in",
            Self::Refresh => "refresh",
            Self::RefreshAnswer => "refresh_answer",
            Self::Userinfo => "userinfo",
            Self::Introspection => "introspection",
            Self::Revocation => "revocation",
        }
    }

    /// Whether it is our own call. What a browser brings, anybody may have written.
    const fn is_ours(self) -> bool {
        !matches!(self, Self::Authorization)
    }
}

/// Why a call came to nothing, whoever it was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No answer, or one that says "not now".
    Unanswered(String),
    /// An answer that cannot be used.
    Unusable(String),
    /// It refuses this client.
    Refused(Refused),
    /// Something is missing or does not fit, there or here: the text names the setting.
    NotSetUp(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Unanswered,
    Unusable,
    Refused,
    NotSetUp,
}

impl Trouble {
    const fn kind(&self) -> Kind {
        match self {
            Self::Unanswered(_) => Kind::Unanswered,
            Self::Unusable(_) => Kind::Unusable,
            Self::Refused(_) => Kind::Refused,
            Self::NotSetUp(_) => Kind::NotSetUp,
        }
    }

    /// What makes it another cause of the same kind. The words of an outage change from call to call, and so do a
    /// provider's descriptions, which may hold times and ids.
    fn cause(&self) -> String {
        match self {
            Self::Unanswered(_) | Self::Unusable(_) => String::new(),
            Self::Refused(refused) => refused.error.clone(),
            Self::NotSetUp(text) => text.clone(),
        }
    }

    /// In a few words, for operators. The provider's own are in the log alone.
    fn in_short(&self) -> String {
        match self {
            Self::Unanswered(text) => format!("it does not answer: {}", for_log(text)),
            Self::Unusable(text) => format!("its answer cannot be used: {}", for_log(text)),
            Self::Refused(refused) => format!("it refuses this client: error `{}`", refused.error),
            Self::NotSetUp(text) => for_log(text),
        }
    }
}

/// That a provider fails, as it was when it was needed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderFailure {
    /// Since when.
    pub since: Timestamp,
    /// What failed last, and why.
    pub problem: String,
}

/// The troubles with one provider.
#[derive(Debug)]
pub(crate) struct Troubles {
    provider: ProviderName,
    clock: SharedClock,
    kinds: Mutex<BTreeMap<Kind, OfKind>>,
}

#[derive(Debug, Default)]
struct OfKind {
    failing: Failing<String>,
    /// The calls that met it last.
    calls: BTreeSet<ProviderCall>,
    /// The last one, in short, and when it was (monotonic).
    last: (Duration, String),
}

/// A call that has begun. Dropped without an end, it was cut off.
#[must_use]
struct Begun<'a> {
    troubles: &'a Troubles,
    call: ProviderCall,
    endpoint: &'a Endpoint,
    /// Monotonic.
    at: Duration,
    has_ended: bool,
}

impl Troubles {
    pub(super) fn new(provider: &ProviderName, clock: &SharedClock) -> Self {
        Self { provider: provider.clone(), clock: Arc::clone(clock), kinds: Mutex::default() }
    }

    /// Asks, and notes what comes of it: a good answer, what `trouble` makes of the error, or that it was cut off.
    pub(crate) async fn noted<T, E>(
        &self,
        call: ProviderCall,
        endpoint: &Endpoint,
        asked: impl Future<Output = Result<T, E>>,
        trouble: impl FnOnce(&E) -> Option<Trouble>,
    ) -> Result<T, E> {
        let begun = self.begun(call, endpoint);
        let outcome = asked.await;
        begun.ended(outcome.as_ref().err().and_then(trouble).as_ref());
        outcome
    }

    fn begun<'a>(&'a self, call: ProviderCall, endpoint: &'a Endpoint) -> Begun<'a> {
        Begun { troubles: self, call, endpoint, at: self.clock.monotonic(), has_ended: false }
    }

    /// A call of this kind came to nothing.
    pub(crate) fn failed(&self, call: ProviderCall, url: &str, trouble: &Trouble) {
        let now = self.clock.monotonic();
        let (over, is_news) = {
            let mut kinds = self.kinds();
            let others = kinds.iter_mut().filter(|(kind, _)| **kind != trouble.kind());
            let left = others.filter_map(|(kind, of)| Some((*kind, of.left_by(call, now)?)));
            let over: Vec<_> = left.collect();
            let of = kinds.entry(trouble.kind()).or_default();
            of.calls.insert(call);
            of.last = (now, format!("{}: {}", call.name(), trouble.in_short()));
            (over, of.failing.failed(now, trouble.cause()))
        };
        for (kind, lasted) in over {
            self.tell_end(kind, call, lasted);
        }
        if is_news {
            self.tell(call, url, trouble);
        }
    }

    /// There was no place for a call of this kind: those that run take too long.
    pub(crate) fn crowded(&self, call: ProviderCall) {
        self.failed(call, "", &Trouble::Unanswered("too many calls wait for it".to_owned()));
    }

    /// A call of this kind was answered as it should be.
    pub(crate) fn succeeded(&self, call: ProviderCall) {
        let now = self.clock.monotonic();
        let over: Vec<_> =
            self.kinds().iter_mut().filter_map(|(kind, of)| Some((*kind, of.ended_by(call, now)?))).collect();
        for (kind, lasted) in over {
            self.tell_end(kind, call, lasted);
        }
    }

    /// Tells once more what lasts: somebody has changed the configuration.
    pub(super) fn tell_again(&self) {
        for of in self.kinds().values() {
            of.failing.tell_again();
        }
    }

    /// What fails, where something of our own calls does.
    pub(super) fn failure(&self) -> Option<ProviderFailure> {
        let kinds = self.kinds();
        let failing = || kinds.values().filter(|of| of.calls.iter().any(|call| call.is_ours()));
        let since = failing().filter_map(|of| of.failing.since()).min()?;
        let (_, problem) = &failing().max_by_key(|of| of.last.0)?.last;
        Some(ProviderFailure { since: self.moment(since), problem: problem.clone() })
    }

    /// A moment of the monotonic clock, by the other one.
    pub(super) fn moment(&self, monotonic: Duration) -> Timestamp {
        self.clock.now().minus(self.clock.monotonic().saturating_sub(monotonic))
    }

    fn tell(&self, call: ProviderCall, url: &str, trouble: &Trouble) {
        let (provider, call) = (self.provider.as_str(), call.name());
        match trouble {
            Trouble::Unanswered(text) => {
                tracing::warn!(provider, call, url, error = for_log(text), "the provider does not answer");
            }
            Trouble::Unusable(text) => {
                tracing::warn!(provider, call, url, error = for_log(text), "the provider's answer cannot be used");
            }
            Trouble::Refused(refused) => {
                let Refused { error, description } = refused;
                tracing::error!(
                    provider,
                    call,
                    url,
                    error,
                    description,
                    setting = refused.setting(),
                    "sign-in is not set up: the provider refuses this client"
                );
            }
            Trouble::NotSetUp(text) => {
                tracing::error!(provider, call, url, error = for_log(text), "sign-in is not set up");
            }
        }
    }

    fn tell_end(&self, kind: Kind, call: ProviderCall, lasted: Duration) {
        let (provider, call, lasted_s) = (self.provider.as_str(), call.name(), lasted.as_secs());
        match kind {
            Kind::Unanswered => tracing::info!(provider, call, lasted_s, "the provider answers again"),
            Kind::Unusable => tracing::info!(provider, call, lasted_s, "the provider's answer can be used again"),
            Kind::Refused => tracing::info!(provider, call, lasted_s, "the provider takes this client again"),
            Kind::NotSetUp => tracing::info!(provider, call, lasted_s, "sign-in is set up again"),
        }
    }

    fn kinds(&self) -> MutexGuard<'_, BTreeMap<Kind, OfKind>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OfKind {
    /// The call was answered: how long all of this lasted, where that is to be told.
    fn ended_by(&mut self, call: ProviderCall, now: Duration) -> Option<Duration> {
        if !self.calls.contains(&call) {
            return None;
        }
        self.calls.clear();
        self.failing.succeeded(now)
    }

    /// The call fails in another way. Where nobody else meets this any more, it is over.
    fn left_by(&mut self, call: ProviderCall, now: Duration) -> Option<Duration> {
        let is_last = self.calls.remove(&call) && self.calls.is_empty();
        if is_last { self.failing.succeeded(now) } else { None }
    }
}

impl Begun<'_> {
    /// The call has ended: in this trouble, or well.
    fn ended(mut self, trouble: Option<&Trouble>) {
        self.has_ended = true;
        match trouble {
            Some(trouble) => self.troubles.failed(self.call, self.endpoint.url().as_str(), trouble),
            None => self.troubles.succeeded(self.call),
        }
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        // A panic is a fault of ours, and says nothing about the provider.
        if mem::replace(&mut self.has_ended, true) || thread::panicking() {
            return;
        }
        let waited = self.troubles.clock.monotonic().saturating_sub(self.at);
        if waited >= LONG {
            let trouble = Trouble::Unanswered(format!("no answer within {} s", waited.as_secs()));
            self.troubles.failed(self.call, self.endpoint.url().as_str(), &trouble);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    struct World {
        clock: Arc<ManualClock>,
        troubles: Troubles,
    }

    impl World {
        fn new() -> Self {
            let clock = ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000));
            let shared: SharedClock = clock.clone();
            Self { troubles: Troubles::new(&ProviderName::parse("dex").unwrap(), &shared), clock }
        }

        /// What is told of this failure: whether anything is.
        fn fails(&self, call: ProviderCall, trouble: &Trouble) -> bool {
            let told = || self.troubles.kinds().get(&trouble.kind()).map(|of| format!("{:?}", of.failing));
            let before = told();
            self.troubles.failed(call, "https://idp.example.com/", trouble);
            before != told()
        }

        fn problem(&self) -> Option<(u64, String)> {
            let failure = self.troubles.failure()?;
            Some((failure.since.as_unix_seconds() - 1_800_000_000, failure.problem))
        }
    }

    fn down(text: &str) -> Trouble {
        Trouble::Unanswered(text.to_owned())
    }

    #[test]
    fn an_outage_is_one_whichever_calls_meet_it_and_the_first_answer_ends_it() {
        let world = World::new();
        assert!(world.fails(ProviderCall::Refresh, &down("status 503")));
        world.clock.advance(Duration::from_mins(2));
        assert!(!world.fails(ProviderCall::Introspection, &down("cannot connect")));
        assert!(!world.fails(ProviderCall::Discovery, &down("no answer")));
        assert_eq!(world.problem(), Some((0, "discovery: it does not answer: no answer".to_owned())));
        // Another endpoint, which never failed, says nothing about it.
        world.troubles.succeeded(ProviderCall::Userinfo);
        assert!(world.problem().is_some());
        world.troubles.succeeded(ProviderCall::Introspection);
        assert_eq!(world.problem(), None);
    }

    #[test]
    fn a_call_that_fails_in_another_way_leaves_what_it_was_of() {
        let world = World::new();
        let refused = Trouble::Refused(Refused::new("invalid_client", Some("another secret, at 12:01")));
        assert!(world.fails(ProviderCall::Refresh, &down("status 503")));
        world.clock.advance(Duration::from_secs(10));
        assert!(world.fails(ProviderCall::Refresh, &refused));
        assert_eq!(world.problem(), Some((10, "refresh: it refuses this client: error `invalid_client`".to_owned())));
        // The provider's description is no other cause; another error is.
        world.clock.advance(Duration::from_mins(2));
        let later = Trouble::Refused(Refused::new("invalid_client", Some("another secret, at 12:03")));
        assert!(!world.fails(ProviderCall::SignIn, &later));
        assert!(world.fails(ProviderCall::SignIn, &Trouble::Refused(Refused::new("unauthorized_client", None))));
        world.troubles.succeeded(ProviderCall::SignIn);
        assert_eq!(world.problem(), None);
    }

    #[test]
    fn what_a_browser_brings_is_no_state_of_the_provider() {
        let world = World::new();
        let refused = Trouble::Refused(Refused::new("invalid_scope", None));
        assert!(world.fails(ProviderCall::Authorization, &refused));
        assert_eq!(world.problem(), None);
    }

    #[test]
    fn a_call_that_was_cut_off_counts_where_the_provider_was_waited_for() {
        let world = World::new();
        let endpoint = Endpoint::parse("https://idp.example.com/token", false).unwrap();
        drop(world.troubles.begun(ProviderCall::Refresh, &endpoint));
        assert_eq!(world.problem(), None);
        let begun = world.troubles.begun(ProviderCall::Refresh, &endpoint);
        world.clock.advance(LONG);
        drop(begun);
        assert_eq!(world.problem().unwrap().1, "refresh: it does not answer: no answer within 2 s");
        world.troubles.begun(ProviderCall::Refresh, &endpoint).ended(None);
        assert_eq!(world.problem(), None);
    }

    #[test]
    fn what_does_not_fit_is_told_with_each_new_text() {
        let world = World::new();
        let text = |text: &str| Trouble::NotSetUp(text.to_owned());
        assert!(world.fails(ProviderCall::Discovery, &text("status 404")));
        world.clock.advance(Duration::from_mins(1));
        assert!(!world.fails(ProviderCall::Discovery, &text("status 404")));
        assert!(world.fails(ProviderCall::Discovery, &text("another issuer")));
    }
}
