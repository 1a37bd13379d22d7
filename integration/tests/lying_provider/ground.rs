//! One lie is one row; the rows of a table run side by side, each at a provider and an origin of its own, in one
//! Portcullis.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::stream::{self, StreamExt as _};
use portcullis_integration::check_client::{Answer, CheckClient};
use portcullis_integration::check_visitor::{CheckVisitor, location};
use portcullis_integration::faults::{Edit, edit};
use portcullis_integration::lateness::Lateness;
use portcullis_integration::portcullis::{Config, Portcullis, SESSION_COOKIE};
use portcullis_integration::provider::{Calls, Faults, Provider, Settings};
use portcullis_integration::visitor::{log_in, path_and_query};
use serde_json::Value;
use url::Url;

/// A loaded machine may take this long where a second is usual.
const SOON: Duration = Duration::from_secs(30);
/// How long the answer to a callback is kept for one who repeats it; then its state is spent, and starts again.
const ANSWER_IS_KEPT: Duration = Duration::from_secs(10);
/// How long one call to a provider may take in these tests, where a row does not say otherwise.
const USUAL_TIMEOUT: Duration = Duration::from_secs(20);

/// A row: what is said, and what must come of it.
pub(crate) struct Lie {
    what: String,
    tell: Box<dyn Fn(&mut Faults) + Send + Sync>,
    set_up: Box<dyn Fn(&mut Settings) + Send + Sync>,
    published: Vec<Value>,
    back: Box<dyn Fn(&Url) -> String + Send + Sync>,
    timeout: Duration,
    status: i32,
    reason: &'static str,
    calls: (u64, u64),
    fetches: u64,
    settings: Vec<(&'static str, Value)>,
}

/// Begins a row; unless it says otherwise the code is exchanged once, and userinfo is not asked.
pub(crate) fn lie(what: impl Into<String>, tell: impl Fn(&mut Faults) + Send + Sync + 'static) -> Lie {
    Lie {
        what: what.into(),
        tell: Box::new(tell),
        set_up: Box::new(|_| ()),
        published: Vec::new(),
        back: Box::new(path_and_query),
        timeout: USUAL_TIMEOUT,
        status: 0,
        reason: "",
        calls: (1, 0),
        fetches: 0,
        settings: Vec::new(),
    }
}

impl Lie {
    /// 403: another try would not help.
    pub(crate) fn refused(self, reason: &'static str) -> Self {
        self.answered(403, reason)
    }

    /// 503, and when to come again.
    pub(crate) fn unavailable(self, reason: &'static str) -> Self {
        self.answered(503, reason)
    }

    /// 400: what the browser brought is at fault.
    pub(crate) fn bad(self, reason: &'static str) -> Self {
        self.answered(400, reason)
    }

    fn answered(self, status: i32, reason: &'static str) -> Self {
        Self { status, reason, ..self }
    }

    /// The ID token lacks what userinfo tells, so that userinfo is asked, once.
    pub(crate) fn asks_userinfo(self) -> Self {
        self.set_up(|settings| settings.claims_in_id_token = false).calls(1, 1)
    }

    /// How often the token endpoint and userinfo are called.
    pub(crate) fn calls(self, token: u64, userinfo: u64) -> Self {
        Self { calls: (token, userinfo), ..self }
    }

    /// How often the keys are fetched for it.
    pub(crate) fn fetches_keys(self, fetches: u64) -> Self {
        Self { fetches, ..self }
    }

    /// Writes a setting of the provider's, for the lie and for its control.
    pub(crate) fn setting(mut self, name: &'static str, value: Value) -> Self {
        self.settings.push((name, value));
        self
    }

    /// Changes the provider for the lie and for its control.
    pub(crate) fn set_up(self, set_up: impl Fn(&mut Settings) + Send + Sync + 'static) -> Self {
        Self { set_up: Box::new(set_up), ..self }
    }

    /// Publishes this key beside the honest one, from the start on.
    pub(crate) fn publishes(mut self, key: Value) -> Self {
        self.published.push(key);
        self
    }

    /// Changes the callback's URL on its way through the browser.
    pub(crate) fn back(self, back: impl Fn(&Url) -> String + Send + Sync + 'static) -> Self {
        Self { back: Box::new(back), ..self }
    }

