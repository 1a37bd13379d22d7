//! The judge against a scripted API server.

mod script;

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::future::join_all;

use self::script::{AUDIENCE, Behaviour, House, ISSUER, TokenSpec};
use super::{Audiences, Config, ConfigError, ReviewError, ServiceAccountTokens};
use crate::{clock::Clock as _, decision::Refusal, reason::Reason, secret};

fn reason(refusal: Refusal) -> Reason {
    refusal.reason()
}

#[tokio::test]
async fn a_good_token_gives_the_account_that_the_api_server_named() {
    let house = House::new();
    let token = house.token(TokenSpec { pod: Some("runner-0"), ..TokenSpec::default() });
    let reviewed = house.tokens.judge(&token).await.unwrap();
    let account = reviewed.account();
    assert_eq!(account.username(), "system:serviceaccount:team-a:robot");
    assert_eq!(account.uid, "uid-of-robot");
    assert_eq!(account.pod.as_ref().unwrap().name, "runner-0");
    assert_eq!(account.pod.as_ref().unwrap().uid, "uid-of-runner-0");
    assert_eq!(account.credential_id.as_deref(), Some("JTI=1"));
    let groups: Vec<_> = account.groups.names().iter().map(crate::principal::Group::as_str).collect();
    assert_eq!(groups, ["system:serviceaccounts", "system:serviceaccounts:team-a", "system:authenticated"]);
}

#[tokio::test]
async fn what_can_be_refused_without_the_api_server_is() {
    let house = House::new();
    let spec = TokenSpec::default;
    let now = house.clock.now().as_unix_seconds();
    let cases = [
        (house.token(TokenSpec { issuer: "https://elsewhere", ..spec() }), Reason::BearerIssuerUnknown),
        (house.token(TokenSpec { audiences: &[ISSUER], ..spec() }), Reason::TokenAudience),
        (house.token(TokenSpec { audiences: &[], ..spec() }), Reason::TokenAudience),
        (house.token(TokenSpec { expires: Some(now - 61), ..spec() }), Reason::TokenExpired),
        (house.token(TokenSpec { expires: None, ..spec() }), Reason::TokenMalformed),
        (house.token(TokenSpec { not_before: now + 61, ..spec() }), Reason::TokenNotYetValid),
        (house.token(TokenSpec { subject: Some("system:node:a"), ..spec() }), Reason::TokenMalformed),
        (
            house.token(TokenSpec { subject: Some("system:serviceaccount:team-b:robot"), ..spec() }),
            Reason::TokenMalformed,
        ),
        (
            house.token(TokenSpec { subject: Some("system:serviceaccount:team-a:Robot"), ..spec() }),
            Reason::TokenMalformed,
        ),
        (house.forged(spec()), Reason::TokenSignature),
        ("x".repeat(20_000), Reason::TokenMalformed),
        (secret::random_id(), Reason::BearerNotJwt),
        (String::new(), Reason::BearerNotJwt),
    ];
    for (token, expected) in cases {
        assert_eq!(house.tokens.judge(&token).await.unwrap_err().reason(), expected, "{token}");
    }
    assert_eq!(house.api.reviews(), 0);
    assert!(house.tokens.judge(&house.token(TokenSpec { expires: Some(now - 59), ..spec() })).await.is_ok());
    assert!(house.tokens.judge(&house.token(TokenSpec { not_before: now + 59, ..spec() })).await.is_ok());
}

#[tokio::test]
async fn a_token_for_another_service_is_told_from_one_for_us() {
    let house = House::with(|config| config.further_audiences = vec!["theirs".into(), "others".into()]);
    let judged = async |audiences: &[&'static str]| {
        let token = house.token(TokenSpec { audiences, ..TokenSpec::default() });
        house.tokens.judge(&token).await.map(|reviewed| reviewed.further_audience().map(str::to_owned))
    };
    assert_eq!(judged(&["theirs"]).await.unwrap().as_deref(), Some("theirs"));
    assert_eq!(judged(&[AUDIENCE]).await.unwrap(), None);
    assert_eq!(judged(&["theirs", AUDIENCE]).await.unwrap(), None, "it is for us as well");
    assert_eq!(judged(&["nobody's"]).await.unwrap_err().reason(), Reason::TokenAudience);
}

