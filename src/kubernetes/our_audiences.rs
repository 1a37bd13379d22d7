//! Whether one of our audiences is the API server's own, which every pod's own token has.
//!
//! Names alone do not tell what `--api-audiences` says: the API server is asked whether our own token, which is meant
//! for it, would pass as a caller's. Until it has answered nobody knows, and no token counts. It is asked until it
//! answers, and again from time to time, since its flags may change.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{
    config::{Config, ConfigError},
    metrics::Metrics,
    reach::Reach,
    reviews::{ReviewError, Reviews},
};
use crate::calls::Pauses;

/// The first pause after a question without an answer; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest one.
const LAST_PAUSE: Duration = Duration::from_mins(1);
/// After how long it is asked again where our audiences are ours alone.
const ASK_AGAIN: Duration = Duration::from_hours(1);
/// After how long where one is the API server's, and so how often the log says so.
const ASK_AGAIN_WHERE_SHARED: Duration = Duration::from_mins(10);

/// What is known of our audiences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Audiences {
    /// Nothing: the API server has not answered yet.
    Unknown,
    /// They are ours alone.
    Ours,
    /// One is the API server's own.
    ApiServers,
    /// Nobody can tell: we have no token of our own to ask with, but a client certificate for example.
    NotAskable,
}

impl Audiences {
    const ALL: [Self; 4] = [Self::Unknown, Self::Ours, Self::ApiServers, Self::NotAskable];

    /// Whether tokens may be judged.
    #[must_use]
    pub const fn may_judge(self) -> bool {
        matches!(self, Self::Ours | Self::NotAskable)
    }
}

/// Asks, and remembers the last answer.
#[derive(Debug)]
pub(super) struct AudienceCheck {
    audiences: Vec<String>,
    timeout: Duration,
    reviews: Arc<dyn Reviews>,
    reach: Arc<Reach>,
    metrics: Metrics,
    /// An [`Audiences`].
    known: AtomicU8,
    /// Whether this one is in force: one that a reload refuses tells no metric.
    in_force: AtomicBool,
    /// Wakes whoever asks.
    soon: Arc<Notify>,
}

impl AudienceCheck {
    /// Nothing is known yet where there is a token to ask with.
    pub(super) fn new(config: &Config, reviews: &Arc<dyn Reviews>, reach: &Arc<Reach>, metrics: &Metrics) -> Arc<Self> {
        let check = Self {
            audiences: config.every_audience(),
            timeout: config.timeout,
            reviews: Arc::clone(reviews),
            reach: Arc::clone(reach),
            metrics: metrics.clone(),
            known: AtomicU8::new(Audiences::Unknown as u8),
            in_force: AtomicBool::new(false),
            soon: Arc::default(),
        };
        check.found(if reviews.own_token().is_some() { Audiences::Unknown } else { Audiences::NotAskable });
        Arc::new(check)
    }

    /// What is known now. Cheap.
    pub(super) fn known(&self) -> Audiences {
        let known = usize::from(self.known.load(Ordering::Acquire));
        Audiences::ALL.get(known).copied().unwrap_or(Audiences::Unknown)
    }

    pub(super) fn found(&self, audiences: Audiences) {
        self.known.store(audiences as u8, Ordering::Release);
        self.tell();
    }

    fn tell(&self) {
        if self.in_force.load(Ordering::Relaxed) {
            self.metrics.judges_no_tokens(!self.known().may_judge());
        }
    }

    /// Asks once; the audience that is the API server's, where one is. Where there is no answer, what was known stays.
    ///
    /// # Errors
    /// Where there is no answer.
    pub(super) async fn ask(&self) -> Result<Option<String>, ReviewError> {
        let Some(token) = self.reviews.own_token() else {
            // A token that was there before has nothing against us.
            if self.known() != Audiences::ApiServers {
                self.found(Audiences::NotAskable);
            }
            return Ok(None);
        };
        let answer = timeout(self.timeout, self.reviews.review_token(&token, &self.audiences)).await;
        let answer = answer
            .unwrap_or(Err(ReviewError::Deadline))
            .inspect(|_| self.reach.note_answer())
            .inspect_err(|error| self.reach.note_failure(error))?;
        let is_ours = |audience: &String| answer.authenticated && self.audiences.contains(audience);
        let shared = answer.audiences.into_iter().find(is_ours);
        self.found(if shared.is_some() { Audiences::ApiServers } else { Audiences::Ours });
        Ok(shared)
    }

    /// Has the question asked now, for example since the way to the API server was configured anew.
    pub(super) fn ask_soon(&self) {
        self.soon.notify_one();
    }

    /// Asks again and again in a task, which ends when nobody uses this any more. What was asked just now need not be
    /// asked at once.
    pub(super) fn watch(this: &Arc<Self>) {
        this.in_force.store(true, Ordering::Relaxed);
        this.tell();
        let (weak, soon) = (Arc::downgrade(this), Arc::clone(&this.soon));
        tokio::spawn(async move {
            let mut pauses = Pauses::new(FIRST_PAUSE, LAST_PAUSE);
            loop {
                let Some(known) = weak.upgrade().map(|check| check.known()) else { return };
                let wait = match known {
                    Audiences::Unknown => pauses.failed(),
                    Audiences::NotAskable => LAST_PAUSE,
                    Audiences::Ours => ASK_AGAIN,
                    Audiences::ApiServers => ASK_AGAIN_WHERE_SHARED,
                };
                tokio::select! {
                    () = sleep(wait) => {}
                    () = soon.notified() => {}
                }
                let Some(check) = weak.upgrade() else { return };
                match check.ask().await {
                    Ok(Some(audience)) => {
                        let error = ConfigError::ApiServerAudience(audience);
                        tracing::error!(%error, "no ServiceAccount token is accepted: service_accounts.audiences names the API server's own");
                        pauses.succeeded();
                    }
                    Ok(None) => {
                        if !known.may_judge() {
                            tracing::info!(
                                "the API server says that no audience of ours is its own: ServiceAccount tokens are judged"
                            );
                        }
                        pauses.succeeded();
                    }
                    Err(_) => {}
                }
            }
        });
    }
}

impl Drop for AudienceCheck {
    fn drop(&mut self) {
        if self.in_force.load(Ordering::Relaxed) {
            self.metrics.judges_no_tokens(false);
        }
        self.soon.notify_one();
    }
}
