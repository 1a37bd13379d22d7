//! The sessions of signed-in browsers, from ticket to person.

use std::{sync::Arc, time::Duration};

use thiserror::Error;
use tracing::{debug, info, warn};

use super::{
    belonging::Belongings,
    cache::OpenedSessions,
    config::Config,
    metrics::{Metrics, OpenOutcome},
    record::{self, NewSession, Opened, Renewal, Session, Tokens},
    registration::Registration,
    ticket::Ticket,
};
use crate::{
    calls::Places,
    clock::{SharedClock, Timestamp},
    principal::Userid,
    reason::Reason,
    secret::{RootKeyRing, SecretString, SharedRootKeyRing},
    store::{
        CLOCK_TOLERANCE, IndexKeys, Inserted, LeaseHolder, LeaseStore, MarkStore, NewRecord, RecordName, Replaced,
        Replacement, SWEEP_BATCH, SessionStore, StoreError, StoreReach, Stores, index,
    },
};

/// How often the last use of a session is stored, unless the idle lifetime is shorter than two of it.
const LAST_SEEN_INTERVAL: Duration = Duration::from_mins(1);
/// How many uses wait to be stored at once. One more is not stored; the next one is, a minute later.
const USES_AT_ONCE: usize = 2048;
/// How often the store is swept of what has expired.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// Why a ticket gave no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// It is no ticket that we made for this origin and provider.
    #[error("the cookie is no session of this origin")]
    NotOurs,
    /// Its session has ended: logged out, expired, unused for too long, or of another issuer or client than now.
    #[error("the session has ended")]
    Ended,
    /// The store does not answer: nothing is known of the session.
    #[error("the session store is unavailable")]
    Unavailable,
}

impl From<OpenError> for Reason {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::NotOurs => Self::TicketInvalid,
            OpenError::Ended => Self::SessionEnded,
            OpenError::Unavailable => Self::StoreUnavailable,
        }
    }
}

/// Why a session did not begin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CreateError {
    /// The person was logged out by the provider or an administrator while they signed in.
    #[error("the person was logged out while signing in")]
    LoggedOut,
    /// The store did not keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A session as the store had it at some moment.
#[derive(Debug)]
pub struct Current {
    ticket: Ticket,
    opened: Opened,
    version: u64,
}

impl Current {
    /// The session.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.opened.session
    }

    /// What the provider issued for it.
    #[must_use]
    pub const fn tokens(&self) -> &Tokens {
        &self.opened.tokens
    }
}

/// What became of a change of a session.
#[derive(Debug)]
pub enum Renewed<T = Arc<Session>> {
    /// It is stored.
    Done(T),
    /// The session has ended meanwhile.
    Ended,
    /// Somebody else renewed it first: read again.
    Superseded,
}

/// Opens, begins and ends sessions. Shared by all checks.
///
/// A session that is in use is opened from memory: one keyed hash, one look-up, no call to the store.
#[derive(Debug)]
pub struct Sessions {
    pub(super) store: Arc<dyn SessionStore>,
    marks: Arc<dyn MarkStore>,
    leases: Arc<dyn LeaseStore>,
    pub(super) ring: SharedRootKeyRing,
    pub(super) clock: SharedClock,
    pub(super) absolute_lifetime: Duration,
    idle_lifetime: Duration,
    opened: OpenedSessions,
    belongings: Belongings,
    /// One place for each use that is being stored.
    uses: Places,
    pub(super) metrics: Metrics,
}

impl Sessions {
    /// Sessions in `stores`, under the keys of `ring`.
    #[must_use]
    pub fn new(
        stores: &Stores,
        ring: SharedRootKeyRing,
        clock: SharedClock,
        config: &Config,
        metrics: Metrics,
    ) -> Self {
        let Stores { sessions: store, marks, leases, .. } = stores.clone();
        let opened = OpenedSessions::of(Arc::clone(&store), config.open_bytes);
        let (absolute_lifetime, idle_lifetime) = (config.absolute_lifetime, config.idle_lifetime);
        let uses = Places::new(USES_AT_ONCE);
        let belongings = Belongings::default();
        Self { store, marks, leases, ring, clock, absolute_lifetime, idle_lifetime, opened, belongings, uses, metrics }
    }

