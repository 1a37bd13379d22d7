//! Nothing that a sign-in goes by prints.

use super::support::{ORIGIN, World, origin};
use crate::{
    oidc::{CallbackRequest, Presented, ReturnTarget, callback_query::CallbackQuery},
    principal::ProviderName,
};

#[tokio::test]
async fn what_a_sign_in_sends_and_brings_does_not_print() {
    let world = World::new();
    let browser = world.browser();
    let start = browser.request_login(ReturnTarget::root(), 0).await.unwrap();
    let cookie = start.set_cookie.as_ref().unwrap().header();
    let cookie = cookie.as_str().split(['=', ';']).nth(1).unwrap();
    let state = start.location.as_str().split("state=").nth(1).unwrap().split('&').next().unwrap();
    let printed = format!("{start:?}");
    assert!(!printed.contains(cookie) && !printed.contains(state), "{printed}");

    let url = browser.begin("/").await.unwrap();
    let outcome = browser.callback(&world.provider.authorize(&url)).await;
    let ticket = browser.ticket.lock().unwrap().clone().unwrap();
    let printed = format!("{outcome:?}");
    assert!(printed.contains("SignedIn") && !printed.contains(&ticket), "{printed}");
}

#[test]
fn what_a_browser_brings_does_not_print() {
    let (origin, provider) = (origin(ORIGIN, "dex"), ProviderName::parse("dex").unwrap());
    let callback = CallbackRequest {
        origin: &origin,
        query: "code=hunter2&state=hunter2",
        login_cookies: &["hunter2"],
        previous_ticket: Some("hunter2"),
        source: None,
    };
    let query = CallbackQuery::parse(callback.query).unwrap();
    let presented = Presented { ticket: "hunter2", origin: ORIGIN, provider: &provider };
    let printed = format!("{callback:?} {query:?} {presented:?}");
    assert!(printed.contains(ORIGIN) && !printed.contains("hunter2"), "{printed}");
}
