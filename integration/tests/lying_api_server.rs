//! An API server that lies makes nobody a service account: every wrong thing that it can say about a token, one a row,
//! through the whole process.
//!
//! Each row names the answer, its reason, when to come again, and how often the API server is asked. No identity is
//! passed on; a token that the honest API server reviews passes, in the same run.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use portcullis_integration::check_client::{Answer, Check, CheckClient};
use portcullis_integration::faults::{Edit, Fault, edit};
use portcullis_integration::jwt::{Algorithm, SigningKey};
use portcullis_integration::lateness::Lateness;
use portcullis_integration::movable_clock::{MovableClock, Moves};
use portcullis_integration::portcullis::{Config, HOST, Portcullis, TOKEN_AUDIENCE};
use portcullis_integration::review_api::{Faults, ReviewApi};
use serde_json::{Value, json};

/// More than any answer may have.
const TOO_MUCH: usize = 10 << 20;
/// How long a review may take where a row does not say otherwise: these do not wait for it.
const USUAL_TIMEOUT: Duration = Duration::from_secs(20);
/// How long it may take where it hangs.
const TIMEOUT: Duration = Duration::from_secs(6);

/// What a caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// 401: the token is refused, and remembered as refused.
    Refused(&'static str),
    /// 503 and so many seconds to wait; the next caller makes the API server be asked again.
    Failed(&'static str, &'static str),
}

const REJECTED: Told = Told::Refused("token_rejected");
const AUDIENCE: Told = Told::Refused("token_audience");
const UNAVAILABLE: Told = Told::Failed("api_server_unavailable", "5");

/// A row: what the API server does, and what must come of it.
struct Lie {
    what: String,
    tell: Box<dyn Fn(&mut Faults) + Send + Sync>,
    told: Told,
}

fn lie(what: impl Into<String>, tell: impl Fn(&mut Faults) + Send + Sync + 'static, told: Told) -> Lie {
    Lie { what: what.into(), tell: Box::new(tell), told }
}

/// Sets a member of the review's status, by its JSON pointer; null removes it.
fn status(pointer: &'static str, value: Value, told: Told) -> Lie {
    lie(format!("{pointer} is {value}"), move |faults| faults.edit_status = set(pointer, value.clone()), told)
}

fn set(pointer: &'static str, value: Value) -> Option<Edit> {
    edit(move |status| {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        let name = name.replace("~1", "/");
        let parent = status.pointer_mut(parent).and_then(Value::as_object_mut).expect("there is such an object");
        if value.is_null() {
            parent.remove(&name);
        } else {
            parent.insert(name, value.clone());
        }
    })
}

fn reviews(what: &'static str, fault: Fault, told: Told) -> Lie {
    lie(what, move |faults| faults.reviews = fault.clone(), told)
}

/// The product and its API server.
struct Ground {
    api: ReviewApi,
    portcullis: Portcullis,
    client: CheckClient,
}

impl Ground {
    async fn start(timeout: Duration, tell: impl Fn(&mut Faults)) -> Self {
        Self::start_with(timeout, tell, |config| config).await
    }

    async fn start_with(
        timeout: Duration,
        tell: impl Fn(&mut Faults),
        configure: impl FnOnce(Config) -> Config,
    ) -> Self {
        let api = ReviewApi::start_at((Ipv4Addr::LOCALHOST, 0).into(), Algorithm::Es256).await.unwrap();
        api.misbehave(tell);
        let config = Config::new().unwrap().service_accounts(&api).unwrap();
        let config = config.set("/service_accounts/timeout", format!("{}ms", timeout.as_millis()));
        let portcullis = configure(config).start().await.unwrap();
        let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
        Self { api, portcullis, client }
    }

    async fn present(&self, token: &str) -> Result<Answer> {
        let check = Check::get(HOST, "/api").header("authorization", format!("Bearer {token}"));
        self.client.check(check.build()).await
    }

