//! Rules that ask for a login that is recent, or of a kind.

use url::Url;

use super::{costs::token, *};
use crate::{check::Verdict, session::Login};

const RECENT: &str = "Bearer realm=\"portcullis\", error=\"insufficient_user_authentication\", \
                      error_description=\"More recent authentication is required\", max_age=\"900\"";
const STRONG: &str = "Bearer realm=\"portcullis\", error=\"insufficient_user_authentication\", \
                      error_description=\"A different authentication level is required\", acr_values=\"gold silver\"";

/// The cookie of somebody who was authenticated so many minutes ago, by a password.
async fn signed_in(fixture: &Fixture, minutes: u64) -> String {
    let at = crate::clock::Clock::now(&*fixture.clock).minus(Duration::from_mins(minutes));
    fixture.sign_in_by("42", &[], Login::new(Some(at), Some("bronze"), ["pwd"])).await
}

fn with<'a>(cookie: &'a str, headers: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [headers, &[("cookie", cookie)]].concat()
}

fn respond(checked: Checked) -> Respond {
    match checked.decision {
        Decision::Respond(respond) => respond,
        Decision::Allow(_) => panic!("allowed"),
    }
}

/// What the provider is asked for beside who somebody is: `max_age`, `acr_values`, `prompt`, each empty where it is not.
fn asked(respond: &Respond) -> [String; 3] {
    assert_eq!((respond.reason, respond.disposition), (Reason::LoginStarted, Disposition::Found));
    let url = Url::parse(respond.location.as_ref().unwrap().as_str()).unwrap();
    ["max_age", "acr_values", "prompt"].map(|name| parameter(&url, name).unwrap_or_default())
}

