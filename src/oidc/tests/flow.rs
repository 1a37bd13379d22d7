//! From the first navigation to the session: tabs, strangers, replays.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::sync::Notify;
use url::{Url, form_urlencoded};

use super::{
    failure, signed_in,
    support::{COOKIE, ISSUER, Lies, ORIGIN, World, origin},
};
use crate::{
    oidc::{CallbackOutcome, CallbackRequest, Limits, LoginError, MAX_ATTEMPTS, Oidc, ReturnTarget},
    providers::{ProviderConfig, Scopes},
    reason::Reason,
};

/// The query with this parameter set to these values; none removes it.
fn edited(query: &str, name: &str, values: &[&str]) -> String {
    let kept = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key != name);
    let mut edited = form_urlencoded::Serializer::new(String::new());
    edited.extend_pairs(kept).extend_pairs(values.iter().map(|value| (name, value)));
    edited.finish()
}

fn not_fresh(outcome: &CallbackOutcome) -> (&str, u8) {
    match outcome {
        CallbackOutcome::StaleState { target, attempts, .. } => (target.as_str(), *attempts),
        other => panic!("expected a stale state, not {other:?}"),
    }
}

#[tokio::test]
async fn the_browser_lands_where_it_wanted() {
    let world = World::new();
    let browser = world.browser();
    let url = browser.begin("/notebook/ns/?x=%2F").await.unwrap();
    assert_eq!(url.as_str().split('?').next(), Some("https://idp.example.com/dex/auth"));
    let redirect = url.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1;
    assert_eq!(redirect, "https://kf.example.com/portcullis/callback");
    let outcome = browser.callback(&world.provider.authorize(&url)).await;
    assert_eq!(signed_in(&outcome), "/notebook/ns/?x=%2F");
    assert!(browser.is_signed_in().await);
}

#[tokio::test]
async fn the_login_cookie_is_set_once_and_renewed_after_an_hour() {
    let world = World::new();
    let browser = world.browser();
    let start = browser.request_login(ReturnTarget::root(), 0).await.unwrap();
    let cookie = start.set_cookie.unwrap().header();
    assert!(cookie.as_str().starts_with(&format!("{COOKIE}=")));
    assert!(cookie.as_str().ends_with("; Path=/; Max-Age=4200; Secure; HttpOnly; SameSite=Lax"));
    browser.begin("/").await.unwrap();
    assert!(browser.request_login(ReturnTarget::root(), 0).await.unwrap().set_cookie.is_none());
    world.clock.advance(Duration::from_hours(1));
    assert!(browser.request_login(ReturnTarget::root(), 0).await.unwrap().set_cookie.is_some());
}

#[tokio::test]
async fn tabs_that_share_the_cookie_finish_in_any_order() {
    let world = World::new();
    let browser = world.browser();
    let mut queries = Vec::new();
    for tab in 0..5 {
        let url = browser.begin(&format!("/tab/{tab}")).await.unwrap();
        queries.push(world.provider.authorize(&url));
    }
    for (tab, query) in queries.iter().enumerate().rev() {
        assert_eq!(signed_in(&browser.callback(query).await), format!("/tab/{tab}"));
        assert!(browser.is_signed_in().await);
    }
}