    /// The session of a ticket that was presented at `origin`, whose people sign in at `registration`. Counts as a use of
    /// it.
    ///
    /// # Errors
    /// Where there is none, or that cannot be told.
    pub async fn open(
        &self,
        ticket: &str,
        origin: &str,
        registration: &Registration,
    ) -> Result<Arc<Session>, OpenError> {
        let session = match self.open_cached(ticket, origin, registration) {
            Some(Ok(cached)) => {
                self.use_found(&cached);
                return Ok(cached);
            }
            Some(Err(error)) => Err(error),
            None => self
                .open_stored(ticket, origin, registration)
                .await
                .inspect(|_| self.metrics.opened(OpenOutcome::Stored)),
        };
        match &session {
            Ok(session) => self.see(session),
            Err(OpenError::NotOurs) => self.metrics.opened(OpenOutcome::NotOurs),
            Err(OpenError::Ended) => self.metrics.opened(OpenOutcome::Ended),
            Err(OpenError::Unavailable) => self.metrics.opened(OpenOutcome::Unavailable),
        }
        session
    }

    /// As [`Sessions::open`], where the session is in memory, and without counting as a use of it: nobody is waited for.
    #[must_use]
    pub fn find(&self, ticket: &str, origin: &str, registration: &Registration) -> Option<Arc<Session>> {
        self.open_cached(ticket, origin, registration)?.ok()
    }

    /// Counts as a use of a session that was [found](Self::find).
    pub fn use_found(&self, session: &Arc<Session>) {
        self.metrics.opened(OpenOutcome::Cached);
        self.see(session);
    }

    /// Weighs a session that is kept in memory anew: what services were [told](Session::told) by it has grown.
    pub fn weigh(&self, ticket: &str) {
        self.opened.weigh(&OpenedSessions::key(&self.ring.load(), ticket));
    }

    /// What memory says of the ticket; `None` where the store must be asked.
    fn open_cached(
        &self,
        ticket: &str,
        origin: &str,
        registration: &Registration,
    ) -> Option<Result<Arc<Session>, OpenError>> {
        let ring = self.ring.load();
        let session = self.opened.get(&OpenedSessions::key(&ring, ticket), self.clock.monotonic())?;
        if !ring.key_ids().any(|key| key == session.key()) {
            return Some(Err(OpenError::NotOurs));
        }
        if session.origin() != origin || *session.provider() != registration.provider {
            return Some(Err(OpenError::NotOurs));
        }
        // Another replica may know of a later use, and the store deletes what has ended: both are asked there.
        (session.is_of(registration) && self.is_live(&session)).then_some(Ok(session))
    }

    async fn open_stored(
        &self,
        text: &str,
        origin: &str,
        registration: &Registration,
    ) -> Result<Arc<Session>, OpenError> {
        let ring = self.ring.load_full();
        let ticket = Ticket::parse(&ring, text).ok_or(OpenError::NotOurs)?;
        let (epoch, read_at) = (self.opened.epoch(ticket.name()), self.clock.monotonic());
        let key = OpenedSessions::key(&ring, text);
        let (opened, _) = self.read(&ring, &ticket, origin, registration).await.inspect_err(|error| {
            if *error != OpenError::Unavailable {
                self.opened.remove(&key);
            }
        })?;
        let session = opened.session.sharing(&self.belongings);
        let session = Arc::new(match self.opened.before(&key) {
            Some(before) => session.after(&before),
            None => session,
        });
        self.opened.insert(key, Arc::clone(&session), epoch, read_at);
        Ok(session)
    }

    /// Reads a session from the store, with its version there. One that has ended by what only its seal tells is deleted.
    async fn read(
        &self,
        ring: &RootKeyRing,
        ticket: &Ticket,
        origin: &str,
        registration: &Registration,
    ) -> Result<(Opened, u64), OpenError> {
        let stored = self.store.get(ticket.name()).await.map_err(|error| self.unavailable(&error))?;
        let stored = stored.ok_or(OpenError::Ended)?;
        let provider = &registration.provider;
        let opened = record::open(ring, ticket, origin, provider, &stored.sealed, &stored.listing).map_err(|_| {
            // Either the cookie was carried to another origin, or somebody wrote to the store.
            debug!(session = %ticket.handle(), origin, "a session's record does not open");
            OpenError::NotOurs
        })?;
        let now = self.clock.now();
        if opened.session.created_at() > now.plus(CLOCK_TOLERANCE) {
            warn!(session = %ticket.handle(), "a session is dated in the future: the clock stepped back");
            return Err(OpenError::Ended);
        }
        let is_of_another = !opened.session.is_of(registration);
        if is_of_another {
            let (session, provider) = (ticket.handle(), provider.as_str());
            info!(%session, provider, "a session ends: it came of another issuer or client id under this provider's name");
        }
        if is_of_another || !self.is_live(&opened.session) {
            self.store.remove(ticket.name()).await.map_err(|error| self.unavailable(&error))?;
            return Err(OpenError::Ended);
        }
        Ok((opened, stored.version))
    }

