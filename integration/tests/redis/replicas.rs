//! Replicas that are asked directly, and the browsers that ask them.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use portcullis_integration::check_client::{Answer, Check, CheckClient};
use portcullis_integration::portcullis::{Config, HOST, ORIGIN, Portcullis};
use portcullis_integration::provider::{Provider, Settings};
use portcullis_integration::visitor::log_in;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::Url;

/// How a request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visit {
    /// It reached the service.
    Allowed,
    /// Nobody is signed in.
    Refused,
    /// 503 with `Retry-After`.
    Unavailable,
}

/// A browser's cookies.
pub(crate) type Cookies = BTreeMap<String, String>;

/// Processes that share keys, a provider and a Redis.
pub(crate) struct Replicas {
    processes: Vec<Portcullis>,
    clients: Vec<CheckClient>,
    /// Where people sign in.
    pub(crate) provider: Provider,
    _keys: TempDir,
}

/// What people did, and what failed.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) signed_in: Vec<Cookies>,
    pub(crate) signed_out: Vec<Cookies>,
    pub(crate) acknowledged_sign_ins: usize,
    pub(crate) acknowledged_logouts: usize,
    /// When, and how.
    pub(crate) failures: Vec<(Instant, String)>,
}

impl Replicas {
    /// The deadline of a call of Redis.
    pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

    pub(crate) async fn start(count: usize, redis: &Value) -> Result<Self> {
        Self::start_with(count, redis, Settings::default(), |config| config).await
    }