#[tokio::test]
async fn ten_thousand_forgeries_cost_no_review() {
    let house = House::new();
    for number in 0..10_000 {
        let name = format!("robot-{number}");
        let token = house.forged(TokenSpec { name: &name, ..TokenSpec::default() });
        assert_eq!(house.tokens.judge(&token).await.unwrap_err().reason(), Reason::TokenSignature);
    }
    assert_eq!(house.api.reviews(), 0);
    assert_eq!(house.api.key_fetches(), 1);
}

#[tokio::test]
async fn a_token_by_a_key_that_the_api_server_does_not_serve_is_reviewed() {
    let house = House::new();
    let token = house.token(TokenSpec { key: "another", ..TokenSpec::default() });
    assert_eq!(house.tokens.judge(&token).await.unwrap().account().username(), "system:serviceaccount:team-a:robot");
    assert_eq!(house.api.reviews(), 1);
    // Its claims are judged first, as ever.
    let meant_for_another = TokenSpec { key: "another", audiences: &[ISSUER], ..TokenSpec::default() };
    assert_eq!(house.tokens.judge(&house.token(meant_for_another)).await.map_err(reason), Err(Reason::TokenAudience));
    house.api.behave(Behaviour::edit(|answer| answer.authenticated = false));
    let name = "stranger";
    let made_up = house.token(TokenSpec { key: "made-up", name, ..TokenSpec::default() });
    assert_eq!(house.tokens.judge(&made_up).await.map_err(reason), Err(Reason::TokenRejected));
    assert_eq!((house.api.reviews(), house.api.key_fetches()), (2, 1));
}

#[tokio::test]
async fn a_thousand_made_up_keys_cost_the_bound_and_shut_nobody_out() {
    let house = House::new();
    let good = house.token(TokenSpec { key: "another", ..TokenSpec::default() });
    house.tokens.judge(&good).await.unwrap();
    house.api.behave(Behaviour::edit(|answer| answer.authenticated = answer.user.username.ends_with(":robot")));
    let (mut rejected, mut turned_away) = (0, 0);
    for number in 0..1000 {
        let (key, name) = (format!("made-up-{number}"), format!("stranger-{number}"));
        let token = house.token(TokenSpec { key: &key, name: &name, ..TokenSpec::default() });
        match house.tokens.judge(&token).await.map_err(reason) {
            Err(Reason::TokenRejected) => rejected += 1,
            Err(Reason::TooManyReviews) => turned_away += 1,
            other => panic!("{other:?}"),
        }
    }
    // The good token's first review counted, too.
    assert_eq!((rejected, turned_away), (15, 985));
    assert_eq!(house.api.reviews(), 16);
    // What was good, and what the served keys verify, waits for nothing.
    house.clock.advance(Duration::from_secs(10));
    house.tokens.judge(&good).await.unwrap();
    house.tokens.judge(&house.token(TokenSpec::default())).await.unwrap();
    assert_eq!(house.api.reviews(), 18);
}

#[tokio::test]
async fn several_issuers_of_one_cluster_are_each_taken_byte_for_byte() {
    let slash = "https://oidc.example.com/id/0123/";
    let house = House::with(|config| config.issuers.push(slash.to_owned()));
    for issuer in [ISSUER, slash] {
        house.tokens.judge(&house.token(TokenSpec { issuer, ..TokenSpec::default() })).await.unwrap();
    }
    let without = house.token(TokenSpec { issuer: slash.trim_end_matches('/'), ..TokenSpec::default() });
    assert_eq!(house.tokens.judge(&without).await.map_err(reason), Err(Reason::BearerIssuerUnknown));
    assert_eq!(house.api.reviews(), 2);
}