/// Five tabs without any cookie are restored at once: each gets a cookie, the browser keeps the last. All land where
/// they wanted in the end, by starting again.
#[tokio::test]
async fn five_cold_tabs_all_land_finished_in_reverse() {
    let world = World::new();
    let browser = world.browser();
    let mut tabs = Vec::new();
    let mut cookie = None;
    for tab in 0..5 {
        let target = ReturnTarget::parse(&format!("/tab/{tab}"), |_| false);
        let start = browser.request_login(target, 0).await.unwrap();
        let header = start.set_cookie.unwrap().header();
        cookie = header.as_str().split([';', '=']).nth(1).map(str::to_owned);
        tabs.push((tab, Url::parse(start.location.as_str()).unwrap()));
    }
    *browser.login_cookie.lock().unwrap() = cookie;
    let mut restarted = 0;
    for (tab, url) in tabs.iter().rev() {
        let mut query = world.provider.authorize(url);
        let target = loop {
            match browser.callback(&query).await {
                CallbackOutcome::SignedIn { target, .. } => break target,
                CallbackOutcome::StaleState { target, attempts, .. } => {
                    restarted += 1;
                    let url = browser.begin_again(target, attempts + 1).await.unwrap();
                    query = world.provider.authorize(&url);
                }
                CallbackOutcome::Failed { reason, .. } => panic!("{reason}"),
            }
        };
        assert_eq!(target.as_str(), format!("/tab/{tab}"));
        assert!(browser.is_signed_in().await);
    }
    assert_eq!(restarted, 4);
}

#[tokio::test]
async fn another_browser_exchanges_and_writes_nothing() {
    let world = World::new();
    let (attacker, victim) = (world.browser(), world.browser());
    let query = world.provider.authorize(&attacker.begin("/x").await.unwrap());
    victim.begin("/").await.unwrap();
    let calls = world.store.calls();
    for browser in [&victim, &world.browser()] {
        assert_eq!(not_fresh(&browser.callback(&query).await), ("/x", 0));
        // Nor does an error, or no code at all, tell more.
        assert_eq!(not_fresh(&browser.callback(&edited(&query, "error", &["access_denied"])).await).0, "/x");
        assert_eq!(not_fresh(&browser.callback(&edited(&query, "code", &[])).await).0, "/x");
    }
    assert_eq!((world.provider.calls("/token"), world.store.calls()), (0, calls));
    // The attacker's own callback still works: it was not spent.
    assert_eq!(signed_in(&attacker.callback(&query).await), "/x");
}

#[tokio::test]
async fn two_login_cookies_count_as_none() {
    let world = World::new();
    let browser = world.browser();
    let query = world.provider.authorize(&browser.begin("/").await.unwrap());
    let cookie = browser.login_cookie.lock().unwrap().clone().unwrap();
    let outcome = world
        .oidc
        .sign_in
        .callback(CallbackRequest {
            origin: &world.origin,
            query: &query,
            login_cookies: &[&cookie, &cookie],
            previous_ticket: None,
            source: None,
        })
        .await;
    assert_eq!(not_fresh(&outcome), ("/", 0));
}

#[tokio::test]
async fn a_state_that_does_not_open_is_an_error() {
    let world = World::new();
    let browser = world.browser();
    let query = world.provider.authorize(&browser.begin("/").await.unwrap());
    let state = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state").unwrap().1.into_owned();
    let flipped = format!("{}{}", if state.starts_with('A') { "B" } else { "A" }, &state[1..]);
    let queries = [
        String::new(),
        edited(&query, "state", &[]),
        edited(&query, "state", &["", ""]),
        edited(&query, "state", &[&flipped]),
        edited(&query, "state", &[&state[..state.len() - 1]]),
        edited(&query, "state", &[&state, &state]),
        edited(&query, "code", &["a", "a"]),
        edited(&query, "iss", &[ISSUER, ISSUER]),
        format!("error=access_denied&{}", edited(&query, "state", &["x"])),
        "state=%ff%fe".to_owned(),
    ];
    for query in queries {
        assert_eq!(failure(&browser.callback(&query).await), Reason::StateInvalid, "{query}");
    }
    assert_eq!((world.provider.calls("/token"), world.store.calls()), (0, 0));
}

#[tokio::test]
async fn a_state_of_another_origin_does_not_open() {
    let world = World::new();
    let browser = world.browser();
    let query = world.provider.authorize(&browser.begin("/").await.unwrap());
    let cookie = browser.login_cookie.lock().unwrap().clone().unwrap();
    let other = origin("https://other.example.com", "dex");
    let request = CallbackRequest {
        origin: &other,
        query: &query,
        login_cookies: &[&cookie],
        previous_ticket: None,
        source: None,
    };
    assert_eq!(failure(&world.oidc.sign_in.callback(request).await), Reason::StateInvalid);
    // The origin's provider was changed meanwhile: start again.
    let moved = origin(ORIGIN, "another");
    let outcome = world.oidc.sign_in.callback(CallbackRequest { origin: &moved, ..request }).await;
    assert_eq!(not_fresh(&outcome), ("/", 0));
}

