//! Sign-ins that are to bring a login that is recent, or of a kind.

use std::time::Duration;

use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::{
    failure,
    refresh::Person,
    signed_in,
    support::{Browser, Lies, World},
};
use crate::{
    authz::{Lacking, LoginRequirement},
    clock::{Clock as _, Timestamp},
    oidc::{CallbackOutcome, CallbackRequest, LoginAsk, ReturnTarget},
    reason::Reason,
    session::Login,
};

const START: u64 = 1_800_000_000;

fn wanted(max_age: Option<u64>, acr: &[&str], amr: &[&str]) -> LoginRequirement {
    let texts = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    LoginRequirement::new(max_age.map(Duration::from_mins), texts(acr), texts(amr)).unwrap()
}

fn to_page() -> ReturnTarget {
    ReturnTarget::parse("/page", |_| false)
}

/// The browser is sent to bring what is wanted: where to.
async fn sent(browser: &Browser<'_>, wanted: &LoginRequirement) -> Url {
    browser.begin_asking(to_page(), 1, LoginAsk::once_more(wanted)).await.unwrap()
}

/// What comes of a sign-in that is to bring what is wanted, with a provider that says this of it.
async fn outcome(claims: Value, wanted: &LoginRequirement) -> CallbackOutcome {
    let world = World::new();
    world.provider.tell(Lies::claims(claims));
    let browser = world.browser();
    let url = sent(&browser, wanted).await;
    browser.callback(&world.provider.authorize(&url)).await
}

fn login(outcome: &CallbackOutcome) -> Login {
    match outcome {
        CallbackOutcome::SignedIn { session, .. } => session.login().clone(),
        other => panic!("expected a session, not {other:?}"),
    }
}

#[tokio::test]
async fn a_better_login_takes_the_place_of_the_one_that_was_not_enough() {
    let world = World::new();
    let browser = world.browser();
    let query = world.provider.authorize(&browser.begin("/").await.unwrap());
    signed_in(&browser.callback(&query).await);
    let before = browser.ticket.lock().unwrap().clone().unwrap();
    world.clock.advance(Duration::from_mins(42));

    world.provider.tell(Lies::claims(json!({"acr": "gold", "amr": ["pwd", "otp"]})));
    let url = sent(&browser, &wanted(Some(15), &["gold"], &["otp"])).await;
    let asked = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert_eq!(asked("max_age").as_deref(), Some("900"));
    assert_eq!(asked("acr_values").as_deref(), Some("gold"));
    assert_eq!(asked("prompt").as_deref(), Some("login"));
    let outcome = browser.callback(&world.provider.authorize(&url)).await;
    assert_eq!(signed_in(&outcome), "/page");
    let at = Timestamp::from_unix_seconds(world.clock.now().as_unix_seconds() - 5);
    assert_eq!(login(&outcome), Login::new(Some(at), Some("gold"), ["pwd", "otp"]));
    let ended = world.sessions.open(&before, &world.origin.url, world.registration()).await;
    assert!(ended.is_err(), "the session before it has ended");
}

/// Whatever the browser made of the authorization request on its way, the ID token tells: this provider never looks at what
/// it is asked for.
#[tokio::test]
async fn a_login_that_does_not_bring_what_was_asked_signs_nobody_in() {
    let recent = wanted(Some(15), &[], &[]);
    for auth_time in [
        json!(START - 16 * 60 - 1),
        json!(START - 24 * 3600),
        json!(0),
        json!(null),
        // In the future: it would be fresh for ever.
        json!(START + 61),
        json!(START + 24 * 3600),
        json!(u64::MAX),
        json!(-1),
        json!("just now"),
        json!(true),
        json!([START]),
        json!({"seconds": START}),
    ] {
        let outcome = outcome(json!({"auth_time": auth_time}), &recent).await;
        assert_eq!(failure(&outcome), Reason::InsufficientUserAuthentication, "{auth_time}");
    }
    for auth_time in [json!(START), json!(START - 15 * 60), json!(START - 16 * 60), json!(START + 60), json!(START - 1)]
    {
        assert_eq!(signed_in(&outcome(json!({"auth_time": auth_time}), &recent).await), "/page", "{auth_time}");
    }
    let strong = wanted(None, &["gold", "silver"], &["otp", "hwk"]);
    for (acr, amr) in [
        (json!(null), json!(null)),
        (json!("bronze"), json!(["otp"])),
        (json!("Gold"), json!(["otp"])),
        (json!("gold silver"), json!(["otp"])),
        (json!(["gold"]), json!(["otp"])),
        (json!("otp"), json!(["gold"])),
        (json!("gold"), json!(["pwd"])),
        (json!("gold"), json!([])),
        (json!("gold"), json!("otp hwk")),
        (json!("gold"), json!([["otp"]])),
        (json!("gold"), json!({"otp": true})),
    ] {
        let outcome = outcome(json!({"acr": acr, "amr": amr}), &strong).await;
        assert_eq!(failure(&outcome), Reason::InsufficientUserAuthentication, "{acr} {amr}");
    }
    for (acr, amr) in [(json!("silver"), json!(["pwd", "hwk"])), (json!("gold"), json!("otp"))] {
        assert_eq!(signed_in(&outcome(json!({"acr": acr, "amr": amr}), &strong).await), "/page", "{acr} {amr}");
    }
}

