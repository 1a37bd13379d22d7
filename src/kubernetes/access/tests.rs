//! The reviewer against scripted answers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::future::join_all;
use prometheus_client::registry::Registry;

use super::{
    AccessAnswer, AccessAttributes, AccessConfig, AccessQuestion, AccessReviewer, AccessReviews, AccessSubject,
    AccessTold,
};
use crate::{
    clock::{ManualClock, Timestamp},
    kubernetes::{Metrics, ReviewError},
    reason::Reason,
};

const SECOND: Duration = Duration::from_secs(1);

/// An API server that permits whatever is done to `notebooks`.
#[derive(Debug, Default)]
struct Scripted {
    calls: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    takes: Mutex<Duration>,
    fails_by: Mutex<Option<ReviewError>>,
    answers: Mutex<Option<AccessAnswer>>,
}

#[async_trait]
impl AccessReviews for Scripted {
    async fn review_access(&self, question: &AccessQuestion) -> Result<AccessAnswer, ReviewError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let running = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(running, Ordering::SeqCst);
        let takes = *self.takes.lock().unwrap();
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        if let Some(error) = self.fails_by.lock().unwrap().clone() {
            return Err(error);
        }
        let honest = AccessAnswer { allowed: question.attributes.resource == "notebooks", denied: false };
        Ok(self.answers.lock().unwrap().clone().unwrap_or(honest))
    }
}

struct House {
    api: Arc<Scripted>,
    clock: Arc<ManualClock>,
    reviewer: AccessReviewer,
}

impl House {
    fn new() -> Self {
        let api = Arc::new(Scripted::default());
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000));
        let config = AccessConfig {
            kubeconfig: None,
            groups_of_people: false,
            cache_ttl: 10 * SECOND,
            denied_cache_ttl: 2 * SECOND,
            max_concurrent_reviews: 4,
            timeout: 3 * SECOND,
        };
        let metrics = Metrics::register(&mut Registry::default());
        let reviews = Arc::clone(&api) as Arc<dyn AccessReviews>;
        let reviewer = AccessReviewer::new(config, reviews, clock.clone(), metrics);
        Self { api, clock, reviewer }
    }

    async fn ask(&self, question: &AccessQuestion) -> Option<Reason> {
        self.reviewer.review(question).await.err().map(|refusal| refusal.reason())
    }

    fn calls(&self) -> usize {
        self.api.calls.load(Ordering::SeqCst)
    }

    fn fail(&self, error: Option<ReviewError>) {
        *self.api.fails_by.lock().unwrap() = error;
    }
}

fn question(resource: &str, name: &str) -> AccessQuestion {
    let subject = AccessSubject { user: "ada@example.com".to_owned(), ..AccessSubject::default() };
    let attributes = AccessAttributes {
        namespace: "team-a".to_owned(),
        verb: "get".to_owned(),
        group: "kubeflow.org".to_owned(),
        resource: resource.to_owned(),
        name: name.to_owned(),
        ..AccessAttributes::default()
    };
    AccessQuestion { subject: Arc::new(subject), attributes }
}

#[expect(clippy::disallowed_methods, reason = "it is tokio's paused clock, by which deadlines are kept")]
fn paused_now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

fn subject(question: &mut AccessQuestion) -> &mut AccessSubject {
    Arc::make_mut(&mut question.subject)
}