#[tokio::test]
async fn answers_that_do_not_agree_with_the_token_are_refused() {
    let lies: [(&str, Behaviour, Reason); 9] = [
        ("no audience", Behaviour::edit(|answer| answer.audiences.clear()), Reason::TokenAudience),
        ("another audience", Behaviour::edit(|answer| answer.audiences = vec![ISSUER.into()]), Reason::TokenAudience),
        ("no name", Behaviour::edit(|answer| answer.user.username.clear()), Reason::TokenRejected),
        ("an administrator", Behaviour::edit(|answer| answer.user.username = "admin".into()), Reason::TokenRejected),
        (
            "another account",
            Behaviour::edit(|answer| answer.user.username = "system:serviceaccount:kube-system:robot".into()),
            Reason::TokenRejected,
        ),
        ("another uid", Behaviour::edit(|answer| answer.user.uid = "uid-of-another".into()), Reason::TokenRejected),
        ("no uid", Behaviour::edit(|answer| answer.user.uid.clear()), Reason::TokenRejected),
        (
            "another pod",
            Behaviour::edit(|answer| {
                answer.user.extra.insert("authentication.kubernetes.io/pod-uid".into(), vec!["other".into()]);
                answer.user.extra.insert("authentication.kubernetes.io/pod-name".into(), vec!["other".into()]);
            }),
            Reason::TokenRejected,
        ),
        ("not authenticated", Behaviour::edit(|answer| answer.authenticated = false), Reason::TokenRejected),
    ];
    for (lie, behaviour, expected) in lies {
        let house = House::new();
        house.api.behave(behaviour);
        let token = house.token(TokenSpec::default());
        let refusal = house.tokens.judge(&token).await.unwrap_err();
        assert_eq!((refusal.reason(), refusal.retry_after()), (expected, None), "{lie}");
    }
}

#[tokio::test]
async fn an_accepted_token_is_remembered_until_its_time_is_over() {
    let house = House::new();
    let token = house.token(TokenSpec::default());
    assert!(house.tokens.cached(&token).is_none());
    for _ in 0..10 {
        house.tokens.judge(&token).await.unwrap();
    }
    assert!(house.tokens.cached(&token).is_some());
    assert_eq!(house.api.reviews(), 1);

    house.clock.advance(Duration::from_secs(10));
    house.api.behave(Behaviour::edit(|answer| answer.authenticated = false));
    assert_eq!(house.tokens.judge(&token).await.map_err(reason), Err(Reason::TokenRejected));
    assert_eq!(house.api.reviews(), 2);
}

#[tokio::test]
async fn a_token_is_never_remembered_beyond_its_expiry() {
    let house = House::new();
    let now = house.clock.now().as_unix_seconds();
    let token = house.token(TokenSpec { expires: Some(now + 3), ..TokenSpec::default() });
    house.tokens.judge(&token).await.unwrap();
    house.clock.advance(Duration::from_secs(3));
    house.api.behave(Behaviour::edit(|answer| answer.authenticated = false));
    assert_eq!(house.tokens.judge(&token).await.map_err(reason), Err(Reason::TokenRejected));
}

#[tokio::test]
async fn a_step_back_of_the_wall_clock_does_not_lengthen_what_is_remembered() {
    let house = House::new();
    let token = house.token(TokenSpec::default());
    house.tokens.judge(&token).await.unwrap();
    house.clock.advance(Duration::from_secs(10));
    house.clock.set(house.clock.now().minus(Duration::from_secs(30)));
    assert!(house.tokens.cached(&token).is_none());
}

#[tokio::test]
async fn a_refused_token_is_refused_without_asking_for_a_moment() {
    let house = House::new();
    house.api.behave(Behaviour::edit(|answer| answer.authenticated = false));
    let token = house.token(TokenSpec::default());
    for _ in 0..10 {
        assert_eq!(house.tokens.judge(&token).await.map_err(reason), Err(Reason::TokenRejected));
    }
    assert_eq!(house.api.reviews(), 1);
    house.api.behave(Behaviour::Honest);
    house.clock.advance(Duration::from_secs(5));
    assert!(house.tokens.judge(&token).await.is_ok());
}