    /// How long Portcullis waits for one call.
    pub(crate) fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Whether the answer is the expected one, which names nobody and sets no session cookie.
    fn check(&self, answer: &Answer) -> Result<()> {
        let told = (answer.status(), answer.reason().unwrap_or_default());
        ensure!(told == (self.status, self.reason.to_owned()), "{told:?}, and not {:?}", (self.status, self.reason));
        let when = answer.told("retry-after");
        let expected: &[&str] = match (self.status, self.reason) {
            (503, "sign_in_not_set_up") => &["60"],
            (503, _) => &["5"],
            _ => &[],
        };
        ensure!(when == expected, "retry-after: {when:?}");
        let cookies = answer.told("set-cookie");
        ensure!(!cookies.iter().any(|cookie| cookie.contains(SESSION_COOKIE)), "a cookie is set: {cookies:?}");
        ensure!(answer.told("location").is_empty(), "it redirects");
        Ok(())
    }
}

/// Sets a claim; null removes it.
pub(crate) fn claim(name: &'static str, value: Value) -> Option<Edit> {
    edit(move |claims| {
        let claims = claims.as_object_mut().expect("claims are an object");
        if value.is_null() {
            claims.remove(name);
        } else {
            claims.insert(name.to_owned(), value.clone());
        }
    })
}

/// A row with its provider and its origin.
struct Stand {
    lie: Lie,
    host: String,
    provider: Provider,
}

/// The rows of a table, and the product in front of them.
pub(crate) struct Ground {
    stands: Vec<Stand>,
    portcullis: Portcullis,
    client: CheckClient,
    lateness: Lateness,
}

impl Ground {
    /// Starts all; `lying` tells whether the providers lie from the first call on.
    async fn start(lies: Vec<Lie>, lying: bool) -> Self {
        let mut stands = Vec::new();
        for (number, lie) in lies.into_iter().enumerate() {
            let provider = Provider::start(Settings::default()).await.unwrap();
            provider.change(&lie.set_up);
            let published = lie.published.clone();
            provider.lie(|faults| {
                faults.edit_jwks = edit(move |set| {
                    set["keys"].as_array_mut().expect("an honest set is a list").extend(published.clone());
                });
            });
            if lying {
                provider.lie(&lie.tell);
            }
            stands.push(Stand { lie, host: format!("lie-{number:02}.test"), provider });
        }
        let providers = stands.iter().map(|stand| (stand.host.as_str(), &stand.provider));
        let mut config = Config::new().unwrap().providers(providers).unwrap();
        for (number, stand) in stands.iter().enumerate() {
            let timeout = format!("{}ms", stand.lie.timeout.as_millis());
            config = config.set(&format!("/providers/{number}/timeout"), timeout);
            for (name, value) in &stand.lie.settings {
                config = config.set(&format!("/providers/{number}/{name}"), value.clone());
            }
        }
        let portcullis = config.start().await.unwrap();
        let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
        Self { stands, portcullis, client, lateness: Lateness::watch() }
    }

    /// Runs a step at all stands; the failures, each with its row. Those that wait do so at once; of those that work,
    /// only some do, since a callback has its deadline on a slow machine too.
    async fn each(&self, step: impl AsyncFn(&Self, &Stand) -> Result<()>) -> Vec<String> {
        let at_once = if self.stands.iter().any(|stand| stand.lie.timeout == USUAL_TIMEOUT) { 3 } else { usize::MAX };
        let steps = stream::iter(self.stands.iter().map(|stand| step(self, stand)));
        let outcomes: Vec<_> = steps.buffered(at_once).collect().await;
        let told = self.stands.iter().zip(outcomes);
        told.filter_map(|(stand, outcome)| Some(format!("{}: {:#}", stand.lie.what, outcome.err()?))).collect()
    }

    /// How many sessions began, and how many requests were let pass.
    async fn counts(&self) -> (u64, u64) {
        let begun = self.portcullis.metric("portcullis_sessions_created_total", &[]).await.unwrap();
        let allowed = self.portcullis.metric("portcullis_checks_total", &["outcome=\"allowed\""]).await.unwrap();
        (begun, allowed)
    }

    /// The lies come first. Then each provider is honest, and what failed before works: so the lie made the difference.
    async fn run(&self, lies: impl AsyncFn(&Self, &Stand) -> Result<()>) {
        assert!(!self.stands.is_empty(), "a table has rows");
        let mut failures = self.each(lies).await;
        let counts = self.counts().await;
        if counts != (0, 0) {
            failures.push(format!("sessions began, or requests passed: {counts:?}"));
        }
        failures.extend(self.each(Self::honest).await);
        let controls = self.stands.len() as u64;
        let counts = self.counts().await;
        if counts != (controls, controls) {
            failures.push(format!("of {controls} honest sign-ins there are {counts:?} sessions and passes"));
        }
        assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    }

    /// A sign-in at a provider that lies once the browser is there.
    async fn lied_to_at_the_callback(&self, stand: &Stand) -> Result<()> {
        let Stand { lie, host, provider } = stand;
        let mut visitor = CheckVisitor::new(&self.client, host);
        let to_provider = visitor.begin("/wanted").await?;
        provider.lie(&lie.tell);
        let callback = (lie.back)(&log_in(&to_provider, "alice").await?);

        let before = provider.calls();
        let asked = Instant::now();
        lie.check(&visitor.navigate(&callback).await?).context("the callback")?;
        self.in_time(lie, asked.elapsed())?;
        let called = |calls: Calls| {
            let once_more = [calls.discovery - before.discovery, calls.jwks - before.jwks];
            (calls.token - before.token, calls.userinfo - before.userinfo, once_more)
        };
        let expected = (lie.calls.0, lie.calls.1, [0, lie.fetches]);
        let calls = called(provider.calls());
        ensure!(calls == expected, "calls to token, userinfo, discovery and keys: {calls:?}, and not {expected:?}");
        // The same callback once more costs the provider nothing, and gets the same answer for as long as that is kept.
        let again = visitor.navigate(&callback).await?;
        if asked.elapsed() < ANSWER_IS_KEPT || !goes_to(&again, provider) {
            lie.check(&again).context("the callback again")?;
        }
        ensure!(called(provider.calls()) == expected, "asked again: {:?}", called(provider.calls()));
        self.is_signed_out(&mut visitor, stand).await
    }

