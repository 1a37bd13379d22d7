//! Whatever a client forges, the service behind the gateway sees one trusted identity or none.
//!
//! Each test runs behind each of the Envoys. Hardened, Envoy may refuse a vector itself.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use portcullis_integration::envoy::{Builder, Variant};
use portcullis_integration::gateway::{Gateway, HOST};
use portcullis_integration::on_each_envoy;
use portcullis_integration::portcullis::{ASSERTION_ISSUER, Config, LOGIN_COOKIE, SESSION_COOKIE};
use portcullis_integration::raw_client::{Response, http1, http2};
use portcullis_integration::upstream::Received;
use portcullis_integration::wire::HeaderLines;
use serde_json::json;

on_each_envoy!(
    forged_headers_do_not_arrive,
    forged_headers_over_http2_do_not_arrive,
    long_runs_of_duplicates_do_not_arrive,
    hop_by_hop_tricks_forge_nothing,
    bytes_that_are_no_text_forge_nothing,
    a_websocket_handshake_is_stripped_too,
    our_cookies_do_not_travel_on,
    bearers_of_our_issuers_do_not_travel_on,
    what_is_the_applications_travels_on,
    request_trailers_are_not_covered,
);

/// What only Portcullis may set, with what other authenticators set and services still believe.
const PROTECTED: [&str; 14] = [
    "kubeflow-userid",
    "kubeflow-groups",
    "auth-method",
    "portcullis-assertion",
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-request-groups",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "x-original-url",
    "x-rewrite-url",
];

/// The paths on which an anonymous request passes.
const ANONYMOUS: [&str; 2] = ["/public/page", "/optional/page"];

async fn gateway(variant: Variant) -> Gateway {
    gateway_with(variant, |envoy| envoy).await
}

async fn gateway_with(variant: Variant, set_up: impl FnOnce(Builder) -> Builder) -> Gateway {
    let rules = json!([
        { "name": "public", "paths": [{ "prefix": "/public" }], "access": "public" },
        { "name": "optional", "paths": [{ "prefix": "/optional" }], "access": "optional" },
    ]);
    let configure = |config: Config| config.rules(rules);
    Gateway::start_with(variant, configure, set_up).await.expect("the ensemble starts")
}

/// Every spelling of a name that some application takes for it.
fn spellings(name: &str) -> Vec<String> {
    let title: Vec<String> = name.split('-').map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect();
    let (first, rest) = name.split_once('-').expect("each name has two parts");
    vec![
        name.to_owned(),
        title.join("-"),
        name.to_ascii_uppercase(),
        name.replace('-', "_"),
        title.join("_"),
        name.replace('-', "."),
        format!("{first}_{rest}"),
        format!("{first}~{}", rest.replace('-', "!")),
    ]
}

/// Fails where the upstream saw a protected name in any spelling.
fn assert_no_identity(received: &HeaderLines, what: &str) {
    for name in PROTECTED {
        let seen = received.folded(name);
        assert!(seen.is_empty(), "{what}: the upstream saw {seen:?}");
    }
}

/// The request as it arrived; none where it was refused, which a hardened Envoy may do with 400.
fn arrived(response: &Response, variant: Variant, what: &str) -> Option<Received> {
    if variant.is_hardened() && response.status == 400 {
        return None;
    }
    assert_eq!(response.status, 200, "{what}: {}", response.text());
    Some(response.echo().expect("the upstream answers what it received"))
}

async fn forged_headers_do_not_arrive(variant: Variant) {
    try_forged_headers(&gateway(variant).await).await;
}

#[tokio::test]
async fn forged_headers_do_not_arrive_where_envoy_sends_raw_headers() {
    let gateway = gateway_with(Variant::NEWEST, Builder::raw_headers).await;
    try_forged_headers(&gateway).await;
}

async fn try_forged_headers(gateway: &Gateway) {
    let variant = gateway.envoy.variant();
    for path in ANONYMOUS {
        let honest = gateway.get(path, &[("x-harmless", "1")]).await.unwrap();
        let honest = honest.echo().unwrap();
        assert_no_identity(&honest.headers, "no forgery");
        assert_eq!(honest.headers.only("x-harmless"), Some("1"));

        for name in PROTECTED {
            for spelling in spellings(name) {
                let what = format!("{path} {spelling}");
                let lines = [(spelling.as_str(), "evil"), ("x-harmless", "1"), (spelling.as_str(), "")];
                let response = gateway.get(path, &lines).await.unwrap();
                if let Some(received) = arrived(&response, variant, &what) {
                    assert_no_identity(&received.headers, &what);
                    assert_eq!(received.headers.only("x-harmless"), Some("1"), "{what}");
                }
            }
        }
    }
}

