//! The provider is asked whether a session still counts.

use std::time::Duration;

use allocation_counter::measure;
use http::StatusCode;
use serde_json::json;
use tokio::runtime::Builder;

use super::{
    refresh::Person,
    signed_in,
    support::{Lies, World},
};
use crate::{
    clock::Clock as _,
    memory,
    oidc::{Limits, LoginAsk, Presented, ReturnTarget},
    providers::{RefreshConfig, StrictAsk, StrictConfig},
    reason::Reason,
};

const EVERY: Duration = Duration::from_secs(30);

async fn person(ask: StrictAsk, refresh: bool) -> Person {
    Person::with(Lies::default(), |provider| {
        provider.strict = Some(StrictConfig { every: EVERY, ask });
        provider.refresh = refresh.then_some(RefreshConfig { ahead: Duration::from_mins(1) });
    })
    .await
}

/// The ticket of somebody who signs in, in a browser of their own.
async fn sign_in(world: &World) -> String {
    let browser = world.browser();
    let url = browser.begin("/").await.unwrap();
    signed_in(&browser.callback(&world.provider.authorize(&url)).await);
    browser.ticket.lock().unwrap().clone().unwrap()
}

const fn path(ask: StrictAsk) -> &'static str {
    match ask {
        StrictAsk::Introspection => "/introspect",
        StrictAsk::Userinfo => "/userinfo",
    }
}