    /// Presents a token that passes as this account, by one review.
    async fn honest(&self, name: &str) -> Result<()> {
        let token = self.api.token("team-a", name).audience(TOKEN_AUDIENCE).pod(name).issue();
        let before = self.api.calls().reviews;
        let answer = self.present(&token).await?;
        let account = format!("system:serviceaccount:team-a:{name}");
        let users = answer.passed("kubeflow-userid");
        ensure!(users == [account.as_str()], "the honest API server's word made {users:?}: {answer:?}");
        ensure!(self.api.calls().reviews == before + 1, "the control made no review");
        Ok(())
    }

    /// One row, and its control.
    async fn lied_to(&self, lie: &Lie, name: &str) -> Result<()> {
        let token = self.api.token("team-a", name).audience(TOKEN_AUDIENCE).pod(name).issue();
        self.api.misbehave(&lie.tell);
        let before = self.api.calls().reviews;
        let asked = Instant::now();
        expect(&self.present(&token).await?, lie.told)?;
        let first = (self.api.calls().reviews - before, asked.elapsed());
        ensure!(first.0 == 1, "{} reviews for one check", first.0);
        expect(&self.present(&token).await?, lie.told).context("once more")?;
        let asked_again = self.api.calls().reviews - before - 1;
        // A refusal is remembered for a few seconds; where there was no answer, nothing is.
        let expected = u64::from(matches!(lie.told, Told::Failed(..)));
        ensure!(asked_again == expected, "{asked_again} reviews for the same token once more, and not {expected}");

        self.api.be_honest();
        if matches!(lie.told, Told::Failed(..)) {
            let answer = self.present(&token).await?;
            ensure!(answer.is_allowed(), "the same token, once the API server is honest: {answer:?}");
        }
        self.honest(&format!("{name}-control")).await
    }

    /// Fails where another number of checks passed.
    async fn passed(&self, expected: u64) -> Result<()> {
        let allowed = self.portcullis.metric("portcullis_checks_total", &["outcome=\"allowed\""]).await?;
        ensure!(allowed == expected, "{allowed} checks passed, and not {expected}");
        Ok(())
    }
}

/// Whether a caller is told so, and nobody else anything.
fn expect(answer: &Answer, told: Told) -> Result<()> {
    let (status, reason, when) = match told {
        Told::Refused(reason) => (401, reason, &[][..]),
        Told::Failed(reason, when) => (503, reason, &[when][..]),
    };
    let answered = (answer.status(), answer.reason().unwrap_or_default());
    ensure!(answered == (status, reason.to_owned()), "{answered:?}, and not {:?}", (status, reason));
    ensure!(answer.told("retry-after") == when, "retry-after: {:?}, and not {when:?}", answer.told("retry-after"));
    ensure!(answer.told("www-authenticate").is_empty() == (status == 503), "the challenge: {answer:?}");
    Ok(())
}

