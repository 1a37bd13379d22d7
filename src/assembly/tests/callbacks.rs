//! A browser that comes back from the provider with a sign-in that is none of its own.

use url::Url;

use super::*;

/// How often a ticket was looked at.
fn opens(fixture: &Fixture) -> u64 {
    let metrics = fixture.metrics();
    let counts = metrics.lines().filter(|line| line.starts_with("session_opens_total"));
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// The callback of a sign-in that another browser began.
async fn callback_of_another(fixture: &Fixture) -> String {
    let started = fixture.check("GET", "/wanted", &navigation()).await;
    let Decision::Respond(respond) = started.decision else { panic!("allowed") };
    let location = Url::parse(respond.location.unwrap().as_str()).unwrap();
    let state = location.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    format!("/portcullis/callback?state={state}&code=x")
}

#[tokio::test]
async fn the_session_is_opened_once_whatever_comes_of_a_callback() {
    let fixture = Fixture::new().await;
    let cookie = fixture.sign_in(&[]).await;
    let another = callback_of_another(&fixture).await;
    for (path, reason) in
        [(another.as_str(), Reason::LoginResumed), ("/portcullis/callback?state=x&code=y", Reason::StateInvalid)]
    {
        let before = opens(&fixture);
        let checked = fixture.check("GET", path, &[navigation(), vec![("cookie", &cookie)]].concat()).await;
        assert_eq!(checked.decision.reason(), reason);
        assert_eq!(opens(&fixture) - before, 1, "{reason}");
        let Decision::Respond(respond) = checked.decision else { panic!("allowed") };
        if let Body::Page(page) = &respond.body {
            assert!(page.html.contains("user@example.com"), "who is signed in all the same");
        }
    }
}

#[tokio::test]
async fn while_nobody_can_tell_who_is_signed_in_no_sign_in_starts_again() {
    let fixture = Fixture::new().await;
    let cookie = fixture.sign_in(&[]).await;
    let another = callback_of_another(&fixture).await;
    fixture.store.set_down(true);
    let calls = fixture.store.calls();
    let checked = fixture.check("GET", &another, &[navigation(), vec![("cookie", &cookie)]].concat()).await;
    let Decision::Respond(respond) = checked.decision else { panic!("allowed") };
    assert_eq!((respond.reason, respond.disposition), (Reason::StoreUnavailable, Disposition::Unavailable));
    assert!(respond.retry_after.is_some());
    assert_eq!(fixture.store.calls() - calls, 1, "the store is asked once");
}

#[tokio::test]
async fn two_session_cookies_are_no_session_here_either() {
    let fixture = Fixture::new().await;
    let cookie = fixture.sign_in(&[]).await;
    let another = callback_of_another(&fixture).await;
    let doubled = format!("{cookie}; {cookie}");
    let checked = fixture.check("GET", &another, &[navigation(), vec![("cookie", &doubled)]].concat()).await;
    assert_eq!(checked.decision.reason(), Reason::LoginRestarted);
}
