//! Clocks that differ, step and stand: the provider's, and the product's.

use portcullis_integration::check_visitor::CheckVisitor;
use portcullis_integration::faults::{Edit, edit};
use portcullis_integration::jwt;
use portcullis_integration::movable_clock::{MovableClock, Moves};
use portcullis_integration::portcullis::{Config, LOGIN_COOKIE, SESSION_COOKIE};
use portcullis_integration::visitor::{log_in, path_and_query};
use serde_json::{Value, json};

use super::ground::{Ground, goes_to, who};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
/// For a machine that has much to do: what is meant to be within a bound stays so for as long.
const SLACK: i64 = 20;

/// Shifts all dates of the ID token, as a provider does whose clock is off by so many seconds.
fn off_by(seconds: i64) -> Option<Edit> {
    edit(move |claims| {
        for name in ["iat", "exp", "auth_time"] {
            claims[name] = json!(claims[name].as_i64().unwrap() + seconds);
        }
        claims["nbf"] = claims["iat"].clone();
    })
}

fn dated(name: &'static str, from_now: i64) -> Option<Edit> {
    edit(move |claims: &mut Value| claims[name] = json!(jwt::now() + from_now))
}

#[tokio::test]
async fn a_providers_clock_may_be_a_minute_off_and_no_more() {
    let ground = Ground::start(|config| config).await;
    // ID tokens of this provider live for five minutes.
    let rows = [
        ("ahead, within a minute", off_by(MINUTE - SLACK), true),
        ("ahead, beyond a minute", off_by(MINUTE + 1 + SLACK), false),
        ("ahead by an hour", off_by(HOUR), false),
        ("behind, within the token's life and a minute", off_by(-6 * MINUTE + SLACK), true),
        ("behind, beyond the token's life and a minute", off_by(-6 * MINUTE - 1), false),
        ("behind by an hour", off_by(-HOUR), false),
        ("exp within a minute ago", dated("exp", -MINUTE + SLACK), true),
        ("exp 61 s ago", dated("exp", -61), false),
        ("iat within a minute ahead", dated("iat", MINUTE - SLACK), true),
        ("iat over a minute ahead", dated("iat", 61 + SLACK), false),
        ("iat within eleven minutes ago", dated("iat", -11 * MINUTE + SLACK), true),
        ("iat over eleven minutes ago", dated("iat", -11 * MINUTE - 1), false),
        ("nbf within a minute ahead", dated("nbf", MINUTE - SLACK), true),
        ("nbf over a minute ahead", dated("nbf", 61 + SLACK), false),
    ];
    let mut failures = Vec::new();
    for (what, change, accepted) in rows {
        ground.provider.lie(|faults| faults.edit_claims = change);
        failures.extend(sign_in_counts(&ground, accepted).await.map(|failure| format!("{what}: {failure}")));
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// What is wrong where a sign-in does not end as it should.
async fn sign_in_counts(ground: &Ground, accepted: bool) -> Option<String> {
    let sessions = ground.sessions().await;
    let mut visitor = ground.visitor();
    let callback = log_in(&visitor.begin("/").await.unwrap(), "alice").await.unwrap();
    let answer = visitor.navigate(&path_and_query(&callback)).await.unwrap();
    let begun = ground.sessions().await - sessions;
    let told = (answer.status(), answer.reason(), begun, who(&visitor).await.is_some());
    let expected = if accepted { (303, None, 1, true) } else { (403, Some("id_token_invalid".to_owned()), 0, false) };
    (told != expected).then(|| format!("{told:?}, and not {expected:?}"))
}

#[tokio::test]
async fn the_products_clock_may_be_a_minute_off_and_no_more() {
    let clock = MovableClock::new(Moves::WallClock).unwrap();
    let ground = Ground::start(|config| config.clock(&clock)).await;
    let rows = [
        (0, true),
        (-(MINUTE - SLACK), true),
        (-(MINUTE + 1 + SLACK), false),
        (-HOUR, false),
        (6 * MINUTE - SLACK, true),
        (6 * MINUTE + 1, false),
        (24 * HOUR, false),
    ];
    let mut failures = Vec::new();
    for (seconds, accepted) in rows {
        clock.set(seconds).unwrap();
        failures.extend(sign_in_counts(&ground, accepted).await.map(|failure| format!("{seconds:+} s: {failure}")));
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[tokio::test]
async fn a_state_that_has_expired_starts_again_and_is_not_exchanged() {
    let clock = MovableClock::new(Moves::WallClock).unwrap();
    let ground = Ground::start(|config| config.clock(&clock)).await;
    let mut visitor = ground.visitor();
    let callback = log_in(&visitor.begin("/wanted").await.unwrap(), "alice").await.unwrap();
    // Ten minutes old; dated over a minute ahead; and with a login cookie that is too old itself.
    for seconds in [10 * MINUTE, -MINUTE - 1 - SLACK, 70 * MINUTE] {
        clock.set(seconds).unwrap();
        let answer = visitor.clone().navigate(&path_and_query(&callback)).await.unwrap();
        assert!(goes_to(&answer, &ground.provider), "{seconds:+} s: {answer:?}");
        // Past its hour the cookie begins no login: there is a new one.
        let renewed = answer.told("set-cookie").iter().any(|cookie| cookie.starts_with(&format!("{LOGIN_COOKIE}=")));
        assert_eq!(renewed, seconds != 10 * MINUTE, "{seconds:+} s");
    }
    assert_eq!((ground.exchanges(), ground.sessions().await), (0, 0));
    // The control: a little less than ten minutes, at a provider whose clock agrees.
    clock.set(10 * MINUTE - SLACK).unwrap();
    ground.provider.lie(|faults| faults.edit_claims = off_by(10 * MINUTE - SLACK));
    assert_eq!(visitor.come_back(&callback).await.unwrap(), "/wanted");
    assert_eq!(who(&visitor).await.as_deref(), Some("alice@example.com"));
}

#[tokio::test]
async fn a_step_back_of_the_clock_revives_no_session_with_the_memory_store() {
    a_step_back_revives_no_session(|config| config).await;
}

#[tokio::test]
async fn a_step_back_of_the_clock_revives_no_session_with_the_embedded_store() {
    a_step_back_revives_no_session(Config::embedded_store).await;
}

async fn a_step_back_revives_no_session(configure: fn(Config) -> Config) {
    let clock = MovableClock::new(Moves::WallClock).unwrap();
    let lifetimes =
        |config: Config| config.set("/sessions/idle_lifetime", "1h").set("/sessions/absolute_lifetime", "2h");
    let ground = Ground::start(|config| lifetimes(configure(config)).clock(&clock)).await;
    let unused = ground.signed_in("alice").await;
    let kept = ground.signed_in("alice").await;
    let logged_out = ground.signed_in("alice").await;
    assert_eq!(logged_out.clone().fetch("POST", "/portcullis/logout").await.unwrap().status(), 201);

    // One is used before its idle time is over, and lives to its absolute end.
    clock.set(HOUR - MINUTE).unwrap();
    assert!(who(&kept).await.is_some());
    // That use is stored in the background; what is written next comes after it in the store's one queue.
    ground.provider.lie(|faults| faults.edit_claims = off_by(HOUR - MINUTE));
    ground.signed_in("bob").await;
    clock.set(HOUR + MINUTE).unwrap();
    assert_eq!(who(&unused).await, None, "past its idle time");
    assert!(who(&kept).await.is_some());
    clock.set(2 * HOUR + MINUTE).unwrap();
    assert_eq!(who(&kept).await, None, "past its absolute time");
    for seconds in [HOUR, MINUTE, 0, -MINUTE, -HOUR] {
        clock.set(seconds).unwrap();
        for (what, visitor) in [("unused", &unused), ("kept", &kept), ("logged out", &logged_out)] {
            assert_eq!(who(visitor).await, None, "{what} lives again at {seconds:+} s");
        }
    }
}

#[tokio::test]
async fn a_session_dated_over_a_minute_ahead_counts_for_nothing() {
    let clock = MovableClock::new(Moves::WallClock).unwrap();
    let ground = Ground::start(|config| config.clock(&clock)).await;
    clock.set(5 * MINUTE).unwrap();
    let visitor = ground.signed_in("alice").await;
    clock.set(5 * MINUTE - MINUTE + SLACK).unwrap();
    assert!(who(&visitor).await.is_some(), "less than a minute ahead");
    clock.set(5 * MINUTE - MINUTE - 1 - SLACK).unwrap();
    assert_eq!(who(&visitor).await, None);
}

#[tokio::test]
async fn a_spent_state_stays_spent_when_the_clock_steps_back() {
    let clock = MovableClock::new(Moves::WallClock).unwrap();
    let ground = Ground::start(|config| config.clock(&clock)).await;
    let mut visitor = ground.visitor();
    let to_provider = visitor.begin("/wanted").await.unwrap();
    let first = log_in(&to_provider, "alice").await.unwrap();
    let before: CheckVisitor = visitor.clone();
    assert_eq!(visitor.come_back(&first).await.unwrap(), "/wanted");
    // Long enough that the mark may go, and then back to a time at which the state is good.
    clock.set(HOUR).unwrap();
    ground.visitor().begin("/").await.unwrap();
    clock.set(0).unwrap();
    let second = path_and_query(&log_in(&to_provider, "bob").await.unwrap());
    for _ in 0..3 {
        let mut replayed = before.clone();
        assert!(goes_to(&replayed.navigate(&second).await.unwrap(), &ground.provider));
        assert!(!replayed.cookies.contains_key(SESSION_COOKIE));
    }
    assert_eq!((ground.exchanges(), ground.sessions().await), (1, 1));
}