    fn is_live(&self, session: &Session) -> bool {
        let now = self.clock.now();
        let dated_ahead = session.created_at() > now.plus(CLOCK_TOLERANCE);
        // The lifetime may have been shortened since the session began.
        let absolute = session.created_at().plus(self.absolute_lifetime);
        !dated_ahead && now < session.ends_at(self.idle_lifetime).min(absolute)
    }

    /// What the provider issued for a session; read from the store each time.
    ///
    /// # Errors
    /// As for [`Sessions::open`].
    pub async fn tokens(&self, ticket: &str, origin: &str, registration: &Registration) -> Result<Tokens, OpenError> {
        let ring = self.ring.load_full();
        let ticket = Ticket::parse(&ring, ticket).ok_or(OpenError::NotOurs)?;
        Ok(self.read(&ring, &ticket, origin, registration).await?.0.tokens)
    }

    /// A session as the store has it now, for [`Sessions::renew`].
    ///
    /// # Errors
    /// As for [`Sessions::open`].
    pub async fn current(&self, ticket: &str, origin: &str, registration: &Registration) -> Result<Current, OpenError> {
        let ring = self.ring.load_full();
        let ticket = Ticket::parse(&ring, ticket).ok_or(OpenError::NotOurs)?;
        let (opened, version) = self.read(&ring, &ticket, origin, registration).await?;
        Ok(Current { ticket, opened, version })
    }

    /// Keeps the refresh token that the provider gave in the place of the last one, before anything else of that answer
    /// counts; else as for [`Sessions::renew`]. What the session says stays as it is.
    ///
    /// # Errors
    /// As for [`Sessions::renew`].
    pub async fn keep_refresh_token(
        &self,
        current: &mut Current,
        token: &SecretString,
    ) -> Result<Renewed<()>, StoreError> {
        let tokens = Tokens { refresh_token: Some(token.clone()), ..current.opened.tokens.clone() };
        let Ok(sealed) = record::with_tokens(&self.ring.load(), &current.ticket, &current.opened, &tokens) else {
            return Ok(Renewed::Ended);
        };
        let session = &current.opened.session;
        let kept = self.replace(session, current.version, sealed).await?;
        if matches!(kept, Renewed::Done(())) {
            current.opened.tokens = tokens;
            current.version = current.version.saturating_add(1);
        }
        Ok(kept)
    }

    /// Replaces what a session says, where it still exists and nobody else has replaced it since it was read: a logout
    /// always wins. Stored durably when this returns, and nobody is told what was there before.
    ///
    /// # Errors
    /// Where the store does not answer: whether it is stored is not known.
    pub async fn renew(&self, current: &Current, renewal: &Renewal) -> Result<Renewed, StoreError> {
        let ring = self.ring.load_full();
        let Ok((session, sealed)) = record::renew(&ring, &current.ticket, &current.opened, renewal) else {
            // Its key has left the ring, and the session with it.
            return Ok(Renewed::Ended);
        };
        Ok(match self.replace(&session, current.version, sealed).await? {
            Renewed::Done(()) => Renewed::Done(Arc::new(session)),
            Renewed::Ended => Renewed::Ended,
            Renewed::Superseded => Renewed::Superseded,
        })
    }

    async fn replace(&self, session: &Session, version: u64, sealed: Vec<u8>) -> Result<Renewed<()>, StoreError> {
        let expires_at = session.ends_at(self.idle_lifetime);
        let outcome = self.store.replace(session.name(), Replacement { version, sealed, expires_at }).await;
        Ok(match outcome.inspect_err(|error| self.note_failure(error))? {
            Replaced::Done => Renewed::Done(()),
            Replaced::Gone => Renewed::Ended,
            Replaced::Stale => Renewed::Superseded,
        })
    }

