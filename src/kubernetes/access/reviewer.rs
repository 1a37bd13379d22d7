//! Who asks, remembers and bounds.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    AccessReviews,
    cache::{Answers, Known},
    config::AccessConfig,
    question::{AccessQuestion, QuestionKey},
};
use crate::{
    calls::{Breaker, Part, SharedCalls},
    clock::SharedClock,
    decision::Refusal,
    kubernetes::{
        bounds::Bounds,
        metrics::{Metrics, Outcome, Source},
        reach::Reach,
        reviews::ReviewError,
    },
    memory::{self, Taken},
    reason::Reason,
};

/// Asks what somebody may do, and remembers the answers. Clones share caches and bounds.
#[derive(Clone, Debug)]
pub struct AccessReviewer(Arc<Reviewer>);

/// The proof that the API server answered a question with yes. Only an [`AccessReviewer`] makes one.
#[derive(Debug)]
#[must_use]
pub struct AccessAllowed(());

/// What is known of a question, for whoever explains a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTold {
    /// The API server's answer, and how old it is.
    Answered {
        /// Whether it is yes.
        is_yes: bool,
        /// Its age.
        age: Duration,
    },
    /// There is none, for this reason.
    Unanswered(Reason),
}

#[derive(Debug)]
struct Reviewer {
    config: AccessConfig,
    reviews: Arc<dyn AccessReviews>,
    clock: SharedClock,
    answers: Answers,
    calls: SharedCalls<QuestionKey, Asked>,
    bounds: Bounds,
    breaker: Breaker,
    reach: Reach,
    metrics: Metrics,
}

/// An answer, or why there is none.
type Asked = Result<Known, Refusal>;

impl AccessReviewer {
    /// Asks by `reviews`.
    #[must_use]
    pub fn new(config: AccessConfig, reviews: Arc<dyn AccessReviews>, clock: SharedClock, metrics: Metrics) -> Self {
        Self(Arc::new(Reviewer {
            answers: Answers::new(&config),
            calls: SharedCalls::new(),
            bounds: Bounds::new(config.max_concurrent_reviews, memory::ACCESS_CALLS),
            breaker: Breaker::new(),
            reach: Reach::new(&clock, "access reviews"),
            config,
            reviews,
            clock,
            metrics,
        }))
    }

    /// Whether the groups of people are part of a question.
    #[must_use]
    pub fn asks_for_groups_of_people(&self) -> bool {
        self.0.config.groups_of_people
    }

    /// Whether the API server answered the last review. True before the first one.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.0.reach.is_answered()
    }

    /// Asks whether somebody may do something.
    ///
    /// # Errors
    /// [`Reason::AccessReviewDenied`] where the answer is no; where there is none, a refusal that says when to try again.
    pub async fn review(&self, question: &AccessQuestion) -> Result<AccessAllowed, Refusal> {
        if self.0.answer(question).await?.is_yes {
            Ok(AccessAllowed(()))
        } else {
            Err(Reason::AccessReviewDenied.into())
        }
    }

    /// What is known of a question. Asks as [`AccessReviewer::review`] does.
    pub async fn tell(&self, question: &AccessQuestion) -> AccessTold {
        match self.0.answer(question).await {
            Ok(Known { is_yes, age }) => AccessTold::Answered { is_yes, age },
            Err(refusal) => AccessTold::Unanswered(refusal.reason()),
        }
    }
}

impl Reviewer {
    async fn answer(self: &Arc<Self>, question: &AccessQuestion) -> Asked {
        let key = question.key();
        if let Some(known) = self.answers.get(&key, self.clock.monotonic()) {
            self.metrics.access_answer(if known.is_yes { Source::Cache } else { Source::NegativeCache });
            return Ok(known);
        }
        let late = || Err(Reason::ApiServerUnavailable.into());
        let answer = timeout(self.config.timeout, self.ask(key, question)).await.unwrap_or_else(|_| late());
        self.metrics.access_answer(if answer.is_ok() { Source::Review } else { Source::None });
        answer
    }

    /// Takes part in the call for this question.
    async fn ask(self: &Arc<Self>, key: QuestionKey, question: &AccessQuestion) -> Asked {
        match self.join(key, question).map(Part::call) {
            Ok(call) => call.await.unwrap_or_else(|| Err(Reason::Internal.into())),
            Err(known) => known,
        }
    }

    /// Takes part in the call for this question, or begins one; what is known already, or why none may begin.
    fn join(self: &Arc<Self>, key: QuestionKey, question: &AccessQuestion) -> Result<Part<Asked>, Asked> {
        let was_yes = self.answers.was_yes(&key);
        self.calls.join(key, |running| {
            let now = self.clock.monotonic();
            if let Some(known) = self.answers.get(&key, now) {
                return Err(Ok(known));
            }
            if !self.breaker.allows(now) {
                return Err(Err(Reason::ApiServerUnavailable.into()));
            }
            let room = self.bounds.room(was_yes, running, question.bytes()).map_err(Err)?;
            Ok(Arc::clone(self).call(key, question.clone(), was_yes, room))
        })
    }

    /// One call, in its own task: a place, the review, and what is remembered of it. It takes `_room` while it runs.
    async fn call(self: Arc<Self>, key: QuestionKey, question: AccessQuestion, was_yes: bool, _room: Taken) -> Asked {
        let _place = self.bounds.place(was_yes).await?;
        let asked = self.clock.monotonic();
        // It may have been learnt while this one waited.
        if !self.breaker.allows(asked) {
            return Err(Reason::ApiServerUnavailable.into());
        }
        let running = self.metrics.access_running();
        let answer = timeout(self.config.timeout, self.reviews.review_access(&question)).await;
        drop(running);
        let now = self.clock.monotonic();
        let age = now.saturating_sub(asked);
        match answer.unwrap_or(Err(ReviewError::Deadline)) {
            Ok(answer) => {
                let is_yes = answer.is_yes();
                self.breaker.answered();
                self.reach.note_answer();
                self.answers.remember(key, is_yes, asked);
                self.metrics.access_reviewed(if is_yes { Outcome::Allowed } else { Outcome::Denied }, age);
                Ok(Known { is_yes, age })
            }
            Err(error) => {
                // Too much of it is an answer; and what one question alone may cause keeps nobody else from his own.
                if !matches!(error, ReviewError::RateLimited { .. } | ReviewError::Malformed(_)) {
                    self.breaker.failed(now);
                }
                self.reach.note_failure(&error);
                self.metrics.access_reviewed((&error).into(), age);
                Err(error.refusal())
            }
        }
    }
}
