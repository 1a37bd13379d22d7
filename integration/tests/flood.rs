//! Strangers who send as much as they can: memory, outside calls and the cost of each request stay bounded, and whoever is
//! signed in notices nothing.
//!
//! The product is asked directly, so that nothing else is measured, and logs as it does for people (`info`).
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use envoy_types::ext_authz::v3::pb::CheckRequest;
use portcullis_integration::check_client::{Answer, Check, CheckClient};
use portcullis_integration::check_visitor::CheckVisitor;
use portcullis_integration::portcullis::{Config, HOST, Portcullis, SESSION_COOKIE, TOKEN_AUDIENCE};
use portcullis_integration::provider::{Provider, Settings};
use portcullis_integration::review_api::ReviewApi;
use portcullis_integration::usage::{cpu_time, resident_kib};
use portcullis_integration::{evidence, jwt};
use serde_json::json;

/// How many checks are under way at once.
const AT_ONCE: usize = 32;
/// A flood may cost so many times what a signed-in check costs, which is the cheapest that there is.
const MOST_TIMES: f64 = 3.0;
/// What the process may grow by: caches of tokens and sessions, and buffers of connections, each with its bound. 220,000
/// requests that left 1 KiB each behind would be three times that.
const MOST_GROWTH_KIB: u64 = 64 * 1024;
/// How many tokens whose key the API server does not serve are reviewed.
const UNKNOWN_KEYS_AT_ONCE: u64 = 16;
const UNKNOWN_KEYS_A_SECOND: u64 = 4;
/// How long a review of a token holds here, and the keys of the API server are not fetched again.
const CACHE_TTL: Duration = Duration::from_mins(1);

