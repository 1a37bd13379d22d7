//! Counters of reviews and verdicts.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::reviews::ReviewError;

/// The buckets of calls to the API server.
const SECONDS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// The metrics of what the API server is asked. Clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Values>);

#[derive(Debug)]
struct Values {
    verdicts: Family<VerdictLabels, Counter>,
    /// Those of the cache of accepted tokens, which nearly every check counts.
    cached: Counter,
    reviews: Family<ReviewLabels, Counter>,
    in_flight: Gauge,
    seconds: Histogram,
    judges_none: Gauge,
    access_answers: Family<VerdictLabels, Counter>,
    access_reviews: Family<ReviewLabels, Counter>,
    access_in_flight: Gauge,
    access_seconds: Histogram,
}

macro_rules! label_values {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])+ $variant:ident => $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(super) enum $name { $($(#[doc = $doc])+ $variant,)+ }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                encoder.write_str(match self { $(Self::$variant => $text,)+ })
            }
        }
    };
}

label_values! {
    /// Where a verdict about a token came from.
    Source {
        /// The cache of accepted tokens.
        Cache => "cache",
        /// The cache of refused tokens.
        NegativeCache => "negative_cache",
        /// The token's own shape and claims.
        Claims => "claims",
        /// The token's signature.
        Signature => "signature",
        /// A review.
        Review => "review",
        /// There was no answer.
        None => "none",
    }
}

label_values! {
    /// What became of a call to the API server.
    Outcome {
        /// The token is good.
        Accepted => "accepted",
        /// The token is not good, or the answer did not agree with it.
        Rejected => "rejected",
        /// What was asked about may be done.
        Allowed => "allowed",
        /// It may not.
        Denied => "denied",
        /// The API server cannot be reached, or failed.
        Unavailable => "unavailable",
        /// It did not answer in time.
        Deadline => "deadline",
        /// It asks to slow down.
        RateLimited => "rate_limited",
        /// It does not know us.
        Unauthenticated => "unauthenticated",
        /// It does not let us ask.
        Forbidden => "forbidden",
        /// Its answer cannot be understood.
        Malformed => "malformed",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    source: Source,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReviewLabels {
    outcome: Outcome,
}

impl Metrics {
    /// Registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let verdicts = Family::<VerdictLabels, Counter>::default();
        let values = Values {
            cached: verdicts.get_or_create_owned(&VerdictLabels { source: Source::Cache }),
            verdicts,
            reviews: Family::default(),
            in_flight: Gauge::default(),
            seconds: Histogram::new(SECONDS),
            judges_none: Gauge::default(),
            access_answers: Family::default(),
            access_reviews: Family::default(),
            access_in_flight: Gauge::default(),
            access_seconds: Histogram::new(SECONDS),
        };
        registry.register(
            "access_answers",
            "Answers to questions of rules, what somebody may do, by where they came from",
            values.access_answers.clone(),
        );
        registry.register(
            "access_reviews",
            "SubjectAccessReview calls to the API server, by what became of them",
            values.access_reviews.clone(),
        );
        registry.register(
            "access_reviews_in_flight",
            "SubjectAccessReview calls that are running",
            values.access_in_flight.clone(),
        );
        registry.register_with_unit(
            "access_review_duration",
            "How long SubjectAccessReview calls took",
            Unit::Seconds,
            values.access_seconds.clone(),
        );
        registry.register(
            "service_account_tokens",
            "Verdicts about ServiceAccount tokens, by where they came from",
            values.verdicts.clone(),
        );
        registry.register(
            "token_reviews",
            "TokenReview calls to the API server, by what became of them",
            values.reviews.clone(),
        );
        registry.register("token_reviews_in_flight", "TokenReview calls that are running", values.in_flight.clone());
        registry.register_with_unit(
            "token_review_duration",
            "How long TokenReview calls took",
            Unit::Seconds,
            values.seconds.clone(),
        );
        registry.register(
            "service_account_tokens_not_judged",
            "1 while no ServiceAccount token counts, since an audience of ours is the API server's own or may be",
            values.judges_none.clone(),
        );
        Self(Arc::new(values))
    }

    /// Whether no token counts, whatever it is.
    pub(super) fn judges_no_tokens(&self, none: bool) {
        self.0.judges_none.set(i64::from(none));
    }

    pub(super) fn verdict(&self, source: Source) {
        match source {
            Source::Cache => self.0.cached.inc(),
            _ => self.0.verdicts.get_or_create(&VerdictLabels { source }).inc(),
        };
    }

    pub(super) fn access_answer(&self, source: Source) {
        self.0.access_answers.get_or_create(&VerdictLabels { source }).inc();
    }

    pub(super) fn access_running(&self) -> Running {
        Running::count(&self.0.access_in_flight)
    }

    pub(super) fn access_reviewed(&self, outcome: Outcome, took: Duration) {
        self.0.access_reviews.get_or_create(&ReviewLabels { outcome }).inc();
        self.0.access_seconds.observe(took.as_secs_f64());
    }

    /// Counts a call as running until the value is dropped.
    pub(super) fn running(&self) -> Running {
        Running::count(&self.0.in_flight)
    }

    pub(super) fn reviewed(&self, outcome: Outcome, took: Duration) {
        self.0.reviews.get_or_create(&ReviewLabels { outcome }).inc();
        self.0.seconds.observe(took.as_secs_f64());
    }
}

/// A call that is running.
#[derive(Debug)]
pub(super) struct Running(Gauge);

impl Running {
    fn count(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl From<&ReviewError> for Outcome {
    fn from(error: &ReviewError) -> Self {
        match error {
            ReviewError::Unavailable(_) | ReviewError::NotFound => Self::Unavailable,
            ReviewError::Deadline => Self::Deadline,
            ReviewError::RateLimited { .. } => Self::RateLimited,
            ReviewError::Unauthenticated => Self::Unauthenticated,
            ReviewError::Forbidden => Self::Forbidden,
            ReviewError::Malformed(_) => Self::Malformed,
        }
    }
}
