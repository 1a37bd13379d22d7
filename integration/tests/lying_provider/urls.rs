//! Endpoints that are URLs to one reader and none to another: a copied `{tenant}`, a zone, a port beyond all ports.

use std::collections::BTreeSet;

use portcullis_integration::check_client::{Check, CheckClient};
use portcullis_integration::check_visitor::{CheckVisitor, location};
use portcullis_integration::faults::edit;
use portcullis_integration::portcullis::{Config, Portcullis};
use portcullis_integration::provider::{Faults, Provider, Settings};
use serde_json::{Value, json};

use super::ground::{Lie, lie, no_login_begins_with};

/// Nobody signs in without these, or without userinfo where the ID token lacks something.
const REQUIRED: [&str; 4] = ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"];
/// Nobody needs these to sign in.
const OPTIONAL: [&str; 3] = ["end_session_endpoint", "revocation_endpoint", "introspection_endpoint"];

/// What no endpoint can be.
fn unusable() -> Vec<(&'static str, Value)> {
    vec![
        ("a host to fill in", json!("https://{tenant}.idp.example/revoke")),
        ("a host with a space", json!("https://a b/")),
        ("an address with a zone", json!("https://[fe80::1%25eth0]/")),
        ("a port beyond all ports", json!("https://idp.example:99999/")),
        ("no host", json!("https:///?x")),
        ("a user and a password", json!("https://user:password@idp.example/")),
        ("a host with a directive", json!("https://idp.example;frame-ancestors,x/")),
        ("a fragment", json!("https://idp.example/#revoke")),
        ("70 KiB", json!(format!("https://idp.example/{}", "a".repeat(70 << 10)))),
        ("a label of 70 letters", json!(format!("https://{}.example/", "a".repeat(70)))),
        ("no https", json!("ftp://idp.example/")),
        ("nothing", json!("")),
        ("no text", json!(7)),
    ]
}

/// What looks odd and is an endpoint all the same.
fn usable() -> Vec<(&'static str, Value)> {
    vec![
        ("a path to fill in", json!("https://idp.example/{tenant}/revoke")),
        ("a query to fill in", json!("https://idp.example/revoke?tenant={tenant}")),
        ("a host in another alphabet", json!("https://größe.example/revoke")),
        ("an address", json!("https://[2001:db8::1]:8443/revoke")),
        ("2000 bytes", json!(format!("https://idp.example/{}", "a".repeat(1980)))),
    ]
}

#[tokio::test]
async fn no_login_begins_at_a_provider_whose_endpoints_cannot_be_called() {
    // Each kind at one endpoint, and the one that ended the process at all of them.
    let rows = unusable().into_iter().enumerate().flat_map(|(number, (what, url))| {
        let names = if number == 0 { &REQUIRED[..] } else { &REQUIRED[number % 4..][..1] };
        names.iter().map(move |name| (*name, what, url.clone()))
    });
    let lies: Vec<Lie> = rows
        .map(|(name, what, url)| {
            lie(format!("{name} is {what}"), move |faults: &mut Faults| {
                let url = url.clone();
                faults.edit_discovery = edit(move |document| document[name] = url.clone());
            })
            .unavailable("sign_in_not_set_up")
        })
        .collect();
    no_login_begins_with(lies).await;
}

/// Providers, each with one of these as its every optional endpoint, and the product in front of them.
async fn start(
    urls: &[(&'static str, Value)],
    configure: impl FnOnce(Config) -> Config,
) -> (Vec<(String, Provider)>, Portcullis, CheckClient) {
    let mut providers = Vec::new();
    for (number, (_, url)) in urls.iter().enumerate() {
        let provider = Provider::start(Settings { refresh_tokens: true, ..Settings::default() }).await.unwrap();
        let url = url.clone();
        provider.lie(move |faults| {
            faults.edit_discovery = edit(move |document| {
                for name in OPTIONAL {
                    document[name] = url.clone();
                }
            });
        });
        providers.push((format!("url-{number:02}.test"), provider));
    }
    let named = providers.iter().map(|(host, provider)| (host.as_str(), provider));
    let portcullis = configure(Config::new().unwrap().providers(named).unwrap()).start().await.unwrap();
    let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
    (providers, portcullis, client)
}

/// The provider's names and endpoints of which the log says that they count as none.
async fn ignored(portcullis: &Portcullis) -> BTreeSet<(String, String)> {
    let told =
        |record: &Value, name: &str| record["fields"][name].as_str().or(record[name].as_str()).map(str::to_owned);
    let records = portcullis.records().await.unwrap();
    records.iter().filter_map(|record| Some((told(record, "provider")?, told(record, "endpoint")?))).collect()
}

#[tokio::test]
async fn who_signs_out_at_a_provider_whose_endpoints_cannot_be_called_is_signed_out() {
    let (odd, usable) = (unusable(), usable());
    let urls: Vec<_> = odd.iter().chain(&usable).cloned().collect();
    let (providers, mut portcullis, client) = start(&urls, |config| config).await;
    for ((host, _), (what, _)) in providers.iter().zip(&urls) {
        let mut alice = CheckVisitor::new(&client, host);
        for top_level in [false, true] {
            assert!(alice.sign_in("alice", "/").await.unwrap().is_allowed(), "{what}");
            let answer = if top_level {
                let submission = Check::new("POST", host, "/portcullis/logout")
                    .header("origin", format!("https://{host}"))
                    .header("sec-fetch-site", "same-origin")
                    .header("sec-fetch-mode", "navigate")
                    .header("sec-fetch-dest", "document");
                alice.ask(submission).await.unwrap()
            } else {
                alice.fetch("POST", "/portcullis/logout").await.unwrap()
            };
            assert_eq!(answer.status(), if top_level { 303 } else { 201 }, "{what}: {answer:?}");
            if top_level {
                let ends_here = location(&answer).unwrap().host_str() == Some(host.as_str());
                let is_none = odd.iter().any(|(other, _)| other == what);
                assert_eq!(ends_here, is_none, "{what}: {answer:?}");
            }
            assert_eq!(alice.fetch("GET", "/").await.unwrap().status(), 401, "{what}");
        }
    }
    let told = ignored(&portcullis).await;
    assert_eq!(told.len(), odd.len() * OPTIONAL.len(), "{told:?}");
    let log = portcullis.process().log();
    assert!(!log.contains("panicked"), "{}", portcullis.log_tail());
}

/// Nobody would stay signed in: that is told at once, and not after `every`.
#[tokio::test]
async fn nobody_signs_in_where_nobody_can_be_asked_at_such_an_endpoint() {
    let (providers, mut portcullis, client) = start(&unusable()[..1], |config| {
        config.set("/providers/0/strict", json!({ "every": "1s", "ask": "introspection" }))
    })
    .await;
    let refused = CheckVisitor::new(&client, &providers[0].0).navigate("/").await.unwrap();
    assert_eq!((refused.status(), refused.reason().as_deref()), (503, Some("sign_in_not_set_up")));
    assert_eq!(portcullis.told("ERROR", "`strict`").await.unwrap().len(), 1, "{}", portcullis.log_tail());
    assert!(!portcullis.process().log().contains("panicked"), "{}", portcullis.log_tail());
}