fn parameter(url: &Url, wanted: &str) -> Option<String> {
    let mut values = url.query_pairs().filter(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
    let value = values.next();
    assert_eq!(values.next(), None, "{wanted} stands there once");
    value
}

#[tokio::test]
async fn a_login_counts_for_as_long_as_the_rule_says() {
    let fixture = Fixture::new().await;
    let cookie = signed_in(&fixture, 0).await;
    for (minutes, reason) in [(0, Reason::Session), (15, Reason::Session), (2, Reason::InsufficientUserAuthentication)]
    {
        fixture.clock.advance(Duration::from_mins(minutes));
        let checked = fixture.check("POST", "/recent", &with(&cookie, &[])).await;
        assert_eq!(checked.decision.reason(), reason, "{minutes}");
        assert_eq!(checked.record.principal().as_deref(), Some("user@example.com"));
    }
    assert_eq!(fixture.check("POST", "/", &with(&cookie, &[])).await.decision.reason(), Reason::Session);
}

#[tokio::test]
async fn whoever_cannot_be_sent_to_sign_in_hears_the_challenge() {
    let fixture = Fixture::with_accounts().await;
    let cookie = signed_in(&fixture, 42).await;
    let (mode, dest) = (("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"));
    let grpc = ("content-type", "application/grpc");
    for (method, headers) in [
        ("GET", &[][..]),
        ("POST", &[("origin", "https://kf.example.com")]),
        ("POST", &[mode, dest]),
        ("GET", &[("upgrade", "websocket")]),
        ("POST", &[grpc]),
        ("GET", &[mode, dest, ("sec-purpose", "prefetch")]),
        ("GET", &[mode, ("sec-fetch-dest", "iframe"), ("sec-fetch-site", "same-origin")]),
    ] {
        for (path, challenge) in [("/recent", RECENT), ("/strong", STRONG)] {
            let respond = respond(fixture.check(method, path, &with(&cookie, headers)).await);
            let (reason, disposition) = (respond.reason, respond.disposition);
            assert_eq!(reason, Reason::InsufficientUserAuthentication, "{method} {headers:?}");
            assert_eq!(disposition, Disposition::InsufficientAuthentication, "{method} {headers:?}");
            assert_eq!(respond.challenge.unwrap().as_str(), challenge, "{method} {headers:?}");
            assert_eq!((respond.location, respond.set_cookie), (None, None));
        }
    }
    // Nobody at all is told that nobody is signed in.
    assert_eq!(fixture.check("POST", "/recent", &[]).await.decision.reason(), Reason::NotSignedIn);
}

#[tokio::test]
async fn no_token_is_a_login() {
    let fixture = Fixture::with_accounts().await;
    let bearer = format!("Bearer {}", token("robot"));
    let fresh = signed_in(&fixture, 0).await;
    for headers in [
        vec![("authorization", bearer.as_str())],
        [navigation(), vec![("authorization", bearer.as_str())]].concat(),
        with(&fresh, &[("authorization", &bearer)]),
    ] {
        let checked = fixture.check("GET", "/recent", &headers).await;
        assert_eq!(checked.record.principal().as_deref(), Some("system:serviceaccount:team-a:robot"));
        let respond = respond(checked);
        assert_eq!(respond.reason, Reason::InsufficientUserAuthentication);
        assert_eq!(respond.challenge.unwrap().as_str(), RECENT);
        assert_eq!(respond.location, None);
    }
    let told = fixture.explain("GET", "/recent", &[("authorization", &bearer)]).await;
    assert_eq!(told.hints, ["the rule asks for somebody who signed in: no token counts for that"]);
    assert_eq!(
        fixture.check("GET", "/", &[("authorization", &bearer)]).await.decision.reason(),
        Reason::ServiceAccount
    );
}

#[tokio::test]
async fn a_navigation_goes_to_sign_in_for_what_it_lacks() {
    let fixture = Fixture::new().await;
    let asked = async |path: &str, cookie: &str| {
        let checked = fixture.check("GET", path, &with(cookie, &navigation())).await;
        asked(&respond(checked))
    };
    let old = signed_in(&fixture, 42).await;
    assert_eq!(asked("/recent", &old).await, ["900", "", "login"]);
    assert_eq!(asked("/strong", &old).await, ["", "gold silver", "login"]);
    // The methods are there: nobody is asked for the password once more.
    let by_otp = fixture.sign_in_by("42", &[], Login::new(None, None, ["otp"])).await;
    assert_eq!(asked("/strong", &by_otp).await, ["", "gold silver", ""]);
    // From before anything was kept of logins.
    let before = fixture.sign_in(&[]).await;
    assert_eq!(asked("/recent", &before).await, ["900", "", "login"]);
    // Whoever is not signed in need not sign in twice, nor once where the provider remembers.
    assert_eq!(asked("/recent", "none=1").await, ["900", "", ""]);
    assert_eq!(asked("/", "none=1").await, ["", "", ""]);
}

#[tokio::test]
async fn what_leads_out_of_a_frame_or_a_worker_asks_for_the_same() {
    let fixture = Fixture::new().await;
    let cookie = signed_in(&fixture, 42).await;
    let frame = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe"), ("sec-fetch-site", "same-origin")];
    let accept = ("accept", "text/html");
    let worker =
        [("sec-fetch-mode", "same-origin"), ("sec-fetch-dest", "empty"), ("sec-fetch-site", "same-origin"), accept];
    for headers in [&frame[..], &worker] {
        for (path, link) in [
            ("/recent", "/portcullis/login?return=%2Frecent&#38;max_age=900"),
            ("/strong", "/portcullis/login?return=%2Fstrong&#38;max_age=0&#38;acr_values=gold+silver"),
        ] {
            let respond = respond(fixture.check("GET", path, &with(&cookie, headers)).await);
            assert_eq!(respond.disposition, Disposition::InsufficientAuthentication, "{headers:?}");
            let Body::Page(page) = &respond.body else { panic!("{headers:?}") };
            assert!(page.html.contains(link), "{link} in {}", page.html);
        }
    }
    let path = "/portcullis/login?return=%2Frecent&max_age=900";
    let followed = fixture.check("GET", path, &with(&cookie, &navigation())).await;
    assert_eq!(asked(&respond(followed)), ["900", "", "login"]);
}

/// A browser with two login cookies, as a sibling host can plant one, is signed in and never gets what it is sent for.
#[tokio::test]
async fn a_callback_that_never_fits_ends_although_somebody_is_signed_in() {
    let fixture = Fixture::new().await;
    let cookie = signed_in(&fixture, 42).await;
    let mut checked = fixture.check("GET", "/recent", &with(&cookie, &navigation())).await;
    let mut restarts = 0;
    loop {
        let respond = respond(checked);
        if respond.reason == Reason::LoginLoop {
            assert_eq!(respond.location, None);
            break;
        }
        let url = Url::parse(respond.location.unwrap().as_str()).unwrap();
        assert_eq!(parameter(&url, "max_age").as_deref(), Some("900"), "what was asked is asked again: {url}");
        let callback = format!("/portcullis/callback?state={}&code=x", parameter(&url, "state").unwrap());
        checked = fixture.check("GET", &callback, &with(&cookie, &navigation())).await;
        restarts += 1;
        assert!(restarts < 10, "round and round");
    }
    assert_eq!(restarts, 3);
    // With what was asked for, by another tab, the person goes on.
    let started = respond(fixture.check("GET", "/recent", &with(&cookie, &navigation())).await);
    let url = Url::parse(started.location.unwrap().as_str()).unwrap();
    let callback = format!("/portcullis/callback?state={}&code=x", parameter(&url, "state").unwrap());
    let fresh = signed_in(&fixture, 0).await;
    let resumed = fixture.check("GET", &callback, &with(&fresh, &navigation())).await;
    assert_eq!(resumed.decision.reason(), Reason::LoginResumed);
}

#[tokio::test]
async fn explain_tells_what_is_missing() {
    let fixture = Fixture::new().await;
    let cookie = signed_in(&fixture, 42).await;
    let told = fixture.explain("POST", "/recent", &with(&cookie, &[])).await;
    assert_eq!((told.verdict, told.reason), (Verdict::Refused, Reason::InsufficientUserAuthentication));
    assert_eq!(told.hints, ["the login is 42m old, the rule asks for at most 15m"]);
    let told = fixture.explain("GET", "/strong", &with(&cookie, &navigation())).await;
    assert_eq!((told.verdict, told.reason), (Verdict::SignIn, Reason::InsufficientUserAuthentication));
    assert_eq!(told.userid.as_deref(), Some("user@example.com"));
    assert_eq!(
        told.hints,
        [
            "the login has the `acr` \"bronze\", the rule asks for one of `gold`, `silver`",
            "the login has the `amr` \"pwd\", the rule asks for one of `otp`",
        ]
    );
    assert!(fixture.explain("GET", "/", &with(&cookie, &[])).await.hints.is_empty());
}