    /// Begins a session. Returns its ticket, the value of the cookie. Stored durably when this returns; whoever drops
    /// this future does not know whether it is.
    ///
    /// # Errors
    /// Where a logout came first, or the store did not keep it.
    pub async fn create(&self, new: NewSession) -> Result<(SecretString, Arc<Session>), CreateError> {
        let ring = self.ring.load_full();
        let now = self.clock.now();
        let subject = index::subject(&ring, &new.user.issuer, &new.user.subject);
        let provider_session = match new.provider_session.as_deref() {
            Some(session) => index::provider_session(&ring, &new.user.issuer, session),
            None => index::no_provider_session(&ring, &new.user.issuer, &new.user.subject),
        };
        let userid = index::userid(&ring, new.user.userid.as_str());
        let login_began_at = new.login_began_at;
        let ticket = Ticket::issue(&ring);
        let (session, sealed) = record::begin(&ring, &ticket, new, now, self.absolute_lifetime);
        let record = NewRecord {
            name: *ticket.name(),
            sealed,
            listing: session.seal_listing(&ring),
            created_at: now,
            expires_at: session.ends_at(self.idle_lifetime),
            login_began_at,
            subject,
            provider_session: Some(provider_session),
            userid,
        };
        match self.store.insert(record).await.inspect_err(|error| self.note_failure(error))? {
            Inserted::Stored { ended } => {
                self.metrics.created.inc();
                self.metrics.evicted.inc_by(ended.len() as u64);
                Ok((ticket.to_cookie_value(), Arc::new(session)))
            }
            Inserted::LoggedOut => Err(CreateError::LoggedOut),
            Inserted::NameTaken => Err(StoreError::Damaged("a new session's name is taken".to_owned()).into()),
        }
    }

    /// Whether this is a ticket that we made, of a session that lives or not. No call to the store.
    #[must_use]
    pub fn made(&self, ticket: &str) -> bool {
        Ticket::parse(&self.ring.load(), ticket).is_some()
    }

    /// Ends the session of a ticket; whether there was one. It is gone when this returns, from memory and store, and
    /// on every replica that shares them.
    ///
    /// # Errors
    /// Where the store did not delete it: the session may live.
    pub async fn end(&self, ticket: &str) -> Result<bool, StoreError> {
        let ring = self.ring.load_full();
        let key = OpenedSessions::key(&ring, ticket);
        let Some(ticket) = Ticket::parse(&ring, ticket) else { return Ok(false) };
        self.opened.remove(&key);
        let existed = self.store.remove(ticket.name()).await.inspect_err(|error| self.note_failure(error))?;
        self.metrics.ended.inc_by(u64::from(existed));
        Ok(existed)
    }

    /// Ends every session of a person, and refuses those whose login has begun; how many ended.
    ///
    /// # Errors
    /// Where the store did not: some may live.
    pub async fn end_subject(&self, issuer: &str, subject: &str) -> Result<usize, StoreError> {
        let index = index::subject(&self.ring.load(), issuer, subject);
        self.end_all(&index).await
    }

    /// Ends every session that came of one session at the provider (`sid`), and refuses those whose login has begun;
    /// how many ended.
    ///
    /// # Errors
    /// Where the store did not: some may live.
    pub async fn end_provider_session(&self, issuer: &str, session: &str) -> Result<usize, StoreError> {
        let index = index::provider_session(&self.ring.load(), issuer, session);
        self.end_all(&index).await
    }

    /// Ends every session of whoever services know by this name, of whatever provider, and refuses those whose login has
    /// begun; how many ended.
    ///
    /// # Errors
    /// Where the store did not: some may live.
    pub async fn end_userid(&self, userid: &Userid) -> Result<usize, StoreError> {
        let index = index::userid(&self.ring.load(), userid.as_str());
        self.end_all(&index).await
    }

    async fn end_all(&self, index: &IndexKeys) -> Result<usize, StoreError> {
        self.end_each(index).await.map(|names| names.len())
    }