#[tokio::test]
async fn the_issuer_of_the_answer_is_compared_before_anything_is_exchanged() {
    let world = World::new();
    let browser = world.browser();
    let query = world.provider.authorize(&browser.begin("/").await.unwrap());
    for issuer in [&["https://evil.example.com"][..], &["https://idp.example.com/dex/"], &[""], &[]] {
        let outcome = browser.callback(&edited(&query, "iss", issuer)).await;
        assert_eq!(failure(&outcome), Reason::ProviderMixUp, "{issuer:?}");
    }
    assert_eq!((world.provider.calls("/token"), world.store.calls()), (0, 0));
    assert_eq!(signed_in(&browser.callback(&query).await), "/");
}

#[tokio::test]
async fn an_answer_without_issuer_needs_a_provider_that_never_names_it() {
    let world = World::new();
    world.provider.tell(Lies::discovery(serde_json::json!({"authorization_response_iss_parameter_supported": null})));
    let browser = world.browser();
    let query = world.provider.authorize(&browser.begin("/").await.unwrap());
    assert_eq!(failure(&browser.callback(&edited(&query, "iss", &["https://evil"])).await), Reason::ProviderMixUp);
    assert_eq!(signed_in(&browser.callback(&edited(&query, "iss", &[])).await), "/");
}

#[tokio::test]
async fn the_provider_s_errors_end_the_login_without_a_trace() {
    let world = World::new();
    let browser = world.browser();
    let query = world.provider.authorize(&browser.begin("/x").await.unwrap());
    let query = edited(&query, "code", &[]);
    for (error, reason) in [
        ("access_denied", Reason::ProviderDenied),
        ("login_required", Reason::ProviderDenied),
        ("x\r\nSet-Cookie: a=b", Reason::ProviderDenied),
        ("temporarily_unavailable", Reason::ProviderUnavailable),
    ] {
        let outcome = browser.callback(&edited(&query, "error", &[error])).await;
        let CallbackOutcome::Failed { reason: found, target } = outcome else { panic!("{outcome:?}") };
        assert_eq!((found, target.unwrap().as_str()), (reason, "/x"));
    }
    assert_eq!(failure(&browser.callback(&query).await), Reason::ProviderAnswerInvalid);
    assert_eq!((world.provider.calls("/token"), world.store.calls()), (0, 0));
}

#[tokio::test]
async fn an_old_state_starts_again() {
    let world = World::new();
    let browser = world.browser();
    let query = world.provider.authorize(&browser.begin("/x").await.unwrap());
    world.clock.advance(Duration::from_mins(10));
    assert_eq!(not_fresh(&browser.callback(&query).await), ("/x", 0));
    assert_eq!((world.provider.calls("/token"), world.store.calls()), (0, 0));
}

#[tokio::test]
async fn starting_again_ends_after_two_more_attempts() {
    let world = World::new();
    let browser = world.browser();
    let mut attempts = 0;
    loop {
        let target = ReturnTarget::parse("/x", |_| false);
        match browser.begin_again(target, attempts).await {
            Ok(url) => {
                let query = world.provider.authorize(&url);
                world.clock.advance(Duration::from_mins(11));
                let outcome = browser.callback(&query).await;
                assert_eq!(not_fresh(&outcome), ("/x", attempts));
                attempts += 1;
            }
            Err(error) => {
                assert_eq!(error, LoginError { reason: Reason::LoginLoop });
                break;
            }
        }
    }
    assert_eq!(attempts, MAX_ATTEMPTS + 1);
}

