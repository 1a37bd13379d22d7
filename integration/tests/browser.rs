//! A person's way with a real browser: Chromium, through Envoy with TLS, to sign in at Dex.
//!
//! Pictures of every page are kept in `artefacts/screenshots`.

#[path = "browser/house.rs"]
mod house;
#[path = "browser/workers.rs"]
mod workers;

use std::collections::BTreeSet;
use std::time::Duration;

use house::House;
use portcullis_integration::portcullis::{Config, LOGIN_COOKIE, ORIGIN, SESSION_COOKIE};
use serde_json::json;

#[tokio::test]
async fn a_person_signs_in_and_lands_on_the_page_that_was_asked_for() {
    let mut house = House::start(Config::embedded_store).await.unwrap();
    let wanted = "/notebook/team-a/x/lab?path=a%20b&then=/c%2Fd&empty=";
    house.open(wanted).await.unwrap();
    house.sign_in("alice").await.unwrap();
    house.browser.wait_for_url(|url| url.as_str() == format!("{ORIGIN}{wanted}")).await.unwrap();
    assert_eq!(house.told("address").await, wanted);
    assert_eq!(house.told("user").await, "alice@example.com");
    assert_eq!(house.told("groups").await, "team-a,everyone");
    assert_eq!(house.told("cookies").await, "", "the application must see no cookie of ours");

    let cookies = house.browser.client().get_all_cookies().await.unwrap();
    let session = cookies.iter().find(|cookie| cookie.name() == SESSION_COOKIE).unwrap();
    assert_eq!((session.http_only(), session.secure(), session.path()), (Some(true), Some(true), Some("/")));
    assert_eq!(house.browser.run("return document.cookie").await.unwrap(), "", "no script may read a cookie of ours");

    house.browser.client().refresh().await.unwrap();
    assert_eq!(house.told("user").await, "alice@example.com");
    house.portcullis.restart().await.unwrap();
    house.browser.client().refresh().await.unwrap();
    assert_eq!(house.told("user").await, "alice@example.com", "the session must outlive a restart");
    assert_eq!(house.browser.objections().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn five_cold_tabs_all_complete_and_land_where_they_wanted() {
    let house = House::start(|config| config).await.unwrap();
    let client = house.browser.client();
    // All at once, as a browser restores its tabs: none of them has a cookie to share yet.
    let open = format!("for (let tab = 1; tab <= 5; tab++) window.open(`{ORIGIN}/tab/${{tab}}?of=5`)");
    let first = client.window().await.unwrap();
    house.browser.run(&open).await.unwrap();
    let all =
        house.browser.wait_for("opens five tabs", async || client.windows().await.ok().filter(|all| all.len() == 6));
    let mut tabs = all.await.unwrap();
    tabs.retain(|tab| *tab != first);
    for tab in &tabs {
        client.switch_to_window(tab.clone()).await.unwrap();
        house.wait_for_dex().await.unwrap();
    }
    // Finished in reverse.
    let mut landed = BTreeSet::new();
    for tab in tabs.into_iter().rev() {
        client.switch_to_window(tab).await.unwrap();
        let (url, pages) = house.sign_in_until_landed("alice").await.unwrap();
        assert!(pages <= 2, "{url}: the person had to sign in {pages} times");
        assert_eq!(house.told("user").await, "alice@example.com");
        landed.insert(url.as_str().to_owned());
    }
    let wanted: BTreeSet<String> = (1..=5).map(|tab| format!("{ORIGIN}/tab/{tab}?of=5")).collect();
    assert_eq!(landed, wanted);
}

#[tokio::test]
async fn logging_out_ends_the_session_and_the_back_button_shows_nothing() {
    let house = House::start(|config| config).await.unwrap();
    let browser = &house.browser;
    house.open("/secret").await.unwrap();
    house.sign_in("alice").await.unwrap();
    house.wait_for_application().await.unwrap();

    // By the button of the page about oneself.
    house.open("/portcullis/whoami").await.unwrap();
    assert!(browser.text().await.unwrap().contains("alice@example.com"));
    browser.click("form button").await.unwrap();
    browser.wait_for_url(|url| url.path() == "/portcullis/signed-out").await.unwrap();
    assert_eq!(browser.cookie(SESSION_COOKIE).await.unwrap(), None);
    for page in ["who am I", "the application's page"] {
        browser.client().back().await.unwrap();
        house.wait_for_dex().await.unwrap();
        let text = browser.text().await.unwrap();
        assert!(!text.contains("alice@example.com"), "{page} is shown after the logout: {text}");
    }

    // By a script of the application.
    house.open("/secret").await.unwrap();
    house.sign_in("alice").await.unwrap();
    house.wait_for_application().await.unwrap();
    let answer = browser.fetch("/portcullis/logout", &json!({ "method": "POST" })).await.unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["afterLogoutURL"], format!("{ORIGIN}/portcullis/signed-out"));
    let after = browser.fetch("/secret", &json!({})).await.unwrap();
    assert_eq!(after.status, 401, "{after:?}");
    browser.client().refresh().await.unwrap();
    house.wait_for_dex().await.unwrap();

    // By the page that asks, for whoever came by a link.
    house.open("/secret").await.unwrap();
    house.sign_in("alice").await.unwrap();
    house.wait_for_application().await.unwrap();
    house.open("/portcullis/logout").await.unwrap();
    assert!(browser.cookie(SESSION_COOKIE).await.unwrap().is_some(), "an address alone must not log anybody out");
    browser.click("form button").await.unwrap();
    browser.wait_for_url(|url| url.path() == "/portcullis/signed-out").await.unwrap();
    browser.client().back().await.unwrap();
    house.open("/secret").await.unwrap();
    house.wait_for_dex().await.unwrap();
}

#[tokio::test]
async fn another_site_cannot_log_anybody_out() {
    let house = House::start(|config| config).await.unwrap();
    let browser = &house.browser;
    house.open("/secret").await.unwrap();
    house.sign_in("alice").await.unwrap();
    house.wait_for_application().await.unwrap();
    for submit in [
        "const form = document.createElement('form'); form.method = 'post'; form.action = URL; \
         document.body.append(form); form.submit();",
        "location = URL;",
    ] {
        house.open_another_site().await.unwrap();
        browser.run(&submit.replace("URL", &format!("'{ORIGIN}/portcullis/logout'"))).await.unwrap();
        browser.wait_for_url(|url| url.path() == "/portcullis/logout").await.unwrap();
        house.open("/secret").await.unwrap();
        assert_eq!(house.told("user").await, "alice@example.com", "{submit}");
    }
}

#[tokio::test]
async fn an_expired_session_inside_a_frame_leads_to_a_sign_in_at_top_level() {
    const IDLE: Duration = Duration::from_secs(4);
    let house = House::start(|config| config.set("/sessions/idle_lifetime", "4s")).await.unwrap();
    let browser = &house.browser;
    house.open("/framing?a=b").await.unwrap();
    house.sign_in("alice").await.unwrap();
    browser.wait_for_element("#frame").await.unwrap();
    browser.client().enter_frame(0).await.unwrap();
    assert_eq!(house.told("user").await, "alice@example.com");
    browser.leave_frame().await.unwrap();

    // Time itself is waited for: any request would make the session last longer.
    tokio::time::sleep(IDLE + Duration::from_millis(500)).await;
    browser.run("document.getElementById('frame').src = '/framed?c=d'").await.unwrap();
    browser.client().enter_frame(0).await.unwrap();
    browser.wait_for_element("a.button[target=_top]").await.unwrap();
    assert!(browser.text().await.unwrap().contains("Please sign in"));
    assert!(browser.cookie(SESSION_COOKIE).await.unwrap().is_some(), "the cookie must be there, and its session not");
    browser.leave_frame().await.unwrap();
    browser.photograph("sign-in-in-frame").await.unwrap();
    assert_eq!(browser.objections().await.unwrap(), [""; 0]);

    browser.client().enter_frame(0).await.unwrap();
    browser.click("a.button[target=_top]").await.unwrap();
    browser.leave_frame().await.unwrap();
    house.sign_in("alice").await.unwrap();
    browser.wait_for_url(|url| url.as_str() == format!("{ORIGIN}/framed?c=d")).await.unwrap();
    assert_eq!(house.told("user").await, "alice@example.com");
}

#[tokio::test]
async fn a_forged_callback_signs_nobody_in_as_the_attacker() {
    let house = House::start(|config| config).await.unwrap();
    let browser = &house.browser;
    // The attacker signs in as himself, and does not open the callback.
    let forged = house.callback_of(&mut house.visitor().unwrap(), "mallory", "/trap?x=1").await.unwrap();

    browser.open(forged.as_str()).await.unwrap();
    house.wait_for_dex().await.unwrap();
    house.open_other_page_of_ours().await.unwrap();
    assert_eq!(browser.cookie(SESSION_COOKIE).await.unwrap(), None);

    // The victim's own sign-in is all that can come of it.
    browser.open(forged.as_str()).await.unwrap();
    house.sign_in("alice").await.unwrap();
    browser.wait_for_url(|url| url.as_str() == format!("{ORIGIN}/trap?x=1")).await.unwrap();
    assert_eq!(house.told("user").await, "alice@example.com");

    // Whoever is signed in stays who they are.
    let forged = house.callback_of(&mut house.visitor().unwrap(), "mallory", "/trap?x=2").await.unwrap();
    browser.open(forged.as_str()).await.unwrap();
    browser.wait_for_url(|url| url.as_str() == format!("{ORIGIN}/trap?x=2")).await.unwrap();
    assert_eq!(house.told("user").await, "alice@example.com");
}

#[tokio::test]
async fn a_spent_callback_starts_again_toward_the_original_page() {
    let house = House::start(|config| config).await.unwrap();
    let browser = &house.browser;
    house.open("/first").await.unwrap();
    house.wait_for_dex().await.unwrap();
    // A visitor with the browser's own login cookie learns the address to which Dex would send it back.
    house.open_other_page_of_ours().await.unwrap();
    let mut twin = house.visitor().unwrap();
    twin.cookies.insert(LOGIN_COOKIE.to_owned(), browser.cookie(LOGIN_COOKIE).await.unwrap().unwrap());
    let callback = house.callback_of(&mut twin, "alice", "/wanted?y=1").await.unwrap();

    browser.open(callback.as_str()).await.unwrap();
    assert_eq!(browser.url().await.unwrap().as_str(), format!("{ORIGIN}/wanted?y=1"));
    assert_eq!(house.told("user").await, "alice@example.com");
    let answer = browser.fetch("/portcullis/logout", &json!({ "method": "POST" })).await.unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");

    browser.open(callback.as_str()).await.unwrap();
    house.sign_in("bob").await.unwrap();
    browser.wait_for_url(|url| url.as_str() == format!("{ORIGIN}/wanted?y=1")).await.unwrap();
    assert_eq!(house.told("user").await, "bob@example.com");
}

#[tokio::test]
async fn a_person_sees_and_ends_the_other_sessions() {
    let house = House::start(|config| config).await.unwrap();
    let browser = &house.browser;
    let mut cookies = Vec::new();
    for _ in 0..2 {
        // The browser forgets the session, which lives on.
        browser.client().delete_all_cookies().await.unwrap();
        house.open("/").await.unwrap();
        house.sign_in("alice").await.unwrap();
        house.wait_for_application().await.unwrap();
        cookies.push(browser.cookie(SESSION_COOKIE).await.unwrap().unwrap());
    }
    let mut forgotten = house.visitor().unwrap();
    forgotten.cookies.insert(SESSION_COOKIE.to_owned(), cookies.swap_remove(0));
    assert_eq!(forgotten.fetch("GET", "/").await.unwrap().status, 200);

    house.open("/portcullis/whoami").await.unwrap();
    browser.click("a.button").await.unwrap();
    browser.wait_for_url(|url| url.path() == "/portcullis/sessions").await.unwrap();
    browser.photograph("two-own-sessions").await.unwrap();
    let text = browser.text().await.unwrap();
    for told in ["This browser", "Another browser", "127.0.0.1", "alice@example.com"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    browser.click("form[action*='end=others'] button").await.unwrap();
    let is_alone = async || (!browser.text().await.ok()?.contains("Another browser")).then_some(());
    browser.wait_for("the list without the other session", is_alone).await.unwrap();
    assert_eq!(forgotten.fetch("GET", "/").await.unwrap().status, 401);
    house.open("/").await.unwrap();
    house.wait_for_application().await.unwrap();
}

#[tokio::test]
async fn every_page_looks_well_in_light_in_dark_and_on_a_phone() {
    let rules = json!([
        { "name": "admins", "paths": [{ "prefix": "/admin" }], "access": "authenticated", "groups": ["admins"] },
    ]);
    let mut house = House::start(|config| config.rules(rules)).await.unwrap();
    house.open("/").await.unwrap();
    house.sign_in("alice").await.unwrap();
    house.wait_for_application().await.unwrap();

    let show = async |house: &House, name: &str, address: &str, heading: &str| {
        house.open(address).await.unwrap();
        house.browser.photograph(name).await.unwrap();
        let faces = house.faces().await.unwrap();
        assert_eq!(faces.headings, [heading], "{address}");
        assert!(!faces.title.is_empty() && faces.language == "en" && faces.scripts == 0, "{address}: {faces:?}");
        assert_eq!(house.browser.objections().await.unwrap(), [""; 0], "{address}");
    };
    show(&house, "who-am-i", "/portcullis/whoami", "You are signed in").await;
    show(&house, "own-sessions", "/portcullis/sessions", "Your sessions").await;
    show(&house, "confirm-logout", "/portcullis/logout", "Sign out?").await;
    show(&house, "problem-403", "/admin/users", "Not allowed").await;
    show(&house, "problem-400", "/portcullis/callback?code=x&state=not-ours", "Sign-in did not work").await;
    show(&house, "problem-404", "/portcullis/nothing", "Nothing here").await;
    show(&house, "signed-out", "/portcullis/signed-out", "You are signed out").await;

    house.open("/portcullis/logout").await.unwrap();
    house.browser.click("form button").await.unwrap();
    house.browser.wait_for_url(|url| url.path() == "/portcullis/signed-out").await.unwrap();
    house.dex.kill().unwrap();
    house.portcullis.restart().await.unwrap();
    show(&house, "problem-503", "/", "Not available right now").await;
}