fn unavailable() -> ReviewError {
    ReviewError::Unavailable("scripted".to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_yes_counts_for_ten_seconds_and_a_no_for_two() {
    let house = House::new();
    let (yes, no) = (question("notebooks", ""), question("secrets", ""));
    for _ in 0..3 {
        assert_eq!(house.ask(&yes).await, None);
        assert_eq!(house.ask(&no).await, Some(Reason::AccessReviewDenied));
    }
    assert_eq!(house.calls(), 2);
    house.clock.advance(2 * SECOND);
    assert_eq!((house.ask(&yes).await, house.calls()), (None, 2));
    assert_eq!((house.ask(&no).await, house.calls()), (Some(Reason::AccessReviewDenied), 3));
    house.clock.advance(8 * SECOND);
    *house.api.answers.lock().unwrap() = Some(AccessAnswer::default());
    assert_eq!((house.ask(&yes).await, house.calls()), (Some(Reason::AccessReviewDenied), 4), "it was taken away");
    *house.api.answers.lock().unwrap() = None;
    house.clock.advance(2 * SECOND);
    assert_eq!((house.ask(&yes).await, house.calls()), (None, 5), "and given again");
}

#[tokio::test(start_paused = true)]
async fn who_asks_the_same_shares_one_call_and_nobody_else_does() {
    let house = House::new();
    *house.api.takes.lock().unwrap() = SECOND / 10;
    let same = question("notebooks", "");
    let answers = join_all((0..500).map(|_| house.ask(&same))).await;
    assert!(answers.iter().all(Option::is_none));
    assert_eq!(house.calls(), 1);
    let other = |change: fn(&mut AccessQuestion)| {
        let mut question = same.clone();
        change(&mut question);
        question
    };
    let others = [
        other(|question| question.attributes.namespace = "team-b".to_owned()),
        other(|question| question.attributes.verb = "list".to_owned()),
        other(|question| question.attributes.group = "kubeflow".to_owned()),
        other(|question| question.attributes.subresource = "status".to_owned()),
        other(|question| question.attributes.name = "x".to_owned()),
        other(|question| subject(question).user = "bob@example.com".to_owned()),
        other(|question| subject(question).uid = "1".to_owned()),
        other(|question| subject(question).groups = vec!["a".to_owned()]),
        other(|question| subject(question).extra = BTreeMap::from([("a".to_owned(), vec![])])),
        other(|question| subject(question).extra = BTreeMap::from([("a".to_owned(), vec!["b".to_owned()])])),
    ];
    for (before, question) in others.iter().enumerate() {
        assert_eq!((house.ask(question).await, house.calls()), (None, before + 2), "{question:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_nobody_passes_and_what_was_answered_counts_to_its_end() {
    let house = House::new();
    let (known, unknown) = (question("notebooks", ""), question("notebooks", "x"));
    assert_eq!(house.ask(&known).await, None);
    for error in [
        unavailable(),
        ReviewError::Forbidden,
        ReviewError::Unauthenticated,
        ReviewError::NotFound,
        ReviewError::Malformed("scripted"),
    ] {
        house.fail(Some(error));
        assert_eq!(house.ask(&unknown).await, Some(Reason::ApiServerUnavailable));
        assert_eq!(house.ask(&known).await, None);
    }
    assert!(!house.reviewer.is_answered());
    house.clock.advance(10 * SECOND);
    assert_eq!(house.ask(&known).await, Some(Reason::ApiServerUnavailable), "its time is over");
    house.fail(Some(ReviewError::RateLimited { retry_after: Some(7 * SECOND) }));
    house.clock.advance(2 * SECOND);
    let refusal = house.reviewer.review(&known).await.unwrap_err();
    assert_eq!((refusal.reason(), refusal.retry_after()), (Reason::TooManyReviews, Some(7 * SECOND)));
    house.fail(None);
    assert_eq!(house.ask(&known).await, None);
    assert!(house.reviewer.is_answered());
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_does_not_answer_is_left_alone_for_a_second() {
    let house = House::new();
    house.fail(Some(unavailable()));
    for name in ["a", "b", "c"] {
        assert_eq!(house.ask(&question("notebooks", name)).await, Some(Reason::ApiServerUnavailable));
    }
    assert_eq!(house.calls(), 3);
    for name in ["d", "e"] {
        assert_eq!(house.ask(&question("notebooks", name)).await, Some(Reason::ApiServerUnavailable));
    }
    assert_eq!(house.calls(), 3);
    house.clock.advance(SECOND);
    house.fail(None);
    assert_eq!((house.ask(&question("notebooks", "f")).await, house.calls()), (None, 4));
}

#[tokio::test(start_paused = true)]
async fn what_one_question_causes_stops_no_other() {
    let house = House::new();
    house.fail(Some(ReviewError::Malformed("scripted")));
    for name in ["a", "b", "c", "d"] {
        assert_eq!(house.ask(&question("notebooks", name)).await, Some(Reason::ApiServerUnavailable));
    }
    assert_eq!(house.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn calls_are_bounded_and_have_a_deadline() {
    let house = House::new();
    *house.api.takes.lock().unwrap() = SECOND / 10;
    let questions: Vec<_> = (0..12).map(|number| question("notebooks", &number.to_string())).collect();
    let answers = join_all(questions.iter().map(|question| house.ask(question))).await;
    assert!(answers.iter().all(Option::is_none), "{answers:?}");
    assert_eq!(house.api.most_at_once.load(Ordering::SeqCst), 3, "a quarter is kept for what was answered with yes");

    *house.api.takes.lock().unwrap() = 60 * SECOND;
    let slow = question("notebooks", "slow");
    let begun = paused_now();
    assert_eq!(house.ask(&slow).await, Some(Reason::ApiServerUnavailable));
    assert_eq!(begun.elapsed(), 3 * SECOND);
    assert_eq!(house.ask(&questions[0]).await, None, "what is known waits for nobody");
}

#[tokio::test(start_paused = true)]
async fn ever_new_questions_leave_places_to_those_that_were_answered_with_yes() {
    let house = House::new();
    let known = question("notebooks", "");
    assert_eq!(house.ask(&known).await, None);
    house.clock.advance(10 * SECOND);
    *house.api.takes.lock().unwrap() = SECOND;
    let new: Vec<_> = (0..3).map(|number| question("notebooks", &number.to_string())).collect();
    let all = async { join_all(new.iter().map(|question| house.ask(question))).await };
    let own = async {
        tokio::time::sleep(SECOND / 10).await;
        let begun = paused_now();
        (house.ask(&known).await, begun.elapsed())
    };
    let (_, (answer, took)) = tokio::join!(all, own);
    assert_eq!((answer, took), (None, SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_denial_wins_and_an_explanation_tells_how_old_an_answer_is() {
    let house = House::new();
    let one = question("notebooks", "");
    *house.api.answers.lock().unwrap() = Some(AccessAnswer { allowed: true, denied: true });
    assert_eq!(house.ask(&one).await, Some(Reason::AccessReviewDenied));
    house.clock.advance(SECOND);
    assert_eq!(house.reviewer.tell(&one).await, AccessTold::Answered { is_yes: false, age: SECOND });
    house.fail(Some(unavailable()));
    house.clock.advance(SECOND);
    assert_eq!(house.reviewer.tell(&one).await, AccessTold::Unanswered(Reason::ApiServerUnavailable));
}