/// Tells every lie of a table to one process, one after the other, and fails with all that were believed.
async fn none_is_believed(lies: Vec<Lie>) {
    let ground = Ground::start(USUAL_TIMEOUT, |_| ()).await;
    let mut failures = Vec::new();
    let mut passes = 0;
    ground.honest("first").await.unwrap();
    passes += 1;
    for (number, lie) in lies.iter().enumerate() {
        passes += if matches!(lie.told, Told::Failed(..)) { 2 } else { 1 };
        if let Err(error) = ground.lied_to(lie, &format!("robot-{number}")).await {
            failures.push(format!("{}: {error:#}", lie.what));
            ground.api.be_honest();
        }
    }
    if failures.is_empty() {
        ground.passed(passes).await.unwrap();
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[tokio::test]
async fn a_lying_review_makes_nobody_a_service_account() {
    let pod_name = "/user/extra/authentication.kubernetes.io~1pod-name";
    let pod_uid = "/user/extra/authentication.kubernetes.io~1pod-uid";
    none_is_believed(vec![
        status("/authenticated", json!(false), REJECTED),
        status("/authenticated", json!(null), REJECTED),
        status("/authenticated", json!("true"), UNAVAILABLE),
        status("/authenticated", json!(1), UNAVAILABLE),
        status("/audiences", json!(null), AUDIENCE),
        status("/audiences", json!([]), AUDIENCE),
        status("/audiences", json!([""]), AUDIENCE),
        status("/audiences", json!(["https://kubernetes.default.svc.cluster.local"]), AUDIENCE),
        status("/audiences", json!(["PORTCULLIS.test"]), AUDIENCE),
        status("/audiences", json!(["portcullis.test.evil"]), AUDIENCE),
        status("/audiences", json!("portcullis.test"), UNAVAILABLE),
        status("/user", json!(null), REJECTED),
        status("/user", json!("system:serviceaccount:team-a:robot"), UNAVAILABLE),
        status("/user/username", json!("system:serviceaccount:team-a:admin"), REJECTED),
        status("/user/username", json!("system:serviceaccount:kube-system:robot"), REJECTED),
        status("/user/username", json!("system:admin"), REJECTED),
        status("/user/username", json!("alice@example.com"), REJECTED),
        status("/user/username", json!(""), REJECTED),
        status("/user/username", json!(null), REJECTED),
        status("/user/username", json!(["a"]), UNAVAILABLE),
        lie(
            "the username is in capitals",
            |faults| {
                faults.edit_status = edit(|status| {
                    let upper = status["user"]["username"].as_str().unwrap().to_uppercase();
                    status["user"]["username"] = upper.into();
                });
            },
            REJECTED,
        ),
        status("/user/uid", json!("another"), REJECTED),
        status("/user/uid", json!(""), REJECTED),
        status("/user/uid", json!(null), REJECTED),
        status(pod_name, json!(["another"]), REJECTED),
        status(pod_uid, json!(["another"]), REJECTED),
        lie("the answer has no status", |faults| faults.edit_review = set("/status", json!(null)), UNAVAILABLE),
        lie("its kind is another", |faults| faults.edit_review = set("/kind", json!("Status")), UNAVAILABLE),
        lie(
            "its version is another",
            |faults| faults.edit_review = set("/apiVersion", json!("authentication.k8s.io/v1beta1")),
            UNAVAILABLE,
        ),
        reviews(
            "the answer to a question that nobody asked",
            Fault::Body(
                json!({ "kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
                    "spec": {}, "status": { "allowed": true } })
                .to_string(),
            ),
            UNAVAILABLE,
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_is_no_review_makes_nobody_a_service_account() {
    let thief = ReviewApi::start_at((Ipv4Addr::LOCALHOST, 0).into(), Algorithm::Es256).await.unwrap();
    let elsewhere = format!("http://{}/apis/authentication.k8s.io/v1/tokenreviews", thief.address());
    let slow_down = |seconds| Told::Failed("too_many_reviews", seconds);
    let after = |seconds: &str| Fault::RetryAfter(429, seconds.to_owned());
    none_is_believed(vec![
        reviews("400", Fault::Status(400), UNAVAILABLE),
        reviews("401", Fault::Status(401), UNAVAILABLE),
        reviews("403", Fault::Status(403), UNAVAILABLE),
        reviews("404", Fault::Status(404), UNAVAILABLE),
        reviews("409", Fault::Status(409), UNAVAILABLE),
        reviews("429, come again in 7 s", after("7"), slow_down("7")),
        reviews("429, come again in a year", after("31536000"), slow_down("60")),
        reviews("429, come again at a date", after("Wed, 21 Oct 2026 07:28:00 GMT"), slow_down("1")),
        reviews("429, come again yesterday", after("-1"), slow_down("1")),
        reviews("429", Fault::Status(429), slow_down("1")),
        reviews("500", Fault::Status(500), UNAVAILABLE),
        reviews("502", Fault::Status(502), UNAVAILABLE),
        reviews("503, come again in a year", Fault::RetryAfter(503, "31536000".to_owned()), UNAVAILABLE),
        reviews("204", Fault::Answer(204, "application/json", String::new()), UNAVAILABLE),
        reviews("302 to elsewhere", Fault::Redirect(elsewhere.clone()), UNAVAILABLE),
        reviews("307 to elsewhere", Fault::TemporaryRedirect(elsewhere), UNAVAILABLE),
        reviews("nothing", Fault::Body(String::new()), UNAVAILABLE),
        reviews("no JSON", Fault::Body("<html>".to_owned()), UNAVAILABLE),
        reviews("an array", Fault::Body("[]".to_owned()), UNAVAILABLE),
        reviews("null", Fault::Body("null".to_owned()), UNAVAILABLE),
        reviews("deeply nested", Fault::Body("[".repeat(100_000)), UNAVAILABLE),
        reviews("10 MiB", Fault::Huge(TOO_MUCH), UNAVAILABLE),
        reviews("1 TiB announced", Fault::Announced(1 << 40), UNAVAILABLE),
        reviews("endless", Fault::Endless, UNAVAILABLE),
        reviews("half of it announced and sent", Fault::TooShort, UNAVAILABLE),
        reviews("half of it, then the connection ends", Fault::Truncated, UNAVAILABLE),
        reviews("compressed", Fault::Gzip, UNAVAILABLE),
        reviews("2 MiB compressed to little", Fault::GzipBomb(2 << 20), UNAVAILABLE),
        reviews("a header of 1 MiB", Fault::HugeHeader(1 << 20), UNAVAILABLE),
        reviews("10,000 headers", Fault::Headers(10_000), UNAVAILABLE),
        reviews("something behind it", Fault::Behind("{}"), UNAVAILABLE),
        reviews(
            "status said twice",
            Fault::Twice("status", json!({ "authenticated": true, "audiences": [TOKEN_AUDIENCE] })),
            UNAVAILABLE,
        ),
        lie(
            "authenticated said twice",
            |faults| {
                let refused = json!({ "authenticated": false }).to_string();
                let both = refused.replace('}', ",\"authenticated\":true}");
                faults.reviews = Fault::Body(format!(
                    "{{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v1\",\"spec\":{{\"token\":\"\"}},\
                     \"status\":{both}}}"
                ));
            },
            UNAVAILABLE,
        ),
    ])
    .await;
    assert_eq!(thief.calls(), <_>::default(), "a token went elsewhere");
}

/// All rows hang at once; they share one API server, and so one fault at a time.
#[tokio::test]
async fn an_api_server_that_hangs_or_drips_is_left_at_its_deadline() {
    let faults = [
        ("never answers", Fault::Hang),
        ("answers a minute later", Fault::Delay(Duration::from_mins(1))),
        ("sends a byte each 50 ms", Fault::Drip(Duration::from_millis(50))),
        ("stops before the end that it announced", Fault::TooLong),
        ("announces a body and sends none", Fault::Announced(512)),
    ];
    let row = async |what: &str, fault: Fault| {
        let ground = Ground::start(TIMEOUT, |_| ()).await;
        ground.honest("first").await?;
        let row = lie(what, move |faults| faults.reviews = fault.clone(), UNAVAILABLE);
        let token = ground.api.token("team-a", "robot").audience(TOKEN_AUDIENCE).issue();
        ground.api.misbehave(&row.tell);
        let (asked, lateness) = (Instant::now(), Lateness::watch());
        let answer = ground.present(&token).await?;
        let took = asked.elapsed();
        expect(&answer, row.told)?;
        // The time-out bounds the answer, and as much again is for all else.
        let bound = TIMEOUT * 2 + lateness.p99();
        ensure!(took <= bound, "answered after {took:?}, and not within {bound:?}");
        // A token that was good a moment ago needs nobody.
        ground.api.be_honest();
        ground.honest("last").await?;
        ground.passed(2).await
    };
    let outcomes = join_all(faults.into_iter().map(async |(what, fault)| (what, row(what, fault).await))).await;
    let failures: Vec<_> =
        outcomes.into_iter().filter_map(|(what, outcome)| Some(format!("{what}: {:#}", outcome.err()?))).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// What becomes of a genuine token, and of forged ones that the API server would accept.
struct KeyLie {
    what: &'static str,
    tell: Box<dyn Fn(&mut Faults)>,
    /// How long keys, or a review, may take.
    timeout: Duration,
    /// Whether forgeries are refused before any review; else the review decides.
    forgeries_are_seen: bool,
}

#[tokio::test]
async fn lying_keys_let_no_forgery_pass() {
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap().jwk();
    let keys = |fault: Fault| -> Box<dyn Fn(&mut Faults)> { Box::new(move |faults| faults.jwks = fault.clone()) };
    let withheld = |what, fault| KeyLie { what, tell: keys(fault), timeout: USUAL_TIMEOUT, forgeries_are_seen: false };
    let hangs = |what, fault| KeyLie { timeout: TIMEOUT, ..withheld(what, fault) };
    // A set that lacks the key: what names it is left to the honest review.
    let wrong = |what, set: Value| withheld(what, Fault::Body(set.to_string()));
    let lies = [
        KeyLie { what: "honest", tell: Box::new(|_| ()), timeout: USUAL_TIMEOUT, forgeries_are_seen: true },
        withheld("403", Fault::Status(403)),
        withheld("429", Fault::RetryAfter(429, "60".to_owned())),
        withheld("500", Fault::Status(500)),
        hangs("never answers", Fault::Hang),
        hangs("sends a byte each 50 ms", Fault::Drip(Duration::from_millis(50))),
        withheld("no JSON", Fault::Body("<html>".to_owned())),
        withheld("no list", Fault::Body("{\"keys\":{}}".to_owned())),
        withheld("keys said twice", Fault::Twice("keys", json!([]))),
        withheld("10 MiB", Fault::Huge(TOO_MUCH)),
        withheld("half of it, then the connection ends", Fault::Truncated),
        withheld("compressed", Fault::Gzip),
        wrong("no keys", json!({ "keys": [] })),
        wrong("a stranger's key", json!({ "keys": [stranger] })),
    ];
    let outcomes = join_all(lies.iter().map(async |lie| (lie.what, lying_keys(lie).await))).await;
    let failures: Vec<_> =
        outcomes.into_iter().filter_map(|(what, outcome)| Some(format!("{what}: {:#}", outcome.err()?))).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

async fn lying_keys(lie: &KeyLie) -> Result<()> {
    let ground = Ground::start(lie.timeout, &lie.tell).await;
    ground.honest("robot").await.context("the genuine token")?;
    let before = ground.api.calls().reviews;
    let forged = ground.api.token("team-a", "admin").audience(TOKEN_AUDIENCE).forged();
    let told = if lie.forgeries_are_seen { "token_signature" } else { "token_rejected" };
    expect(&ground.present(&forged).await?, Told::Refused(told)).context("a forgery")?;
    let reviews = ground.api.calls().reviews - before;
    ensure!(reviews == u64::from(!lie.forgeries_are_seen), "{reviews} reviews of a forgery");
    ground.passed(1).await
}

/// The API server's word alone is not enough where the token's own does not agree.
#[tokio::test]
async fn an_api_server_that_accepts_every_token_makes_nobody_of_a_forgery() {
    let ground = Ground::start(USUAL_TIMEOUT, |_| ()).await;
    ground.honest("first").await.unwrap();
    let accepts = |faults: &mut Faults| {
        faults.edit_status = edit(|status| {
            *status = json!({
                "authenticated": true,
                "audiences": [TOKEN_AUDIENCE],
                "user": { "username": "system:serviceaccount:kube-system:admin", "uid": "1", "groups": ["system:masters"] },
            });
        });
    };
    ground.api.misbehave(accepts);
    let before = ground.api.calls().reviews;
    let admin = || ground.api.token("kube-system", "admin").audience(TOKEN_AUDIENCE);
    let other = |name: &str, value: Value| admin().claim(name, value).signed_unknown();
    let cases = [
        ("a forged signature", admin().forged(), "token_signature"),
        (
            "another audience",
            ground.api.token("kube-system", "admin").audience("another").signed_unknown(),
            "token_audience",
        ),
        ("no audience", ground.api.token("kube-system", "admin").signed_unknown(), "token_audience"),
        ("expired", admin().lifetime(-61).signed_unknown(), "token_expired"),
        ("no expiry", other("exp", json!(null)), "token_malformed"),
        ("another issuer", other("iss", json!("https://evil.test")), "bearer_issuer_unknown"),
        ("no service account", other("sub", json!("system:admin")), "token_malformed"),
        ("no Kubernetes claims", other("kubernetes.io", json!(null)), "token_malformed"),
        ("no JWT", "system:serviceaccount:kube-system:admin".to_owned(), "bearer_not_jwt"),
    ];
    for (what, token, reason) in cases {
        let answer = ground.present(&token).await.unwrap();
        expect(&answer, Told::Refused(reason)).unwrap_or_else(|error| panic!("{what}: {error:#}"));
    }
    assert_eq!(ground.api.calls().reviews, before, "nothing of that was worth a question");
    // What it says of a good signature must still be about the token's own account.
    let answer = ground.present(&admin().signed_unknown()).await.unwrap();
    expect(&answer, REJECTED).unwrap();
    assert_eq!(ground.api.calls().reviews, before + 1);
    ground.passed(1).await.unwrap();
}

/// The clocks are moved, so that half a minute takes no time.
#[tokio::test]
async fn keys_of_the_api_server_that_change_are_fetched_once_after_a_while() {
    let clock = MovableClock::new(Moves::AllClocks).unwrap();
    let ground = Ground::start_with(USUAL_TIMEOUT, |_| (), |config| config.clock(&clock)).await;
    ground.honest("first").await.unwrap();
    let before = ground.api.calls().reviews;
    let calls = || (ground.api.calls().jwks, ground.api.calls().reviews - before);
    ground.api.rotate_keys(Algorithm::Es256).unwrap();
    let token = |name: &str| ground.api.token("team-a", name).audience(TOKEN_AUDIENCE);
    let (new, unknown) = (token("robot").issue(), SigningKey::generate(Algorithm::Es256).unwrap());
    let forgery = |number: usize| unknown.sign(&token(&format!("forged-{number}")).claims()).unwrap();
    // Strangers choose what a token calls its key: a moment after the last fetch there is no other, but a review.
    assert!(ground.present(&new).await.unwrap().is_allowed());
    assert_eq!(calls(), (1, 1));

    clock.set(31).unwrap();
    let mut turned_away = 0;
    for number in 0..40 {
        let answer = ground.present(&forgery(number)).await.unwrap();
        match answer.reason().as_deref() {
            Some("too_many_reviews") => turned_away += 1,
            _ => expect(&answer, REJECTED).unwrap(),
        }
    }
    assert!(turned_away > 0, "no bound");
    assert_eq!(calls(), (2, 41 - turned_away));
    assert!(ground.present(&new).await.unwrap().is_allowed(), "the fetched keys verify it");
    assert_eq!(calls(), (2, 42 - turned_away));

    // Where the keys cannot be had just then, the honest API server's review decides.
    clock.set(62).unwrap();
    ground.api.misbehave(|faults| faults.jwks = Fault::Status(500));
    expect(&ground.present(&forgery(40)).await.unwrap(), REJECTED).unwrap();
    ground.honest("last").await.unwrap();
    ground.passed(4).await.unwrap();
}

#[tokio::test]
async fn the_products_clock_may_be_a_minute_off_for_tokens_too() {
    let clock = MovableClock::new(Moves::WallClock).unwrap();
    let ground = Ground::start_with(USUAL_TIMEOUT, |_| (), |config| config.clock(&clock)).await;
    // Tokens live for an hour; twenty seconds are for a slow machine.
    let rows = [
        (0, None),
        (-40, None),
        (-81, Some("token_not_yet_valid")),
        (-3600, Some("token_not_yet_valid")),
        (3600 - 20, None),
        (3600 + 40, None),
        (3600 + 61, Some("token_expired")),
        (86_400, Some("token_expired")),
    ];
    let mut passes = 0;
    for (number, (seconds, refused)) in rows.into_iter().enumerate() {
        clock.set(seconds).unwrap();
        let token = ground.api.token("team-a", &format!("robot-{number}")).audience(TOKEN_AUDIENCE).issue();
        let before = ground.api.calls().reviews;
        let answer = ground.present(&token).await.unwrap();
        if let Some(reason) = refused {
            expect(&answer, Told::Refused(reason)).unwrap_or_else(|error| panic!("{seconds:+} s: {error:#}"));
        } else {
            assert!(answer.is_allowed(), "{seconds:+} s: {answer:?}");
            passes += 1;
        }
        assert_eq!(ground.api.calls().reviews - before, u64::from(refused.is_none()), "{seconds:+} s");
    }
    ground.passed(passes).await.unwrap();
}

/// How long a state is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

impl Ground {
    /// What operators are told: the line of `/readyz?verbose`, and the gauge.
    async fn told_of_audiences(&self) -> Result<(String, u64)> {
        let url = format!("http://{}/readyz?verbose", self.portcullis.operations_address());
        let answer = portcullis_integration::http::plain_client()?.get(url).send().await?;
        ensure!(answer.status().as_u16() == 200, "readiness speaks of this process alone");
        let text = answer.text().await?;
        let line = text.lines().find_map(|line| line.strip_prefix("audiences of tokens: "));
        let line = line.with_context(|| format!("no line: {text}"))?.to_owned();
        Ok((line, self.portcullis.metric("portcullis_service_account_tokens_not_judged", &[]).await?))
    }

    /// Waits until the token is told so; nothing where it passes.
    async fn until_told(&self, token: &str, wanted: Option<Told>) -> Result<()> {
        let begun = Instant::now();
        loop {
            let answer = self.present(token).await?;
            let told = match wanted {
                Some(told) => expect(&answer, told),
                None if answer.is_allowed() => Ok(()),
                None => Err(anyhow::anyhow!("{answer:?}")),
            };
            let Err(error) = told else { return Ok(()) };
            ensure!(begun.elapsed() < PATIENCE, "{error:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The API server's audience may be ours by `--api-audiences`, and then every pod's own token would pass.
#[tokio::test]
async fn no_token_counts_until_the_api_server_has_said_that_our_audience_is_not_its_own() {
    let ground = Ground::start(TIMEOUT, |faults| faults.reviews = Fault::Status(500)).await;
    let token = ground.api.token("team-a", "robot").audience(TOKEN_AUDIENCE).issue();
    expect(&ground.present(&token).await.unwrap(), UNAVAILABLE).unwrap();
    assert_eq!(ground.told_of_audiences().await.unwrap(), ("failing".to_owned(), 1));

    // It comes back, and has meanwhile got our audience for one of its own: its pods' tokens are told apart by nothing.
    let shared = |faults: &mut Faults| {
        faults.reviews = Fault::default();
        faults.edit_status = edit(|status| *status = json!({ "authenticated": true, "audiences": [TOKEN_AUDIENCE] }));
    };
    ground.api.misbehave(shared);
    let refused = Told::Failed("audience_shared", "60");
    ground.until_told(&token, Some(refused)).await.unwrap();
    assert_eq!(ground.told_of_audiences().await.unwrap(), ("failing".to_owned(), 1));
    let records = ground.portcullis.records().await.unwrap();
    let errors: Vec<_> = records.iter().filter(|record| record["level"] == "ERROR").map(ToString::to_string).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("API server's own audience"), "{errors:?}");
    ground.passed(0).await.unwrap();
}

#[tokio::test]
async fn an_audience_that_becomes_the_api_servers_own_is_found_out_while_the_process_runs() {
    let mut ground = Ground::start(TIMEOUT, |faults| faults.reviews = Fault::Status(500)).await;
    let token = ground.api.token("team-a", "robot").audience(TOKEN_AUDIENCE).issue();
    expect(&ground.present(&token).await.unwrap(), UNAVAILABLE).unwrap();
    ground.api.be_honest();
    ground.until_told(&token, None).await.unwrap();
    assert_eq!(ground.told_of_audiences().await.unwrap(), ("answering".to_owned(), 0));

    // A reload asks again. What passed a moment ago passes no more.
    let shared = edit(|status| *status = json!({ "authenticated": true, "audiences": [TOKEN_AUDIENCE] }));
    ground.api.misbehave(|faults| faults.edit_status = shared);
    ground.portcullis.rewrite(|tree| tree["logging"]["level"] = json!("debug")).unwrap();
    ground.until_told(&token, Some(Told::Failed("audience_shared", "60"))).await.unwrap();
    assert_eq!(ground.told_of_audiences().await.unwrap(), ("failing".to_owned(), 1));
    assert_eq!(ground.portcullis.process().exited().unwrap(), None, "sessions and public paths need no token");

    ground.api.be_honest();
    ground.portcullis.rewrite(|tree| tree["logging"]["level"] = json!("trace")).unwrap();
    ground.until_told(&token, None).await.unwrap();
    assert_eq!(ground.told_of_audiences().await.unwrap(), ("answering".to_owned(), 0));
}
