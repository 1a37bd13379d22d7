//! The judge of ServiceAccount tokens.

use std::sync::Arc;

use futures::FutureExt as _;
use tokio::time::timeout;

use super::{
    answer::{self, Objection, ReviewedServiceAccount},
    bounds::Bounds,
    cache::{TokenKey, Verdicts},
    claims::Claims,
    config::{Config, ConfigError},
    joined::joined,
    metrics::{Metrics, Outcome, Source},
    our_audiences::{AudienceCheck, Audiences},
    reach::Reach,
    reviews::{ReviewError, Reviews},
    signature::{Signature, Signatures},
};
use crate::{
    calls::{Part, RateLimit, SharedCalls},
    clock::SharedClock,
    decision::Refusal,
    jose,
    memory::{self, Taken},
    reason::Reason,
    secret::{Label, SecretString, SharedRootKeyRing},
};

/// How many tokens are reviewed in a second whose key the API server does not serve, and how many at once. Strangers can
/// make up keys: these few are all that it costs. Tokens that were good before do not count.
const OF_ANOTHER_KEY: (u32, u32) = (4, 16);

/// The judge of ServiceAccount tokens. Clones share caches and bounds.
#[derive(Clone, Debug)]
pub struct ServiceAccountTokens(Arc<Judge>);

#[derive(Debug)]
struct Judge {
    config: Config,
    reviews: Arc<dyn Reviews>,
    clock: SharedClock,
    ring: SharedRootKeyRing,
    /// Ours, and those of other services.
    every_audience: Vec<String>,
    /// The same as one field of a cache key.
    audience_field: Vec<u8>,
    signatures: Option<Signatures>,
    /// The reviews of tokens by keys that the API server does not serve.
    of_another_key: RateLimit,
    verdicts: Verdicts,
    calls: SharedCalls<TokenKey, CallResult>,
    bounds: Bounds,
    metrics: Metrics,
    reach: Arc<Reach>,
    audience_check: Arc<AudienceCheck>,
}

type Verdict = Result<Arc<ReviewedServiceAccount>, Reason>;

/// What came of a shared call: an answer, or a failure that decides nothing.
#[derive(Clone, Debug)]
enum CallResult {
    Decided(Verdict),
    Failed(Refusal),
}

impl ServiceAccountTokens {
    /// A judge that asks `reviews`.
    ///
    /// # Errors
    /// Where the configuration is refused by [`Config::validate`].
    pub fn new(
        config: Config,
        reviews: Arc<dyn Reviews>,
        ring: SharedRootKeyRing,
        clock: SharedClock,
        metrics: Metrics,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let every_audience = config.every_audience();
        let signatures = config.verify_signatures.then(|| {
            let (reviews, clock) = (Arc::clone(&reviews), Arc::clone(&clock));
            Signatures::new(reviews, clock, config.timeout / 2, &config.issuers, &every_audience)
        });
        let audience_field = joined(&every_audience);
        let reach = Arc::new(Reach::new(&clock, "token reviews"));
        let audience_check = AudienceCheck::new(&config, &reviews, &reach, &metrics);
        Ok(Self(Arc::new(Judge {
            every_audience,
            audience_field,
            signatures,
            of_another_key: RateLimit::new(OF_ANOTHER_KEY.0, OF_ANOTHER_KEY.1),
            verdicts: Verdicts::new(config.cache_ttl, config.negative_cache_ttl),
            calls: SharedCalls::new(),
            bounds: Bounds::new(config.max_concurrent_reviews, memory::REVIEWS),
            config,
            reviews,
            clock,
            ring,
            metrics,
            reach,
            audience_check,
        })))
    }

    /// The issuers whose tokens are judged here.
    #[must_use]
    pub fn issuers(&self) -> &[String] {
        &self.0.config.issuers
    }

