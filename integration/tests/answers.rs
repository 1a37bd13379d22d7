//! What a caller without permission gets in the end: each kind of caller the answer that it can read.
//! And the check listeners other than clear text over TCP, as Envoy uses them.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use portcullis_integration::envoy::{CheckAddress, CheckTls, Variant};
use portcullis_integration::gateway::{Gateway, HOST};
use portcullis_integration::on_each_envoy;
use portcullis_integration::pki::Authority;
use portcullis_integration::portcullis::{Config, ORIGIN};
use portcullis_integration::raw_client::{Response, http1, http2};
use serde_json::{Value, json};

on_each_envoy!(
    grpc_is_answered_trailers_only,
    a_preflight_passes_only_where_the_rule_lets_it,
    nothing_but_a_navigation_is_sent_to_sign_in,
    a_frame_gets_a_page_that_leads_out_of_it,
);

/// What a browser sends with a navigation.
const NAVIGATION: [(&str, &str); 3] =
    [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "none")];

/// What no anonymous request may bring to the upstream.
const IDENTITY: [&str; 4] = ["kubeflow-userid", "kubeflow-groups", "auth-method", "portcullis-assertion"];

fn rules(config: Config) -> Config {
    config.rules(json!([
        { "name": "open", "paths": [{ "prefix": "/open" }], "access": "public" },
        { "name": "api", "paths": [{ "prefix": "/api" }], "access": "authenticated", "preflight": "allow" },
        { "name": "admins", "paths": [{ "prefix": "/admin" }], "access": "authenticated", "groups": ["admins"] },
    ]))
}

async fn gateway(variant: Variant) -> Gateway {
    Gateway::start(variant, rules).await.expect("the ensemble starts")
}

/// Fails unless this id is that of a request in the product's log.
async fn assert_logged(gateway: &Gateway, id: &str) {
    assert!(!id.is_empty());
    let records = gateway.portcullis.records().await.unwrap();
    let is_named = |record: &Value| record.to_string().contains(&format!("\"request_id\":\"{id}\""));
    assert!(records.iter().any(is_named), "{id} is in no record");
}

/// Fails unless this is a 401 for a program, with a challenge and the request's id.
async fn assert_problem(gateway: &Gateway, response: &Response) {
    assert_eq!(response.status, 401, "{}", response.text());
    let headers = &response.headers;
    assert_eq!(headers.only("content-type"), Some("application/problem+json"));
    assert!(headers.has("www-authenticate"), "{headers:?}");
    assert!(!headers.has("location") && !headers.has("set-cookie"), "{headers:?}");
    let problem: Value = response.json().unwrap();
    assert_eq!((&problem["status"], &problem["reason"]), (&json!(401), &json!("not_signed_in")));
    assert_logged(gateway, problem["request_id"].as_str().unwrap()).await;
}

async fn grpc_is_answered_trailers_only(variant: Variant) {
    let gateway = gateway(variant).await;
    let bearer = format!("Bearer {}", gateway.mint_token("ns", "robot"));
    let call = async |path, lines: &[(&str, &str)]| {
        let request = http2::Request::get(HOST, path).pseudo(":method", "POST");
        let request = request.header("content-type", "application/grpc").header("te", "trailers");
        let request = lines.iter().fold(request, |request, (name, value)| request.header(name, value));
        // A message without content, in its frame of five bytes.
        http2::exchange(&gateway.envoy.to_http2(), &request.body([0; 5])).await.unwrap()
    };

    let with_token = [("authorization", bearer.as_str())];
    for (path, lines, code, reason) in [
        ("/package.Service/Method", &[][..], "16", "not_signed_in"),
        ("/admin/package.Service/Method", &with_token, "7", "not_permitted"),
    ] {
        let response = call(path, lines).await;
        let headers = &response.headers;
        assert_eq!((response.status, headers.only("grpc-status")), (200, Some(code)), "{headers:?}");
        assert_eq!(headers.only("content-type"), Some("application/grpc"));
        assert!(response.body.is_empty() && response.trailers.0.is_empty(), "{response:?}");
        // Spaces may be percent-encoded (the gRPC protocol's `Percent-Encoded`).
        let message = headers.only("grpc-message").unwrap().replace("%20", " ");
        let id = message.strip_prefix(&format!("{reason} (request id ")).and_then(|rest| rest.strip_suffix(')'));
        assert_logged(&gateway, id.unwrap_or_else(|| panic!("{message}"))).await;
    }
    assert!(gateway.http2.received().is_empty(), "a refused call arrived");
    assert!(call("/package.Service/Method", &with_token).await.is_from_upstream());
}

