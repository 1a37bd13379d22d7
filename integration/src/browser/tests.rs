use super::*;
use crate::envoy::{Envoy, HostRoute, Variant};
use crate::pki::Authority;
use crate::upstream::Protocol;

#[tokio::test]
async fn a_browser_opens_what_it_is_told_to_trust_and_nothing_else() {
    let authority = Authority::new("the tests' authority").unwrap();
    let (known, unknown) = (authority.server(&["kubeflow.test"]).unwrap(), authority.server(&["other.test"]).unwrap());
    let application = Application::start().await.unwrap();
    let serve = async |identity: &Identity| {
        let route = HostRoute { host: "kubeflow.test".into(), address: application.address(), checked: false };
        let envoy = Envoy::builder(Variant::NEWEST).unwrap().host_route(route).tls(identity.clone());
        envoy.upstream_at(Protocol::Http1, application.address()).start().await.unwrap()
    };
    let (known_server, unknown_server) = (serve(&known).await, serve(&unknown).await);
    let browser = Browser::builder()
        .host("kubeflow.test", known_server.tls_address())
        .host("other.test", unknown_server.tls_address())
        .trust(&known)
        .unwrap()
        .start()
        .await
        .unwrap();

    browser.open("https://kubeflow.test/page?a=b").await.unwrap();
    assert_eq!(browser.url().await.unwrap().as_str(), "https://kubeflow.test/page?a=b");
    assert!(browser.text().await.unwrap().contains("/page?a=b"));
    let fetched = browser.fetch("/x", &json!({})).await.unwrap();
    assert_eq!(fetched.status, 200, "{fetched:?}");
    // A warning is a page, too.
    browser.open("https://other.test/").await.unwrap();
    let warning = browser.text().await.unwrap();
    assert!(warning.contains("ERR_CERT"), "{warning}");
    let unknown = browser.open("https://example.com/").await.unwrap_err();
    assert!(format!("{unknown:#}").contains("ERR_NAME_NOT_RESOLVED"), "{unknown:#}");

    let id = browser.id.expect("chromedriver tells the process id");
    drop(browser);
    assert!(!Path::new(&format!("/proc/{id}")).exists(), "Chromium lives on");
}