    /// The audiences that a token may be meant for.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        &self.0.config.audiences
    }

    /// Whether the API server answered the last review. True before the first one.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.0.reach.is_answered()
    }

    /// Asks the API server whether our own token, which is meant for the API server, would pass as a caller's: then
    /// every pod's would. For the start.
    ///
    /// # Errors
    /// Where it would. Where there is no such token or no answer, nothing is found.
    pub async fn check_audiences(&self) -> Result<(), ConfigError> {
        match self.0.audience_check.ask().await {
            Ok(Some(audience)) => Err(ConfigError::ApiServerAudience(audience)),
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "whether an audience of ours is the API server's own is not known yet: no ServiceAccount token counts until it has answered");
                Ok(())
            }
        }
    }

    /// Asks that again until the API server answers, and then from time to time, for as long as this judge is in use.
    ///
    /// Must be called in a tokio runtime.
    pub fn watch_audiences(&self) {
        AudienceCheck::watch(&self.0.audience_check);
    }

    /// Has it asked now, by whoever [watches](Self::watch_audiences).
    pub fn check_audiences_soon(&self) {
        self.0.audience_check.ask_soon();
    }

    /// What is known of our audiences. Tokens are judged only where it lets them be.
    #[must_use]
    pub fn known_audiences(&self) -> Audiences {
        self.0.audience_check.known()
    }

    /// As if the API server had said so.
    #[cfg(test)]
    pub(super) fn assume(&self, audiences: Audiences) {
        self.0.audience_check.found(audiences);
    }

    /// The account of a token that was accepted a moment ago. Cheap: one hash and one look-up.
    #[must_use]
    pub fn cached(&self, token: &str) -> Option<Arc<ReviewedServiceAccount>> {
        if token.len() > jose::MAX_TOKEN_BYTES || !self.known_audiences().may_judge() {
            return None;
        }
        self.0.cached(&self.0.key(token))
    }

    /// Weighs an accepted token that is kept in memory anew: what services were told by it has grown.
    pub fn weigh(&self, token: &str) {
        self.0.verdicts.weigh(self.0.key(token));
    }

    /// Judges a bearer token.
    ///
    /// # Errors
    /// The refusal. Where it is for want of an answer, it says when to try again.
    pub async fn judge(&self, token: &str) -> Result<Arc<ReviewedServiceAccount>, Refusal> {
        let judge = &self.0;
        if token.len() > jose::MAX_TOKEN_BYTES {
            judge.metrics.verdict(Source::Claims);
            return Err(Reason::TokenMalformed.into());
        }
        let known = self.known_audiences();
        let key = judge.key(token);
        if known.may_judge()
            && let Some(account) = judge.cached(&key)
        {
            return Ok(account);
        }
        let unverified = jose::peek(token).map_err(|error| judge.refused_by(Source::Claims, error.reason()))?;
        let claims = Claims::read(&unverified, &judge.config.issuers, &judge.every_audience, judge.clock.now())
            .map_err(|reason| judge.refused_by(Source::Claims, reason))?;
        if !known.may_judge() {
            judge.metrics.verdict(Source::None);
            return Err(unknown_audiences(known));
        }
        if let Some(reason) = judge.verdicts.refused(&key, &*judge.clock) {
            return Err(judge.refused_by(Source::NegativeCache, reason));
        }
        if let Some(signatures) = &judge.signatures {
            let signature = signatures.verify(&unverified).await;
            match signature.map_err(|reason| judge.refused_by(Source::Signature, reason))? {
                Signature::Verified | Signature::Unknown => {}
                Signature::OfAnotherKey if judge.may_review_another_key(&key) => {}
                Signature::OfAnotherKey => return Err(judge.refused_by(Source::None, Reason::TooManyReviews)),
            }
        }
        let late = || CallResult::Failed(Reason::ApiServerUnavailable.into());
        let result = timeout(judge.config.timeout, judge.review(key, token, &claims)).await.unwrap_or_else(|_| late());
        match result {
            CallResult::Decided(Ok(account)) => {
                judge.metrics.verdict(Source::Review);
                Ok(account)
            }
            CallResult::Decided(Err(reason)) => Err(judge.refused_by(Source::Review, reason)),
            CallResult::Failed(refusal) => {
                judge.metrics.verdict(Source::None);
                Err(refusal)
            }
        }
    }
}

impl Judge {
    /// The name of a token in the caches. When the root keys change, what was cached is found no more.
    #[expect(clippy::expect_used, reason = "the sealing key is in its own ring")]
    fn key(&self, token: &str) -> TokenKey {
        let ring = self.ring.load();
        let mac = ring.mac(ring.sealing_key(), Label::TokenCache, &[token.as_bytes(), &self.audience_field]);
        TokenKey(mac.expect("the sealing key is in its ring"))
    }

    fn cached(&self, key: &TokenKey) -> Option<Arc<ReviewedServiceAccount>> {
        let account = self.verdicts.accepted(key, &*self.clock)?;
        self.metrics.verdict(Source::Cache);
        Some(account)
    }