async fn a_preflight_passes_only_where_the_rule_lets_it(variant: Variant) {
    let gateway = gateway(variant).await;
    let lines = [
        ("Origin", "https://other.test"),
        ("Access-Control-Request-Method", "PUT"),
        ("Kubeflow-UserID", "evil@example.com"),
        ("Kubeflow-Groups", "admins"),
    ];
    let preflight = async |path| gateway.exchange(&http1::request("OPTIONS", HOST, path, &lines)).await.unwrap();

    for path in ["/page", "/admin/page"] {
        assert_problem(&gateway, &preflight(path).await).await;
    }
    assert!(gateway.http1.received().is_empty(), "a refused preflight arrived");

    let received = preflight("/api/page").await.echo().unwrap();
    assert_eq!((received.method.as_str(), received.target.as_str()), ("OPTIONS", "/api/page"));
    for name in IDENTITY {
        assert!(received.headers.folded(name).is_empty(), "{name}: {received:?}");
    }
    // What follows the preflight needs credentials there too.
    let follows = http1::request("PUT", HOST, "/api/page", &lines[..1]);
    assert_problem(&gateway, &gateway.exchange(&follows).await.unwrap()).await;
}

async fn nothing_but_a_navigation_is_sent_to_sign_in(variant: Variant) {
    let gateway = gateway(variant).await;
    let mut lines = NAVIGATION.to_vec();
    lines.push(("Sec-Fetch-Dest", "document"));
    let navigation = gateway.get("/page", &lines).await.unwrap();
    assert_eq!(navigation.status, 302, "{}", navigation.text());
    let location = navigation.headers.only("location").unwrap();
    assert!(location.starts_with(gateway.provider.issuer()), "{location}");
    assert!(location.contains("code_challenge="), "{location}");

    for purpose in ["prefetch", "prefetch;prerender"] {
        let mut lines = lines.clone();
        lines.push(("Sec-Purpose", purpose));
        assert_problem(&gateway, &gateway.get("/page", &lines).await.unwrap()).await;
    }
    let fetch = [("Accept", "*/*"), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")];
    let legacy = [("Accept", "text/html, */*"), ("X-Requested-With", "XMLHttpRequest")];
    for lines in [&fetch[..], &legacy, &[]] {
        assert_problem(&gateway, &gateway.get("/page", lines).await.unwrap()).await;
    }
}

async fn a_frame_gets_a_page_that_leads_out_of_it(variant: Variant) {
    let gateway = gateway(variant).await;
    let mut lines = NAVIGATION.to_vec();
    lines.push(("Sec-Fetch-Dest", "iframe"));
    let framed = gateway.get("/page", &lines).await.unwrap();
    assert_eq!(framed.status, 401, "{}", framed.text());
    assert!(!framed.headers.has("location"), "{:?}", framed.headers);
    assert!(framed.headers.only("content-type").unwrap().starts_with("text/html"));
    let page = framed.text();
    assert!(page.contains("target=\"_top\"") && page.contains(ORIGIN), "{page}");
}

/// Fails unless Envoy hears the product: it lets one request through and refuses another.
async fn assert_checked(gateway: &Gateway) {
    assert!(gateway.get("/open", &[]).await.unwrap().is_from_upstream());
    assert_problem(gateway, &gateway.get("/page", &[]).await.unwrap()).await;
}

#[tokio::test]
async fn envoy_checks_over_a_unix_socket() {
    let configure = |config| rules(config).unix_socket();
    let gateway = Gateway::start(Variant::NEWEST, configure).await.unwrap();
    assert!(matches!(gateway.portcullis.check_address(), CheckAddress::Unix(_)));
    assert_checked(&gateway).await;
}

#[tokio::test]
async fn envoy_checks_over_mutual_tls_only_under_its_name() {
    let named = "spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway";
    let gateway = over_tls(named, named).await;
    assert_checked(&gateway).await;

    let gateway = over_tls(named, "spiffe://cluster.local/ns/evil/sa/istio-ingressgateway").await;
    for path in ["/open", "/page"] {
        let response = gateway.get(path, &[]).await.unwrap();
        assert_eq!(response.status, 503, "{path}: {}", response.text());
    }
    assert!(gateway.http1.received().is_empty(), "an unchecked request arrived");
}

/// The ensemble with a check listener that takes `allowed` alone, and an Envoy that is `shown`.
async fn over_tls(allowed: &str, shown: &str) -> Gateway {
    let authority = Authority::new("ours").unwrap();
    let configure = |config: Config| {
        let server = authority.server(&["check.test"]).unwrap();
        let (certificate, key) = server.write(config.folder(), "check").unwrap();
        let client_ca = config.folder().join("ca.crt");
        std::fs::write(&client_ca, authority.pem()).unwrap();
        let tls = json!({
            "certificate": certificate,
            "key": key,
            "client_ca": client_ca,
            "allowed_sans": [allowed],
        });
        rules(config).set("/listeners/check/tls", tls)
    };
    let identity = Some(authority.client(shown).unwrap());
    let tls = CheckTls { authority: authority.pem(), server_name: "check.test".to_owned(), identity };
    Gateway::start_with(Variant::NEWEST, configure, |envoy| envoy.check_tls(tls)).await.unwrap()
}
