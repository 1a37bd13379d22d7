use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::*;
use crate::{
    clock::{ManualClock, Timestamp},
    jose::{
        Algorithm, peek,
        testing::{P256, TestKey, jwks_document},
    },
};

const NOW: u64 = 1_800_000_000;
const SECOND: Duration = Duration::from_secs(1);

/// A source of keys that counts how often it is asked, and answers when it may.
struct Source {
    asked: AtomicUsize,
    answers: Mutex<VecDeque<Result<Bytes, FetchError>>>,
    may_answer: Semaphore,
}

impl Source {
    /// A source that answers at once.
    fn open() -> Arc<Self> {
        Self::new(Semaphore::MAX_PERMITS)
    }

    /// A source that answers as often as it is let.
    fn closed() -> Arc<Self> {
        Self::new(0)
    }

    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self { asked: AtomicUsize::new(0), answers: Mutex::default(), may_answer: Semaphore::new(permits) })
    }

    fn then(self: &Arc<Self>, keys: &[&Value]) -> Arc<Self> {
        self.then_bytes(jwks_document(keys))
    }

    fn then_bytes(self: &Arc<Self>, document: String) -> Arc<Self> {
        self.answers.lock().unwrap().push_back(Ok(document.into()));
        Arc::clone(self)
    }

    fn then_fail(self: &Arc<Self>) -> Arc<Self> {
        self.answers.lock().unwrap().push_back(Err(FetchError::Unavailable("refused".to_owned())));
        Arc::clone(self)
    }

    fn fetch(self: &Arc<Self>) -> FetchJwks {
        let source = Arc::clone(self);
        Arc::new(move || {
            let source = Arc::clone(&source);
            Box::pin(async move {
                source.asked.fetch_add(1, Ordering::SeqCst);
                source.may_answer.acquire().await.unwrap().forget();
                source.answers.lock().unwrap().pop_front().expect("the test foresaw this fetch")
            })
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

struct Setup {
    cache: JwksCache,
    clock: Arc<ManualClock>,
    source: Arc<Source>,
}

impl Setup {
    fn new(source: Arc<Source>) -> Self {
        Self::with(source, JwksCacheConfig::default())
    }

    fn with(source: Arc<Source>, config: JwksCacheConfig) -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(NOW));
        let cache = JwksCache::new(source.fetch(), Arc::<ManualClock>::clone(&clock), config);
        Self { cache, clock, source }
    }

    async fn verify(&self, key: &TestKey) -> Result<(), VerifyError> {
        verify_with(&self.cache, key).await
    }

    /// Waits for the fetches that nobody else waits for.
    async fn settle(&self) {
        let running = self.cache.0.fetches.join((), |_| Err::<std::future::Ready<()>, ()>(()));
        if let Ok(fetch) = running {
            fetch.call().await;
        }
    }
}

async fn verify_with(cache: &JwksCache, key: &TestKey) -> Result<(), VerifyError> {
    let claims = json!({"iss": "https://issuer", "aud": "a", "exp": NOW * 2});
    let token = key.sign(Algorithm::Es256, &json!({"alg": "ES256", "kid": key.jwk["kid"]}), &claims);
    let expectation = Expectation::new("https://issuer", vec!["a".to_owned()]);
    cache.verify(&peek(&token).unwrap(), &expectation, Sender::Anybody).await.map(drop)
}

const UNKNOWN: Result<(), VerifyError> = Err(VerifyError::Rejected(TokenError::UnknownKey));
const UNAVAILABLE: Result<(), VerifyError> = Err(VerifyError::KeysUnavailable);

#[tokio::test]
async fn keys_are_fetched_once_and_kept() {
    let setup = Setup::new(Source::open().then(&[&P256.jwk]));
    assert_eq!(setup.cache.status(), JwksStatus { keys: 0, age: None, failures: 0 });
    for _ in 0..3 {
        assert_eq!(setup.verify(&P256).await, Ok(()));
        setup.clock.advance(SECOND);
    }
    assert_eq!(setup.source.asked(), 1);
    assert_eq!(setup.cache.status(), JwksStatus { keys: 1, age: Some(3 * SECOND), failures: 0 });
}

#[tokio::test]
async fn what_can_be_refused_without_a_key_causes_no_fetch() {
    let setup = Setup::new(Source::open());
    let header = json!({"alg": "ES256", "kid": "p256"});
    let good = json!({"iss": "https://issuer", "aud": "a", "exp": NOW + 100});
    for (name, bad) in [("iss", json!("x")), ("aud", json!("x")), ("exp", json!(NOW - 100)), ("nbf", json!(NOW + 100))]
    {
        let mut claims = good.clone();
        claims[name] = bad;
        let token = peek(&P256.sign(Algorithm::Es256, &header, &claims)).unwrap();
        let expectation = Expectation::new("https://issuer", vec!["a".to_owned()]);
        let verdict = setup.cache.verify(&token, &expectation, Sender::Anybody).await;
        assert!(matches!(verdict, Err(VerifyError::Rejected(_))), "{name}");
    }
    assert_eq!(setup.source.asked(), 0);
}

#[tokio::test]
async fn callers_share_one_fetch() {
    let setup = Setup::new(Source::closed().then(&[&P256.jwk]));
    let calls = futures::future::join_all((0..100).map(|_| setup.verify(&P256)));
    let (outcomes, ()) = tokio::join!(calls, async {
        while setup.source.asked() == 0 {
            tokio::task::yield_now().await;
        }
        setup.source.may_answer.add_permits(1);
    });
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(setup.source.asked(), 1);
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_fail_the_others() {
    let setup = Setup::new(Source::closed().then(&[&P256.jwk]));
    let first = tokio::spawn({
        let cache = setup.cache.clone();
        async move { verify_with(&cache, &P256).await }
    });
    while setup.source.asked() == 0 {
        tokio::task::yield_now().await;
    }
    let mut second = Box::pin(setup.verify(&P256));
    assert!(futures::poll!(&mut second).is_pending());
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    setup.source.may_answer.add_permits(1);
    assert_eq!(second.await, Ok(()));
    assert_eq!(setup.source.asked(), 1);
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_at_most_every_thirty_seconds() {
    let new = TestKey::p256("new");
    let setup = Setup::new(Source::open().then(&[&P256.jwk]).then(&[&P256.jwk]));
    assert_eq!(setup.verify(&P256).await, Ok(()));
    for (elapsed, asked) in [(0, 1), (29, 1), (1, 2), (0, 2), (29, 2)] {
        setup.clock.advance(elapsed * SECOND);
        for _ in 0..10 {
            assert_eq!(setup.verify(&new).await, UNKNOWN);
        }
        assert_eq!(setup.source.asked(), asked);
        assert_eq!(setup.verify(&P256).await, Ok(()), "the known key serves throughout");
    }
}

#[tokio::test]
async fn a_flood_of_unknown_keys_causes_one_fetch() {
    let setup = Setup::new(Source::open().then(&[&P256.jwk]));
    let claims = json!({"iss": "https://issuer", "aud": "a", "exp": NOW * 2});
    let expectation = Expectation::new("https://issuer", vec!["a".to_owned()]);
    for number in 0..1_000 {
        let header = json!({"alg": "ES256", "kid": format!("k{number}")});
        let token = peek(&format!("{}.AAAA", crate::jose::testing::unsigned(&header, &claims))).unwrap();
        let verdict = setup.cache.verify(&token, &expectation, Sender::Anybody).await;
        assert_eq!(verdict.unwrap_err(), VerifyError::Rejected(TokenError::UnknownKey));
    }
    assert_eq!(setup.source.asked(), 1);
}

/// Those whose key is known wait for no fetch of the others.
#[tokio::test]
async fn a_known_key_serves_while_strangers_wait_for_theirs() {
    let setup = Setup::new(Source::closed().then(&[&P256.jwk]).then(&[&P256.jwk]));
    setup.source.may_answer.add_permits(1);
    assert_eq!(setup.verify(&P256).await, Ok(()));
    setup.clock.advance(30 * SECOND);
    let strange = TestKey::p256("strange");
    let mut strangers: Vec<_> = (0..100).map(|_| Box::pin(setup.verify(&strange))).collect();
    for stranger in &mut strangers {
        assert!(futures::poll!(stranger).is_pending());
    }
    assert_eq!(futures::FutureExt::now_or_never(setup.verify(&P256)), Some(Ok(())));
    setup.source.may_answer.add_permits(1);
    let outcomes = futures::future::join_all(strangers).await;
    assert!(outcomes.iter().all(|outcome| *outcome == UNKNOWN));
    assert_eq!(setup.source.asked(), 2);
}

#[tokio::test]
async fn a_key_that_changed_under_its_name_is_fetched_as_an_unknown_one_is() {
    let new = TestKey::p256("p256");
    let setup = Setup::new(Source::open().then(&[&P256.jwk]).then(&[&new.jwk]));
    assert_eq!(setup.verify(&P256).await, Ok(()));
    for _ in 0..10 {
        assert_eq!(setup.verify(&new).await, Err(VerifyError::Rejected(TokenError::Signature)));
    }
    assert_eq!(setup.source.asked(), 1, "not within half a minute, whoever signed it");
    setup.clock.advance(30 * SECOND);
    assert_eq!(setup.verify(&new).await, Ok(()));
    assert_eq!(setup.verify(&P256).await, Err(VerifyError::Rejected(TokenError::Signature)));
    assert_eq!(setup.source.asked(), 2);
}

#[tokio::test]
async fn a_new_key_is_accepted_once_the_set_has_it() {
    let new = TestKey::p256("new");
    let setup = Setup::new(Source::open().then(&[&P256.jwk]).then(&[&new.jwk, &P256.jwk]));
    assert_eq!(setup.verify(&P256).await, Ok(()));
    assert_eq!(setup.verify(&new).await, UNKNOWN);
    setup.clock.advance(30 * SECOND);
    assert_eq!(setup.verify(&new).await, Ok(()));
    assert_eq!(setup.verify(&P256).await, Ok(()));
}

#[tokio::test]
async fn a_set_is_fetched_anew_with_age_and_the_old_one_serves_meanwhile() {
    let new = TestKey::p256("new");
    let setup = Setup::new(Source::open().then(&[&P256.jwk]).then(&[&new.jwk]));
    assert_eq!(setup.verify(&P256).await, Ok(()));
    setup.clock.advance(Duration::from_mins(10));
    assert_eq!(setup.verify(&P256).await, Ok(()), "nobody waits for the new set");
    setup.settle().await;
    assert_eq!(setup.source.asked(), 2);
    assert_eq!(setup.verify(&new).await, Ok(()));
    assert_eq!(setup.verify(&P256).await, UNKNOWN, "a key that was withdrawn");
}

#[tokio::test]
async fn a_failed_fetch_leaves_the_old_keys_up_to_a_bound() {
    let source = Source::open().then(&[&P256.jwk]);
    let setup = Setup::new(source.then_fail().then_fail().then_fail());
    assert_eq!(setup.verify(&P256).await, Ok(()));
    for minutes in [10, 49] {
        setup.clock.advance(Duration::from_mins(minutes));
        assert_eq!(setup.verify(&P256).await, Ok(()));
        setup.settle().await;
    }
    assert_eq!(setup.cache.status().failures, 2);
    setup.clock.advance(Duration::from_mins(1));
    assert_eq!(setup.verify(&P256).await, UNAVAILABLE);
}

#[tokio::test]
async fn a_failure_is_no_answer_and_is_tried_again_after_a_moment() {
    let source = Source::open().then_fail().then_bytes("<html>".to_owned()).then(&[&P256.jwk]);
    let setup = Setup::new(source);
    assert_eq!(setup.verify(&P256).await, UNAVAILABLE);
    assert_eq!(setup.verify(&P256).await, UNAVAILABLE);
    assert_eq!(setup.source.asked(), 1);
    setup.clock.advance(SECOND);
    assert_eq!(setup.verify(&P256).await, UNAVAILABLE);
    setup.clock.advance(SECOND);
    assert_eq!(setup.verify(&P256).await, UNAVAILABLE);
    assert_eq!(setup.source.asked(), 2, "the wait doubles");
    setup.clock.advance(SECOND);
    assert_eq!(setup.verify(&P256).await, Ok(()));
    assert_eq!(setup.cache.status().failures, 0);
}

#[tokio::test]
async fn an_unknown_key_while_the_source_is_down_is_no_rejection() {
    let setup = Setup::new(Source::open().then(&[&P256.jwk]).then_fail());
    assert_eq!(setup.verify(&P256).await, Ok(()));
    setup.clock.advance(30 * SECOND);
    let new = TestKey::p256("new");
    assert_eq!(setup.verify(&new).await, UNAVAILABLE);
    assert_eq!(setup.verify(&new).await, UNAVAILABLE);
    assert_eq!(setup.source.asked(), 2);
    assert_eq!(setup.verify(&P256).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_never_answers_is_given_up() {
    let setup = Setup::new(Source::closed());
    assert_eq!(setup.verify(&P256).await, UNAVAILABLE);
    assert_eq!(setup.cache.status().failures, 1);
}

#[tokio::test]
async fn a_source_that_breaks_down_does_not_block_the_next_fetch() {
    let asked = Arc::new(AtomicUsize::new(0));
    let fetch: FetchJwks = Arc::new({
        let asked = Arc::clone(&asked);
        move || {
            let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
            Box::pin(async move {
                assert!(!first, "the first fetch panics");
                Ok(jwks_document(&[&P256.jwk]).into())
            })
        }
    });
    let clock = ManualClock::at(Timestamp::from_unix_seconds(NOW));
    let cache = JwksCache::new(fetch, clock, JwksCacheConfig::default());
    assert_eq!(verify_with(&cache, &P256).await, UNAVAILABLE);
    assert_eq!(verify_with(&cache, &P256).await, Ok(()));
}

#[tokio::test]
async fn a_set_over_the_bound_is_no_set() {
    let document = jwks_document(&[&P256.jwk]);
    let config = JwksCacheConfig { max_bytes: document.len() - 1, ..JwksCacheConfig::default() };
    let setup = Setup::with(Source::open().then_bytes(document), config);
    assert_eq!(setup.verify(&P256).await, UNAVAILABLE);
}

#[tokio::test]
async fn waits_double_up_to_a_bound() {
    let mut source = Source::open();
    for _ in 0..8 {
        source = source.then_fail();
    }
    let setup = Setup::new(source);
    for (asked, seconds) in [1, 2, 4, 8, 10, 10, 10].into_iter().enumerate() {
        assert_eq!(setup.verify(&P256).await, UNAVAILABLE);
        assert_eq!(setup.source.asked(), asked + 1);
        setup.clock.advance(Duration::from_millis(seconds * 1000 - 1));
        assert_eq!(setup.verify(&P256).await, UNAVAILABLE);
        assert_eq!(setup.source.asked(), asked + 1, "not within {seconds} s");
        setup.clock.advance(Duration::from_millis(1));
    }
}

#[test]
fn reasons_tell_refusal_from_outage() {
    let refused = VerifyError::Rejected(TokenError::Expired);
    assert_eq!(refused.reason(Reason::ProviderUnavailable), Reason::TokenExpired);
    assert_eq!(VerifyError::KeysUnavailable.reason(Reason::ProviderUnavailable), Reason::ProviderUnavailable);
}

#[tokio::test]
async fn a_set_that_is_there_serves_at_once_and_the_issuer_s_own_tokens_have_it_fetched_sooner() {
    let new = TestKey::p256("new");
    let source = Source::open().then(&[&new.jwk]);
    let clock = ManualClock::at(Timestamp::from_unix_seconds(NOW));
    let jwks = crate::jose::testing::jwks(&[&P256.jwk]);
    let cache = JwksCache::filled(source.fetch(), Arc::<ManualClock>::clone(&clock), JwksCacheConfig::default(), jwks);
    assert_eq!(verify_with(&cache, &P256).await, Ok(()));
    assert_eq!(source.asked(), 0);
    let claims = json!({"iss": "https://issuer", "aud": "a", "exp": NOW * 2});
    let token = peek(&new.sign(Algorithm::Es256, &json!({"alg": "ES256", "kid": "new"}), &claims)).unwrap();
    let expectation = Expectation::new("https://issuer", vec!["a".to_owned()]);
    let known = cache.verify_with_known(&token, &expectation).unwrap();
    assert!(matches!(known, ByKnownKeys::Not(_)), "{known:?}");
    clock.advance(5 * SECOND);
    let verdict = cache.verify(&token, &expectation, Sender::Anybody).await;
    assert_eq!(verdict.unwrap_err(), VerifyError::Rejected(TokenError::UnknownKey));
    assert!(cache.verify(&token, &expectation, Sender::Issuer).await.is_ok());
    let known = cache.verify_with_known(&token, &expectation).unwrap();
    assert!(matches!(known, ByKnownKeys::Verified(_)), "{known:?}");
    assert_eq!(source.asked(), 1);
}

#[tokio::test]
async fn why_there_are_no_keys_is_told_until_there_are() {
    let source = Source::open().then_fail().then_bytes("<html>".to_owned()).then(&[&P256.jwk]);
    let setup = Setup::new(source);
    assert_eq!(setup.cache.last_failure(), None);
    for (is_an_answer, wait) in [(false, SECOND), (true, 2 * SECOND)] {
        assert_eq!(setup.verify(&P256).await, UNAVAILABLE);
        assert_eq!(setup.cache.last_failure().map(|failure| failure.is_an_answer()), Some(is_an_answer));
        setup.clock.advance(wait);
    }
    assert_eq!(setup.verify(&P256).await, Ok(()));
    assert_eq!(setup.cache.last_failure(), None);
}

#[tokio::test]
async fn a_burst_of_fetches_may_come_at_once_and_then_one_in_thirty_seconds() {
    let mut source = Source::open();
    for _ in 0..20 {
        source = source.then(&[&P256.jwk]);
    }
    let setup = Setup::with(source, JwksCacheConfig { burst: 3, ..JwksCacheConfig::default() });
    assert_eq!(setup.verify(&P256).await, Ok(()));
    let strange = TestKey::p256("strange");
    // The first fetch of all was one of the burst.
    for (elapsed, asked) in [(0, 3), (29, 3), (1, 4), (0, 4), (29, 4), (1, 5)] {
        setup.clock.advance(elapsed * SECOND);
        for _ in 0..1_000 {
            assert_eq!(setup.verify(&strange).await, UNKNOWN);
        }
        assert_eq!(setup.source.asked(), asked);
    }
    // Whoever has spent the burst takes none of the issuer's own tokens'.
    let claims = json!({"iss": "https://issuer", "aud": "a", "exp": NOW * 2});
    let token = peek(&strange.sign(Algorithm::Es256, &json!({"alg": "ES256", "kid": "strange"}), &claims)).unwrap();
    let expectation = Expectation::new("https://issuer", vec!["a".to_owned()]);
    for _ in 0..10 {
        assert!(setup.cache.verify(&token, &expectation, Sender::Issuer).await.is_err());
    }
    assert_eq!(setup.source.asked(), 8);
}

#[tokio::test]
async fn a_key_that_came_right_after_a_fetch_is_accepted_at_once() {
    let (second, third) = (TestKey::p256("second"), TestKey::p256("third"));
    let source = Source::open().then(&[&P256.jwk]).then(&[&second.jwk]).then(&[&third.jwk]);
    let setup = Setup::with(source, JwksCacheConfig { burst: 3, ..JwksCacheConfig::default() });
    for key in [&*P256, &second, &third] {
        assert_eq!(setup.verify(key).await, Ok(()));
    }
    assert_eq!(setup.source.asked(), 3);
}