    /// Like [`Replicas::start`], with another provider and more configuration.
    pub(crate) async fn start_with(
        count: usize,
        redis: &Value,
        settings: Settings,
        configure: impl Fn(Config) -> Config,
    ) -> Result<Self> {
        let keys = TempDir::with_prefix("portcullis-keys-")?;
        let (root, assertion) = (keys.path().join("root"), keys.path().join("assertion.pem"));
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).ok().context("random bytes")?;
        fs::write(&root, bytes)?;
        fs::write(&assertion, rcgen::KeyPair::generate()?.serialize_pem())?;
        let provider = Provider::start(settings).await?;
        let (mut processes, mut clients) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let config = Config::new()?
                .provider(&provider)?
                .set("/keys", json!({ "root": [root], "assertion": [assertion] }))
                .set("/logging/level", "info")
                .set("/sessions/store", json!({ "type": "redis", "redis": redis }));
            let process = configure(config).start().await?;
            clients.push(CheckClient::connect(&process.check_address()).await?);
            processes.push(process);
        }
        Ok(Self { processes, clients, provider, _keys: keys })
    }

    /// Signs somebody in at a replica; their cookies.
    pub(crate) async fn sign_in(&self, replica: usize) -> Result<Cookies> {
        let mut cookies = Cookies::new();
        let to_provider = self.navigate(replica, "/", &mut cookies).await?;
        let back = log_in(&Url::parse(&to_provider)?, "alice").await?;
        let path = format!("{}?{}", back.path(), back.query().unwrap_or_default());
        self.navigate(replica, &path, &mut cookies).await?;
        ensure!(cookies.keys().any(|name| name == "__Host-portcullis"), "there is no session");
        Ok(cookies)
    }

    /// Opens a page that redirects; where to.
    async fn navigate(&self, replica: usize, path: &str, cookies: &mut Cookies) -> Result<String> {
        let check = with_cookies(Check::get(HOST, path).scheme("https").navigation(), cookies);
        let Answer::Deny { status, headers, body } = self.clients[replica].check(check.build()).await? else {
            bail!("{path} is allowed");
        };
        if status == 503 {
            ensure!(headers.only("retry-after").is_some(), "503 without Retry-After");
            bail!("503");
        }
        ensure!((300..400).contains(&status), "{status}: {body}\n{}", self.processes[replica].log_tail());
        keep(headers.all("set-cookie"), cookies)?;
        Ok(headers.only("location").context("a redirect says where to")?.to_owned())
    }

    /// A call of a script.
    pub(crate) async fn visit(&self, replica: usize, cookies: &Cookies) -> Result<Visit> {
        let check = Check::get(HOST, "/page").scheme("https").header("sec-fetch-site", "same-origin");
        let check = with_cookies(check.header("sec-fetch-mode", "cors"), cookies);
        match self.clients[replica].check(check.build()).await? {
            Answer::Allow { .. } => Ok(Visit::Allowed),
            Answer::Deny { status: 401, .. } => Ok(Visit::Refused),
            Answer::Deny { status: 503, headers, .. } => {
                ensure!(headers.only("retry-after").is_some(), "503 without Retry-After");
                Ok(Visit::Unavailable)
            }
            other @ Answer::Deny { .. } => bail!("{other:?}"),
        }
    }

    /// Signs out at a replica; fails where that is not acknowledged.
    pub(crate) async fn log_out(&self, replica: usize, cookies: &mut Cookies) -> Result<()> {
        let check = Check::new("POST", HOST, "/portcullis/logout").scheme("https").header("origin", ORIGIN);
        let check = with_cookies(check.header("sec-fetch-site", "same-origin"), cookies);
        match self.clients[replica].check(check.build()).await? {
            Answer::Deny { status: 201 | 303, .. } => Ok(()),
            Answer::Deny { status: 503, headers, .. } => {
                ensure!(headers.only("retry-after").is_some(), "503 without Retry-After");
                bail!("503")
            }
            other => bail!("{other:?}"),
        }
    }

    /// How long after `begun` a session is refused at a replica.
    pub(crate) async fn until_refused(&self, replica: usize, cookies: &Cookies, begun: Instant) -> Duration {
        loop {
            match self.visit(replica, cookies).await.expect("an answer") {
                Visit::Refused => return begun.elapsed(),
                Visit::Allowed | Visit::Unavailable => {
                    assert!(begun.elapsed() < Duration::from_mins(1), "a dead session lives at replica {replica}");
                }
            }
        }
    }

    /// People sign in at one replica, and every second one out at the other.
    pub(crate) async fn sign_in_and_out_for(&self, lasts: Duration) -> Load {
        let (begun, mut load) = (Instant::now(), Load::default());
        let mut number = 0;
        while begun.elapsed() < lasts {
            number += 1;
            let mut cookies = match self.sign_in(number % 2).await {
                Ok(cookies) => cookies,
                Err(error) => {
                    load.failures.push((Instant::now(), format!("{error:#}")));
                    continue;
                }
            };
            load.acknowledged_sign_ins += 1;
            if number % 3 != 0 {
                load.signed_in.push(cookies);
                // No person has more than a hundred sessions.
                if load.signed_in.len() > 60 {
                    let mut oldest = load.signed_in.remove(0);
                    if let Err(error) = self.log_out(0, &mut oldest).await {
                        load.failures.push((Instant::now(), format!("{error:#}")));
                    }
                }
                continue;
            }
            match self.log_out((number + 1) % 2, &mut cookies).await {
                Ok(()) => {
                    load.acknowledged_logouts += 1;
                    load.signed_out.push(cookies);
                }
                // Nobody knows then whether the session lives.
                Err(error) => load.failures.push((Instant::now(), format!("{error:#}"))),
            }
        }
        load
    }
}

fn with_cookies(check: Check, cookies: &Cookies) -> Check {
    let pairs: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if pairs.is_empty() { check } else { check.header("cookie", pairs.join("; ")) }
}

fn keep<'a>(lines: impl IntoIterator<Item = &'a str>, cookies: &mut Cookies) -> Result<()> {
    for line in lines {
        let (name, value) = line.split(';').next().and_then(|pair| pair.split_once('=')).context("no cookie")?;
        cookies.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    Ok(())
}

/// A timer that notes how late it wakes: what this machine adds to every time that is measured beside it.
pub(crate) struct Control {
    ended: Arc<AtomicBool>,
    timer: JoinHandle<Vec<Duration>>,
}

impl Control {
    pub(crate) fn start() -> Self {
        const NAP: Duration = Duration::from_millis(5);
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let timer = tokio::spawn(async move {
            let mut late = Vec::new();
            while !end.load(Ordering::Relaxed) {
                let begun = Instant::now();
                tokio::time::sleep(NAP).await;
                late.push(begun.elapsed().saturating_sub(NAP));
            }
            late
        });
        Self { ended, timer }
    }

    pub(crate) async fn p99(self) -> Duration {
        self.ended.store(true, Ordering::Relaxed);
        let mut late = self.timer.await.expect("the timer ends");
        late.sort_unstable();
        late.get(late.len() * 99 / 100).copied().unwrap_or_default()
    }
}