#[tokio::test(start_paused = true)]
async fn a_spent_state_is_not_exchanged_again() {
    let world = World::new();
    let browser = world.browser();
    let query = world.provider.authorize(&browser.begin("/x").await.unwrap());
    assert_eq!(signed_in(&browser.callback(&query).await), "/x");
    // Past the time in which a repeated check gets the same answer.
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(not_fresh(&browser.callback(&query).await), ("/x", 0));
    let other_code = edited(&query, "code", &["other"]);
    assert_eq!(not_fresh(&browser.callback(&other_code).await), ("/x", 0));
    assert_eq!(world.provider.calls("/token"), 1);
    assert!(browser.is_signed_in().await, "the session lives on");
}

#[tokio::test]
async fn the_same_callback_at_once_is_one_exchange_and_one_ticket() {
    let world = World::new();
    let browser = world.browser();
    let query = world.provider.authorize(&browser.begin("/x").await.unwrap());
    let gate = Arc::new(Notify::new());
    *world.provider.gate.lock().unwrap() = Some(gate.clone());

    // The first caller gives up while the provider is being asked.
    let first = tokio::time::timeout(Duration::from_millis(50), browser.callback(&query)).await;
    assert!(first.is_err(), "the gate is shut");
    let ((second, third), ()) =
        tokio::join!(async { tokio::join!(browser.callback(&query), browser.callback(&query)) }, async {
            gate.notify_one();
        },);
    let tickets = [&second, &third].map(|outcome| match outcome {
        CallbackOutcome::SignedIn { ticket, .. } => ticket.expose().to_owned(),
        other => panic!("{other:?}"),
    });
    assert_eq!(tickets[0], tickets[1]);
    assert_eq!(world.provider.calls("/token"), 1);
    assert!(browser.is_signed_in().await);
}

#[tokio::test]
async fn the_session_that_came_along_ends() {
    let world = World::new();
    let browser = world.browser();
    let url = browser.begin("/").await.unwrap();
    browser.callback(&world.provider.authorize(&url)).await;
    let before = browser.ticket.lock().unwrap().clone().unwrap();
    let url = browser.begin("/").await.unwrap();
    browser.callback(&world.provider.authorize(&url)).await;
    let after = browser.ticket.lock().unwrap().clone().unwrap();
    assert_ne!(before, after);
    assert!(browser.is_signed_in().await);
    *browser.ticket.lock().unwrap() = Some(before);
    assert!(!browser.is_signed_in().await);

    // A ticket that an attacker made up does no harm.
    *browser.ticket.lock().unwrap() = Some("made-up".to_owned());
    let url = browser.begin("/").await.unwrap();
    assert_eq!(signed_in(&browser.callback(&world.provider.authorize(&url)).await), "/");
}

#[tokio::test]
async fn a_failed_sign_in_leaves_the_session_that_came_along() {
    let world = World::new();
    let browser = world.browser();
    let url = browser.begin("/").await.unwrap();
    browser.callback(&world.provider.authorize(&url)).await;
    let url = browser.begin("/").await.unwrap();
    world.provider.tell(Lies::claims(serde_json::json!({"nonce": "wrong"})));
    assert_eq!(failure(&browser.callback(&world.provider.authorize(&url)).await), Reason::IdTokenInvalid);
    assert!(browser.is_signed_in().await);
}

#[tokio::test]
async fn without_a_store_nothing_is_exchanged() {
    let world = World::new();
    let browser = world.browser();
    let query = world.provider.authorize(&browser.begin("/").await.unwrap());
    world.store.set_down(true);
    assert_eq!(failure(&browser.callback(&query).await), Reason::StoreUnavailable);
    assert_eq!(world.provider.calls("/token"), 0);
}