#[tokio::test]
async fn failures_are_never_remembered() {
    let house = House::new();
    let token = house.token(TokenSpec::default());
    let failures = [
        (ReviewError::Unavailable("refused".into()), Reason::ApiServerUnavailable, 5),
        (ReviewError::RateLimited { retry_after: None }, Reason::TooManyReviews, 1),
        (ReviewError::RateLimited { retry_after: Some(Duration::from_secs(7)) }, Reason::TooManyReviews, 7),
        (ReviewError::Forbidden, Reason::ApiServerUnavailable, 5),
        (ReviewError::Unauthenticated, Reason::ApiServerUnavailable, 5),
        (ReviewError::Malformed("garbage"), Reason::ApiServerUnavailable, 5),
    ];
    for (error, expected, seconds) in failures {
        house.api.behave(Behaviour::Fail(error.clone()));
        let refusal = house.tokens.judge(&token).await.unwrap_err();
        assert_eq!(refusal.reason(), expected, "{error}");
        assert_eq!(refusal.retry_after(), Some(Duration::from_secs(seconds)), "{error}");
        assert!(!house.tokens.is_answered());
    }
    house.api.behave(Behaviour::Honest);
    assert!(house.tokens.judge(&token).await.is_ok());
    assert!(house.tokens.is_answered());
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_hangs_is_given_up_and_cached_answers_hold_meanwhile() {
    let house = House::new();
    let known = house.token(TokenSpec::default());
    let other = house.token(TokenSpec { name: "other", ..TokenSpec::default() });
    house.tokens.judge(&known).await.unwrap();
    house.api.behave(Behaviour::Hang);

    let in_time = tokio::time::timeout(Duration::from_millis(3_001), house.tokens.judge(&other)).await;
    let refusal = in_time.expect("the deadline is three seconds").unwrap_err();
    assert_eq!(refusal.reason(), Reason::ApiServerUnavailable);
    assert!(refusal.retry_after().is_some());
    assert!(house.tokens.judge(&known).await.is_ok());

    house.clock.advance(Duration::from_secs(10));
    assert_eq!(house.tokens.judge(&known).await.map_err(reason), Err(Reason::ApiServerUnavailable));
    house.api.behave(Behaviour::Honest);
    assert!(house.tokens.judge(&known).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn fifty_callers_make_one_call() {
    let house = House::new();
    house.api.behave(Behaviour::Slow(Duration::from_millis(100)));
    let token = house.token(TokenSpec::default());
    let answers = join_all((0..50).map(|_| house.tokens.judge(&token))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(house.api.reviews(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_is_made_once_more_for_those_who_only_shared_it() {
    let house = House::new();
    house.api.behave(Behaviour::FailFirst(Duration::from_millis(100)));
    let token = house.token(TokenSpec::default());
    let answers = join_all((0..50).map(|_| house.tokens.judge(&token))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1);
    assert_eq!(house.api.reviews(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lasting_failure_is_not_multiplied() {
    let house = House::new();
    house.api.behave(Behaviour::SlowFail(Duration::from_millis(100)));
    let token = house.token(TokenSpec::default());
    let answers = join_all((0..50).map(|_| house.tokens.judge(&token))).await;
    assert!(answers.iter().all(Result::is_err));
    assert_eq!(house.api.reviews(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_goes_away_takes_nobody_along() {
    let house = House::new();
    house.api.behave(Behaviour::Slow(Duration::from_millis(200)));
    let token = house.token(TokenSpec::default());
    let first = tokio::time::timeout(Duration::from_millis(50), house.tokens.judge(&token));
    let second = house.tokens.judge(&token);
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_err());
    assert!(second.is_ok());
    assert_eq!(house.api.reviews(), 1);
}

#[tokio::test(start_paused = true)]
async fn with_the_keys_withheld_a_flood_keeps_to_the_bound_and_a_known_token_passes() {
    let house = House::new();
    house.api.withhold_keys();
    let known = house.token(TokenSpec::default());
    house.tokens.judge(&known).await.unwrap();
    house.clock.advance(Duration::from_secs(10));
    house.api.behave(Behaviour::Slow(Duration::from_secs(2)));

    let forgeries: Vec<_> = (0..2_000)
        .map(|number| house.forged(TokenSpec { name: &format!("robot-{number}"), ..TokenSpec::default() }))
        .collect();
    let flood = join_all(forgeries.iter().map(|token| house.tokens.judge(token)));
    let good = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        house.tokens.judge(&known).await
    };
    let (flood, good) = tokio::join!(flood, good);
    assert!(good.is_ok(), "{good:?}");
    let reasons: HashSet<_> = flood.into_iter().map(|answer| answer.unwrap_err().reason()).collect();
    assert_eq!(reasons, HashSet::from([Reason::TokenRejected, Reason::TooManyReviews]));
    assert!(house.api.most_at_once() <= 16, "{}", house.api.most_at_once());
    assert!(house.api.most_at_once() >= 12, "{}", house.api.most_at_once());
}

#[tokio::test]
async fn with_the_keys_withheld_reviews_decide() {
    let house = House::new();
    house.api.withhold_keys();
    let token = house.token(TokenSpec::default());
    assert!(house.tokens.judge(&token).await.is_ok());
    let forged = house.forged(TokenSpec::default());
    assert_eq!(house.tokens.judge(&forged).await.map_err(reason), Err(Reason::TokenRejected));
    assert_eq!(house.api.reviews(), 2);
}

#[tokio::test]
async fn signatures_are_left_to_the_review_where_the_configuration_says_so() {
    let house = House::with(|config| config.verify_signatures = false);
    let forged = house.forged(TokenSpec::default());
    assert_eq!(house.tokens.judge(&forged).await.map_err(reason), Err(Reason::TokenRejected));
    assert_eq!((house.api.reviews(), house.api.key_fetches()), (1, 0));
}

#[tokio::test]
async fn another_root_key_means_another_cache() {
    let house = House::new();
    let token = house.token(TokenSpec::default());
    house.tokens.judge(&token).await.unwrap();
    house.ring.store(Arc::new(script::root_ring(9)));
    assert!(house.tokens.cached(&token).is_none());
}

#[tokio::test]
async fn the_metrics_tell_where_verdicts_came_from() {
    let house = House::new();
    let token = house.token(TokenSpec::default());
    house.tokens.judge(&token).await.unwrap();
    house.tokens.judge(&token).await.unwrap();
    house.tokens.judge("x").await.unwrap_err();
    let text = house.metrics();
    for line in [
        r#"service_account_tokens_total{source="review"} 1"#,
        r#"service_account_tokens_total{source="cache"} 1"#,
        r#"service_account_tokens_total{source="claims"} 1"#,
        r#"token_reviews_total{outcome="accepted"} 1"#,
        "token_reviews_in_flight 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
}

#[test]
fn configurations_that_let_everyone_pass_are_refused() {
    let good = script::config();
    assert_eq!(good.validate(), Ok(()));
    let audience = |audience: &str| Config { audiences: vec!["ok".into(), audience.into()], ..good.clone() }.validate();
    for own in [
        ISSUER,
        "https://kubernetes.default.svc",
        "https://kubernetes.default.svc/",
        "kubernetes.default.svc",
        "https://Kubernetes.default.svc.cluster.local",
        "kubernetes.default.svc.example.org",
    ] {
        assert_eq!(audience(own), Err(ConfigError::ApiServerAudience(own.into())));
    }
    assert_eq!(audience(""), Err(ConfigError::NoAudience));
    assert_eq!(audience(AUDIENCE), Ok(()));
    let refused = |change: fn(&mut Config)| {
        let mut config = good.clone();
        change(&mut config);
        config.validate().unwrap_err()
    };
    assert_eq!(refused(|config| config.audiences.clear()), ConfigError::NoAudience);
    assert_eq!(refused(|config| config.issuers.clear()), ConfigError::NoIssuer);
    assert_eq!(
        refused(|config| config.negative_cache_ttl = Duration::from_millis(10_001)),
        ConfigError::NegativeCacheTooLong
    );
    assert_eq!(refused(|config| config.max_concurrent_reviews = 0), ConfigError::NoReviews);
    assert_eq!(refused(|config| config.timeout = Duration::ZERO), ConfigError::NoTime);
}

#[tokio::test]
async fn an_audience_that_is_the_api_server_s_own_by_another_name_is_found_out() {
    assert_eq!(House::with_api_audience(ISSUER).tokens.check_audiences().await, Ok(()));
    let house = House::with_api_audience(AUDIENCE);
    assert_eq!(house.tokens.check_audiences().await, Err(ConfigError::ApiServerAudience(AUDIENCE.into())));
    house.api.behave(Behaviour::Fail(ReviewError::Forbidden));
    assert_eq!(house.tokens.check_audiences().await, Ok(()));
    assert!(!house.tokens.is_answered());
}

#[tokio::test]
async fn no_token_counts_before_the_api_server_has_said_whose_our_audiences_are() {
    let house = House::new();
    let spec = TokenSpec::default;
    let token = house.token(spec());
    assert!(house.tokens.judge(&token).await.is_ok() && house.tokens.cached(&token).is_some());
    let reviews = house.api.reviews();
    for (known, reason) in
        [(Audiences::Unknown, Reason::ApiServerUnavailable), (Audiences::ApiServers, Reason::AudienceShared)]
    {
        house.tokens.assume(known);
        assert!(house.tokens.cached(&token).is_none(), "{known:?}: one that was accepted before");
        for token in [&token, &house.token(TokenSpec { name: "another", ..spec() })] {
            let refusal = house.tokens.judge(token).await.unwrap_err();
            assert_eq!(refusal.reason(), reason);
            assert!(refusal.retry_after().is_some(), "{known:?}: the token itself may be good");
        }
        let stranger = house.token(TokenSpec { audiences: &[], ..spec() });
        assert_eq!(house.tokens.judge(&stranger).await.unwrap_err().reason(), Reason::TokenAudience);
    }
    assert_eq!(house.api.reviews(), reviews, "nobody was asked about a token meanwhile");
    house.tokens.assume(Audiences::NotAskable);
    assert!(house.tokens.judge(&token).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn whose_our_audiences_are_is_asked_until_it_is_answered_and_then_each_hour() {
    let house = House::new();
    house.tokens.assume(Audiences::Unknown);
    house.api.behave(Behaviour::Fail(ReviewError::Deadline));
    assert_eq!(house.tokens.check_audiences().await, Ok(()));
    house.tokens.watch_audiences();
    let asked = async |seconds| {
        let before = house.api.reviews();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        house.api.reviews() - before
    };
    assert_eq!(asked(64).await, 6, "after 1, 2, 4, 8, 16 and 32 s");
    assert_eq!(asked(600).await, 10, "and then each minute");
    assert_eq!(house.tokens.known_audiences(), Audiences::Unknown);
    let gauge = |value: u8| house.metrics().contains(&format!("\nservice_account_tokens_not_judged {value}\n"));
    assert!(gauge(1) && !house.tokens.is_answered(), "{}", house.metrics());

    house.api.behave(Behaviour::Honest);
    assert_eq!(asked(60).await, 1);
    assert_eq!(house.tokens.known_audiences(), Audiences::Ours);
    assert!(gauge(0) && house.tokens.is_answered());
    assert_eq!(asked(3600).await, 1, "each hour");
    house.tokens.check_audiences_soon();
    assert_eq!(asked(1).await, 1, "and when something may have changed");

    // No answer changes nothing of what is known; "yes" does.
    house.api.behave(Behaviour::Fail(ReviewError::Deadline));
    assert_eq!(asked(3600).await, 1);
    assert_eq!(house.tokens.known_audiences(), Audiences::Ours);
    house.api.behave(Behaviour::edit(|answer| {
        answer.authenticated = true;
        answer.audiences = vec![AUDIENCE.into()];
    }));
    assert_eq!(asked(3600).await, 1);
    assert_eq!(asked(3600).await, 6, "and then each ten minutes");
    assert_eq!(house.tokens.known_audiences(), Audiences::ApiServers);
    assert!(gauge(1));
    house.api.behave(Behaviour::Honest);
    assert_eq!(asked(600).await, 1);
    assert_eq!(house.tokens.known_audiences(), Audiences::Ours);

    let House { tokens, api, .. } = house;
    drop(tokens);
    let before = api.reviews();
    tokio::time::sleep(Duration::from_hours(3)).await;
    assert_eq!(api.reviews(), before, "who is gone asks no more");
}

#[test]
fn a_judge_can_be_shared() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<ServiceAccountTokens>();
}