async fn forged_headers_over_http2_do_not_arrive(variant: Variant) {
    let gateway = gateway(variant).await;
    for target in [gateway.envoy.to_http1(), gateway.envoy.to_http2()] {
        for name in PROTECTED {
            for spelling in [name.to_owned(), name.replace('-', "_"), name.replace('-', ".")] {
                let request = http2::Request::get(HOST, "/public/page")
                    .header(&spelling, "evil")
                    .header("x-harmless", "1")
                    .header(&spelling, "more evil");
                let response = http2::exchange(&target, &request).await;
                let Ok(response) = response else {
                    assert!(variant.is_hardened(), "{spelling}: {response:?}");
                    continue;
                };
                if let Some(received) = arrived(&response, variant, &spelling) {
                    assert_no_identity(&received.headers, &spelling);
                    assert_eq!(received.headers.only("x-harmless"), Some("1"), "{spelling}");
                }
            }
        }
    }
}

async fn long_runs_of_duplicates_do_not_arrive(variant: Variant) {
    let gateway = gateway(variant).await;
    for path in ANONYMOUS {
        let mut lines = vec![("Kubeflow-UserID", "evil"); 40];
        lines.extend([("kubeflow-groups", "system:masters"); 30]);
        let response = gateway.get(path, &lines).await.unwrap();
        assert_eq!(response.status, 200, "{}", response.text());
        assert_no_identity(&response.echo().unwrap().headers, path);

        // More than Envoy takes: refused before anybody looks.
        let lines = vec![("kubeflow-userid", "evil"); 200];
        let response = gateway.get(path, &lines).await.unwrap();
        assert_eq!(response.status, 431, "{}", response.text());
    }
}

async fn hop_by_hop_tricks_forge_nothing(variant: Variant) {
    let gateway = gateway(variant).await;
    let connection = [
        "kubeflow-userid",
        "Kubeflow-UserID, close",
        "kubeflow_userid",
        "keep-alive, kubeflow-userid, kubeflow-groups",
        "cookie, authorization",
        "portcullis-assertion",
        "x-forwarded-for, kubeflow-userid",
        "upgrade, kubeflow-userid",
    ];
    for path in ANONYMOUS {
        for value in connection {
            let lines = [
                ("Connection", value),
                ("Kubeflow-UserID", "evil"),
                ("kubeflow-groups", "system:masters"),
                ("Upgrade", "websocket"),
                ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ];
            let what = format!("{path} Connection: {value}");
            let before = gateway.http1.received().len();
            let response = gateway.get(path, &lines).await.unwrap();
            // A protected name in `connection` may be refused; nothing else may happen.
            assert!(matches!(response.status, 101 | 200 | 400), "{what}: {}", response.text());
            for received in &gateway.http1.received()[before..] {
                assert_no_identity(&received.headers, &what);
            }
        }
    }
}

async fn bytes_that_are_no_text_forge_nothing(variant: Variant) {
    let gateway = gateway(variant).await;
    for (name, value) in [
        ("kubeflow-userid", &b"\xff\xfe"[..]),
        ("kubeflow-userid", "admin\u{212a}".as_bytes()),
        ("x-harmless", b"\xff kubeflow-userid: evil"),
        ("cookie", b"a=\xff; __Host-portcullis=\xff"),
    ] {
        let mut bytes = format!("GET /public/page HTTP/1.1\r\nHost: {HOST}\r\nkubeflow_userid: evil\r\n");
        if variant.is_hardened() {
            bytes = bytes.replace("kubeflow_userid", "kubeflow.userid");
        }
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n\r\n");
        let response = gateway.exchange(&bytes).await.unwrap();
        assert!(matches!(response.status, 200 | 400), "{name} {value:?}: {}", response.status);
        if response.status == 200 {
            let received = response.echo().unwrap();
            assert_no_identity(&received.headers, name);
            assert_no_cookie_of_ours(&received.headers, name);
        }
    }
}

async fn a_websocket_handshake_is_stripped_too(variant: Variant) {
    let gateway = gateway(variant).await;
    let lines = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Kubeflow-UserID", "evil"),
        ("kubeflow.groups", "evil"),
        ("Cookie", "__Host-portcullis=stolen; a=1"),
    ];
    let response = gateway.get("/public/socket", &lines).await.unwrap();
    assert_eq!(response.status, 101, "{}", response.text());
    let received = gateway.http1.received_with("/public/socket").remove(0);
    assert_no_identity(&received.headers, "a handshake");
    assert_eq!(received.headers.only("cookie"), Some("a=1"));

    let refused = gateway.get("/private/socket", &lines).await.unwrap();
    assert_eq!(refused.status, 401, "{}", refused.text());
    assert!(gateway.http1.received_with("/private").is_empty());
}

fn assert_no_cookie_of_ours(received: &HeaderLines, what: &str) {
    for cookie in received.all("cookie") {
        assert!(!cookie.contains(SESSION_COOKIE), "{what}: the upstream saw {cookie:?}");
    }
}

