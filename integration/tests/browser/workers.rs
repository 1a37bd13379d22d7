//! Pages with a service worker that passes everything on, each in its own way.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use portcullis_integration::portcullis::{LOGIN_COOKIE, ORIGIN, SESSION_COOKIE};

use crate::house::House;

/// Signed in, with a worker of this kind between the browser and everything.
async fn signed_in_behind(kind: &str) -> House {
    let house = House::start(|config| config).await.unwrap();
    house.open("/first").await.unwrap();
    house.sign_in("alice").await.unwrap();
    house.wait_for_application().await.unwrap();
    house.browser.run(&format!("navigator.serviceWorker.register('/worker.js?{kind}')")).await.unwrap();
    is_controlled(&house, true).await;
    house.open("/through?a=b").await.unwrap();
    is_controlled(&house, true).await;
    assert_eq!(house.told("address").await, "/through?a=b");
    assert_eq!(house.told("user").await, "alice@example.com");
    house
}

async fn is_controlled(house: &House, wanted: bool) {
    let probe = async || {
        let found = house.browser.run("return navigator.serviceWorker.controller !== null").await.ok()?;
        (found == wanted).then_some(())
    };
    house.browser.wait_for(&format!("has a worker: {wanted}"), probe).await.unwrap();
}

/// The session ends elsewhere, and the browser keeps its cookie.
async fn end_session(house: &House) {
    let mut elsewhere = house.visitor().unwrap();
    let ticket = house.browser.cookie(SESSION_COOKIE).await.unwrap().unwrap();
    elsewhere.cookies.insert(SESSION_COOKIE.to_owned(), ticket);
    assert_eq!(elsewhere.fetch("POST", "/portcullis/logout").await.unwrap().status, 201);
}

async fn lands(house: &House, path: &str) {
    house.browser.wait_for_url(|url| url.as_str() == format!("{ORIGIN}{path}")).await.unwrap();
    assert_eq!(house.told("user").await, "alice@example.com");
}

async fn signs_out(house: &House) {
    house.open("/portcullis/logout").await.unwrap();
    assert!(
        house.browser.cookie(SESSION_COOKIE).await.unwrap().is_some(),
        "an address alone must not sign anybody out"
    );
    house.browser.click("form button").await.unwrap();
    house.browser.wait_for_url(|url| url.path() == "/portcullis/signed-out").await.unwrap();
    assert_eq!(house.browser.cookie(SESSION_COOKIE).await.unwrap(), None);
    assert!(house.browser.text().await.unwrap().contains("You are signed out"));
}

#[tokio::test]
async fn a_worker_that_passes_requests_on_whole_is_not_noticed() {
    let house = signed_in_behind("whole").await;
    end_session(&house).await;
    house.open("/again?c=d").await.unwrap();
    house.sign_in("alice").await.unwrap();
    lands(&house, "/again?c=d").await;
    is_controlled(&house, true).await;
    signs_out(&house).await;
    house.open("/portcullis/login?return=/last").await.unwrap();
    house.sign_in("alice").await.unwrap();
    lands(&house, "/last").await;
}

#[tokio::test]
async fn a_worker_that_adds_a_signal_leads_to_sign_in_by_a_button() {
    by_a_button("signal").await;
}

#[tokio::test]
async fn a_worker_that_copies_requests_leads_to_sign_in_by_a_button() {
    by_a_button("copy").await;
}

async fn by_a_button(kind: &str) {
    let house = signed_in_behind(kind).await;
    end_session(&house).await;
    house.open("/again?c=d").await.unwrap();
    assert!(house.browser.text().await.unwrap().contains("service worker"));
    house.browser.photograph(&format!("sign-in-behind-worker-{kind}")).await.unwrap();
    house.browser.click("a.button").await.unwrap();
    house.sign_in("alice").await.unwrap();
    lands(&house, "/again?c=d").await;
    is_controlled(&house, true).await;
    signs_out(&house).await;
    // The way out is there, too.
    house.open("/once-more").await.unwrap();
    house.browser.click("a.button.quiet").await.unwrap();
    house.browser.wait_for_url(|url| url.path() == "/portcullis/service-worker").await.unwrap();
    house.browser.click("a.button").await.unwrap();
    is_controlled(&house, false).await;
    house.browser.click("a.button").await.unwrap();
    house.sign_in("alice").await.unwrap();
    lands(&house, "/once-more").await;
    is_controlled(&house, false).await;
}

#[tokio::test]
async fn a_worker_that_asks_by_address_is_removed_by_a_button() {
    let house = signed_in_behind("address").await;
    let browser = &house.browser;
    end_session(&house).await;
    // Nothing tells this one from a script.
    house.open("/again?c=d").await.unwrap();
    assert!(browser.text().await.unwrap().contains("session_ended"));
    house.open("/portcullis/login?return=/again%3Fc%3Dd").await.unwrap();
    assert!(browser.text().await.unwrap().contains("Something stands between"));
    browser.photograph("service-worker-between").await.unwrap();
    assert!(!browser.run("return document.documentElement.outerHTML").await.unwrap().to_string().contains("state="));

    // A callback works through it: somebody who shares the browser's login cookie came back from Dex.
    let mut twin = house.visitor().unwrap();
    twin.cookies.insert(LOGIN_COOKIE.to_owned(), browser.cookie(LOGIN_COOKIE).await.unwrap().unwrap());
    let callback = house.callback_of(&mut twin, "alice", "/wanted?y=1").await.unwrap();
    browser.open(callback.as_str()).await.unwrap();
    browser.click("a.button").await.unwrap();
    lands(&house, "/wanted?y=1").await;
    is_controlled(&house, true).await;
    signs_out(&house).await;

    house.open("/portcullis/login?return=/again%3Fc%3Dd").await.unwrap();
    browser.run("localStorage.setItem('draft', 'kept')").await.unwrap();
    browser.click("a.button").await.unwrap();
    browser.wait_for_url(|url| url.query().is_some_and(|query| query.contains("token="))).await.unwrap();
    is_controlled(&house, false).await;
    assert!(browser.cookie(LOGIN_COOKIE).await.unwrap().is_some(), "cookies are not cleared");
    browser.click("a.button").await.unwrap();
    house.sign_in("alice").await.unwrap();
    lands(&house, "/again?c=d").await;
    assert_eq!(browser.run("return localStorage.getItem('draft')").await.unwrap(), serde_json::Value::Null);
    signs_out(&house).await;
}

#[tokio::test]
async fn nobody_else_can_clear_what_a_browser_keeps() {
    let house = signed_in_behind("whole").await;
    let browser = &house.browser;
    browser.run("localStorage.setItem('draft', 'kept')").await.unwrap();
    // The attacker's own token, for the attacker's own browser.
    let mut attacker = house.visitor().unwrap();
    let page = attacker.navigate("/portcullis/service-worker?return=/x").await.unwrap().text();
    let token = page.split("token=").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    for address in [
        "/portcullis/service-worker?return=/x".to_owned(),
        format!("/portcullis/service-worker?return=/x&token={token}"),
    ] {
        house.open_another_site().await.unwrap();
        browser.run(&format!("location = '{ORIGIN}{address}'")).await.unwrap();
        browser.wait_for_url(|url| url.path() == "/portcullis/service-worker").await.unwrap();
        assert!(browser.text().await.unwrap().contains("Something stands between"), "{address}");
        house.open("/after").await.unwrap();
        is_controlled(&house, true).await;
        assert_eq!(browser.run("return localStorage.getItem('draft')").await.unwrap(), "kept", "{address}");
    }
}
