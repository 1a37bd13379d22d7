//! What a check costs: allocations, signatures and calls, counted.

use std::collections::HashSet;

use allocation_counter::measure;
use tokio::runtime::Runtime;

use super::{
    fixture::{CLUSTER, raw},
    *,
};
use crate::{
    memory,
    request::RawRequest,
    secret::{decode, encode},
};

/// The most allocations of a check, from the request to its decision and its record.
const SESSION_ALLOCATIONS: u64 = 8;
const TOKEN_ALLOCATIONS: u64 = 7;
/// The most bytes of a check that is under way: it is moved several times on its way into its task.
const CHECK_BYTES: usize = 3072;

/// What a browser sends that is signed in, with cookies of an application.
fn browsers(cookie: &str) -> RawRequest {
    let cookie = format!("_ga=GA1.2.1234567890.1700000000; theme=dark; {cookie}; notebook-token={}", "x".repeat(900));
    let sent = [
        ("accept", "application/json, text/plain, */*"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
        ("cache-control", "no-cache"),
        ("cookie", cookie.as_str()),
        ("dnt", "1"),
        ("pragma", "no-cache"),
        ("priority", "u=1, i"),
        ("referer", "https://kf.example.com/pipeline/"),
        ("sec-ch-ua", "\"Chromium\";v=\"142\", \"Not=A?Brand\";v=\"24\""),
        ("sec-ch-ua-mobile", "?0"),
        ("sec-ch-ua-platform", "\"Linux\""),
        ("sec-fetch-dest", "empty"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-site", "same-origin"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"),
        ("x-forwarded-for", "10.0.3.17"),
        ("x-forwarded-proto", "https"),
        ("x-envoy-internal", "true"),
        ("x-xsrf-token", "0123456789abcdef"),
    ];
    raw("kf.example.com", "GET", "/pipeline/apis/v2beta1/runs?page_size=10", &sent)
}

pub(super) fn token(account: &str) -> String {
    let part = |value: &serde_json::Value| encode(value.to_string().as_bytes());
    let claims = serde_json::json!({
        "iss": CLUSTER, "aud": ["portcullis.test"], "exp": 1_800_003_600_u64,
        "sub": format!("system:serviceaccount:team-a:{account}"),
        "kubernetes.io": { "namespace": "team-a", "serviceaccount": { "name": account, "uid": "uid" } },
    });
    format!("{}.{}.{}", part(&serde_json::json!({ "alg": "ES256", "kid": "1" })), part(&claims), encode(b"signed"))
}

/// How many allocations a check of this request makes whose credential was seen before; of several the least.
fn allocations(runtime: &Runtime, fixture: &Fixture, request: &RawRequest, wanted: Reason) -> u64 {
    let run = || {
        let (request, mut reason) = (request.clone(), None);
        let taken = measure(|| reason = Some(runtime.block_on(fixture.check_raw(request)).decision.reason()));
        assert_eq!(reason, Some(wanted));
        taken.count_total
    };
    run();
    (0..5).map(|_| run()).min().unwrap()
}

#[test]
#[expect(clippy::print_stdout, reason = "who changes a check wants the figures")]
fn a_check_whose_credential_is_known_makes_few_allocations() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fixture = runtime.block_on(Fixture::with_accounts());
    let cookie = runtime.block_on(fixture.sign_in(&["dev", "ops"]));
    let session = allocations(&runtime, &fixture, &browsers(&cookie), Reason::Session);
    let bearer = format!("Bearer {}", token("robot"));
    let request = raw("kf.example.com", "GET", "/apis/v1", &[("authorization", &bearer), ("accept", "*/*")]);
    let token = allocations(&runtime, &fixture, &request, Reason::ServiceAccount);
    println!("allocations: session {session}, token {token}");
    assert!(session <= SESSION_ALLOCATIONS, "{session} allocations of a session check");
    assert!(token <= TOKEN_ALLOCATIONS, "{token} allocations of a token check");
}

#[test]
fn a_check_is_small_to_move() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fixture = runtime.block_on(Fixture::with_accounts());
    let bytes = size_of_val(&fixture.check_raw(browsers("none=1")));
    assert!(bytes <= CHECK_BYTES, "{bytes} bytes of a check");
}

fn assertion(checked: &Checked) -> String {
    let Decision::Allow(allow) = &checked.decision else { panic!("{:?}", checked.decision.reason()) };
    let (_, value) = allow.mutations().sets().find(|(name, _)| *name == "portcullis-assertion").unwrap();
    value.as_str().to_owned()
}

/// The assertions of a round of checks, of each session one.
async fn round(fixture: &Fixture, cookies: &[String]) -> HashSet<String> {
    let mut assertions = HashSet::new();
    for cookie in cookies {
        let checked = fixture.check("GET", "/", &[("cookie", cookie)]).await;
        assertions.insert(assertion(&checked));
    }
    assertions
}

/// How many bytes stay taken of what is done.
fn kept(runtime: &Runtime, done: impl Future) -> i64 {
    measure(|| drop(runtime.block_on(done))).bytes_current
}

#[test]
#[expect(clippy::print_stdout, reason = "who changes a session wants the figures")]
fn a_session_that_is_kept_open_takes_at_most_a_kibibyte_beside_its_claims() {
    const SESSIONS: usize = 1000;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fixture = runtime.block_on(Fixture::with_open_bytes(memory::OPENED_SESSIONS));
    let mut cookies = Vec::new();
    for number in 0..SESSIONS {
        cookies.push(runtime.block_on(fixture.sign_in_as(&number.to_string(), &["dev", "ops"])));
    }
    let first = assertion(&runtime.block_on(fixture.check("GET", "/", &[("cookie", &cookies[0])])));
    // What is known of the person, and that signed.
    let claims = decode(first.split('.').nth(1).unwrap()).unwrap().len() + first.len();
    let bytes = usize::try_from(kept(&runtime, round(&fixture, &cookies[1..]))).unwrap() / (SESSIONS - 1);
    println!("bytes of a session that is kept open: {bytes}, of which {claims} are claims");
    assert!(bytes <= claims + 1024, "{bytes} bytes, {claims} of them claims");
}

/// As many sessions as the memory for them is meant for, scaled down with that memory.
#[tokio::test]
async fn every_session_costs_one_signature_and_one_call_of_the_store_however_many_there_are() {
    const SESSIONS: usize = 1500;
    const SCALE: u64 = 20;
    let fixture = Fixture::with_open_bytes(memory::OPENED_SESSIONS / SCALE).await;
    let mut cookies = Vec::new();
    for number in 0..SESSIONS {
        cookies.push(fixture.sign_in_as(&number.to_string(), &["dev", "ops"]).await);
    }
    let first = round(&fixture, &cookies).await;
    let calls = fixture.store.calls();
    let second = round(&fixture, &cookies).await;
    assert_eq!((first.len(), first == second), (SESSIONS, true), "each session is signed for once");
    assert_eq!(fixture.store.calls(), calls, "each session is read once");
}
