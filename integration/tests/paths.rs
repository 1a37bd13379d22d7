//! No trick with the path gets around a rule that needs a group.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use portcullis_integration::envoy::Variant;
use portcullis_integration::gateway::{Gateway, HOST};
use portcullis_integration::on_each_envoy;
use portcullis_integration::portcullis::Config;
use portcullis_integration::raw_client::{Closed, Response, http1, http2};
use serde_json::json;

on_each_envoy!(
    the_rules_hold_without_tricks,
    no_trick_reaches_a_path_that_needs_a_group,
    no_trick_reaches_a_path_that_is_closed_alone,
    no_trick_makes_a_path_public,
);

/// A second host: `/public` is public, and everything else needs a group.
const STRICT_HOST: &str = "strict.test";

async fn gateway(variant: Variant) -> Gateway {
    let rules = json!([
        { "name": "public", "paths": [{ "prefix": "/public" }], "access": "public" },
        {
            "name": "strict",
            "hosts": [STRICT_HOST],
            "access": "authenticated",
            "groups": ["team-a"],
        },
        {
            "name": "api",
            "hosts": [HOST],
            "paths": [{ "prefix": "/api" }],
            "access": "authenticated",
            "groups": ["team-a"],
        },
        { "name": "only", "hosts": [HOST], "paths": [{ "exact": "/only" }], "groups": ["team-a"] },
    ]);
    let configure = |config: Config| config.rules(rules).set("/hosts", json!([STRICT_HOST]));
    Gateway::start(variant, configure).await.expect("the ensemble starts")
}

/// Ways to write `/api/x` so that some server behind the gateway takes it for that, while a rule
/// that reads bytes takes it for a public path or for one that any signed-in caller may have.
const INTO_API: [&str; 62] = [
    "//api/x",
    "///api/x",
    "/./api/x",
    "/.//api/x",
    "/x/../api/x",
    "/api/./x",
    "/%61pi/x",
    "/ap%69",
    "/%2561pi/x",
    "/%252561pi/x",
    "/api%2fx",
    "/api%2Fx",
    "/api%5cx",
    "/api;v=1/x",
    "/;v=1/api/x",
    "/api/..;/public",
    "/api;/x",
    "/api%3b/x",
    "/api%00",
    "/api%0a/x",
    "/api%23/x",
    "/api%3f/x",
    "/public/../api/x",
    "/public/x/../../api/x",
    "/public//../api/x",
    "/public/%2e%2e/api/x",
    "/public/%2E%2e/api/x",
    "/public/.%2e/api/x",
    "/public/%2e./api/x",
    "/public/%252e%252e/api/x",
    "/public/%25252e%25252e/api/x",
    "/public%2f..%2fapi/x",
    "/public%2f%2e%2e%2fapi/x",
    "/public%252f..%252fapi/x",
    "/public/..%2fapi/x",
    "/public/..%5capi/x",
    "/public/..%255capi/x",
    "/public/..\\api/x",
    "/public\\..\\api/x",
    "/public/..;/api/x",
    "/public/..;a=b/api/x",
    "/public;/../api/x",
    "/public/%c0%ae%c0%ae/api/x",
    "/public/..%c0%afapi/x",
    // For servers that keep empty segments, parameters or encoded slashes while they resolve dots.
    "/x/../api//../x",
    "/x/../api/y/..;/..;/x",
    "/x/../api/y%2f..%2f..%2fx",
    "/x/../api/y;/../../x",
    "/x/..\\api//..\\x",
    // IIS's way to encode, what folds into ASCII, and what some servers do not tell apart.
    "/%u0061pi/x",
    "/%25u0061pi/x",
    "/%u00%36%31pi/x",
    "/public/%u002e%u002e/api/x",
    "/public/%uff0e%uff0e/api/x",
    "/%ef%bd%81pi/x",
    "/api%ef%bc%8fx",
    "/x;%2f/..;/api",
    "/API/x",
    "/Api",
    "/api./x",
    "/api%20/x",
    "/api%2e/x",
];