    /// Ends every session of an index, and refuses those whose login has begun; the names of the records that ended.
    pub(super) async fn end_each(&self, index: &IndexKeys) -> Result<Vec<RecordName>, StoreError> {
        let now = self.clock.now();
        let until = now.plus(self.absolute_lifetime);
        let ended = self.store.end_all(index, now, until).await.inspect_err(|error| self.note_failure(error))?;
        self.metrics.ended.inc_by(ended.len() as u64);
        Ok(ended)
    }

    /// Takes the lease on a session for `lasts`, or renews it; whether `holder` has it now. Of all replicas one does.
    ///
    /// # Errors
    /// Where the store does not answer: the lease must be taken for another's.
    pub async fn take_lease(
        &self,
        session: &Session,
        holder: &LeaseHolder,
        lasts: Duration,
    ) -> Result<bool, StoreError> {
        let Some(lease) = index::session_lease(&self.ring.load(), session.key(), session.name()) else {
            return Ok(false);
        };
        let until = self.clock.now().plus(lasts);
        self.leases.take_lease(&lease, holder, until).await.inspect_err(|error| self.note_failure(error))
    }

    /// Gives the lease on a session back; whether `holder` had it.
    ///
    /// # Errors
    /// Where the store does not answer: the lease ends by itself.
    pub async fn release_lease(&self, session: &Session, holder: &LeaseHolder) -> Result<bool, StoreError> {
        let Some(lease) = index::session_lease(&self.ring.load(), session.key(), session.name()) else {
            return Ok(false);
        };
        self.leases.release_lease(&lease, holder).await.inspect_err(|error| self.note_failure(error))
    }

    /// Spends `mark`, the name of something that works once, until `until`; whether it was unspent. Of several that
    /// spend it at once, on all replicas, one is told so.
    ///
    /// # Errors
    /// Where the store does not answer: the mark must be taken for spent.
    pub async fn spend(&self, mark: &[u8], until: Timestamp) -> Result<bool, StoreError> {
        let keys = index::spent(&self.ring.load(), mark);
        self.marks.spend(&keys, until).await.inspect_err(|error| self.note_failure(error))
    }

    /// Deletes what has expired from the store, now and every half minute. Never ends.
    pub async fn maintain(&self) {
        let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.sweep().await;
        }
    }

    pub(super) async fn sweep(&self) {
        self.opened.sweep();
        loop {
            match self.store.sweep().await {
                Ok(deleted) => {
                    self.metrics.expired.inc_by(deleted as u64);
                    if deleted < SWEEP_BATCH {
                        return;
                    }
                }
                Err(error) => return self.note_failure(&error),
            }
        }
    }

    /// Notes a use of the session, and stores it in the background where the last one that was stored is old enough.
    fn see(&self, session: &Arc<Session>) {
        if !session.see(self.clock.now(), LAST_SEEN_INTERVAL.min(self.idle_lifetime / 2)) {
            return;
        }
        let Some(place) = self.uses.take_now() else {
            return debug!(session = %session.handle(), "the use of a session is not stored: too many wait");
        };
        let listing = session.seal_listing(&self.ring.load());
        let expires_at = session.ends_at(self.idle_lifetime);
        let (store, name, metrics) = (Arc::clone(&self.store), *session.name(), self.metrics.clone());
        tokio::spawn(async move {
            touch(store.as_ref(), &name, listing, expires_at, &metrics).await;
            drop(place);
        });
    }

    /// How the store's servers are reached; `None` where it is within this process.
    #[must_use]
    pub fn store_reach(&self) -> Option<StoreReach> {
        self.store.reach()
    }

    fn unavailable(&self, error: &StoreError) -> OpenError {
        self.note_failure(error);
        OpenError::Unavailable
    }

    pub(super) fn note_failure(&self, error: &StoreError) {
        warn!(%error, "the session store failed");
        self.metrics.store_failures.inc();
    }
}

async fn touch(
    store: &dyn SessionStore,
    name: &RecordName,
    listing: Vec<u8>,
    expires_at: Timestamp,
    metrics: &Metrics,
) {
    match store.touch(name, listing, expires_at).await {
        Ok(true) => {}
        Ok(false) => debug!("a session ended before its last use was stored"),
        Err(error) => {
            warn!(%error, "the last use of a session was not stored");
            metrics.store_failures.inc();
        }
    }
}