/// One kind of request, told by its number.
struct Flood<'a> {
    name: &'static str,
    count: usize,
    status: i32,
    reason: Option<&'static str>,
    /// What the rest gets once a bound is reached.
    beyond: Option<(i32, &'static str)>,
    request: Box<dyn Fn(usize) -> CheckRequest + Sync + 'a>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_strangers_costs_little_and_hurts_nobody() {
    let provider = Provider::start(Settings::default()).await.unwrap();
    let api = ReviewApi::start().await.unwrap();
    let config = Config::new().unwrap().provider(&provider).unwrap().service_accounts(&api).unwrap();
    let config = config.set("/logging/level", "info").set("/service_accounts/cache_ttl", "60s");
    let portcullis = config.start().await.unwrap();
    let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();

    let mut alice = CheckVisitor::new(&client, HOST);
    assert!(alice.sign_in("alice", "/").await.unwrap().is_allowed());
    let cookie = format!("{SESSION_COOKIE}={}", alice.cookies[SESSION_COOKIE]);
    let token = api.token("ns", "robot").audience(TOKEN_AUDIENCE).issue();
    let signed_in = with_header(&get(), "cookie", &cookie);
    let with_token = with_header(&get(), "authorization", &format!("Bearer {token}"));
    assert!(client.check(with_token.clone()).await.unwrap().is_allowed());

    // The warmth of all caches, and the measure: beside each flood, since what else the machine does changes what the same
    // work costs.
    let honest = Flood {
        name: "signed in",
        count: 5_000,
        status: 200,
        reason: None,
        beyond: None,
        request: Box::new(|_| signed_in.clone()),
    };
    honest.run(&client, &portcullis).await;
    let (memory_before, calls_before, api_before, started) =
        (resident_kib(portcullis.id()).unwrap(), provider.calls(), api.calls(), Instant::now());

    let over = AtomicBool::new(false);
    let passed = AtomicUsize::new(0);
    let honest_people = async {
        while !over.load(Ordering::Relaxed) {
            for request in [&signed_in, &with_token] {
                let answer = client.check(request.clone()).await.unwrap();
                assert!(answer.is_allowed(), "somebody who is signed in is refused in the flood: {answer:?}");
                passed.fetch_add(1, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let flooding = async {
        let mut costs = BTreeMap::new();
        for flood in floods(&token) {
            let before = honest.run(&client, &portcullis).await;
            let cost = flood.run(&client, &portcullis).await;
            costs.insert(flood.name, cost / before.max(honest.run(&client, &portcullis).await));
        }
        over.store(true, Ordering::Relaxed);
        costs
    };
    let ((), costs) = tokio::join!(honest_people, flooding);
    assert!(passed.load(Ordering::Relaxed) > 100, "too few honest checks were made meanwhile");

    let dear: Vec<_> = costs.iter().filter(|(_, times)| **times > MOST_TIMES).collect();
    assert!(dear.is_empty(), "these cost so many times what a signed-in check costs: {dear:?} (all: {costs:?})");
    let growth = resident_kib(portcullis.id()).unwrap().saturating_sub(memory_before);
    assert!(growth < MOST_GROWTH_KIB, "grown by {growth} KiB");
    let (calls, api_calls) = (provider.calls(), api.calls());
    assert_eq!(
        (calls.token, calls.userinfo),
        (calls_before.token, calls_before.userinfo),
        "no made-up code is exchanged"
    );
    assert_eq!((calls.discovery, calls.jwks), (calls_before.discovery, calls_before.jwks));
    // The good token is reviewed anew at times, those of unknown keys within their bound, and an unknown key is looked for
    // three times at once and then every half minute.
    let seconds = started.elapsed().as_secs();
    let minutes = seconds / CACHE_TTL.as_secs() + 1;
    let of_unknown_keys = UNKNOWN_KEYS_AT_ONCE + UNKNOWN_KEYS_A_SECOND * (seconds + 1);
    assert!(api_calls.reviews - api_before.reviews <= minutes + of_unknown_keys, "{api_calls:?} after {api_before:?}");
    assert!(api_calls.jwks - api_before.jwks <= 2 * minutes + 4, "{api_calls:?} after {api_before:?}");
}

/// The same at the level that tells most, and with each bearer in the ledger of what the log is searched for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_told_in_full_and_without_its_secrets() {
    const OF_EACH_KIND: usize = 500;
    let provider = Provider::start(Settings::default()).await.unwrap();
    let api = ReviewApi::start().await.unwrap();
    let config = Config::new().unwrap().provider(&provider).unwrap().service_accounts(&api).unwrap();
    let portcullis = config.start().await.unwrap();
    let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
    let token = api.token("ns", "robot").audience(TOKEN_AUDIENCE).issue();
    let told_before = portcullis.records().await.unwrap().len();
    let mut sent = 0;
    for flood in floods(&token) {
        let flood = Flood { count: OF_EACH_KIND, ..flood };
        for number in 0..flood.count {
            let request = (flood.request)(number);
            if let Some(value) = header(&request, "authorization") {
                evidence::sent("authorization", value);
            }
            flood.judge(&client.check(request).await.unwrap());
        }
        sent += flood.count;
    }
    let told = portcullis.records().await.unwrap().len() - told_before;
    assert!(told >= sent, "{told} records of {sent} checks");
}

fn floods(token: &str) -> Vec<Flood<'_>> {
    let (payload, header) = {
        let mut parts = token.split('.');
        let header = parts.next().unwrap();
        (parts.next().unwrap(), header)
    };
    let forged = move |number: usize| format!("Bearer {header}.{payload}.{}", unique(number, 256));
    let unknown = move |number: usize| {
        let header = json!({ "alg": "RS256", "kid": format!("key-{number}") }).to_string();
        format!("Bearer {}.{payload}.{}", URL_SAFE_NO_PAD.encode(header), unique(number, 256))
    };
    let bearer = |value: String| with_header(&get(), "authorization", &value);
    let navigation = |path: String| Check::get(HOST, &path).navigation().build();
    vec![
        Flood {
            name: "random bearers",
            count: 60_000,
            status: 401,
            reason: Some("bearer_not_jwt"),
            beyond: None,
            request: Box::new(move |number| bearer(format!("Bearer {}", unique(number, 48)))),
        },
        Flood {
            name: "forged tokens",
            count: 40_000,
            status: 401,
            reason: Some("token_signature"),
            beyond: None,
            request: Box::new(move |number| bearer(forged(number))),
        },
        Flood {
            name: "tokens of unknown keys",
            count: 10_000,
            status: 401,
            reason: Some("token_rejected"),
            beyond: Some((503, "too_many_reviews")),
            request: Box::new(move |number| bearer(unknown(number))),
        },
        Flood {
            name: "navigations",
            count: 100_000,
            status: 302,
            reason: None,
            beyond: None,
            request: Box::new(move |number| navigation(format!("/page/{number}?a=b"))),
        },
        Flood {
            name: "cookies of ours",
            count: 10_000,
            status: 401,
            reason: Some("ticket_invalid"),
            beyond: None,
            request: Box::new(|number| {
                // As long as a true one.
                with_header(&get(), "cookie", &format!("{SESSION_COOKIE}={}", unique(number, 100)))
            }),
        },
        Flood {
            name: "callbacks",
            count: 10_000,
            status: 400,
            reason: Some("state_invalid"),
            beyond: None,
            request: Box::new(move |number| {
                navigation(format!("/portcullis/callback?code=x&state={}", unique(number, 300)))
            }),
        },
    ]
}

impl Flood<'_> {
    fn judge(&self, answer: &Answer) {
        let (status, reason) = (answer.status(), answer.reason());
        if self.beyond.is_some_and(|beyond| (status, reason.as_deref()) == (beyond.0, Some(beyond.1))) {
            return;
        }
        assert_eq!(status, self.status, "{}: {answer:?}", self.name);
        if self.reason.is_some() {
            assert_eq!(reason.as_deref(), self.reason, "{}", self.name);
        }
    }

    /// Sends all of them; gives what one cost the product, in microseconds of CPU time.
    async fn run(&self, client: &CheckClient, portcullis: &Portcullis) -> f64 {
        let before = cpu_time(portcullis.id()).unwrap();
        let next = AtomicUsize::new(0);
        let work = async || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= self.count {
                    return;
                }
                let answer = client.call_in_a_flood((self.request)(number)).await.unwrap();
                let answer = Answer::read(answer).unwrap();
                self.judge(&answer);
            }
        };
        futures::future::join_all((0..AT_ONCE).map(|_| work())).await;
        let spent = cpu_time(portcullis.id()).unwrap().saturating_sub(before);
        #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52 of them")]
        let count = self.count as f64;
        spent.as_secs_f64() * 1e6 / count
    }
}

fn get() -> CheckRequest {
    Check::get(HOST, "/page").build()
}

/// Adds a header to a finished request: what a flood sends is no secret that is worth a search.
fn with_header(request: &CheckRequest, name: &str, value: &str) -> CheckRequest {
    let mut request = request.clone();
    let http = request.attributes.as_mut().and_then(|all| all.request.as_mut()?.http.as_mut()).unwrap();
    http.headers.insert(name.to_owned(), value.to_owned());
    request
}

/// What a request holds under a header's name.
fn header<'a>(request: &'a CheckRequest, name: &str) -> Option<&'a str> {
    let http = request.attributes.as_ref()?.request.as_ref()?.http.as_ref()?;
    http.headers.get(name).map(String::as_str)
}

/// So many bytes that no other number and no other run has, in base64url; the same for the same number.
fn unique(number: usize, bytes: usize) -> String {
    static RUN: OnceLock<String> = OnceLock::new();

    let mut unique = RUN.get_or_init(jwt::random_id).clone().into_bytes();
    unique.extend(number.to_be_bytes());
    URL_SAFE_NO_PAD.encode(unique.into_iter().cycle().take(bytes).collect::<Vec<u8>>())
}