/// How the provider says that a token is not good.
fn no(ask: StrictAsk) -> Lies {
    match ask {
        StrictAsk::Introspection => {
            Lies { bodies: [("/introspect", r#"{"active":false}"#.to_owned())].into(), ..Lies::default() }
        }
        StrictAsk::Userinfo => Lies { statuses: [("/userinfo", StatusCode::UNAUTHORIZED)].into(), ..Lies::default() },
    }
}

#[tokio::test]
async fn it_is_asked_once_in_a_while_for_all_who_come() {
    for ask in [StrictAsk::Introspection, StrictAsk::Userinfo] {
        let person = person(ask, false).await;
        person.after(Duration::from_secs(29)).await.unwrap();
        assert_eq!(person.world.provider.calls(path(ask)), 0, "the sign-in itself was its word");
        for wanted in 1..=3 {
            person.world.clock.advance(EVERY);
            let sessions = futures::future::join_all((0..20).map(|_| person.check())).await;
            assert!(sessions.iter().all(Result::is_ok), "{sessions:?}");
            assert_eq!(person.world.provider.calls(path(ask)), wanted);
        }
    }
}

#[tokio::test]
async fn the_access_token_is_what_it_is_asked_about() {
    let person = person(StrictAsk::Introspection, false).await;
    person.after(EVERY).await.unwrap();
    let form = &person.world.provider.posted("/introspect")[0];
    assert_eq!((form["token"].as_str(), form["token_type_hint"].as_str()), ("access-token-1", "access_token"));
}

#[tokio::test]
async fn a_token_that_is_not_good_ends_the_session() {
    for ask in [StrictAsk::Introspection, StrictAsk::Userinfo] {
        let person = person(ask, false).await;
        person.world.provider.tell(no(ask));
        person.after(Duration::from_secs(29)).await.unwrap();
        assert_eq!(person.after(Duration::from_secs(1)).await.unwrap_err(), Reason::SessionEnded);
        person.world.provider.tell(Lies::default());
        assert_eq!(person.check().await.unwrap_err(), Reason::SessionEnded, "gone is gone");
    }
    // A token of somebody else is none of this session.
    let person = person(StrictAsk::Introspection, false).await;
    let other = json!({"active": true, "sub": "subject-2"}).to_string();
    person.world.provider.tell(Lies { bodies: [("/introspect", other)].into(), ..Lies::default() });
    assert_eq!(person.after(EVERY).await.unwrap_err(), Reason::SessionEnded);
}

/// Okta tells the login as `sub`, and the subject as `uid`.
#[tokio::test]
async fn introspection_may_name_the_person_by_uid() {
    let person = person(StrictAsk::Introspection, false).await;
    let answer = json!({"active": true, "sub": "ada@example.com", "uid": "subject-1"}).to_string();
    person.world.provider.tell(Lies { bodies: [("/introspect", answer)].into(), ..Lies::default() });
    person.after(EVERY).await.unwrap();
    assert_eq!(person.world.provider.calls("/introspect"), 1);
    // The attack beside it: somebody else by both names.
    let other = json!({"active": true, "sub": "ada@example.com", "uid": "subject-2"}).to_string();
    person.world.provider.tell(Lies { bodies: [("/introspect", other)].into(), ..Lies::default() });
    assert_eq!(person.after(EVERY).await.unwrap_err(), Reason::SessionEnded);
}

#[tokio::test]
async fn a_refresh_token_has_the_last_word() {
    let person = person(StrictAsk::Introspection, true).await;
    person.world.provider.tell(no(StrictAsk::Introspection));
    assert_eq!(person.after(EVERY).await.unwrap().version(), 2);
    assert_eq!((person.refreshes(), person.world.provider.calls("/introspect")), (1, 1));
    *person.world.provider.refresh_token.lock().unwrap() = Some(77);
    assert_eq!(person.after(EVERY).await.unwrap_err(), Reason::SessionEnded);
}

#[tokio::test]
async fn no_answer_is_no_yes_and_ends_nothing() {
    use StrictAsk::{Introspection, Userinfo};

    for (ask, status, body, reason) in [
        (Introspection, StatusCode::BAD_GATEWAY, "{}", Reason::ProviderUnavailable),
        (Introspection, StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client"}"#, Reason::SignInNotSetUp),
        (Introspection, StatusCode::FORBIDDEN, r#"{"error":"invalid_request"}"#, Reason::SignInNotSetUp),
        (Introspection, StatusCode::FORBIDDEN, "no", Reason::SignInNotSetUp),
        (Introspection, StatusCode::NOT_FOUND, "{}", Reason::ProviderAnswerInvalid),
        (Introspection, StatusCode::OK, r#"{"active":false,"active":true}"#, Reason::ProviderAnswerInvalid),
        (Introspection, StatusCode::OK, "{}", Reason::ProviderAnswerInvalid),
        (Userinfo, StatusCode::TOO_MANY_REQUESTS, "{}", Reason::ProviderUnavailable),
        (Userinfo, StatusCode::NOT_FOUND, "{}", Reason::ProviderAnswerInvalid),
        (Userinfo, StatusCode::OK, r#"{"sub":"subject-2"}"#, Reason::ProviderAnswerInvalid),
    ] {
        let person = person(ask, false).await;
        let (bodies, statuses) = ([(path(ask), body.to_owned())].into(), [(path(ask), status)].into());
        person.world.provider.tell(Lies { bodies, statuses, ..Lies::default() });
        let outcome = person.after(EVERY).await;
        assert_eq!(outcome.unwrap_err(), reason, "{status} {body}");
        assert!(person.is_there().await, "{status} {body}: the session lives for when the provider is back");
    }
}

/// Nobody would stay signed in: so nobody signs in, and what was known before such a word was written does not do.
#[tokio::test]
async fn a_provider_that_nobody_can_ask_signs_nobody_in() {
    for (ask, endpoint) in
        [(StrictAsk::Introspection, "introspection_endpoint"), (StrictAsk::Userinfo, "userinfo_endpoint")]
    {
        let strict = Some(StrictConfig { every: EVERY, ask });
        let lies = || Lies::discovery(json!({endpoint: null}));
        let world = World::with(|provider| provider.strict = strict, Limits::default());
        world.provider.tell(lies());
        assert_eq!(world.browser().begin("/").await.unwrap_err().reason, Reason::SignInNotSetUp, "{endpoint}");
        let problem = world.oidc.providers.failure(&world.origin.provider).unwrap().problem;
        assert!(problem.contains("`strict`") && problem.contains("endpoints."), "{problem}");

        // Without that word all is well; with it, whoever is signed in hears why not.
        let person = Person::with(lies(), |_| {}).await;
        let world = &person.world;
        let oidc = world.reconfigured(|provider| provider.strict = strict);
        let session = world.sessions.open(person.ticket(), &world.origin.url, world.registration()).await.unwrap();
        let outcome = oidc.freshness.keep_fresh(person.presented(), session).await;
        assert_eq!(outcome.unwrap_err(), Reason::SignInNotSetUp, "{endpoint}");
        assert!(person.is_there().await, "{endpoint}: nobody is signed out by a word that is wrong");
        let begun = oidc.sign_in.begin(&world.origin, ReturnTarget::root(), &[], 0, LoginAsk::nothing()).await;
        assert_eq!(begun.unwrap_err().reason, Reason::SignInNotSetUp, "{endpoint}");
    }
}

#[tokio::test]
async fn an_endpoint_that_fails_keeps_nobody_from_signing_in() {
    let person = person(StrictAsk::Introspection, false).await;
    let statuses = [("/introspect", StatusCode::BAD_GATEWAY)].into();
    person.world.provider.tell(Lies { statuses, ..Lies::default() });
    let (world, origin) = (&person.world, &person.world.origin);
    let mut tickets = Vec::new();
    for _ in 0..10 {
        tickets.push(sign_in(world).await);
    }
    world.clock.advance(EVERY);
    for ticket in &tickets {
        let presented = Presented { ticket, origin: &origin.url, provider: &origin.provider };
        let session = world.sessions.open(ticket, &origin.url, world.registration()).await.unwrap();
        let outcome = world.oidc.freshness.keep_fresh(presented, session).await;
        assert_eq!(outcome.unwrap_err(), Reason::ProviderUnavailable);
    }
    assert_eq!(world.provider.calls("/introspect"), 3, "it is not asked by everybody");
    sign_in(world).await;
}

#[tokio::test]
async fn a_step_back_of_the_clock_does_not_switch_it_off() {
    for (ask, refresh) in
        [(StrictAsk::Introspection, false), (StrictAsk::Userinfo, false), (StrictAsk::Introspection, true)]
    {
        let person = person(ask, refresh).await;
        person.world.clock.advance(EVERY / 2);
        person.check().await.unwrap();
        // Less than makes a session one of the future.
        person.world.clock.set(person.world.clock.now().minus(Duration::from_secs(55)));
        person.world.provider.tell(no(ask));
        *person.world.provider.refresh_token.lock().unwrap() = Some(77);
        person.world.clock.advance_monotonic(EVERY / 2);
        assert_eq!(person.check().await.unwrap_err(), Reason::SessionEnded, "{ask:?} {refresh}");
    }
}

#[tokio::test]
async fn another_replica_does_not_take_a_date_for_the_providers_word() {
    let person = person(StrictAsk::Introspection, false).await;
    person.world.provider.tell(no(StrictAsk::Introspection));
    let (sessions, oidc) = person.world.another_replica();
    let registration = person.world.registration();
    let session = sessions.open(person.ticket(), &person.world.origin.url, registration).await.unwrap();
    assert_eq!(oidc.freshness.keep_fresh(person.presented(), session).await.unwrap_err(), Reason::SessionEnded);
}

#[tokio::test]
async fn a_logout_while_the_provider_is_asked_wins_for_whoever_waited() {
    for ask in [StrictAsk::Introspection, StrictAsk::Userinfo] {
        let person = person(ask, false).await;
        let gate = person.world.provider.hold(path(ask));
        person.world.clock.advance(EVERY);
        let checks = futures::future::join_all((0..20).map(|_| person.check()));
        let logout = async {
            while person.world.provider.calls(path(ask)) == 0 {
                tokio::task::yield_now().await;
            }
            assert!(person.world.sessions.end(person.ticket()).await.unwrap());
            // It is acknowledged; and the provider says yes.
            gate.notify_one();
        };
        let (outcomes, ()) = tokio::join!(checks, logout);
        assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap_err() == &Reason::SessionEnded), "{outcomes:?}");
    }
}

/// The bytes of a call about a session that waits for the provider at `path`, with so many checks that wait for it. What
/// the provider sends has a part of its own.
fn waiting_bytes(refresh: bool, path: &'static str, checks: usize) -> i64 {
    const CALLS: usize = 8;
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let person = runtime.block_on(person(StrictAsk::Introspection, refresh));
    let world = &person.world;
    let tickets: Vec<_> = (0..CALLS).map(|_| runtime.block_on(sign_in(world))).collect();
    world.clock.advance(Duration::from_mins(6));
    let (_held, before) = (world.provider.hold(path), world.provider.calls(path));
    let check = async |ticket: &str| {
        let (oidc, ticket, origin) = (world.oidc.clone(), ticket.to_owned(), world.origin.clone());
        let session = world.sessions.open(&ticket, &origin.url, world.registration()).await.unwrap();
        tokio::spawn(async move {
            let presented = Presented { ticket: &ticket, origin: &origin.url, provider: &origin.provider };
            oidc.freshness.keep_fresh(presented, session).await
        });
    };
    let waiting = measure(|| {
        runtime.block_on(async {
            for ticket in tickets.iter().flat_map(|ticket| std::iter::repeat_n(ticket, checks)) {
                check(ticket).await;
            }
            while world.provider.calls(path) < before + CALLS {
                tokio::task::yield_now().await;
            }
        });
    });
    waiting.bytes_current / i64::try_from(CALLS).unwrap()
}

#[test]
fn a_call_about_a_session_takes_no_more_than_its_part() {
    const CHECK: i64 = 16 * 1024;
    let part = i64::try_from(memory::SESSION_CALL_BYTES).unwrap();
    for (refresh, path) in [(false, "/introspect"), (true, "/token")] {
        let (one, three) = (waiting_bytes(refresh, path, 1), waiting_bytes(refresh, path, 3));
        let check = (three - one) / 2;
        assert!((1..=CHECK).contains(&check), "{path}: {check} bytes of a check that waits");
        let call = one - check;
        assert!((1..=part).contains(&call), "{path}: {call} bytes of a call");
    }
}