    /// One call's time-out bounds an answer, and as much again is for all else.
    fn in_time(&self, lie: &Lie, took: Duration) -> Result<()> {
        let bound = lie.timeout * 2 + self.lateness.p99();
        ensure!(took <= bound, "answered after {took:?}, and not within {bound:?}");
        Ok(())
    }

    /// Nobody is signed in: what comes next starts at the provider.
    async fn is_signed_out(&self, visitor: &mut CheckVisitor, stand: &Stand) -> Result<()> {
        ensure!(!visitor.cookies.contains_key(SESSION_COOKIE), "there is a session cookie");
        let next = visitor.navigate("/wanted").await?;
        ensure!(goes_to(&next, &stand.provider), "the next navigation: {} {:?}", next.status(), next.reason());
        let answer = visitor.fetch("GET", "/api").await?;
        let told = (answer.status(), answer.reason());
        ensure!(told == (401, Some("not_signed_in".to_owned())), "the next call: {told:?}");
        Ok(())
    }

    /// Nobody can even begin to sign in, and the provider is not asked again at each try.
    async fn lied_to_at_the_start(&self, stand: &Stand) -> Result<()> {
        let Stand { lie, host, provider } = stand;
        let mut visitor = CheckVisitor::new(&self.client, host);
        let (begin, before) = (Instant::now(), provider.calls().discovery);
        for _ in 0..10 {
            let asked = Instant::now();
            lie.check(&visitor.navigate("/wanted").await?)?;
            self.in_time(lie, asked.elapsed())?;
        }
        let calls = provider.calls().discovery - before;
        // At most one a second, however many people come.
        ensure!(calls <= 2 + begin.elapsed().as_secs(), "{calls} calls within {:?}", begin.elapsed());
        ensure!(provider.calls().token == 0, "something was exchanged");
        ensure!(visitor.cookies.is_empty(), "cookies were set: {:?}", visitor.cookies);
        Ok(())
    }

    /// What looks odd and is honest signs in, as the same person, and as often as one likes.
    async fn odd_and_honest(&self, stand: &Stand) -> Result<()> {
        stand.provider.lie(&stand.lie.tell);
        let before = stand.provider.calls();
        self.sign_in(stand).await?;
        let after = stand.provider.calls();
        let calls = (after.token - before.token, after.userinfo - before.userinfo);
        ensure!(calls == stand.lie.calls, "calls to token and userinfo: {calls:?}, and not {:?}", stand.lie.calls);
        Ok(())
    }

    /// The control.
    async fn honest(&self, stand: &Stand) -> Result<()> {
        stand.provider.be_honest();
        self.sign_in(stand).await
    }

    async fn sign_in(&self, stand: &Stand) -> Result<()> {
        let mut visitor = CheckVisitor::new(&self.client, &stand.host);
        let begin = Instant::now();
        let to_provider = loop {
            match visitor.begin("/wanted").await {
                Ok(url) => break url,
                Err(error) if begin.elapsed() > SOON => return Err(error.context("the honest sign-in does not begin")),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        let callback = log_in(&to_provider, "alice").await?;
        let landing = visitor.come_back(&callback).await.context("the honest callback")?;
        ensure!(landing == "/wanted", "landed at {landing}");
        let answer = visitor.navigate(&landing).await?;
        let label = stand.host.split('.').next().unwrap_or_default();
        let expected = format!("{label}:alice@example.com");
        let users = answer.passed("kubeflow-userid");
        ensure!(users == [expected.as_str()], "the service is told {users:?}, and not {expected}");
        Ok(())
    }
}

/// Whether an answer sends the browser to this provider.
fn goes_to(answer: &Answer, provider: &Provider) -> bool {
    let authorize = format!("{}/authorize?", provider.issuer());
    location(answer).is_ok_and(|to| to.as_str().starts_with(&authorize))
}

/// Every row fails at the callback as it says; its control succeeds.
pub(crate) async fn nobody_is_signed_in_by(lies: Vec<Lie>) {
    Ground::start(lies, false).await.run(Ground::lied_to_at_the_callback).await;
}

/// Every row signs its person in.
pub(crate) async fn everybody_is_signed_in_by(rows: Vec<Lie>) {
    let ground = Ground::start(rows, true).await;
    let failures = ground.each(Ground::odd_and_honest).await;
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// With every row no login begins; its control succeeds.
pub(crate) async fn no_login_begins_with(lies: Vec<Lie>) {
    Ground::start(lies, true).await.run(Ground::lied_to_at_the_start).await;
}
