//! A provider's page ends sessions through the browser: OpenID Connect Front-Channel Logout 1.0.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use portcullis_integration::browser::{Application, Browser};
use portcullis_integration::envoy::{Envoy, Variant};
use portcullis_integration::gateway::Gateway;
use portcullis_integration::pki::Authority;
use portcullis_integration::portcullis::{Config, HOST, ORIGIN};
use portcullis_integration::provider::{Provider, Settings};
use portcullis_integration::raw_client::Response;
use portcullis_integration::upstream::Protocol;
use portcullis_integration::visitor::Visitor;
use serde_json::json;
use url::Url;

portcullis_integration::on_each_envoy!(a_frame_of_the_provider_ends_the_session_that_it_names);

fn front_channel(config: Config) -> Config {
    config.set("/providers/0/logout", json!({ "front_channel": true }))
}

fn address(iss: &str, sid: &str) -> String {
    let mut url = Url::parse(&format!("{ORIGIN}/portcullis/frontchannel-logout")).unwrap();
    url.query_pairs_mut().append_pair("iss", iss).append_pair("sid", sid);
    format!("{}?{}", url.path(), url.query().unwrap())
}

/// What a browser sends for a frame of another site's page: no cookie.
async fn framed(gateway: &Gateway, path: &str) -> Response {
    let lines = [
        ("accept", "text/html"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "iframe"),
    ];
    gateway.get(path, &lines).await.unwrap()
}

async fn is_signed_in(visitor: &mut Visitor) -> bool {
    match visitor.fetch("GET", "/").await.unwrap().status {
        200 => true,
        401 => false,
        status => panic!("status {status}"),
    }
}

async fn a_frame_of_the_provider_ends_the_session_that_it_names(variant: Variant) {
    let gateway = Gateway::start(variant, front_channel).await.unwrap();
    let (mut alice, mut bob) = (gateway.visitor().unwrap(), gateway.visitor().unwrap());
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    bob.sign_in("bob", "/").await.unwrap().echo().unwrap();
    let (iss, sid) = (gateway.provider.issuer().to_owned(), gateway.provider.signed_in()[0].session.clone());

    let told = framed(&gateway, &address(&iss, "somebody's")).await;
    let twice = format!("{}&sid={sid}", address(&iss, &sid));
    for nothing in
        [address("https://evil.test", &sid), address(&format!("{iss}/"), &sid), address(&iss, &"a".repeat(256))]
    {
        let answer = framed(&gateway, &nothing).await;
        assert_eq!((answer.status, answer.text()), (200, told.text()), "{nothing}: all are told the same");
        assert!(is_signed_in(&mut alice).await, "{nothing}");
    }
    // Nobody's session is named there, so that none is told to have ended.
    for nothing in [
        address("", &sid),
        address(&iss, ""),
        twice,
        format!("/portcullis/frontchannel-logout?sid={sid}"),
        "/portcullis/frontchannel-logout".to_owned(),
    ] {
        let answer = framed(&gateway, &nothing).await;
        assert_eq!(answer.status, 400, "{nothing}");
        assert!(!answer.text().contains("signed out"), "{nothing}");
        assert!(is_signed_in(&mut alice).await, "{nothing}");
    }
    let post = alice.request("POST", &address(&iss, &sid), &[("origin", ORIGIN)]).await.unwrap();
    assert_eq!((post.status, post.headers.only("allow")), (405, Some("GET")));
    assert!(is_signed_in(&mut alice).await);

    let answer = framed(&gateway, &address(&iss, &sid)).await;
    assert_eq!((answer.status, answer.text()), (200, told.text()));
    assert_eq!(answer.headers.only("cache-control"), Some("no-store"));
    assert!(!answer.headers.has("x-frame-options") && !answer.headers.has("set-cookie"), "{:?}", answer.headers);
    let policy = answer.headers.only("content-security-policy").unwrap();
    let frames = format!("frame-ancestors {};", Url::parse(&iss).unwrap().origin().ascii_serialization());
    assert!(policy.contains(&frames), "{policy}");
    assert!(!is_signed_in(&mut alice).await && is_signed_in(&mut bob).await);
}

#[tokio::test]
async fn it_is_off_unless_it_is_switched_on() {
    let gateway = Gateway::start(Variant::NEWEST, |config| config).await.unwrap();
    let mut alice = gateway.visitor().unwrap();
    alice.sign_in("alice", "/").await.unwrap().echo().unwrap();
    let sid = gateway.provider.signed_in()[0].session.clone();
    assert_eq!(framed(&gateway, &address(gateway.provider.issuer(), &sid)).await.status, 404);
    assert!(is_signed_in(&mut alice).await);
}

/// Chromium shows our frame in the provider's page, and in nobody else's.
#[tokio::test]
async fn a_browser_frames_it_in_the_provider_s_page_alone() {
    let provider = Provider::start(Settings::default()).await.unwrap();
    let application = Application::start().await.unwrap();
    let portcullis = front_channel(Config::new().unwrap().provider(&provider).unwrap()).start().await.unwrap();
    let identity = Authority::new("the tests' authority").unwrap().server(&[HOST]).unwrap();
    let envoy = Envoy::builder(Variant::NEWEST)
        .unwrap()
        .check(portcullis.check_address())
        .upstream_at(Protocol::Http1, application.address())
        .tls(identity.clone());
    let envoy = envoy.start().await.unwrap();
    let browser = Browser::builder().host(HOST, envoy.tls_address()).trust(&identity).unwrap().start().await.unwrap();
    let mut alice = Visitor::new(envoy.to_http1(), ORIGIN).unwrap();
    alice.sign_in("alice", "/").await.unwrap();
    let sid = provider.signed_in()[0].session.clone();
    let frame = format!("{ORIGIN}{}", address(provider.issuer(), &sid));
    let hold =
        format!("document.body.innerHTML = '<iframe></iframe>'; document.querySelector('iframe').src = {frame:?};");

    browser.open(&format!("{}/.well-known/openid-configuration", provider.issuer())).await.unwrap();
    browser.run(&hold).await.unwrap();
    browser.client().enter_frame(0).await.unwrap();
    let wanted = "Your identity provider signed you out";
    let shown = browser.wait_for(wanted, async || browser.text().await.ok().filter(|text| text.contains(wanted)));
    shown.await.unwrap();
    browser.leave_frame().await.unwrap();
    assert!(!is_signed_in(&mut alice).await);
    assert_eq!(browser.objections().await.unwrap(), [""; 0]);
    browser.open(&frame).await.unwrap();
    browser.photograph("signed-out-by-provider").await.unwrap();

    browser.open(&format!("http://{}/", application.address())).await.unwrap();
    browser.run(&hold).await.unwrap();
    let refused = browser.wait_for("refuses the frame", async || {
        browser.objections().await.ok().filter(|objections| !objections.is_empty())
    });
    let refused = refused.await.unwrap();
    assert!(refused.iter().any(|objection| objection.contains("frame-ancestors")), "{refused:?}");
}