/// Ways to write `/only`, which one rule closes alone, so that the rule for what lies beside it seems to hold.
const INTO_ONLY: [&str; 24] = [
    "/only;/x",
    "/only;a=b/x",
    "/only;",
    "/only%3b/x",
    "/only%3B",
    "/only%253b/x",
    "/only%ef%bc%9b/x",
    "/%6fnly;%2fx",
    "/only/",
    "/only//",
    "/only%2f",
    "/only/.",
    "/only%5c",
    "/only\\",
    "/%u006fnly",
    "/%U006Fnly",
    "/x/%u002e%u002e/only",
    "/x/..%2fonly",
    "/ONLY",
    "/Only/",
    "/only.",
    "/only%20",
    "/only%23/x",
    "/only%3fx",
];

/// Ways to write a path that is not public so that it seems so.
const LIKE_PUBLIC: [&str; 22] = [
    "/api/..;/public",
    "/public%2f..%2fapi",
    "/public/../api",
    "/public/%2e%2e/api",
    "/x?/public",
    "/x?/public/../public",
    "/public%00",
    "/%c0%afpublic",
    "/public%23/api",
    "//public",
    "/public/..\\api",
    "/PUBLIC",
    "/Public/x",
    "/publicity",
    "/public;x/y",
    "/public%3f",
    "/x/../public",
    "/./public",
    "/%70ublic",
    "/public/%2e",
    "/public/a%2fb",
    "/public/\u{212a}",
];

/// Sends one path over HTTP/1.1 and HTTP/2, with and without a token of somebody without the group,
/// and fails where the upstream sees it. A hardened Envoy may turn a path into a plain one before
/// anybody is asked, and then that is what is judged and what the upstream sees.
async fn assert_refused(gateway: &Gateway, host: &str, path: &str, token: &str) {
    let before = gateway.http1.received().len();
    assert_answers_refuse(gateway, host, path, token).await;
    assert_unseen(gateway, before, host, &format!("{path:?} at {host}"));
}

async fn assert_answers_refuse(gateway: &Gateway, host: &str, path: &str, token: &str) {
    let bearer = format!("Bearer {token}");
    for lines in [vec![], vec![("authorization", bearer.as_str())]] {
        let who = if lines.is_empty() { "nobody" } else { "a robot without the group" };
        let what = format!("{path:?} at {host} by {who}");
        let answer = http1::get(&gateway.target(), host, path, &lines).await;
        assert_refusal(gateway, answer, &what);
        let mut request = http2::Request::get(host, path);
        for (name, value) in &lines {
            request = request.header(name, value);
        }
        let answer = http2::exchange(&gateway.target(), &request).await;
        assert_refusal(gateway, answer, &format!("{what}, HTTP/2"));
    }
}

fn assert_unseen(gateway: &Gateway, before: usize, host: &str, what: &str) {
    for received in &gateway.http1.received()[before..] {
        let needs_no_group = is_plainly_below("/public", &received.target)
            || (host == HOST && is_plain(&received.target) && !is_plainly_below("/api", &received.target));
        let is_normalised = gateway.envoy.variant().is_hardened() && needs_no_group;
        assert!(is_normalised, "{what}: the upstream saw {:?}", received.target);
    }
}

fn assert_refusal(gateway: &Gateway, answer: anyhow::Result<Response>, what: &str) {
    match answer {
        Ok(response) if gateway.envoy.variant().is_hardened() && response.status == 200 => {}
        Ok(response) => assert!(
            matches!(response.status, 302 | 307 | 400 | 401 | 403 | 404),
            "{what}: {} {}",
            response.status,
            response.text()
        ),
        Err(error) => assert!(error.is::<Closed>() || error.is::<http2::Reset>(), "{what}: {error:#}"),
    }
}

/// Whether every reader takes a target for the same path.
fn is_plain(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    !path.contains(['%', '\\', ';', '#']) && !path.contains("//") && !path.contains("/.")
}