#[tokio::test]
async fn a_login_that_is_not_enough_leaves_the_session_as_it_was() {
    let world = World::new();
    let browser = world.browser();
    let query = world.provider.authorize(&browser.begin("/").await.unwrap());
    signed_in(&browser.callback(&query).await);
    world.provider.tell(Lies::claims(json!({"auth_time": START - 3600})));
    let url = sent(&browser, &wanted(Some(15), &[], &[])).await;
    let outcome = browser.callback(&world.provider.authorize(&url)).await;
    let CallbackOutcome::Failed { reason, target } = outcome else { panic!("{outcome:?}") };
    assert_eq!(reason, Reason::InsufficientUserAuthentication);
    assert_eq!(target.unwrap().as_str(), "/page", "the person may try again");
    assert!(browser.is_signed_in().await);
}

#[tokio::test]
async fn an_older_callback_brings_no_better_login() {
    let world = World::new();
    let browser = world.browser();
    let recent = wanted(Some(15), &[], &[]);
    // Begun and authenticated, and not come back.
    let older = world.provider.authorize(&browser.begin("/").await.unwrap());
    let spent = world.provider.authorize(&sent(&browser, &recent).await);
    let first = login(&browser.callback(&spent).await);
    world.clock.advance(Duration::from_mins(9));
    // A spent one signs nobody in, and does not say that all is well. (This process answers it as it did a moment ago.)
    let (_, oidc) = world.another_replica();
    let cookie = browser.login_cookie.lock().unwrap().clone().unwrap();
    let again = CallbackRequest {
        origin: &world.origin,
        query: &spent,
        login_cookies: &[&cookie],
        previous_ticket: None,
        source: None,
    };
    let outcome = oidc.sign_in.callback(again).await;
    assert!(matches!(outcome, CallbackOutcome::StaleState { required: Some(required), .. } if required == recent));
    // An older one that is good is told apart by what its ID token says.
    world.provider.tell(Lies::claims(json!({"auth_time": START})));
    let second = login(&browser.callback(&older).await);
    assert!(second.authenticated_at() < Some(world.clock.now().minus(Duration::from_mins(8))), "{first:?} {second:?}");
}

/// `acr_values` is a wish. Where it is not fulfilled, the person is asked to authenticate anew, once.
#[tokio::test]
async fn a_context_that_is_not_brought_is_asked_for_once_more_and_no_more() {
    let world = World::new();
    let browser = world.browser();
    let gold = wanted(None, &["gold"], &[]);
    let lacking = Lacking { age: None, context: true, method: false };
    let url = browser.begin_asking(to_page(), 0, LoginAsk::stepping_up(&gold, lacking)).await.unwrap();
    assert!(!url.query_pairs().any(|(name, _)| name == "prompt"), "{url}");
    let outcome = browser.callback(&world.provider.authorize(&url)).await;
    let CallbackOutcome::StaleState { target, attempts: 0, required: Some(required) } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(!browser.is_signed_in().await);
    let url = browser.begin_asking(target, 1, LoginAsk::once_more(&required)).await.unwrap();
    assert!(url.query_pairs().any(|(name, value)| name == "prompt" && value == "login"), "{url}");
    let outcome = browser.callback(&world.provider.authorize(&url)).await;
    assert_eq!(failure(&outcome), Reason::InsufficientUserAuthentication);
}

#[tokio::test]
async fn a_refresh_authenticates_nobody() {
    let person = Person::with(Lies::claims(json!({"acr": "bronze", "amr": ["pwd"]})), |provider| {
        provider.refresh = Some(crate::providers::RefreshConfig { ahead: Duration::from_mins(1) });
    })
    .await;
    let before = person.check().await.unwrap().login().clone();
    person.world.provider.tell(Lies::claims(json!({"auth_time": START + 360, "acr": "gold", "amr": ["otp"]})));
    let session = person.after(Duration::from_mins(6)).await.unwrap();
    assert_eq!(person.refreshes(), 1);
    assert_eq!((session.login(), session.login().context()), (&before, Some("bronze")));
    assert_eq!(session.login().authenticated_at(), Some(Timestamp::from_unix_seconds(START - 5)));
}

/// OpenID Connect Core Error Code `unmet_authentication_requirements` 1.0.
#[tokio::test]
async fn a_provider_may_say_that_it_cannot_bring_it() {
    let world = World::new();
    let browser = world.browser();
    let url = sent(&browser, &wanted(None, &["gold"], &[])).await;
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("state", &state)
        .append_pair("error", "unmet_authentication_requirements")
        .append_pair("iss", super::support::ISSUER)
        .finish();
    assert_eq!(failure(&browser.callback(&query).await), Reason::InsufficientUserAuthentication);
    assert_eq!(world.provider.calls("/token"), 0);
}
