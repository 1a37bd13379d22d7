//! A logout, and what happens at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use portcullis_integration::check_visitor::{CheckVisitor, location};
use portcullis_integration::faults::Fault;
use portcullis_integration::portcullis::{Config, SESSION_COOKIE};
use portcullis_integration::visitor::{log_in, path_and_query};
use tokio::task::JoinSet;

use super::ground::{Ground, who};

const LOGOUT: &str = "/portcullis/logout";
/// How many use the ticket at once.
const USERS: usize = 16;
/// A loaded machine may take this long where a moment is usual.
const SOON: Duration = Duration::from_mins(1);
/// How often a ticket is logged out while it is first used.
const FIRST_USES: usize = 40;
/// How often one is logged out while it is used all the time.
const ROUNDS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_logouts_answer_no_check_passes_with_the_memory_store() {
    Box::pin(no_check_passes_after_the_logouts_answer(|config| config)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_logouts_answer_no_check_passes_with_the_embedded_store() {
    Box::pin(no_check_passes_after_the_logouts_answer(Config::embedded_store)).await;
}

/// What many concurrent checks saw of one logout.
#[derive(Default)]
struct Seen {
    answered: AtomicBool,
    passed: AtomicU64,
    refused_after: AtomicU64,
    passed_after: AtomicU64,
}

async fn no_check_passes_after_the_logouts_answer(configure: fn(Config) -> Config) {
    let ground = Ground::start(configure).await;
    for round in 0..ROUNDS {
        let mut visitor = ground.signed_in("alice").await;
        let seen = Arc::new(Seen::default());
        let mut users = JoinSet::new();
        for _ in 0..USERS {
            users.spawn(use_until_refused(visitor.clone(), Arc::clone(&seen)));
        }
        let begin = Instant::now();
        while seen.passed.load(Ordering::SeqCst) < 50 {
            assert!(begin.elapsed() < SOON, "round {round}: the ticket is of no use");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Twice at once, as impatient people click.
        let mut again = visitor.clone();
        let (once, twice) = tokio::join!(visitor.fetch("POST", LOGOUT), async {
            let answer = again.fetch("POST", LOGOUT).await;
            seen.answered.store(true, Ordering::SeqCst);
            answer
        });
        assert_eq!((once.unwrap().status(), twice.unwrap().status()), (201, 201));
        assert!(!visitor.cookies.contains_key(SESSION_COOKIE), "the browser keeps the ticket");
        while users.join_next().await.is_some() {}
        let after = (seen.passed_after.load(Ordering::SeqCst), seen.refused_after.load(Ordering::SeqCst));
        assert_eq!(after.0, 0, "round {round}: checks passed that began after the logout's answer");
        assert!(after.1 >= 10 * USERS as u64, "round {round}: only {} checks came after it", after.1);
    }
    assert_eq!(ground.sessions().await, ROUNDS as u64);
}

/// Checks as fast as it can, and ten times more once the logout is answered.
async fn use_until_refused(mut visitor: CheckVisitor, seen: Arc<Seen>) {
    let mut after = 0;
    while after < 10 {
        let is_after = seen.answered.load(Ordering::SeqCst);
        let answer = visitor.fetch("GET", "/api").await.unwrap();
        let counter = match (answer.is_allowed(), is_after) {
            (true, false) => &seen.passed,
            (true, true) => &seen.passed_after,
            (false, true) => &seen.refused_after,
            (false, false) => continue,
        };
        counter.fetch_add(1, Ordering::SeqCst);
        after += u32::from(is_after);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_whose_first_uses_race_its_logout_is_refused_afterwards() {
    for configure in [|config| config, Config::embedded_store] as [fn(Config) -> Config; 2] {
        let ground = Ground::start(configure).await;
        for round in 0..FIRST_USES {
            // Nobody has used the ticket yet, so that it is read from the store while it is deleted there.
            let mut visitor = ground.visitor();
            let to_provider = visitor.begin("/").await.unwrap();
            visitor.come_back(&log_in(&to_provider, "alice").await.unwrap()).await.unwrap();
            let mut users = JoinSet::new();
            for _ in 0..USERS {
                let mut user = visitor.clone();
                users.spawn(async move { user.fetch("GET", "/api").await.unwrap().is_allowed() });
            }
            assert_eq!(visitor.clone().fetch("POST", LOGOUT).await.unwrap().status(), 201);
            assert_eq!(who(&visitor).await, None, "round {round}");
            while users.join_next().await.is_some() {}
            // What the late ones found must not be kept for those who come now.
            assert_eq!(who(&visitor).await, None, "round {round}, once all are answered");
        }
        // The control: a ticket that is not logged out is good.
        assert!(who(&ground.signed_in("alice").await).await.is_some());
    }
}

#[tokio::test]
async fn a_replayed_ticket_stays_refused_after_the_logout_and_a_restart() {
    let mut ground = Ground::start(Config::embedded_store).await;
    let mut visitor = ground.signed_in("alice").await;
    let other = ground.signed_in("alice").await;
    let stolen = visitor.clone();
    assert_eq!(who(&stolen).await.as_deref(), Some("alice@example.com"));
    assert_eq!(visitor.fetch("POST", LOGOUT).await.unwrap().status(), 201);
    assert_eq!((who(&stolen).await, who(&other).await.as_deref()), (None, Some("alice@example.com")));

    ground.restart().await;
    let with_cookies_of = |visitor: &CheckVisitor| {
        let mut again = ground.visitor();
        again.cookies.clone_from(&visitor.cookies);
        again
    };
    assert_eq!(who(&with_cookies_of(&stolen)).await, None, "a restart revived what was logged out");
    assert_eq!(who(&with_cookies_of(&other)).await.as_deref(), Some("alice@example.com"));
}

#[tokio::test]
async fn a_logout_and_a_login_at_once_end_the_old_ticket_for_good() {
    for logout_first in [true, false] {
        let ground = Ground::start(|config| config).await;
        let mut visitor = ground.signed_in("alice").await;
        let old = visitor.clone();
        let to_provider = visitor.begin_again("/wanted").await.unwrap();
        let callback = path_and_query(&log_in(&to_provider, "bob").await.unwrap());
        ground.provider.lie(|faults| faults.token = Fault::Delay(Duration::from_millis(300)));
        let (mut login, mut logout) = (visitor.clone(), visitor.clone());
        let (landed, left) = if logout_first {
            tokio::join!(login.navigate(&callback), logout.fetch("POST", LOGOUT))
        } else {
            // While the code is being exchanged.
            let exchanged = ground.exchanges();
            tokio::join!(login.navigate(&callback), async {
                let begin = Instant::now();
                while ground.exchanges() == exchanged {
                    assert!(begin.elapsed() < SOON, "the code is not exchanged");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                logout.fetch("POST", LOGOUT).await
            })
        };
        assert_eq!(left.unwrap().status(), 201);
        assert_eq!(location(&landed.unwrap()).unwrap().path(), "/wanted");
        assert_eq!(who(&old).await, None, "the old ticket survived both");
        assert_ne!(login.cookies[SESSION_COOKIE], old.cookies[SESSION_COOKIE]);
        assert_eq!(who(&login).await.as_deref(), Some("bob@example.com"), "a sign-in of one's own hand counts");
        assert_eq!(ground.sessions().await, 2);
        // And that one ends as well.
        assert_eq!(login.clone().fetch("POST", LOGOUT).await.unwrap().status(), 201);
        assert_eq!(who(&login).await, None);
    }
}

#[tokio::test]
async fn a_sign_in_that_fails_at_the_same_time_does_not_save_a_session_from_its_logout() {
    let ground = Ground::start(|config| config).await;
    let visitor = ground.signed_in("alice").await;
    let to_provider = visitor.clone().begin_again("/wanted").await.unwrap();
    let callback = path_and_query(&log_in(&to_provider, "bob").await.unwrap());
    ground.provider.lie(|faults| faults.token = Fault::Status(500));
    let mut tabs = vec![visitor.clone(); 4];
    let mut logout = visitor.clone();
    let (answers, left) =
        tokio::join!(join_all(tabs.iter_mut().map(|tab| tab.navigate(&callback))), logout.fetch("POST", LOGOUT));
    assert_eq!(left.unwrap().status(), 201);
    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!((answer.status(), answer.reason().as_deref()), (503, Some("provider_unavailable")));
    }
    assert_eq!((who(&visitor).await, ground.sessions().await), (None, 1));
}