/// Whether no reader can take a target for anything but a path below `folder`.
fn is_plainly_below(folder: &str, target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    let rest = path.strip_prefix(folder);
    is_plain(target) && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

async fn the_rules_hold_without_tricks(variant: Variant) {
    let gateway = gateway(variant).await;
    let token = gateway.mint_token("ns", "robot");
    let bearer = format!("Bearer {token}");
    let lines = [("authorization", bearer.as_str())];
    for (host, path, anonymous, robot) in [
        (HOST, "/public", 200, 200),
        (HOST, "/public/x?y=/../api", 200, 200),
        (HOST, "/api", 401, 403),
        (HOST, "/api/x%20y", 401, 403),
        (HOST, "/other", 401, 200),
        (HOST, "/other/a%20b", 401, 200),
        (HOST, "/public/", 200, 200),
        (HOST, "/only", 401, 403),
        (HOST, "/only/x", 401, 200),
        (HOST, "/only.json", 401, 200),
        // Names that honest people give.
        (HOST, "/other/report;v=2.txt", 401, 200),
        (HOST, "/other/a;b/c;d", 401, 200),
        (HOST, "/other/100%25", 401, 200),
        (HOST, "/other/100%25u0061", 401, 200),
        (HOST, "/other/caf%C3%A9%20(2)", 401, 200),
        (HOST, "/other/%E5%96%B6%E6%A5%AD%E3%80%80%E9%83%A8", 401, 200),
        (HOST, "/other/Report.TXT", 401, 200),
        (STRICT_HOST, "/public/x", 200, 200),
        (STRICT_HOST, "/other", 401, 403),
    ] {
        let response = http1::get(&gateway.target(), host, path, &[]).await.unwrap();
        assert_eq!(response.status, anonymous, "{host}{path} anonymous: {}", response.text());
        let response = http1::get(&gateway.target(), host, path, &lines).await.unwrap();
        assert_eq!(response.status, robot, "{host}{path} with a token: {}", response.text());
    }
    // The rule refuses who lacks the group, and nobody else.
    let mut alice = gateway.visitor().unwrap();
    let page = alice.sign_in("alice", "/api/x%20y").await.unwrap();
    assert_eq!(page.status, 200, "{}", page.text());
    for path in ["/only", "/only/"] {
        let page = alice.navigate(path).await.unwrap();
        assert_eq!(page.status, 200, "{path}: {}", page.text());
    }
    let mut bob = gateway.visitor().unwrap();
    let page = bob.sign_in("bob", "/api").await.unwrap();
    assert_eq!(page.status, 403, "{}", page.text());
    let unknown = http1::get(&gateway.target(), "evil.test", "/public", &[]).await.unwrap();
    assert_eq!(unknown.status, 421, "{}", unknown.text());
}

async fn no_trick_reaches_a_path_that_needs_a_group(variant: Variant) {
    let gateway = gateway(variant).await;
    let token = gateway.mint_token("ns", "robot");
    for path in INTO_API {
        assert_refused(&gateway, HOST, path, &token).await;
    }
    for path in INTO_API {
        let absolute = format!("http://{HOST}{path}");
        let bytes = http1::request("GET", "evil.test", &absolute, &[]);
        let before = gateway.http1.received().len();
        assert_refusal(&gateway, gateway.exchange(&bytes).await, &absolute);
        assert_unseen(&gateway, before, HOST, &absolute);
    }
}

async fn no_trick_reaches_a_path_that_is_closed_alone(variant: Variant) {
    let gateway = gateway(variant).await;
    let token = gateway.mint_token("ns", "robot");
    let before = gateway.http1.received().len();
    for path in INTO_ONLY {
        assert_answers_refuse(&gateway, HOST, path, &token).await;
        let seen: Vec<String> = gateway.http1.received()[before..].iter().map(|seen| seen.target.clone()).collect();
        assert!(seen.is_empty(), "{path}: the upstream saw {seen:?}");
    }
}

async fn no_trick_makes_a_path_public(variant: Variant) {
    let gateway = gateway(variant).await;
    let token = gateway.mint_token("ns", "robot");
    for path in LIKE_PUBLIC.into_iter().chain(INTO_API) {
        assert_refused(&gateway, STRICT_HOST, path, &token).await;
    }
    // A raw `#` is Envoy's to refuse.
    assert_refused(&gateway, STRICT_HOST, "/public#/api", &token).await;
}