    /// Whether a token by a key that the API server does not serve is worth a review.
    fn may_review_another_key(&self, key: &TokenKey) -> bool {
        self.verdicts.was_good(key, self.clock.now()) || self.of_another_key.take(self.clock.monotonic())
    }

    fn refused_by(&self, source: Source, reason: Reason) -> Refusal {
        self.metrics.verdict(source);
        reason.into()
    }

    /// Takes part in the call for this token. Only an answer decides: where a call fails that was started for another
    /// caller, there is one more.
    async fn review(self: &Arc<Self>, key: TokenKey, token: &str, claims: &Claims) -> CallResult {
        let panicked = || CallResult::Failed(Reason::Internal.into());
        let followed = match self.join(key, token, claims) {
            Ok(Part::Leads(call)) => return call.await.unwrap_or_else(panicked),
            Ok(Part::Follows(call)) => call.await,
            Err(result) => return result,
        };
        if let Some(decided @ CallResult::Decided(_)) = followed {
            return decided;
        }
        match self.join(key, token, claims).map(Part::call) {
            Ok(call) => call.await.unwrap_or_else(panicked),
            Err(result) => result,
        }
    }

    /// Takes part in the call for this token, or begins one; the result where it is known already, or there is no room.
    fn join(self: &Arc<Self>, key: TokenKey, token: &str, claims: &Claims) -> Result<Part<CallResult>, CallResult> {
        let was_good = self.verdicts.was_good(&key, self.clock.now());
        self.calls.join(key, |running| {
            let accepted = self.verdicts.accepted(&key, &*self.clock).map(Ok);
            if let Some(verdict) = accepted.or_else(|| self.verdicts.refused(&key, &*self.clock).map(Err)) {
                return Err(CallResult::Decided(verdict));
            }
            let room = self.bounds.room(was_good, running, token.len()).map_err(CallResult::Failed)?;
            Ok(Arc::clone(self).call(key, SecretString::new(token.to_owned()), claims.clone(), was_good, room))
        })
    }

    /// One call, in its own task: a place, the review, and what is remembered of it. It takes `_room` while it runs.
    async fn call(
        self: Arc<Self>,
        key: TokenKey,
        token: SecretString,
        claims: Claims,
        was_good: bool,
        _room: Taken,
    ) -> CallResult {
        let _place = match self.bounds.place(was_good).await {
            Ok(place) => place,
            Err(refusal) => return CallResult::Failed(refusal),
        };
        let started = self.clock.monotonic();
        let running = self.metrics.running();
        let answer = timeout(self.config.timeout, self.reviews.review_token(&token, &self.every_audience))
            .map(|answer| answer.unwrap_or(Err(ReviewError::Deadline)))
            .await;
        drop(running);
        let took = self.clock.monotonic().saturating_sub(started);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.metrics.reviewed((&error).into(), took);
                self.reach.note_failure(&error);
                return CallResult::Failed(error.refusal());
            }
        };
        self.reach.note_answer();
        let verdict = match answer::believe(answer, &claims, &self.config.audiences, &self.config.further_audiences) {
            Ok(account) => {
                let account = self.verdicts.accept(key, account, started);
                self.metrics.reviewed(Outcome::Accepted, took);
                Ok(account)
            }
            Err(objection) => {
                if objection != Objection::NotAuthenticated {
                    tracing::warn!(?objection, "the API server's answer does not agree with the token");
                }
                let reason = Reason::from(objection);
                self.verdicts.refuse(key, reason, &*self.clock);
                self.metrics.reviewed(Outcome::Rejected, took);
                Err(reason)
            }
        };
        CallResult::Decided(verdict)
    }
}

/// Nothing is judged while an audience of ours is the API server's own, or may be.
const fn unknown_audiences(known: Audiences) -> Refusal {
    Refusal::new(match known {
        Audiences::ApiServers => Reason::AudienceShared,
        Audiences::Unknown | Audiences::NotAskable | Audiences::Ours => Reason::ApiServerUnavailable,
    })
}

impl From<Objection> for Reason {
    fn from(objection: Objection) -> Self {
        match objection {
            Objection::Audience => Self::TokenAudience,
            Objection::NotAuthenticated | Objection::AnotherUser => Self::TokenRejected,
        }
    }
}