#[tokio::test]
async fn a_code_that_was_asked_for_at_another_issuer_goes_nowhere() {
    const OTHER: &str = "https://other.example.com/dex";
    let world = World::new();
    let browser = world.browser();
    let query = world.provider.authorize(&browser.begin("/page").await.unwrap());
    let cookie = browser.login_cookie.lock().unwrap().clone().unwrap();
    let (store, origin) = (world.store.calls(), &world.origin);
    let callback = async |oidc: &Oidc, query: &str| {
        let login_cookies = [cookie.as_str()];
        let request =
            CallbackRequest { origin, query, login_cookies: &login_cookies, previous_ticket: None, source: None };
        oidc.sign_in.callback(request).await
    };
    let query_of_other = edited(&query, "iss", &[OTHER]);

    let other_client = world.reconfigured(|provider| provider.client_id = "another".to_owned());
    assert_eq!(not_fresh(&callback(&other_client, &query).await), ("/page", 0));

    world.provider.tell(Lies::discovery(json!({"issuer": OTHER})));
    let other_issuer = world.reconfigured(|provider| provider.issuer = OTHER.to_owned());
    for query in [&query, &query_of_other] {
        assert_eq!(not_fresh(&callback(&other_issuer, query).await), ("/page", 0));
    }
    assert_eq!((world.provider.calls("/token"), world.store.calls()), (0, store));

    // At its own it is still good.
    world.provider.tell(Lies::default());
    assert_eq!(signed_in(&callback(&world.oidc, &query).await), "/page");
}

/// What the provider says of a denial is for the operator. What is wrong for everybody is not told as one person's.
#[tokio::test]
async fn a_denial_of_everybody_is_no_denial_of_this_person() {
    let told = async |error: &str| {
        let world = World::new();
        let browser = world.browser();
        let query = world.provider.authorize(&browser.begin("/").await.unwrap());
        let query = edited(&edited(&query, "code", &[]), "error", &[error]);
        // The words may come twice, and be whatever they are: they decide nothing.
        failure(&browser.callback(&edited(&query, "error_description", &["a\r\nb", "<script>"])).await)
    };
    for (error, expected) in [
        ("access_denied", Reason::ProviderDenied),
        ("login_required", Reason::ProviderDenied),
        ("temporarily_unavailable", Reason::ProviderUnavailable),
        ("invalid_scope", Reason::SignInNotSetUp),
        ("unauthorized_client", Reason::SignInNotSetUp),
        ("invalid_client", Reason::SignInNotSetUp),
        ("unsupported_response_type", Reason::SignInNotSetUp),
    ] {
        assert_eq!(told(error).await, expected, "{error}");
    }
}

#[tokio::test]
async fn groups_are_asked_for_where_they_are_listed_unless_the_scopes_are_written() {
    let scope = async |config: fn(&mut ProviderConfig), listed: serde_json::Value| {
        let world = World::with(config, Limits::default());
        world.provider.tell(Lies::discovery(json!({"scopes_supported": listed})));
        let url = world.browser().begin("/").await.unwrap();
        url.query_pairs().find(|(name, _)| name == "scope").unwrap().1.into_owned()
    };
    let usual: fn(&mut ProviderConfig) = |config| config.scopes = Scopes::Usual;
    assert_eq!(scope(usual, json!(["openid", "groups", "groups"])).await, "openid email profile groups");
    for listed in [json!(["openid", "email"]), json!(null), json!("groups"), json!({"groups": true})] {
        assert_eq!(scope(usual, listed.clone()).await, "openid email profile", "{listed}");
    }
    assert_eq!(scope(|_| {}, json!(["openid"])).await, "openid email groups");
}

#[tokio::test]
async fn further_parameters_stand_beside_ours() {
    let parameters =
        vec![("prompt".to_owned(), "select_account".to_owned()), ("hd".to_owned(), "a&state=b".to_owned())];
    let world = World::with(|config| config.authorization_parameters = parameters, Limits::default());
    let url = world.browser().begin("/").await.unwrap();
    let all = |name: &str| {
        let values = url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        values.collect::<Vec<_>>()
    };
    assert_eq!((all("prompt"), all("hd")), (vec!["select_account".to_owned()], vec!["a&state=b".to_owned()]));
    assert_eq!(all("state").len(), 1);
}