async fn our_cookies_do_not_travel_on(variant: Variant) {
    let gateway = gateway(variant).await;
    let cut = [
        (format!("{SESSION_COOKIE}=t"), None),
        (format!("a=1; {SESSION_COOKIE}=t; b=2"), Some("a=1; b=2")),
        (format!("{SESSION_COOKIE}=t; a=\"1 2\";b=é"), Some("a=\"1 2\";b=é")),
        (format!("a=1; {LOGIN_COOKIE}=t"), Some("a=1")),
        (format!("a=1; {LOGIN_COOKIE}=t; {SESSION_COOKIE}=t; {SESSION_COOKIE}=u"), Some("a=1")),
    ];
    for path in ANONYMOUS {
        for (cookie, left) in &cut {
            let response = gateway.get(path, &[("Cookie", cookie)]).await.unwrap();
            assert_eq!(response.status, 200, "{path} {cookie}: {}", response.text());
            let received = response.echo().unwrap();
            assert_eq!(received.headers.only("cookie"), *left, "{path} {cookie}");
        }

        // Two lines, which Envoy joins by a comma, and names that only look like ours.
        let (ours, nameless) = (format!("{SESSION_COOKIE}=t; b=2"), format!("={SESSION_COOKIE}=x; a=1"));
        let odd = [
            vec![("Cookie", "a=1"), ("Cookie", ours.as_str())],
            vec![("Cookie", ours.as_str()), ("Cookie", "a=1")],
            vec![("Cookie", ours.as_str()), ("Cookie", ours.as_str())],
            vec![("Cookie", nameless.as_str())],
        ];
        for lines in odd {
            let response = gateway.get(path, &lines).await.unwrap();
            assert_eq!(response.status, 200, "{path} {lines:?}: {}", response.text());
            assert_no_cookie_of_ours(&response.echo().unwrap().headers, path);
        }
    }
}

async fn bearers_of_our_issuers_do_not_travel_on(variant: Variant) {
    let gateway = gateway(variant).await;
    let account = gateway.mint_token("ns", "robot");
    let forged = gateway.review_api.token("ns", "robot").forged();
    let user = json!({ "iss": gateway.provider.issuer(), "sub": "alice", "aud": "portcullis" });
    let user = gateway.provider.sign(&user).unwrap();
    let own = json!({ "iss": ASSERTION_ISSUER, "sub": "user:test:alice" });
    let own = gateway.provider.sign(&own).unwrap();
    let before = gateway.review_api.calls().reviews;
    for token in [account, forged, user, own] {
        for value in [format!("Bearer {token}"), format!("bearer  {token}")] {
            let response = gateway.get("/public/page", &[("Authorization", &value)]).await.unwrap();
            assert_eq!(response.status, 200, "{}", response.text());
            let received = response.echo().unwrap();
            assert!(!received.headers.has("authorization"), "{:?}", received.headers);
            assert_no_identity(&received.headers, "a bearer on a public path");
        }
    }
    assert_eq!(gateway.review_api.calls().reviews, before, "a public rule judges nobody");
}

async fn what_is_the_applications_travels_on(variant: Variant) {
    let gateway = gateway(variant).await;
    for path in ANONYMOUS {
        for value in ["token 0123456789abcdef", "Basic YTpi", "ApiKey x"] {
            let lines = [("Authorization", value), ("Cookie", "_xsrf=2|a; session=\"b c\"")];
            let response = gateway.get(path, &lines).await.unwrap();
            assert_eq!(response.status, 200, "{path} {value}: {}", response.text());
            let received = response.echo().unwrap();
            assert_eq!(received.headers.only("authorization"), Some(value));
            assert_eq!(received.headers.only("cookie"), Some("_xsrf=2|a; session=\"b c\""));
        }
    }
}

/// A limit of `ext_authz` that the documentation tells: trailers come after the check.
async fn request_trailers_are_not_covered(variant: Variant) {
    let gateway = gateway(variant).await;
    let request = http2::Request::get(HOST, "/public/page").trailer("kubeflow-userid", "evil");
    let response = http2::exchange(&gateway.envoy.to_http2(), &request).await.unwrap();
    let received = response.echo().unwrap();
    assert_no_identity(&received.headers, "trailers");
    assert_eq!(received.trailers.only("kubeflow-userid"), Some("evil"));

    // To an HTTP/1.1 upstream Envoy passes none on.
    let response = http2::exchange(&gateway.envoy.to_http1(), &request).await.unwrap();
    assert!(response.echo().unwrap().trailers.0.is_empty());
    let chunked = "POST /public/page HTTP/1.1\r\nHost: kubeflow.test\r\nTransfer-Encoding: chunked\r\n\
                   Trailer: kubeflow-userid\r\n\r\n1\r\nx\r\n0\r\nkubeflow-userid: evil\r\n\r\n";
    let response = http1::exchange(&gateway.target(), chunked.as_bytes()).await.unwrap();
    let received = response.echo().unwrap();
    assert_eq!((received.body.as_str(), received.trailers.0.len()), ("x", 0));
}
